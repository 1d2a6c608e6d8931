"""What a record of the table's stream means, in words of the domain.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_Record.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orders.lifecycle import invoice_state
from orders.models import Invoice, InvoiceState, OrderHeader, OrderStatus, StaffComment
from orders.store import from_attributes, pick


@dataclass(frozen=True, slots=True)
class OrderCreated:
    """An order was brought."""

    order: OrderHeader


@dataclass(frozen=True, slots=True)
class OrderCancelled:
    """An order was cancelled."""

    order: OrderHeader


@dataclass(frozen=True, slots=True)
class CommentAdded:
    """Somebody wrote something about an order. What is internal, `comment.is_visible_to_customer` says."""

    order_id: str
    comment: StaffComment


@dataclass(frozen=True, slots=True)
class InvoiceStatusChanged:
    """An invoice is in another state than before. `before` is None if it is new."""

    invoice: Invoice
    before: InvoiceState | None


Happening = OrderCreated | OrderCancelled | CommentAdded | InvoiceStatusChanged


def happening(record: Mapping[str, Any]) -> Happening | None:
    """Reads a record of the stream.

    Returns:
        What happened; None for everything that is the service's own business, such as the keys of requests.

    Raises:
        KeyError, ValueError: It is no record of this table.
    """
    images = record["dynamodb"]
    key, new, old = (from_attributes(images.get(name) or {}) for name in ("Keys", "NewImage", "OldImage"))
    if not new:
        return None
    match str(key["sk"]).split("#"):
        case ["ORDER"]:
            order = OrderHeader.model_validate(pick(new, OrderHeader))
            if not old:
                return OrderCreated(order)
            if order.order_status is OrderStatus.CANCELLED and old["order_status"] != OrderStatus.CANCELLED:
                return OrderCancelled(order)
        case ["COMMENT" | "INTERNAL" as kind, _] if not old:
            comment = StaffComment.model_validate(pick(new, StaffComment))
            # Two locks: what has the key of an internal comment is one, whatever else it says.
            visible = comment.is_visible_to_customer and kind == "COMMENT"
            order_id = str(key["pk"]).partition("#")[2]
            return CommentAdded(order_id, comment.model_copy(update={"is_visible_to_customer": visible}))
        case ["INVOICE", _]:
            invoice = Invoice.model_validate(pick(new, Invoice))
            before = invoice_state(Invoice.model_validate(pick(old, Invoice))) if old else None
            if invoice_state(invoice) != before:
                return InvoiceStatusChanged(invoice, before)
    return None
