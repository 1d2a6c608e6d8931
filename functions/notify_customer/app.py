"""Mails customers and staff the notices that the table's stream calls for, each once.

https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html
"""

from collections.abc import Callable
from email.message import EmailMessage
from functools import cache
from typing import Any

# First: if pydantic were imported before it, it would load its models of every AWS event.
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord

from notify_customer.notices import Notice, language_of, notice_of, recipient_of, render
from notify_customer.staff import render_for_staff, staff_notice_of
from orders import settings
from orders.archive import get_archive
from orders.comments import CommentStore
from orders.errors import DomainError, MailUnknown
from orders.identity import Caller, Role
from orders.invoices import Mailing, Outcome
from orders.ledger import Ledger
from orders.lifecycle import invoice_delivery
from orders.mailing.mail import get_mailer
from orders.mailing.shop import get_shop
from orders.models import DocumentHead, Order
from orders.settings import NoticeSettings
from orders.startup import once
from orders.store import OrderStore
from orders.stream import CommentAddition, OrderCancellation, WithdrawalDeclaration, parse_record
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
    """Mails the notices that a record calls for, if any: to the customer, and to the staff even if that fails.

    Errors are raised, so that the record is delivered again. A mail that was or may have been sent is not sent again.
    """
    try:
        event = parse_record(record.raw_event)
        # Read at most once, for both notices, and only if there is one.
        read = cache(lambda order_id: OrderStore(get_table()).get(order_id, ourselves))
        try:
            if notice := notice_of(event):
                _tell_customer(notice, read)
        finally:
            if notice := staff_notice_of(event):
                _tell_staff(notice, read)
    except Exception as error:
        # The error's text may quote what a person wrote. The keys tell the staff which order it is.
        keys = record.raw_event["dynamodb"].get("Keys")
        logger.error("notice failed", error=type(error).__name__, keys=keys, event_id=record.event_id)
        raise


def _enabled(notice: Notice) -> bool:
    if isinstance(notice.event, OrderCancellation) and notice.event.order.cancel_notify_customer is False:
        return False
    switches = settings.read(NoticeSettings)
    on = {"comment": switches.notify_comments, "cancellation": switches.notify_cancellations}
    # The law requires the acknowledgement of a withdrawal.
    return on.get(notice.kind, True)


def _can_be_mailed(notice: Notice, order: Order) -> bool:
    email = recipient_of(notice, order)
    if email is None or email_problem(email):
        return False
    # The customer has just named the address of an acknowledgement, so an earlier bounce does not count.
    return isinstance(notice.event, WithdrawalDeclaration) or not invoice_delivery(order)


def _is_redacted(notice: Notice) -> bool:
    """Returns whether a comment was redacted since its record was written, which may be hours ago."""
    comment = notice.event.comment if isinstance(notice.event, CommentAddition) else None
    return comment is not None and CommentStore(get_table()).is_redacted(notice.order_id, comment.id)


def _tell_customer(notice: Notice, read: Callable[[str], Order]) -> None:
    head = notice.event.order.credit_note if isinstance(notice.event, OrderCancellation) else None
    enabled = _enabled(notice)
    if not enabled and not head:
        return
    ledger, shop = Ledger(get_table()), get_shop()
    order = read(notice.order_id)
    # Archived even if the customer gets no mail.
    pdf = _archive(ledger, order, head) if head else b""
    if not enabled or not _can_be_mailed(notice, order):
        _note(notice, "NoticesWithoutAddress" if enabled else "NoticesOff")
        return
    if _is_redacted(notice):
        _note(notice, "NoticesRedacted")
        return
    message = render(notice, order, shop)
    if head:
        message.add_attachment(pdf, maintype="application", subtype="pdf", filename=f"{head.number}.pdf")
        # Its order is cancelled, so no other mailing can take the number.
        recipient = recipient_of(notice, order) or ""
        mailing = Mailing.next_for(order, ledger.now(), ourselves.id, recipient, language=language_of(order))
        _mail(notice, message, CreditNoteRecord(ledger, mailing.brings(head)))
    else:
        _mail(notice, message, NoticeRecord(ledger, notice))


def _tell_staff(notice: Notice, read: Callable[[str], Order]) -> None:
    shop = get_shop()
    if not shop.staff_email:
        return
    if _is_redacted(notice):
        _note(notice, "NoticesRedacted")
    else:
        order = read(notice.order_id)
        _mail(notice, render_for_staff(notice, order, shop), NoticeRecord(Ledger(get_table()), notice))


def _archive(ledger: Ledger, order: Order, head: DocumentHead) -> bytes:
    """Returns the archived PDF of a credit note. The first time, it is typeset."""
    if head.number in order.archived:
        return get_archive().get(order.order_id, head.number)
    # Imported here, because other notices need no typesetting.
    from orders.printing.filing import file_document  # noqa: PLC0415

    document = ledger.document(order.order_id, head.number)
    pdf = file_document(get_archive(), document, order, get_shop())
    # Not with the outcome of the mail: there may be none, and the process may crash before it.
    ledger.record_archived(order.order_id, head.number)
    return pdf


class NoticeRecord:
    """The record of a notice in the ledger."""

    def __init__(self, ledger: Ledger, notice: Notice) -> None:
        self._ledger = ledger
        self._notice = notice
        self.tags = {"order_id": notice.order_id, "notice": notice.kind}

    def begin(self) -> Outcome | None:
        """Records that it is about to be mailed. See `Ledger.begin_notice`."""
        return self._ledger.begin_notice(self._notice.order_id, self._notice.id)

    def end(self, outcome: Outcome, message_id: str | None = None, reason: str | None = None) -> None:
        """Records its outcome."""
        self._ledger.end_notice(self._notice.order_id, self._notice.id, outcome)


class CreditNoteRecord:
    """The record of a credit note's mailing in the ledger."""

    def __init__(self, ledger: Ledger, mailing: Mailing) -> None:
        self._ledger = ledger
        self._mailing = mailing
        own = {"invoice": mailing.number, "mailing": str(mailing.n)}
        self.tags = {"order_id": mailing.order_id, "notice": "cancellation", **own}

    def begin(self) -> Outcome | None:
        """Records that it is about to be mailed. See `Ledger.begin_notice`."""
        return self._ledger.begin_credit_note(self._mailing)

    def end(self, outcome: Outcome, message_id: str | None = None, reason: str | None = None) -> None:
        """Records its outcome."""
        known = {"outcome": outcome, "ended": self._ledger.now(), "message_id": message_id, "reason": reason}
        self._ledger.end(self._mailing.model_copy(update=known))


def _mail(notice: Notice, message: EmailMessage, record: NoticeRecord | CreditNoteRecord) -> None:
    if earlier := record.begin():
        # Still `sending`, so its process crashed: it is not known whether the mail was sent.
        _note(notice, "NoticesUnknown" if earlier is Outcome.SENDING else "NoticesRepeated")
        return
    try:
        message_id = get_mailer().send(message, record.tags)
    except MailUnknown as error:
        _end(notice, record, Outcome.UNKNOWN, reason=error.reason)
    except DomainError as error:
        # SES refused the mail, so it is safe to send it again. Any other exception leaves the record `sending`.
        _end(notice, record, Outcome.FAILED, reason=error.reason)
        raise
    else:
        _end(notice, record, Outcome.SENT, message_id=message_id)


def _end(notice: Notice, record: NoticeRecord | CreditNoteRecord, outcome: Outcome, **known: str | None) -> None:
    _note(notice, f"Notices{outcome.capitalize()}")
    try:
        record.end(outcome, **known)
    except DomainError as error:
        # The record stays `sending`, which claims nothing, and the notice is not mailed again.
        logger.error("outcome not recorded", notice=notice.id, outcome=outcome, error=type(error).__name__)


def _note(notice: Notice, metric: str) -> None:
    count(metric)
    logger.info("notice", order_id=notice.order_id, notice=notice.id, what=metric)
