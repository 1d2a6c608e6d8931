"""Lifecycle rules: who may cancel, and which status changes are allowed in each state."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from orders.errors import StateConflict
from orders.identity import Role
from orders.lifecycle import refuse_cancel, refuse_change, refuse_invoice
from orders.models import CustomerSummary, Order, OrderHeader, OrderLine, OrderStatus, ShippingStatus

ONE = Decimal(1)


def an_order(
    status: str = "in_progress",
    shipping: str = "awaiting_shipment",
    email: str | None = "a@example.com",
) -> Order:
    return Order(
        order_id="1",
        customer_id="alice",
        order_status=OrderStatus(status),
        shipping_status=ShippingStatus(shipping),
        currency_code="EUR",
        sub_total=ONE,
        grand_total=ONE,
        items_total=ONE,
        created=datetime(2026, 1, 1, tzinfo=UTC),
        customer_summary=CustomerSummary(email=email),
        order_line_details=(OrderLine(item_id=1, product_name="Käse", quantity=ONE, price=ONE, total_amount=ONE),),
    )


# The contract, cell by cell: who may cancel an order that is (order status, shipping status).
MAY = {
    **{
        (status, "awaiting_shipment"): {Role.CUSTOMER, Role.ADMIN}
        for status in ("draft", "in_progress", "paused", "reopened")
    },
    **{(status, "partial"): {Role.ADMIN} for status in ("draft", "in_progress", "paused", "reopened")},
}


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("shipping", ShippingStatus)
@pytest.mark.parametrize("status", sorted(set(OrderStatus) - {OrderStatus.CANCELLED}))
def test_who_may_cancel(status: OrderStatus, shipping: ShippingStatus, role: Role) -> None:
    order = an_order(status, shipping)
    if role in MAY.get((status, shipping), set()):
        refuse_cancel(order, role)
    else:
        with pytest.raises(StateConflict) as refused:
            refuse_cancel(order, role)
        assert refused.value.facts["order_status"] == status
        assert refused.value.facts["shipping_status"] == shipping


@pytest.mark.parametrize(
    ("status", "shipping", "word"),
    [
        ("in_progress", "shipped", "shipped"),
        ("in_progress", "delivered", "delivered"),
        ("completed", "delivered", "completed"),
        ("in_progress", "partial", "partly shipped"),
    ],
)
def test_refusal_names_the_state(status: str, shipping: str, word: str) -> None:
    with pytest.raises(StateConflict, match=f"The order is {word} "):
        refuse_cancel(an_order(status, shipping), Role.CUSTOMER)


def test_invoice_needs_an_address_and_an_order_that_is_placed_and_not_cancelled() -> None:
    refuse_invoice(an_order("completed"))
    with pytest.raises(StateConflict, match="cancelled"):
        refuse_invoice(an_order("cancelled"))
    with pytest.raises(StateConflict, match="draft"):
        refuse_invoice(an_order("draft"))
    with pytest.raises(StateConflict, match="no e-mail address"):
        refuse_invoice(an_order(email=None))


def refusal(before: Order, after: Order) -> str | None:
    """Returns why a change is refused, or None."""
    try:
        refuse_change(before, after)
    except StateConflict as error:
        refused = error
    else:
        return None
    states = {name: getattr(before, name) for name in ("order_status", "shipping_status", "payment_status")}
    assert refused.facts == states
    return refused.detail


# Repeats the rules on purpose: field, state, allowed next states.
STEPS = """
order_status     draft              in_progress
order_status     in_progress        paused completed
order_status     paused             in_progress completed
order_status     reopened           in_progress paused completed
order_status     completed          reopened
shipping_status  awaiting_shipment  partial shipped delivered
shipping_status  partial            shipped delivered
shipping_status  shipped            delivered
shipping_status  delivered
"""


@pytest.mark.parametrize("line", STEPS.strip().splitlines())
def test_allowed_status_changes(line: str) -> None:
    field, state, *following = line.split()
    kind: type[OrderStatus | ShippingStatus] = OrderHeader.model_fields[field].annotation  # type: ignore[assignment]
    before = an_order().model_copy(update={field: kind(state)})
    for after in kind:
        told = refusal(before, before.model_copy(update={field: after}))
        assert (told is None) == (after in {state, *following}), after
        if told and after != "cancelled":
            assert told.startswith(f"{field} cannot change from {state} to {after}. Allowed: ")
            assert all(step in told.partition(". Allowed: ")[2] for step in following or ["none"])


def test_table_above_is_complete() -> None:
    told = {tuple(line.split()[:2]) for line in STEPS.strip().splitlines()}
    kinds = {"order_status": OrderStatus, "shipping_status": ShippingStatus}
    assert told == {(field, state) for field, kind in kinds.items() for state in kind} - {("order_status", "cancelled")}


@pytest.mark.parametrize("status", sorted(set(OrderStatus) - {OrderStatus.CANCELLED}))
def test_order_cannot_be_cancelled_by_a_status_change(status: str) -> None:
    assert "use POST …/cancel" in (refusal(an_order(status), an_order("cancelled")) or "")


@pytest.mark.parametrize("status", sorted(set(OrderStatus) - {OrderStatus.CANCELLED}))
def test_cancelled_order_stays_cancelled(status: str) -> None:
    assert refusal(an_order("cancelled"), an_order(status))


def test_cancelled_order_is_not_shipped() -> None:
    for before in ShippingStatus:
        for after in set(ShippingStatus) - {before}:
            told = refusal(an_order("cancelled", before), an_order("cancelled", after))
            assert told == "The order is cancelled, so no shipment can be recorded."


def test_cancelled_order_accepts_contact_changes() -> None:
    assert refusal(an_order("cancelled"), an_order("cancelled", email="b@example.com")) is None
