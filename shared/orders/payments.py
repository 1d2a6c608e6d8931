"""Payment: which payment status follows from an order's total and from what was received and refunded.

`paid` is everything that was received and `refunded` what went back of it, so both only rise. `docs/lifecycle.md` has
the rules as a table.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from orders.errors import Invalid
from orders.models import Order, OrderStatus, PaymentStatus
from orders.money import amount_text, refuse_unpayable
from orders.types import Violation

OPEN = frozenset({PaymentStatus.UNPAID, PaymentStatus.PENDING, PaymentStatus.PARTIAL})
"""Statuses of an order that still asks for money."""

_WAS_PAID = frozenset({PaymentStatus.PAID, PaymentStatus.PARTIALLY_REFUNDED, PaymentStatus.REFUNDED})


class Payment(NamedTuple):
    """The payment of an order: its status, what was received, and what went back."""

    status: PaymentStatus
    paid: Decimal
    refunded: Decimal

    def as_fields(self) -> dict[str, PaymentStatus | Decimal]:
        """Returns the fields of an order that hold it."""
        return {"payment_status": self.status, "paid": self.paid, "refunded": self.refunded}


def status_of(total: Decimal, paid: Decimal, refunded: Decimal) -> PaymentStatus:
    """Returns the status that the figures say."""
    if refunded:
        return PaymentStatus.REFUNDED if refunded == paid else PaymentStatus.PARTIALLY_REFUNDED
    if paid >= total:
        return PaymentStatus.PAID
    return PaymentStatus.PARTIAL if paid else PaymentStatus.UNPAID


def refuse_status(order: Order, status: PaymentStatus) -> str | None:
    """Returns why a status contradicts an order's figures, or None. `pending` suits any order that is not fully paid.

    An order that already has this status keeps it, whatever its figures say: version 0.1 did not compare them.
    """
    if status is order.payment_status:
        return None
    return _contradiction(order.grand_total, Payment(status, order.paid, order.refunded), order.currency_code)


def complete_payment(
    total: Decimal, status: PaymentStatus | None, paid: Decimal | None, refunded: Decimal | None
) -> Payment:
    """Completes the payment of a new order.

    A status that says the order was paid means paid in full if `paid` is left out. `refunded` means that all of it
    went back. Without a status, the figures give it.
    """
    if paid is None:
        paid = total if status in _WAS_PAID else Decimal(0)
    if refunded is None:
        refunded = paid if status is PaymentStatus.REFUNDED else Decimal(0)
    return Payment(status or status_of(total, paid, refunded), paid, refunded)


def payment_violations(total: Decimal, payment: Payment, currency: str) -> Iterator[Violation]:
    """Yields what contradicts itself in a payment."""
    if payment.refunded > payment.paid:
        paid = amount_text(payment.paid, currency)
        yield ("refunded",), f"is {amount_text(payment.refunded, currency)}, but only {paid} was paid"
    elif problem := _contradiction(total, payment, currency):
        yield ("payment_status",), problem


def change_payment(
    order: Order, status: PaymentStatus | None, paid: Decimal | None, refunded: Decimal | None
) -> dict[str, PaymentStatus | Decimal]:
    """Returns the fields of an order that a change of its payment changes; none if it stays as it is.

    Args:
        order: The order as it is.
        status: The new status. If it is left out, it follows from the figures. `paid` alone means that the rest was
            received, `refunded` alone that everything received went back.
        paid: Everything received so far.
        refunded: Everything that went back so far.

    Raises:
        Invalid: The status contradicts the figures, or an amount decreases or cannot be paid.
    """
    before = Payment(order.payment_status, order.paid, order.refunded)
    total, currency = order.grand_total, order.currency_code
    violations = [*_refuse_amount("paid", before.paid, paid, currency)]
    violations += _refuse_amount("refunded", before.refunded, refunded, currency)
    if paid is None:
        paid = max(before.paid, total) if status is PaymentStatus.PAID else before.paid
    if refunded is None:
        refunded = paid if status is PaymentStatus.REFUNDED else before.refunded
    if status is None:
        moved = (paid, refunded) != (before.paid, before.refunded)
        status = status_of(total, paid, refunded) if moved else before.status
    after = Payment(status, paid, refunded)
    if after == before:
        return {}
    if not violations:
        violations += payment_violations(total, after, currency)
    if violations:
        raise Invalid([(str(field), message) for (field, *_), message in violations])
    cancelled = order.order_status is OrderStatus.CANCELLED
    return after.as_fields() | ({"refund_due": paid - refunded} if cancelled else {})


_WHY_NOT_LOWER = {
    "paid": "It is everything that was received, so it cannot decrease. Record what went back in refunded.",
    "refunded": "It is everything that went back, so it cannot decrease.",
}


def _refuse_amount(name: str, before: Decimal, given: Decimal | None, currency: str) -> Iterator[Violation]:
    if given is None or given == before:
        return
    if given < before:
        texts = amount_text(given, currency), amount_text(before, currency)
        yield (name,), f"is {texts[0]} but was {texts[1]}. {_WHY_NOT_LOWER[name]}"
    elif problem := refuse_unpayable(given, currency):
        yield (name,), problem


def _contradiction(total: Decimal, payment: Payment, currency: str) -> str | None:
    status, paid, refunded = payment
    expected = status_of(total, paid, refunded)
    if status is expected or (status is PaymentStatus.PENDING and paid < total):
        return None
    texts = [amount_text(amount, currency) for amount in (paid, total, refunded)]
    return f"is {status}, but the figures say {expected}: paid {texts[0]} of {texts[1]}, refunded {texts[2]}"
