"""What of an order each role gets to see. What is not named here leaves through no route."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from orders.models import Comment, Order, OrderLine, StaffComment, amount_text, quantity_text
from orders.records import AdminOrderRecord, ListedOrder, OrderLineRecord, OrderRecord

_AS_THEY_ARE = (
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


def for_customer(order: Order) -> OrderRecord:
    """An order for its customer: nothing of who on the staff did what."""
    return OrderRecord(**_common(order))


def for_staff(order: Order) -> AdminOrderRecord:
    """An order for the staff."""
    return AdminOrderRecord(
        **_common(order),
        created_by=order.created_by,
        cancelled_by=order.cancelled_by,
        cancelled_as=order.cancelled_as,
        status_before_cancel=order.status_before_cancel,
        refund_due=None if order.refund_due is None else amount_text(order.refund_due, order.currency_code),
    )


def listed(entry: Mapping[str, Any]) -> ListedOrder:
    """An order in a list."""
    currency, paid, total = entry["currency_code"], Decimal(entry["paid"]), Decimal(entry["grand_total"])
    return ListedOrder(
        **{name: entry[name] for name in ListedOrder.model_fields if name in entry}
        | {
            "grand_total": amount_text(total, currency),
            "paid": amount_text(paid, currency),
            "due": amount_text(total - paid, currency),
        }
    )


def comment_for_customer(comment: StaffComment) -> Comment:
    """A comment for the customer, who may read it: without what it says to the staff."""
    return Comment(**{name: getattr(comment, name) for name in Comment.model_fields})


def _common(order: Order) -> dict[str, Any]:
    return {
        **{name: getattr(order, name) for name in _AS_THEY_ARE},
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
