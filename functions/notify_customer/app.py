"""Mails customers the notices that the table's stream calls for, each once.

https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html
"""

from typing import Any

# First: if pydantic were imported before it, it would load its models of every AWS event.
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord

from notify_customer.notices import Notice, notice_of, render
from orders import settings
from orders.errors import DomainError, MailUnknown
from orders.identity import Caller, Role
from orders.ledger import Ledger
from orders.lifecycle import invoice_delivery
from orders.mailing.mail import get_mailer
from orders.mailing.shop import get_shop
from orders.models import Outcome
from orders.settings import NoticeSettings
from orders.startup import once
from orders.store import OrderStore
from orders.stream import parse_record
from orders.table import get_table
from orders.telemetry import count, logger
from orders.types import email_problem

# A batch that fails completely is reported record by record too: an exception would count for mailed records as well.
processor = BatchProcessor(EventType.DynamoDBStreams, raise_on_entire_batch_failure=False)
ourselves = Caller(Role.ADMIN, "notify-customer")

once(get_table)
once(get_mailer)
once(get_shop)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> Any:
    """Handles a batch of records and reports which failed: Lambda delivers those and the following ones again."""
    return process_partial_response(event=event, record_handler=handle_record, processor=processor, context=context)


def handle_record(record: DynamoDBRecord) -> None:
    """Mails the notice that a record calls for, if any.

    Errors are raised, so that the record is delivered again. A mail that was or may have been sent is not sent again.
    """
    try:
        notice = notice_of(parse_record(record.raw_event))
        if notice and _enabled(notice):
            _mail(notice)
    except Exception as error:
        # The error's text may quote what a person wrote. The keys tell the staff which order it is.
        keys = record.raw_event["dynamodb"].get("Keys")
        logger.error("notice failed", error=type(error).__name__, keys=keys, event_id=record.event_id)
        raise


def _enabled(notice: Notice) -> bool:
    switches = settings.read(NoticeSettings)
    return {"comment": switches.notify_comments, "cancellation": switches.notify_cancellations}[notice.kind]


def _mail(notice: Notice) -> None:
    table, shop = get_table(), get_shop()
    order = OrderStore(table).get(notice.order_id, ourselves)
    email = order.customer_summary.email
    if email is None or email_problem(email) or invoice_delivery(order):
        _note(notice, "NoticesWithoutAddress")
        return
    message, mailer = render(notice, order, shop), get_mailer()
    ledger = Ledger(table)
    if earlier := ledger.begin_notice(notice.order_id, notice.id):
        # Still `sending`, so its process crashed: it is not known whether the mail was sent.
        _note(notice, "NoticesUnknown" if earlier is Outcome.SENDING else "NoticesRepeated")
        return
    try:
        mailer.send(message, {"order_id": notice.order_id, "notice": notice.kind})
    except MailUnknown:
        _end(ledger, notice, Outcome.UNKNOWN)
    except DomainError:
        # SES refused the mail, so it is safe to send it again. Any other exception leaves the record `sending`.
        _end(ledger, notice, Outcome.FAILED)
        raise
    else:
        _end(ledger, notice, Outcome.SENT)


def _end(ledger: Ledger, notice: Notice, outcome: Outcome) -> None:
    _note(notice, f"Notices{outcome.capitalize()}")
    try:
        ledger.end_notice(notice.order_id, notice.id, outcome)
    except DomainError as error:
        # The record stays `sending`, which claims nothing, and the notice is not mailed again.
        logger.error("outcome not recorded", notice=notice.id, outcome=outcome, error=type(error).__name__)


def _note(notice: Notice, metric: str) -> None:
    count(metric)
    logger.info("notice", order_id=notice.order_id, notice=notice.id, what=metric)
