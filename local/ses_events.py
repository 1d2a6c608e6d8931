"""Simulates the events that SES publishes after it accepted a mail, such as deliveries and bounces."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from local import UsageError
from local.template import Function
from local.workers import Runtime

SOURCE = "aws.ses"

REPORTS: Mapping[str, tuple[str, str, dict[str, str]]] = {
    # The name here → the event type of SES, the field with its details, and the details besides the time.
    "send": ("Send", "send", {}),
    "delay": ("DeliveryDelay", "deliveryDelay", {"delayType": "MailboxFull"}),
    "delivery": ("Delivery", "delivery", {"smtpResponse": "250 2.6.0 Message received"}),
    "soft_bounce": ("Bounce", "bounce", {"bounceType": "Transient", "bounceSubType": "MailboxFull"}),
    "hard_bounce": ("Bounce", "bounce", {"bounceType": "Permanent", "bounceSubType": "General"}),
    "complaint": ("Complaint", "complaint", {"complaintFeedbackType": "abuse"}),
    "reject": ("Reject", "reject", {"reason": "Bad content"}),
}


class SesEvents:
    """Sends simulated events to the functions that subscribe to SES.

    Args:
        functions: All functions, by logical id.
        runtime: Invokes them.
    """

    def __init__(self, functions: Mapping[str, Function], runtime: Runtime) -> None:
        self._listeners = [name for name, function in functions.items() if SOURCE in function.sources]
        self._runtime = runtime

    def simulate(self, request: Mapping[str, Any]) -> list[str]:
        """Simulates an event.

        Args:
            request: A complete EventBridge event, or `{"order_id": "1002", "mailing": 1, "event": "delivery"}`.

        Returns:
            The functions that received the event.

        Raises:
            UsageError: The request is neither.
        """
        event = request if "detail" in request else _event(request)
        for name in self._listeners:
            self._runtime.invoke(name, event)
        return self._listeners


def _event(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Builds an event: https://docs.aws.amazon.com/ses/latest/dg/monitoring-eventbridge.html."""
    # The folders of the functions are on the path only after the template was read.
    from orders.invoices import tag_value  # noqa: PLC0415

    order_id, n, name = request.get("order_id"), request.get("mailing", 1), str(request.get("event"))
    if not isinstance(order_id, str) or not isinstance(n, int) or name not in REPORTS:
        raise UsageError(
            'send {"order_id": "1002", "mailing": 1, "event": "delivery"} (or '
            + ", ".join(REPORTS)
            + "), or a complete SES event"
        )
    event_type, field, details = REPORTS[name]
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    mail = {"timestamp": now, "tags": {"order_id": [tag_value(order_id)], "mailing": [str(n)]}}
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "source": SOURCE,
        "detail-type": f"Email {event_type}",
        "time": now,
        "detail": {"eventType": event_type, "mail": mail, field: {"timestamp": now, **details}},
    }
