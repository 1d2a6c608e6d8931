"""The timeline of an order: merges changes, comments, invoices and cancellation into one history, page by page.

The place of a step in the timeline begins with its time in microseconds, in 16 digits, then `#` and what makes it
unique: `#` alone for the creation, `#CANCELLED`, `#WITHDRAWAL`, the sort key of a comment or change,
`#DOC#<number>#<part>`, or `#INVOICE#<n>#<part>`.
"""

from collections.abc import Iterator
from datetime import datetime

from orders.documents import read_documents
from orders.errors import OrderNotFound
from orders.history import Change, TimelineEvent, TimelineStep
from orders.invoices import Document, Mailing, Outcome
from orders.items import Item, select_fields
from orders.keys import CHANGE, COMMENT, HEADER, INTERNAL, WITHDRAWAL, document_sk, invoice_sk, parse_sk, sortable_time
from orders.ledger import read_mailings
from orders.models import DocumentType, OrderHeader, Redaction, StoredComment, Withdrawal
from orders.table import Table, range_query

_OUTCOMES = {
    Outcome.SENT: TimelineEvent.INVOICE_SENT,
    Outcome.FAILED: TimelineEvent.INVOICE_FAILED,
    Outcome.UNKNOWN: TimelineEvent.INVOICE_UNKNOWN,
}


def read_timeline(table: Table, order_id: str, after: str | None, limit: int) -> tuple[list[TimelineStep], str | None]:
    """Reads one page of an order's timeline, oldest first.

    One call each for the order, its withdrawal, its documents and their mailings, and three at the same time for the
    rest.

    Args:
        table: The table.
        order_id: Which order.
        after: The place of the last step of the previous page; None for the first page.
        limit: The largest number of steps.

    Returns:
        The steps, and the place to continue from, or None if there are no more.

    Raises:
        OrderNotFound: The order does not exist.
    """
    header = table.get(order_id, HEADER)
    if header is None:
        raise OrderNotFound
    order = OrderHeader.model_validate(select_fields(header, OrderHeader))
    queries = [range_query(order_id, kind, _resume_key(kind, after or "0")) for kind in (COMMENT, INTERNAL, CHANGE)]
    items, end = table.page(queries, _place, after, limit)
    steps = [_item_step(item) for item in items]
    others = [
        *_order_steps(order),
        *_withdrawal_steps(table.get(order_id, WITHDRAWAL)),
        *(step for each in read_documents(table, order_id) for step in _document_steps(each)),
        *(step for each in read_mailings(table, order_id) for step in _mailing_steps(each)),
    ]
    # Comments and changes are complete up to `end`; nothing beyond it may be shown yet.
    steps += [step for step in others if (after is None or step.place > after) and (end is None or step.place <= end)]
    steps.sort(key=lambda step: step.place)
    if len(steps) > limit:
        return steps[:limit], steps[limit - 1].place
    return steps, end


def _place(item: Item) -> str:
    """Returns the place of a comment or change: its time, then its sort key."""
    return f"{parse_sk(item['sk'])[1]}#{item['sk']}"


def _resume_key(kind: str, after: str) -> str:
    """Returns where in the sort keys of a kind to continue after a place: never before it, even at the same time."""
    time, _, sk = after.partition("#")
    first, last = f"{kind}#{time}", f"{kind}#{time}#~"
    return min(max(first, sk), last).removeprefix(f"{kind}#")


def _item_step(item: Item) -> TimelineStep:
    if "comment_id" in item:
        redaction = Redaction.model_validate(select_fields(item, Redaction))
        return TimelineStep(_place(item), TimelineEvent.COMMENT_REDACTED, redaction.at, redaction)
    if parse_sk(item["sk"])[0] == CHANGE:
        change = Change.model_validate(select_fields(item, Change))
        return TimelineStep(_place(item), TimelineEvent.CHANGED, change.at, change)
    comment = StoredComment.model_validate(select_fields(item, StoredComment))
    return TimelineStep(_place(item), TimelineEvent.COMMENTED, comment.created, comment)


def _order_steps(order: OrderHeader) -> Iterator[TimelineStep]:
    # Before everything else at the same time.
    yield TimelineStep(f"{sortable_time(order.created)}#", TimelineEvent.CREATED, order.created, order)
    if at := order.cancelled_at:
        yield TimelineStep(f"{sortable_time(at)}#CANCELLED", TimelineEvent.CANCELLED, at, order)


def _withdrawal_steps(item: Item | None) -> Iterator[TimelineStep]:
    if item:
        withdrawal = Withdrawal.model_validate(item["withdrawal"])
        at = withdrawal.declared_at
        yield TimelineStep(f"{sortable_time(at)}#WITHDRAWAL", TimelineEvent.WITHDRAWAL_DECLARED, at, withdrawal)


def _document_steps(document: Document) -> Iterator[TimelineStep]:
    def place(at: datetime, part: str) -> str:
        return f"{sortable_time(at)}#{document_sk(document.number)}#{part}"

    if not document.adopted:
        credit = document.type is DocumentType.CREDIT_NOTE
        event = TimelineEvent.CREDIT_NOTE_ISSUED if credit else TimelineEvent.INVOICE_ISSUED
        yield TimelineStep(place(document.issued, "0"), event, document.issued, document)
    if at := document.voided:
        yield TimelineStep(place(at, "1"), TimelineEvent.INVOICE_VOIDED, at, document)


def _mailing_steps(mailing: Mailing) -> Iterator[TimelineStep]:
    def place(at: datetime, part: str) -> str:
        return f"{sortable_time(at)}#{invoice_sk(mailing.n)}#{part}"

    yield TimelineStep(place(mailing.started, "0"), TimelineEvent.INVOICE_BEGUN, mailing.started, mailing)
    if mailing.ended and mailing.outcome in _OUTCOMES:
        yield TimelineStep(place(mailing.ended, "1"), _OUTCOMES[mailing.outcome], mailing.ended, mailing)
    for report, at in mailing.events.items():
        # The part is the event's name: a number would change when a further event arrives.
        yield TimelineStep(place(at, report), TimelineEvent.INVOICE_REPORTED, at, mailing, report)
