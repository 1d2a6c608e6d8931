"""Turns records of the table's stream into events: the enrichment step of the pipe to the bus.

https://docs.aws.amazon.com/eventbridge/latest/userguide/pipes-enrichment.html
"""

from typing import Any

from orders.telemetry import logger
from publish_events.records import event_of


@logger.inject_lambda_context
def handler(records: list[dict[str, Any]], _context: Any) -> list[dict[str, Any]]:
    """Returns the events that the pipe publishes for a batch of records, in their order.

    An error fails the whole batch. The pipe then halves it until the unreadable record is alone, publishes all others,
    and puts the position of that record into its dead-letter queue.
    """
    return [event for record in records if (event := _read(record))]


def _read(record: dict[str, Any]) -> dict[str, Any] | None:
    try:
        event = event_of(record)
    except Exception as error:
        # The error's text may quote what a person wrote.
        logger.error("no event", error=type(error).__name__, event_id=record.get("eventID"))
        raise
    return event.model_dump(mode="json") if event else None
