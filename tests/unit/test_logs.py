"""The log check of all tests finds what must not be logged."""

import logging
import sys
from collections.abc import Callable

import pytest
from harness import LOGS

from orders.telemetry import count, logger


@pytest.mark.parametrize(
    "say",
    [
        lambda: logger.info("answered", content="Please ring twice."),
        lambda: logger.info("Please ring twice."),
        lambda: logger.info("recorded", order_id="alice@example.com"),
        lambda: logger.info("recorded", reason="Böhm"),
        lambda: logger.info("answered", route="GET /orders/1001"),
        lambda: logger.append_keys(key="7d1f") or logger.info("answered"),  # type: ignore[func-returns-value]
        lambda: logging.getLogger("botocore").warning("PutItem alice"),
        lambda: print("Please ring twice."),  # noqa: T201
        lambda: sys.stderr.write("Please ring twice.\n"),
        lambda: sys.stdout.write('["Please ring twice."]\n'),
        lambda: int("Bearer eyJhbGciOiJub25lIn0.e30."),
    ],
)
def test_disallowed_log_entries_are_found(say: Callable[[], object]) -> None:
    try:
        with pytest.raises(AssertionError, match="not allowed in logs"), LOGS.listening():
            say()
    finally:
        logger.remove_keys(["key"])


def test_allowed_log_entries_pass(capsys: pytest.CaptureFixture[str]) -> None:
    with LOGS.listening():
        logger.info("recorded", order_id="1001", invoice="INV-2026-00001", report="delivery")
        count("CommentsAdded")
    # Other log handlers still receive it.
    assert "CommentsAdded" in capsys.readouterr().out
    with pytest.raises(LookupError, match="1001"), LOGS.listening():
        raise LookupError("1001")
