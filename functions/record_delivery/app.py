"""Records SES's delivery events, which arrive through EventBridge, in the ledger of invoices.

https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-examples.html
"""

from datetime import datetime
from typing import Any

from orders.invoices import DeliveryEvent, parse_own_number, parse_tag_value
from orders.ledger import Ledger
from orders.startup import once
from orders.table import get_table
from orders.telemetry import count, logger

REPORTS = {
    # SES's event type → the member with its time (`mail` if the event has none of its own), and our name for it.
    "Send": ("mail", DeliveryEvent.SEND),
    "DeliveryDelay": ("deliveryDelay", DeliveryEvent.DELAY),
    "Delivery": ("delivery", DeliveryEvent.DELIVERY),
    "Bounce": ("bounce", DeliveryEvent.SOFT_BOUNCE),
    "Complaint": ("complaint", DeliveryEvent.COMPLAINT),
    "Reject": ("mail", DeliveryEvent.REJECT),
}

AFFECTED = {
    "deliveryDelay": "delayedRecipients",
    "delivery": "recipients",
    "bounce": "bouncedRecipients",
    "complaint": "complainedRecipients",
}
"""The member of an event that lists the addresses it is about. An event without one is about the whole mail."""

once(get_table)


@logger.inject_lambda_context(correlation_id_path="id")
def handler(event: dict[str, Any], _context: Any) -> None:
    """Records one event from EventBridge whose source is `aws.ses`.

    Errors are raised: Lambda retries twice, then the event goes to the dead-letter queue.
    """
    detail = event["detail"]
    if detail["eventType"] not in REPORTS:
        logger.info("dropped", why="not about delivery", kind=detail["eventType"])
        return
    place, report = REPORTS[detail["eventType"]]
    if report is DeliveryEvent.SOFT_BOUNCE and detail["bounce"]["bounceType"] == "Permanent":
        report = DeliveryEvent.HARD_BOUNCE
    if _about_copies(detail, place):
        logger.info("dropped", why="about copies", report=report)
        return
    tags = detail["mail"].get("tags", {})
    order_id, number, mailing = (
        parse_tag_value(tags.get(name, [""])[0]) for name in ("order_id", "invoice", "mailing")
    )
    # Version 0.1 did not tag the mailing: it gave each one a number.
    n = int(mailing) if mailing.isascii() and mailing.isdigit() else parse_own_number(order_id, number)
    at = datetime.fromisoformat(detail[place]["timestamp"])
    if n is None or not Ledger(get_table()).record_delivery(order_id, n, report, at):
        logger.info("dropped", why="no invoice of ours", report=report)
        return
    count(f"Invoice{report.title().replace('_', '')}")
    logger.info("recorded", order_id=order_id, mailing=n, report=report)


def _about_copies(detail: dict[str, Any], place: str) -> bool:
    """Whether an event is only about addresses that got a copy. They do not decide the state of an invoice."""
    affected = detail[place].get(AFFECTED.get(place, ""), [])
    affected = {(each if isinstance(each, str) else each["emailAddress"]).lower() for each in affected}
    recipients = {address.lower() for address in detail["mail"].get("commonHeaders", {}).get("to", [])}
    return bool(affected and recipients) and not affected & recipients
