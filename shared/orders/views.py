"""Views: which parts of orders and invoices each role may see. Fields not named here leave by no route."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from orders.comment_views import comment_for_staff
from orders.identity import Role
from orders.lifecycle import invoice_state
from orders.models import (
    Change,
    DeliveryEvent,
    Invoice,
    Order,
    OrderHeader,
    OrderLine,
    Outcome,
    StoredComment,
    TimelineEvent,
    TimelineStep,
)
from orders.money import amount_text, quantity_text
from orders.responses import (
    AdminOrderRecord,
    DeliveryReport,
    InvoiceRecord,
    ListedOrder,
    OrderLineRecord,
    OrderRecord,
    TimelineEntry,
)

_AS_STORED = (
    "order_id",
    "customer_id",
    "order_status",
    "payment_status",
    "shipping_status",
    "currency_code",
    "created",
    "version",
    "cancelled_at",
    "cancel_reason",
    "customer_summary",
)
_AMOUNTS = (
    "sub_total",
    "shipping_cost",
    "shipping_tax",
    "handling_cost",
    "total_surcharge",
    "total_discount",
    "total_tax",
    "grand_total",
    "paid",
    "due",
)


def order_for_customer(order: Order) -> OrderRecord:
    """Returns an order as its customer sees it: without the staff's ids."""
    return OrderRecord(**_common(order))


def order_for_staff(order: Order) -> AdminOrderRecord:
    """Returns an order as the staff sees it."""
    return AdminOrderRecord(
        **_common(order),
        created_by=order.created_by,
        cancelled_by=order.cancelled_by,
        cancelled_as=order.cancelled_as,
        status_before_cancel=order.status_before_cancel,
        refund_due=None if order.refund_due is None else amount_text(order.refund_due, order.currency_code),
    )


def listed_order(item: Mapping[str, Any]) -> ListedOrder:
    """Returns an order as a list shows it, from its entry in an index."""
    currency, paid, total = item["currency_code"], Decimal(item["paid"]), Decimal(item["grand_total"])
    return ListedOrder(
        **{name: item[name] for name in ListedOrder.model_fields if name in item}
        | {
            "grand_total": amount_text(total, currency),
            "paid": amount_text(paid, currency),
            "due": amount_text(total - paid, currency),
        }
    )


def invoice_for_staff(invoice: Invoice) -> InvoiceRecord:
    """Returns a mailing of an invoice as the staff sees it."""
    sent = invoice.ended if invoice.outcome is Outcome.SENT else invoice.events.get(DeliveryEvent.SEND)
    return InvoiceRecord(
        number=invoice.number,
        state=invoice_state(invoice),
        started=invoice.started,
        sent_at=sent,
        recipient=invoice.recipient,
        requested_by=invoice.requested_by,
        currency_code=invoice.currency_code,
        grand_total=amount_text(invoice.grand_total, invoice.currency_code),
        paid=amount_text(invoice.paid, invoice.currency_code),
        due=amount_text(invoice.due, invoice.currency_code),
        payment_status=invoice.payment_status,
        payment_method_options=invoice.payment_method_options,
        notes=invoice.notes,
        cc=invoice.cc,
        subject=invoice.subject,
        language=invoice.language,
        reason=invoice.reason,
        archived=invoice.archived,
        events=tuple(
            DeliveryReport(event=event, at=at) for event, at in sorted(invoice.events.items(), key=lambda each: each[1])
        ),
    )


def timeline_entry(step: TimelineStep) -> TimelineEntry:
    """Returns one step of an order's history as the staff sees it."""
    return TimelineEntry(at=step.at, event=step.event, **_timeline_details(step))


def _timeline_details(step: TimelineStep) -> dict[str, Any]:
    match step.event, step.subject:
        case TimelineEvent.CREATED, OrderHeader() as order:
            return {"by": order.created_by, "role": Role.ADMIN if order.created_by else None}
        case TimelineEvent.CANCELLED, OrderHeader() as order:
            return {"by": order.cancelled_by, "role": order.cancelled_as, "reason": order.cancel_reason}
        case _, StoredComment() as comment:
            return {
                "by": comment.author,
                "role": Role.ADMIN if comment.is_admin else Role.CUSTOMER,
                "name": comment.admin_name,
                "comment": comment_for_staff(comment),
            }
        case _, Change() as change:
            return {"by": change.by, "role": Role.ADMIN, "name": change.name, "changes": change.fields}
        case TimelineEvent.INVOICE_BEGUN, Invoice() as invoice:
            return {"by": invoice.requested_by, "role": Role.ADMIN, "invoice": invoice.number}
        case TimelineEvent.INVOICE_REPORTED, Invoice() as invoice:
            return {"invoice": invoice.number, "report": step.report}
        case _, Invoice() as invoice:
            return {"invoice": invoice.number, "reason": invoice.reason}
    raise TypeError(f"no view of {step.event} of {type(step.subject).__name__}")


def _common(order: Order) -> dict[str, Any]:
    return {
        **{name: getattr(order, name) for name in _AS_STORED},
        **{name: amount_text(getattr(order, name), order.currency_code) for name in _AMOUNTS},
        "items_total": quantity_text(order.items_total),
        "order_line_details": tuple(_line(line, order.currency_code) for line in order.order_line_details),
    }


def _line(line: OrderLine, currency: str) -> OrderLineRecord:
    return OrderLineRecord(
        item_id=line.item_id,
        product_name=line.product_name,
        product_id=line.product_id,
        sku=line.sku,
        quantity=quantity_text(line.quantity),
        price=amount_text(line.price, currency),
        total_amount=amount_text(line.total_amount, currency),
        tax=amount_text(line.tax, currency),
        discount=amount_text(line.discount, currency),
    )
