"""The rules of an order: who may cancel what, and what a cancelled order refuses. Pure: no AWS, no clock.

`orders.store` builds its conditions from these sets, so that DynamoDB enforces the very rule that explains a refusal.
"""

from orders.errors import StateConflict
from orders.identity import Role
from orders.models import Order, OrderHeader, OrderStatus, ShippingStatus

CANCELLABLE_ORDER = frozenset(OrderStatus) - {OrderStatus.COMPLETED, OrderStatus.CANCELLED}
CANCELLABLE_SHIPPING = {
    Role.CUSTOMER: frozenset({ShippingStatus.AWAITING}),
    Role.ADMIN: frozenset({ShippingStatus.AWAITING, ShippingStatus.PARTIAL}),
}


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


def refuse_invoice(order: Order) -> None:
    """Explains why no invoice may be sent for an order; returns if one may.

    Raises:
        StateConflict: It is cancelled, or has no address to send to.
    """
    if order.order_status is OrderStatus.CANCELLED:
        raise _conflict(order, "The order is cancelled: no invoice is sent for it.")
    if order.customer_summary.email is None:
        raise _conflict(order, "The order has no e-mail address to send the invoice to.")


def _conflict(order: OrderHeader, detail: str) -> StateConflict:
    return StateConflict(
        detail,
        order_status=order.order_status,
        shipping_status=order.shipping_status,
        payment_status=order.payment_status,
    )
