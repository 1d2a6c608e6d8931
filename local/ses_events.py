"""Plays what SES reports of a mail after it took it: here nothing is ever delivered, bounces or is complained of."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from local import UsageError
from local.template import Function
from local.workers import Runtime

SOURCE = "aws.ses"

REPORTS: Mapping[str, tuple[str, str, dict[str, str]]] = {
    # Our word → SES's word, where its report is, and what the report says besides its time.
    "send": ("Send", "send", {}),
    "delay": ("DeliveryDelay", "deliveryDelay", {"delayType": "MailboxFull"}),
    "delivery": ("Delivery", "delivery", {"smtpResponse": "250 2.6.0 Message received"}),
    "soft_bounce": ("Bounce", "bounce", {"bounceType": "Transient", "bounceSubType": "MailboxFull"}),
    "hard_bounce": ("Bounce", "bounce", {"bounceType": "Permanent", "bounceSubType": "General"}),
    "complaint": ("Complaint", "complaint", {"complaintFeedbackType": "abuse"}),
    "reject": ("Reject", "reject", {"reason": "Bad content"}),
}


class SesEvents:
    """Hands events to the functions that listen to SES.

    Args:
        functions: All functions, by logical id.
        runtime: What runs them.
    """

    def __init__(self, functions: Mapping[str, Function], runtime: Runtime) -> None:
        self._listeners = [name for name, function in functions.items() if SOURCE in function.sources]
        self._runtime = runtime

    def play(self, asked: Mapping[str, Any]) -> list[str]:
        """Plays an event: a whole one as EventBridge has it, or `{"invoice": "INV-1002-1", "event": "delivery"}`.

        Returns:
            The functions that took it.

        Raises:
            UsageError: It is neither.
        """
        event = asked if "detail" in asked else _event(asked)
        for name in self._listeners:
            self._runtime.invoke(name, event)
        return self._listeners


def _event(asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """https://docs.aws.amazon.com/ses/latest/dg/monitoring-eventbridge.html."""
    number, word = str(asked.get("invoice")), str(asked.get("event"))
    # INV-<order>-<n>, where an order's id may have hyphens of its own.
    order_id = number.removeprefix("INV-").rpartition("-")[0]
    if not order_id or word not in REPORTS:
        raise UsageError(
            'send {"invoice": "INV-1002-1", "event": "delivery"} (or '
            + ", ".join(REPORTS)
            + "), or a whole event of SES"
        )
    kind, place, more = REPORTS[word]
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    mail = {"timestamp": now, "tags": {"order_id": [order_id], "invoice": [number]}}
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "source": SOURCE,
        "detail-type": f"Email {kind}",
        "time": now,
        "detail": {"eventType": kind, "mail": mail, place: {"timestamp": now, **more}},
    }
