"""Records of the table's stream: what the customer is to be told is mailed, once.

https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html
"""

import os
from typing import Any

# First: with pydantic there before it, it would load its models of the events of all of AWS.
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord

from notify_customer.notices import Notice, notice_of, render
from orders.errors import MailUnknown, Problem
from orders.identity import Caller, Role
from orders.lifecycle import invoice_delivery
from orders.mailing.mail import get_mailer
from orders.mailing.shop import get_shop
from orders.models import Outcome
from orders.store import get_store
from orders.stream import happening
from orders.telemetry import count, logger

SWITCHES = {"comment": "NOTIFY_COMMENTS", "cancellation": "NOTIFY_CANCELLATIONS"}

# What failed altogether is reported record by record too: raised, it would count for the records that were mailed.
processor = BatchProcessor(EventType.DynamoDBStreams, raise_on_entire_batch_failure=False)
ourselves = Caller(Role.ADMIN, "notify-customer")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> Any:
    """Takes a batch of records, and answers which failed: Lambda gives those again, and what comes after them."""
    return process_partial_response(event=event, record_handler=tell, processor=processor, context=context)


def tell(record: DynamoDBRecord) -> None:
    """Mails the customer what a record says to them, if it says anything.

    Any error is raised: the record comes again. What was mailed, or may have been, is not mailed again.
    """
    try:
        notice = notice_of(happening(record.raw_event))
        if notice and os.environ.get(SWITCHES[notice.kind]) == "yes":
            _mail(notice)
    except Exception as error:
        # The error's text may quote what a person wrote. The keys name the order, for whoever has to tell its customer.
        keys = record.raw_event["dynamodb"].get("Keys")
        logger.error("notice failed", error=type(error).__name__, keys=keys, event_id=record.event_id)
        raise


def _mail(notice: Notice) -> None:
    store, shop = get_store(), get_shop()
    order = store.order(notice.order_id, ourselves)
    if order.customer_summary.email is None or invoice_delivery(order):
        _note(notice, "NoticesWithoutAddress")
        return
    message, mailer = render(notice, order, shop), get_mailer()
    if earlier := store.begin_notice(notice.order_id, notice.id):
        # Still under way after its process has gone: nobody knows whether it left.
        _note(notice, "NoticesUnknown" if earlier is Outcome.SENDING else "NoticesRepeated")
        return
    try:
        mailer.send(message, {"order_id": notice.order_id, "notice": notice.kind})
    except MailUnknown:
        _end(notice, Outcome.UNKNOWN)
    except Problem:
        # SES said no. Whatever else breaks off here leaves `sending`: only a no makes it safe to mail again.
        _end(notice, Outcome.FAILED)
        raise
    else:
        _end(notice, Outcome.SENT)


def _end(notice: Notice, outcome: Outcome) -> None:
    _note(notice, f"Notices{outcome.capitalize()}")
    try:
        get_store().end_notice(notice.order_id, notice.id, outcome)
    except Problem as problem:
        # It stays `sending`, which claims nothing, and is not mailed again.
        logger.error("outcome not recorded", notice=notice.id, outcome=outcome, slug=problem.slug)


def _note(notice: Notice, metric: str) -> None:
    count(metric)
    logger.info("notice", order_id=notice.order_id, notice=notice.id, what=metric)
