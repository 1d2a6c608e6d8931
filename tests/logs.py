"""What functions say in their logs, in all tests: nothing but what is known to be harmless.

Not a search for secrets, which would only find those that it knows: each line is JSON, each field is one of these, and
each value has the form of its field. What else a function logs needs a decision here first.
"""

import io
import json
import logging
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO

from local.template import Template
from orders import telemetry

ORDER = r"[A-Za-z0-9_-]{1,64}"
WORD = r"[A-Za-z]+(\.[A-Za-z]+)*"

FORMS = {
    # Powertools' own, and Lambda's.
    "level": "INFO|WARNING|ERROR",
    "location": r"\w+:\d+",
    "timestamp": r"[0-9T :.,+Z-]+",
    "service": r"\w+",
    "correlation_id": r"[A-Za-z0-9_=-]+|None",
    "xray_trace_id": r"[0-9a-f-]+",
    "cold_start": "True|False",
    "function_name": r"\w+",
    "function_memory_size": r"\d+",
    "function_arn": r"arn:aws:lambda:[\w:-]+",
    "function_request_id": r"[\w=-]*",
    # Ours.
    "message": "answered|dropped|invoice|no event|notice|notice failed|outcome not recorded|problem|recorded|unsettled"
    "|unexpected error",
    "status": r"\d{3}",
    "slug": "[a-z-]+",
    "error": rf"_?{WORD}",
    "cause": rf"{WORD}( ({WORD}|[1-5][0-9][0-9]))?",
    "reason": rf"{WORD}|None",
    "trace": r"\[('[^']+\.py:\d+ [\w<>]+'(, )?)+\]",
    "order_id": ORDER,
    "invoice": rf"INV-{ORDER}-\d+",
    "invoices": r"\d+",
    "outcome": "[a-z]+",
    "report": "[a-z_]+",
    "kind": "[A-Za-z ]+",
    "why": "not about delivery|about copies|no invoice of ours",
    "notice": r"COMMENT#\d+|CANCELLED",
    "what": "Notices[A-Z][A-Za-z]+",
    "event_id": r"[\w-]+",
    # An id and what it is of; tests make others up.
    "keys": r"\{('[ps]k': \{'S': '[^'@]*'\}(, )?)*\}|None",
}
METRIC = r"\[\d+\.0\]"

PRIVATE = re.compile(r"[\w.+-]+@[\w-]+\.\w|eyJ[\w-]{8,}|Bearer \S", re.IGNORECASE)
"""Addresses and tokens, where people read on and not machines."""


class Logs:
    """Listens to functions.

    Attributes:
        lines: How many lines were looked at.
    """

    def __init__(self, template: Template) -> None:
        self._forms = FORMS | {"route": "|".join(re.escape(route.key) for route in template.routes) + "|None"}
        self.lines = 0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Looks at all that is logged or printed in it, and at the error that ends it, which Lambda logs.

        Raises:
            AssertionError: Something was said that may be private.
        """
        said = io.StringIO()
        handler = logging.StreamHandler(said)
        # As Lambda has it: all loggers' messages from INFO on, with all that they say beside it.
        handler.setLevel(logging.INFO)
        handler.setFormatter(telemetry.logger.registered_formatter)
        logging.getLogger().addHandler(handler)
        try:
            with redirect_stdout(_Both(sys.stdout, said)), redirect_stderr(_Both(sys.stderr, said)):
                yield
        except Exception as error:
            said.write(json.dumps({"raised": "".join(traceback.format_exception_only(error))}))
            raise
        finally:
            logging.getLogger().removeHandler(handler)
            wrong = self.doubtful(said.getvalue())
            assert not wrong, f"logged, and not known to be harmless: {wrong}"

    def doubtful(self, text: str, *, with_other_lines: bool = False) -> list[str]:
        """What in a log is not known to be harmless.

        Args:
            text: The log.
            with_other_lines: Whether lines may be no JSON. In these only what is surely private is found.
        """
        wrong = list[str]()
        for line in text.splitlines():
            self.lines += 1
            try:
                entry = json.loads(line)
            except ValueError:
                entry = None
            if isinstance(entry, dict):
                wrong += self._doubtful_fields(entry)
            elif not with_other_lines or PRIVATE.search(line):
                wrong.append(line)
        return wrong

    def _doubtful_fields(self, entry: dict[str, Any]) -> Iterator[str]:
        metrics = entry.pop("_aws", {}).get("CloudWatchMetrics", [])
        forms = self._forms | {metric["Name"]: METRIC for each in metrics for metric in each["Metrics"]}
        if PRIVATE.search(entry.pop("raised", "")):
            yield "the text of an error"
        for name, value in entry.items():
            if name not in forms or not re.fullmatch(forms[name], str(value)):
                yield f"{name}={value!r}"


class _Both(io.TextIOBase):
    """Writes to two."""

    def __init__(self, first: TextIO, second: TextIO) -> None:
        self._files = first, second

    def write(self, text: str) -> int:
        for file in self._files:
            file.write(text)
        return len(text)

    def flush(self) -> None:
        # Python flushes once more when it takes this one away, after pytest may have closed the others.
        for file in self._files:
            if not file.closed:
                file.flush()
