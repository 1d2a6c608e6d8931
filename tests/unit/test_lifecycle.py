"""Who may cancel what, state by state."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from orders.errors import StateConflict
from orders.identity import Role
from orders.lifecycle import refuse_cancel, refuse_invoice
from orders.models import CustomerSummary, Order, OrderLine, OrderStatus, ShippingStatus

ONE = Decimal(1)


def an_order(
    status: str = "in_progress", shipping: str = "awaiting_shipment", email: str | None = "a@example.com"
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
        assert refused.value.members["order_status"] == status
        assert refused.value.members["shipping_status"] == shipping


@pytest.mark.parametrize(
    ("status", "shipping", "word"),
    [
        ("in_progress", "shipped", "shipped"),
        ("in_progress", "delivered", "delivered"),
        ("completed", "delivered", "completed"),
        ("in_progress", "partial", "partly shipped"),
    ],
)
def test_a_refusal_names_the_state(status: str, shipping: str, word: str) -> None:
    with pytest.raises(StateConflict, match=f"The order is {word} "):
        refuse_cancel(an_order(status, shipping), Role.CUSTOMER)


def test_an_invoice_needs_an_address_and_an_order_that_is_not_cancelled() -> None:
    refuse_invoice(an_order("completed"))
    with pytest.raises(StateConflict, match="cancelled"):
        refuse_invoice(an_order("cancelled"))
    with pytest.raises(StateConflict, match="no e-mail address"):
        refuse_invoice(an_order(email=None))
