"""Checks in all tests that functions log only allowed fields and values.

This is an allow-list, because a search for secrets would find only known ones: each line must be JSON, each field must
be listed here, and each value must have the form of its field. New fields have to be added here first.
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

ORDER = r"[A-Za-z0-9_.:#/ -]{1,64}"
WORD = r"[A-Za-z]+(\.[A-Za-z]+)*"

FORMS = {
    # The fields of Powertools and Lambda.
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
    # The service's own fields.
    "message": "answered|dropped|invoice|letters without a glyph|no event|notice|notice failed|outcome not recorded"
    "|problem|recorded|unsettled|unexpected error",
    "status": r"\d{3}",
    "slug": "[a-z-]+",
    "error": rf"_?{WORD}",
    "cause": rf"{WORD}( ({WORD}|[1-5][0-9][0-9]))?",
    "reason": rf"{WORD}|None",
    "trace": r"\[('[^']+\.py:\d+ [\w<>]+'(, )?)+\]",
    "order_id": ORDER,
    "invoice": r"INV-[A-Za-z0-9_-]{1,64}-\d+|[\w-]+\d{4}-\d{5}",
    "invoices": r"\d+",
    "mailing": r"\d+",
    "outcome": "[a-z]+",
    "report": "[a-z_]+",
    "kind": "[A-Za-z ]+",
    "letters": r"\d+",
    "scripts": r"\['[A-Z ]+'(, '[A-Z ]+')*\]",
    "why": "not about delivery|about copies|no invoice of ours",
    "notice": r"(STAFF#)?(COMMENT#\d+|CANCELLED|WITHDRAWN)",
    "what": "Notices[A-Z][A-Za-z]+",
    "event_id": r"[\w-]+",
    # The keys of an item; tests make up others.
    "keys": r"\{('[ps]k': \{'S': '[^'@]*'\}(, )?)*\}|None",
}
METRIC = r"\[\d+\.0\]"

PRIVATE = re.compile(r"[\w.+-]+@[\w-]+\.\w|eyJ[\w-]{8,}|Bearer \S", re.IGNORECASE)
"""Addresses and tokens, searched for in lines that are not JSON."""


class Logs:
    """Checks what functions log.

    Attributes:
        lines: The number of lines that were checked.
    """

    def __init__(self, template: Template) -> None:
        self._forms = FORMS | {"route": "|".join(re.escape(route.key) for route in template.routes) + "|None"}
        self.lines = 0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Checks everything that is logged or printed in the block, and the error that ends it, which Lambda logs.

        Raises:
            AssertionError: Something was logged that is not allowed in logs.
        """
        logged = io.StringIO()
        handler = logging.StreamHandler(logged)
        # As in Lambda: messages of all loggers from INFO on, with their extra fields.
        handler.setLevel(logging.INFO)
        handler.setFormatter(telemetry.logger.registered_formatter)
        logging.getLogger().addHandler(handler)
        try:
            with redirect_stdout(_Both(sys.stdout, logged)), redirect_stderr(_Both(sys.stderr, logged)):
                yield
        except Exception as error:
            logged.write(json.dumps({"raised": "".join(traceback.format_exception_only(error))}))
            raise
        finally:
            logging.getLogger().removeHandler(handler)
            wrong = self.disallowed(logged.getvalue())
            assert not wrong, f"not allowed in logs: {wrong}"

    def disallowed(self, text: str, *, with_other_lines: bool = False) -> list[str]:
        """Returns everything in a log that is not allowed.

        Args:
            text: The log.
            with_other_lines: Whether other lines than JSON are allowed. In these only certainly private data is found.
        """
        wrong = list[str]()
        for line in text.splitlines():
            self.lines += 1
            try:
                entry = json.loads(line)
            except ValueError:
                entry = None
            if isinstance(entry, dict):
                wrong += self._disallowed_fields(entry)
            elif not with_other_lines or PRIVATE.search(line):
                wrong.append(line)
        return wrong

    def _disallowed_fields(self, entry: dict[str, Any]) -> Iterator[str]:
        metrics = entry.pop("_aws", {}).get("CloudWatchMetrics", [])
        forms = self._forms | {metric["Name"]: METRIC for each in metrics for metric in each["Metrics"]}
        if PRIVATE.search(entry.pop("raised", "")):
            yield "the text of an error"
        for name, value in entry.items():
            if name not in forms or not re.fullmatch(forms[name], str(value)):
                yield f"{name}={value!r}"


class _Both(io.TextIOBase):
    """Writes to two files."""

    def __init__(self, first: TextIO, second: TextIO) -> None:
        self._files = first, second

    def write(self, text: str) -> int:
        for file in self._files:
            file.write(text)
        return len(text)

    def flush(self) -> None:
        # Python flushes this object once more when it deletes it, perhaps after pytest closed the files.
        for file in self._files:
            if not file.closed:
                file.flush()
