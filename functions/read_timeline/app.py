"""GET /admin/orders/{order_id}/timeline."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

from aws_lambda_powertools.event_handler.depends import Depends

from orders.cursors import cursor, place
from orders.errors import OrderNotFound
from orders.http import Api, Cursor, Limit, OrderIdInPath, answers, caller
from orders.identity import Caller, Role
from orders.models import Change, Invoice, OrderHeader, Outcome, StaffComment
from orders.records import TimelineEntry, TimelineEvent, TimelinePage
from orders.store import Store, get_store, moment

app = Api()
handler = app.resolve

OUTCOMES = {
    Outcome.SENT: TimelineEvent.INVOICE_SENT,
    Outcome.FAILED: TimelineEvent.INVOICE_FAILED,
    Outcome.UNKNOWN: TimelineEvent.INVOICE_UNKNOWN,
}


@app.get(
    "/admin/orders/<order_id>/timeline",
    operation_id="getTimeline",
    summary="What happened to an order, by whom and when, oldest first",
    tags=["Admin"],
    responses=answers(200, "A page of what happened.", OrderNotFound),
)
def get_timeline(
    order_id: OrderIdInPath,
    who: Annotated[Caller, Depends(caller)],
    store: Annotated[Store, Depends(get_store)],
    limit: Limit = 20,
    after: Cursor = None,
) -> TimelinePage:
    """Lists how the order was created, changed, commented, invoiced (with what SES reports) and cancelled."""
    question = ("timeline", who.role, who.id, order_id)
    begin = place(after, question)
    history = store.history(order_id, begin, limit)
    entries = [(where, _comment(it) if isinstance(it, StaffComment) else _change(it)) for where, it in history.happened]
    end = history.more
    for where, entry in (*_order(history.order), *(each for invoice in history.invoices for each in _invoice(invoice))):
        if (begin is None or where > begin) and (end is None or where <= end):
            entries.append((where, entry))
    entries.sort(key=lambda each: each[0])
    if len(entries) > limit:
        entries, end = entries[:limit], entries[limit - 1][0]
    return TimelinePage(timeline=tuple(entry for _, entry in entries), next_cursor=cursor(end, question))


def _order(order: OrderHeader) -> Iterator[tuple[str, TimelineEntry]]:
    yield (
        # Before all else of the same moment.
        f"{moment(order.created)}#",
        TimelineEntry(
            at=order.created,
            event=TimelineEvent.CREATED,
            by=order.created_by,
            role=Role.ADMIN if order.created_by else None,
        ),
    )
    if order.cancelled_at:
        yield (
            f"{moment(order.cancelled_at)}#CANCELLED",
            TimelineEntry(
                at=order.cancelled_at,
                event=TimelineEvent.CANCELLED,
                by=order.cancelled_by,
                role=order.cancelled_as,
                reason=order.cancel_reason,
            ),
        )


def _comment(comment: StaffComment) -> TimelineEntry:
    return TimelineEntry(
        at=comment.created,
        event=TimelineEvent.COMMENTED,
        by=comment.author,
        role=Role.ADMIN if comment.is_admin else Role.CUSTOMER,
        name=comment.admin_name,
        comment=comment,
    )


def _change(change: Change) -> TimelineEntry:
    return TimelineEntry(
        at=change.at,
        event=TimelineEvent.CHANGED,
        by=change.by,
        role=Role.ADMIN,
        name=change.name,
        changes=change.fields,
    )


def _invoice(invoice: Invoice) -> Iterator[tuple[str, TimelineEntry]]:
    def entry(step: str, at: datetime, entry: TimelineEntry) -> tuple[str, TimelineEntry]:
        return f"{moment(at)}#INVOICE#{invoice.n:06}#{step}", entry

    yield entry(
        "0",
        invoice.started,
        TimelineEntry(
            at=invoice.started,
            event=TimelineEvent.INVOICE_BEGUN,
            by=invoice.requested_by,
            role=Role.ADMIN,
            invoice=invoice.number,
        ),
    )
    if invoice.ended and invoice.outcome in OUTCOMES:
        yield entry(
            "1",
            invoice.ended,
            TimelineEntry(
                at=invoice.ended, event=OUTCOMES[invoice.outcome], invoice=invoice.number, reason=invoice.reason
            ),
        )
    for report, at in invoice.events.items():
        yield entry(
            # By name: a number would be another one once a further report comes in.
            report,
            at,
            TimelineEntry(at=at, event=TimelineEvent.INVOICE_REPORTED, invoice=invoice.number, report=report),
        )
