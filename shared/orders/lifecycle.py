"""The rules of an order: who may cancel it, which changes are allowed, and what a cancelled order refuses.

Pure: no AWS, no clock. `orders.store` builds its write conditions from these sets, so that DynamoDB enforces the same
rule that explains a refusal.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, TypeVar

from orders.errors import StateConflict
from orders.identity import Role
from orders.invoices import DeliveryEvent, Mailing, MailingState
from orders.models import Order, OrderHeader, OrderStatus, ShippingStatus, address_digest
from orders.types import email_problem

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
"""Allowed transitions of the order status. Cancelling is not among them: it is an operation with its own rules."""

SHIPPING_NEXT = {
    ShippingStatus.AWAITING: {ShippingStatus.PARTIAL, ShippingStatus.SHIPPED, ShippingStatus.DELIVERED},
    ShippingStatus.PARTIAL: {ShippingStatus.SHIPPED, ShippingStatus.DELIVERED},
    ShippingStatus.SHIPPED: {ShippingStatus.DELIVERED},
    ShippingStatus.DELIVERED: set[ShippingStatus](),
}
"""Allowed transitions of the shipping status: forward only. Going back would allow cancelling a shipped order."""


class OrderAction(StrEnum):
    """What can be done with an order besides changing it."""

    CANCEL = "cancel"
    COMMENT = "comment"
    SEND_INVOICE = "send_invoice"
    WITHDRAW = "withdraw"


def refusals(order: Order, role: Role) -> dict[OrderAction, str | None]:
    """Returns for each action that a role has why the order's state refuses it now; None if it is allowed."""
    rules: dict[OrderAction, Callable[[], None]] = {
        OrderAction.CANCEL: lambda: refuse_cancel(order, role),
        OrderAction.COMMENT: lambda: None,
    }
    if role is Role.ADMIN:
        rules[OrderAction.SEND_INVOICE] = lambda: refuse_invoice(order)
    else:
        rules[OrderAction.WITHDRAW] = lambda: refuse_withdrawal(order)
    found: dict[OrderAction, str | None] = {}
    for action, rule in rules.items():
        try:
            rule()
        except StateConflict as conflict:
            found[action] = conflict.detail
        else:
            found[action] = None
    return found


def refuse_change(order: Order, changed: Order) -> None:
    """Raises if an order may not be changed in this way.

    Args:
        order: The order as it is.
        changed: The order as it would be.

    Raises:
        StateConflict: The order is cancelled and the change records a shipment; or the transition of a status is not
            allowed. `payments` has the rules of the payment status.
    """
    if order.order_status is OrderStatus.CANCELLED:
        if changed.shipping_status is not order.shipping_status:
            raise _conflict(order, "The order is cancelled, so no shipment can be recorded.")
    elif changed.order_status is OrderStatus.CANCELLED:
        raise _conflict(order, "To cancel an order, use POST …/cancel, which records who cancelled it and why.")
    _refuse_step(order, "order_status", order.order_status, changed.order_status, ORDER_NEXT)
    _refuse_step(order, "shipping_status", order.shipping_status, changed.shipping_status, SHIPPING_NEXT)


def _refuse_step(order: Order, field: str, before: _S, after: _S, following: Mapping[_S, set[_S]]) -> None:
    if after == before or after in following[before]:
        return
    steps = ", ".join(sorted(following[before])) or "none"
    raise _conflict(order, f"{field} cannot change from {before} to {after}. Allowed: {steps}.")


def refuse_cancel(order: OrderHeader, role: Role) -> None:
    """Raises if a role may not cancel an order.

    Raises:
        StateConflict: The order is cancelled or completed, or too much of it has shipped for this role.
    """
    if order.order_status is OrderStatus.CANCELLED:
        raise _conflict(order, "The order is already cancelled.")
    if order.order_status not in CANCELLABLE_ORDER:
        raise _conflict(order, f"The order is {order.order_status} and can no longer be cancelled.")
    if order.shipping_status not in CANCELLABLE_SHIPPING[role]:
        shipped = "partly shipped" if order.shipping_status is ShippingStatus.PARTIAL else order.shipping_status
        ask = " Contact the shop." if order.shipping_status in CANCELLABLE_SHIPPING[Role.ADMIN] else ""
        raise _conflict(order, f"The order is {shipped} and can no longer be cancelled.{ask}")


def refuse_withdrawal(order: Order) -> None:
    """Raises if a customer has withdrawn from the contract already. It is possible in every state of the order.

    Raises:
        StateConflict: A withdrawal was declared.
    """
    if order.withdrawal:
        raise _conflict(order, "A withdrawal from this order has already been declared.")


def refuse_invoice(order: Order, *, resend: bool = False) -> None:
    """Raises if no invoice may be sent for an order.

    Args:
        order: The order.
        resend: Allow an address that bounced or complained.

    Raises:
        StateConflict: The order is cancelled or a draft, has no e-mail address, or one that is invalid, bounced or
            complained.
    """
    if order.order_status is OrderStatus.DRAFT:
        raise _conflict(order, "The order is a draft, so no invoice can be sent.")
    if order.order_status is OrderStatus.CANCELLED:
        raise _conflict(order, "The order is cancelled, so no invoice can be sent.")
    if order.customer_summary.email is None:
        raise _conflict(order, "The order has no e-mail address to send the invoice to.")
    if wrong := email_problem(order.customer_summary.email):
        raise _conflict(order, f"No mail can be sent to the order's e-mail address: it {wrong}. Change it.")
    if (problem := invoice_delivery(order)) and not resend:
        happened = "bounced" if problem is MailingState.BOUNCED else "was reported as spam"
        raise _conflict(
            order,
            f"An invoice to this address {happened}. Change the order's e-mail address, or send again with "
            '"resend": true.',
            invoice_delivery=problem,
        )


def invoice_delivery(order: Order) -> MailingState | None:
    """Returns the problem with the order's e-mail address: `complained`, `bounced`, or None."""
    digest = address_digest(order.customer_summary.email or "")
    if digest in order.complained:
        return MailingState.COMPLAINED
    return MailingState.BOUNCED if digest in order.bounced else None


STATE_BY_REPORT = {
    DeliveryEvent.COMPLAINT: MailingState.COMPLAINED,
    DeliveryEvent.HARD_BOUNCE: MailingState.BOUNCED,
    DeliveryEvent.REJECT: MailingState.REJECTED,
    # Before the soft bounce: an automatic reply such as "out of office" follows a delivery.
    DeliveryEvent.DELIVERY: MailingState.DELIVERED,
    DeliveryEvent.SOFT_BOUNCE: MailingState.BOUNCED,
    DeliveryEvent.DELAY: MailingState.SENT,
    DeliveryEvent.SEND: MailingState.SENT,
}
"""The state that each report from SES means. Of several reports, the first in this table counts, so that the order of
their arrival does not matter."""


def mailing_state(invoice: Mailing) -> MailingState:
    """Returns the state of an invoice: from the reports by SES, else from our own outcome."""
    report = decisive_report(invoice)
    return STATE_BY_REPORT[report] if report else MailingState(invoice.outcome)


LEFT = {MailingState.SENT, MailingState.DELIVERED, MailingState.BOUNCED, MailingState.COMPLAINED}
"""The states of a mailing that certainly left."""


def decisive_report(invoice: Mailing) -> DeliveryEvent | None:
    """Returns the report from SES that decides an invoice's state; None if there is none yet."""
    return next((event for event in STATE_BY_REPORT if event in invoice.events), None)


def _conflict(order: OrderHeader, detail: str, **facts: Any) -> StateConflict:
    return StateConflict(
        detail,
        **facts,
        order_status=order.order_status,
        shipping_status=order.shipping_status,
        payment_status=order.payment_status,
    )
