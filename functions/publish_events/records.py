"""Which event each record of the table's stream means."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from orders import stream
from orders.lifecycle import decisive_report, mailing_state
from orders.models import OrderHeader
from orders.money import amount_text
from orders.types import path_segment
from publish_events.events import (
    CommentAdded,
    CommentRedacted,
    CreditNoteIssued,
    Event,
    InvoiceIssued,
    InvoiceStatusChanged,
    OrderCancelled,
    OrderCreated,
    WithdrawalDeclared,
)


def event_of(record: Mapping[str, Any]) -> Event | None:
    """Returns the event for a record of the table's stream.

    Returns:
        The event; None for records that are the service's own bookkeeping.

    Raises:
        KeyError, ValueError: It is not a record of this table.
    """
    match stream.parse_record(record):
        case stream.OrderCreation(order):
            return OrderCreated(
                **_order_members(order),
                id=f"order/{path_segment(order.order_id)}/created",
                # Not when it was placed: an order may be imported years later.
                time=record["dynamodb"]["ApproximateCreationDateTime"],
                order_status=order.order_status,
                paid=amount_text(order.paid, order.currency_code),
                refunded=amount_text(order.refunded, order.currency_code),
                created=order.created,
            )
        case stream.OrderCancellation(order):
            return OrderCancelled(
                **_order_members(order),
                id=f"order/{path_segment(order.order_id)}/cancelled",
                time=order.cancelled_at,
                cancelled_as=order.cancelled_as,
                status_before_cancel=order.status_before_cancel,
                # The write that cancels puts this into the header's `refund_due`.
                refund_due=amount_text(order.paid - order.refunded, order.currency_code),
                reason_code=order.cancel_reason_code,
                restock=order.cancel_restock,
                refund=order.cancel_refund,
            )
        case stream.CommentAddition(order_id, comment):
            return CommentAdded(
                id=f"order/{path_segment(order_id)}/comment/{comment.id}",
                time=comment.created,
                order_id=order_id,
                comment_id=comment.id,
                is_admin=comment.is_admin,
                is_visible_to_customer=comment.is_visible_to_customer,
                flagged=comment.flagged,
            )
        case stream.CommentRedaction(order_id, comment):
            return CommentRedacted(
                id=f"order/{path_segment(order_id)}/comment/{comment.id}/redacted",
                time=comment.redacted_at,
                order_id=order_id,
                comment_id=comment.id,
                is_admin=comment.is_admin,
                is_visible_to_customer=comment.is_visible_to_customer,
            )
        case stream.WithdrawalDeclaration(order_id, customer_id, withdrawal):
            return WithdrawalDeclared(
                id=f"order/{path_segment(order_id)}/withdrawal",
                time=withdrawal.declared_at,
                order_id=order_id,
                customer_id=customer_id,
                declared_as=withdrawal.declared_as,
            )
        case stream.MailingTransition(mailing, before):
            report = decisive_report(mailing)
            return InvoiceStatusChanged(
                # Not the state: an invoice can soft-bounce, be delivered, and then hard-bounce.
                id=f"order/{path_segment(mailing.order_id)}/invoice/{mailing.n}/{report or mailing.outcome}",
                time=mailing.events[report] if report else mailing.ended or mailing.started,
                order_id=mailing.order_id,
                number=mailing.number,
                state=mailing_state(mailing),
                previous_state=before,
                report=report,
                currency_code=mailing.currency_code,
                grand_total=amount_text(mailing.grand_total, mailing.currency_code),
                due=amount_text(mailing.due, mailing.currency_code),
                order_version=mailing.version,
            )
        case stream.DocumentIssue(document):
            kind = CreditNoteIssued if document.corrects else InvoiceIssued
            members = {"corrects": document.corrects} if document.corrects else {}
            currency = document.order["currency_code"]
            return kind(
                id=f"order/{path_segment(document.order_id)}/document/{document.number}",
                time=document.issued,
                order_id=document.order_id,
                number=document.number,
                currency_code=currency,
                grand_total=amount_text(Decimal(document.order["grand_total"]), currency),
                order_version=document.order["version"],
                **members,
            )
    return None


def _order_members(order: OrderHeader) -> dict[str, Any]:
    return {
        "order_id": order.order_id,
        "customer_id": order.customer_id,
        "payment_status": order.payment_status,
        "shipping_status": order.shipping_status,
        "currency_code": order.currency_code,
        "grand_total": amount_text(order.grand_total, order.currency_code),
        "version": order.version,
    }
