"""The rules of an order: who may cancel what, and what a cancelled order refuses. Pure: no AWS, no clock.

`orders.store` builds its conditions from these sets, so that DynamoDB enforces the very rule that explains a refusal.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

from orders.errors import StateConflict
from orders.identity import Role
from orders.models import (
    DeliveryEvent,
    Invoice,
    InvoiceState,
    Order,
    OrderHeader,
    OrderStatus,
    PaymentStatus,
    ShippingStatus,
    address_digest,
)

_S = TypeVar("_S", bound=StrEnum)

CANCELLABLE_ORDER = frozenset(OrderStatus) - {OrderStatus.COMPLETED, OrderStatus.CANCELLED}
CANCELLABLE_SHIPPING = {
    Role.CUSTOMER: frozenset({ShippingStatus.AWAITING}),
    Role.ADMIN: frozenset({ShippingStatus.AWAITING, ShippingStatus.PARTIAL}),
}


ORDER_NEXT = {
    OrderStatus.DRAFT: {OrderStatus.IN_PROGRESS},
    OrderStatus.IN_PROGRESS: {OrderStatus.PAUSED, OrderStatus.COMPLETED},
    OrderStatus.PAUSED: {OrderStatus.IN_PROGRESS, OrderStatus.COMPLETED},
    OrderStatus.COMPLETED: {OrderStatus.REOPENED},
    OrderStatus.REOPENED: {OrderStatus.IN_PROGRESS, OrderStatus.PAUSED, OrderStatus.COMPLETED},
    OrderStatus.CANCELLED: set[OrderStatus](),
}
"""What can follow upon what. Nobody becomes `cancelled` here: that is an operation of its own, with its own rules."""

SHIPPING_NEXT = {
    ShippingStatus.AWAITING: {ShippingStatus.PARTIAL, ShippingStatus.SHIPPED, ShippingStatus.DELIVERED},
    ShippingStatus.PARTIAL: {ShippingStatus.SHIPPED, ShippingStatus.DELIVERED},
    ShippingStatus.SHIPPED: {ShippingStatus.DELIVERED},
    ShippingStatus.DELIVERED: set[ShippingStatus](),
}
"""Goods only go forward: whoever could go back could cancel what has left."""

PAYMENT_NEXT = {
    PaymentStatus.UNPAID: {PaymentStatus.PENDING, PaymentStatus.PARTIAL, PaymentStatus.PAID},
    PaymentStatus.PENDING: {PaymentStatus.UNPAID, PaymentStatus.PARTIAL, PaymentStatus.PAID},
    PaymentStatus.PARTIAL: set(PaymentStatus),
    PaymentStatus.PAID: set(PaymentStatus),
    PaymentStatus.REFUNDED: set(PaymentStatus),
}
"""Money goes both ways. Only what came can go back."""


def refuse_change(order: Order, changed: Order) -> None:
    """Explains why an order may not become another; returns if it may.

    Args:
        order: As it is.
        changed: As it would be.

    Raises:
        StateConflict: It is cancelled, and a shipment or a payment would be recorded; or a state cannot follow upon
            the one before.
    """
    if order.order_status is OrderStatus.CANCELLED:
        if changed.shipping_status is not order.shipping_status:
            raise _conflict(order, "The order is cancelled: no shipment is recorded for it.")
        back = changed.payment_status in {order.payment_status, PaymentStatus.REFUNDED}
        if changed.paid > order.paid or not back:
            raise _conflict(order, "The order is cancelled: no payment is recorded for it, only what goes back.")
    elif changed.order_status is OrderStatus.CANCELLED:
        raise _conflict(order, "To cancel an order, post to its /cancel: that keeps who did it and why.")
    _refuse_step(order, "order_status", order.order_status, changed.order_status, ORDER_NEXT)
    _refuse_step(order, "shipping_status", order.shipping_status, changed.shipping_status, SHIPPING_NEXT)
    _refuse_step(order, "payment_status", order.payment_status, changed.payment_status, PAYMENT_NEXT)


def _refuse_step(order: Order, field: str, before: _S, after: _S, following: Mapping[_S, set[_S]]) -> None:
    if after == before or after in following[before]:
        return
    steps = ", ".join(sorted(following[before])) or "nothing"
    raise _conflict(order, f"{field} cannot go from {before} to {after}; what can follow is: {steps}.")


def refuse_cancel(order: OrderHeader, role: Role) -> None:
    """Explains why somebody may not cancel an order that is not cancelled yet; returns if they may.

    Raises:
        StateConflict: It is completed, or more of it has shipped than the role may take back.
    """
    if order.order_status not in CANCELLABLE_ORDER:
        raise _conflict(order, f"The order is {order.order_status} and can no longer be cancelled.")
    if order.shipping_status not in CANCELLABLE_SHIPPING[role]:
        shipped = "partly shipped" if order.shipping_status is ShippingStatus.PARTIAL else order.shipping_status
        ask = " Ask the shop." if order.shipping_status in CANCELLABLE_SHIPPING[Role.ADMIN] else ""
        raise _conflict(order, f"The order is {shipped} and can no longer be cancelled.{ask}")


def refuse_invoice(order: Order, *, resend: bool = False) -> None:
    """Explains why no invoice may be sent for an order; returns if one may.

    Args:
        order: The order.
        resend: Send also to an address that an invoice did not get through to.

    Raises:
        StateConflict: It is cancelled, has no address to send to, or one that is no good.
    """
    if order.order_status is OrderStatus.CANCELLED:
        raise _conflict(order, "The order is cancelled: no invoice is sent for it.")
    if order.customer_summary.email is None:
        raise _conflict(order, "The order has no e-mail address to send the invoice to.")
    if (trouble := invoice_delivery(order)) and not resend:
        happened = "bounced" if trouble is InvoiceState.BOUNCED else "was reported as spam"
        raise _conflict(
            order,
            f"An invoice to this address {happened}. Change the order's e-mail address, or send again with "
            '"resend": true.',
            invoice_delivery=trouble,
        )


def invoice_delivery(order: Order) -> InvoiceState | None:
    """What is wrong with the order's e-mail address: `complained`, `bounced`, or None."""
    digest = address_digest(order.customer_summary.email or "")
    if digest in order.complained:
        return InvoiceState.COMPLAINED
    return InvoiceState.BOUNCED if digest in order.bounced else None


SAID_BY_SES = {
    DeliveryEvent.COMPLAINT: InvoiceState.COMPLAINED,
    DeliveryEvent.HARD_BOUNCE: InvoiceState.BOUNCED,
    DeliveryEvent.REJECT: InvoiceState.REJECTED,
    # Before the soft bounce: an answer such as "out of office" follows a delivery.
    DeliveryEvent.DELIVERY: InvoiceState.DELIVERED,
    DeliveryEvent.SOFT_BOUNCE: InvoiceState.BOUNCED,
    DeliveryEvent.DELAY: InvoiceState.SENT,
    DeliveryEvent.SEND: InvoiceState.SENT,
}
"""What each report of SES makes of an invoice; of several, the first in this order counts. So it does not matter in
which order they come."""


def invoice_state(invoice: Invoice) -> InvoiceState:
    """What is known of an invoice: what SES reports, else what we saw."""
    report = telling_report(invoice)
    return SAID_BY_SES[report] if report else InvoiceState(invoice.outcome)


def telling_report(invoice: Invoice) -> DeliveryEvent | None:
    """The report of SES that makes an invoice's state what it is; None if there is none yet."""
    return next((event for event in SAID_BY_SES if event in invoice.events), None)


def _conflict(order: OrderHeader, detail: str, **members: Any) -> StateConflict:
    return StateConflict(
        detail,
        **members,
        order_status=order.order_status,
        shipping_status=order.shipping_status,
        payment_status=order.payment_status,
    )
