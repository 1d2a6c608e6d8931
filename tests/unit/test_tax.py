"""The table of taxes on an invoice, and what an invoice lacks."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from generated import orders
from hypothesis import given

from orders.completeness import missing
from orders.invoices import Seller
from orders.models import Order
from orders.requests import NewOrder
from orders.tax import tax_groups

NOW = datetime(2026, 1, 15, tzinfo=UTC)
SELLER = Seller(name="Shop", legal_name="Shop GmbH", vat_id="DE123456789")
BUYER = {"last_name": "Núñez", "address_line_1": "Calle 12", "city": "Madrid", "country": {"code": "ES"}}


def an_order(*lines: dict[str, Any], **more: Any) -> Order:
    fields = [{"item_id": 1, "product_name": "Mug", "quantity": 1, **line} for line in lines]
    body = {"order_id": "1", "customer_id": "a", "currency_code": "EUR", "customer_summary": BUYER, **more}
    return NewOrder.model_validate({**body, "order_line_details": fields}).order(NOW)


def groups(order: Order) -> list[tuple[str | None, str | None, str, str]]:
    return [
        (group.category, None if group.rate is None else f"{group.rate:f}", f"{group.net:.2f}", f"{group.tax:.2f}")
        for group in tax_groups(order)
    ]


@given(orders())
def test_nets_and_taxes_add_up_to_the_grand_total(body: dict[str, Any]) -> None:
    order = NewOrder.model_validate(body).order(NOW)
    found = tax_groups(order)
    taxes = order.total_tax + order.shipping_tax + (order.handling_tax or 0) + (order.surcharge_tax or 0)
    assert sum((group.tax for group in found), Decimal(0)) == taxes
    assert sum((group.net + group.tax for group in found), order.rounding) == order.grand_total
    assert len({(group.category, group.rate) for group in found}) == len(found)


def test_two_rates_with_taxed_shipping() -> None:
    order = an_order(
        {"price": "100", "tax": "7", "tax_rate": 7},
        {"price": "50", "discount": "10", "tax": "7.60", "tax_rate": 19},
        shipping_cost="10",
        shipping_tax="1.90",
        shipping_tax_rate=19,
    )
    assert groups(order) == [("S", "19", "50.00", "9.50"), ("S", "7", "100.00", "7.00")]


def test_a_discount_on_the_whole_order_is_split_by_the_largest_remainder() -> None:
    lines = [{"price": "10", "tax": "0", "tax_rate": rate} for rate in (1, 2, 3)]
    order = an_order(*lines, total_discount="10")
    assert [net for _, _, net, _ in groups(order)] == ["6.67", "6.67", "6.66"]


def test_a_discount_is_split_in_units_of_the_currency() -> None:
    lines = [{"price": "10", "tax_rate": rate, "tax": "0"} for rate in (1, 2, 3)]
    order = an_order(*lines, total_discount="10", currency_code="JPY")
    assert [net for _, _, net, _ in groups(order)] == ["7.00", "7.00", "6.00"]


def test_gross_prices_contain_the_tax() -> None:
    order = an_order({"price": "119", "tax": "19", "tax_rate": 19}, prices_include_tax=True)
    assert groups(order) == [("S", "19", "100.00", "19.00")]


def test_a_charge_without_tax_has_the_category_of_the_lines() -> None:
    order = an_order({"price": "100", "tax_rate": 0, "tax_category": "K"}, shipping_cost="5", shipping_tax_rate=0)
    assert groups(order) == [("K", "0", "105.00", "0.00")]


def test_an_order_without_rates_has_one_group() -> None:
    assert groups(an_order({"price": "100", "tax": "19"})) == [(None, None, "100.00", "19.00")]


@pytest.mark.parametrize(
    ("line", "field", "problem"),
    [
        ({"tax_category": "S"}, "tax_category", "needs a tax_rate"),
        ({"tax_rate": 7, "tax_category": "E"}, "tax_category", "must be S"),
        ({"tax_rate": 0, "tax_category": "S"}, "tax_category", "give Z, E, AE, K, G or O"),
        ({"tax_rate": 101}, "tax_rate", "less than or equal to 100"),
        ({"tax_rate": "7.123"}, "tax_rate", "2 decimal places"),
        ({"tax_category": "X"}, "tax_category", "'S', 'Z', 'E', 'AE', 'K', 'G' or 'O'"),
        ({"unit_code": "kg"}, "unit_code", "capital letters"),
    ],
)
def test_contradicting_terms_of_a_line_are_refused(line: dict[str, Any], field: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as refused:
        an_order({"price": "1", **line})
    assert f"order_line_details.0.{field}" in str(refused.value)


def test_ten_lines_at_most_are_named() -> None:
    assert missing(an_order(*[{"price": "1"}] * 500), SELLER) == tuple(
        f"order_line_details.{n}.tax_rate" for n in range(10)
    )


def test_a_complete_invoice_lacks_nothing() -> None:
    assert missing(an_order({"price": "1", "tax_rate": 7}), SELLER) == ()


@pytest.mark.parametrize(
    ("line", "more", "seller", "lacks"),
    [
        ({}, {}, {}, "order_line_details.0.tax_rate"),
        ({"tax_rate": 0}, {}, {}, "order_line_details.0.tax_category"),
        ({"tax_rate": 0, "tax_category": "AE"}, {}, {}, "customer_summary.vat_number"),
        ({"tax_rate": 0, "tax_category": "E"}, {}, {}, "tax_exemption_reason"),
        ({"tax_rate": 7}, {"shipping_cost": 5}, {}, "shipping_tax_rate"),
        ({"tax_rate": 7}, {"shipping_status": "shipped"}, {}, "delivered_on"),
        ({"tax_rate": 7}, {"customer_summary": BUYER | {"city": None}}, {}, "customer_summary.city"),
        ({"tax_rate": 7}, {"customer_summary": BUYER | {"last_name": None}}, {}, "customer_summary.last_name"),
        ({"tax_rate": 7}, {}, {"vat_id": ""}, "seller.vat_id"),
        ({"tax_rate": 7}, {}, {"legal_name": ""}, "seller.legal_name"),
    ],
)
def test_what_is_missing_is_named(
    line: dict[str, Any], more: dict[str, Any], seller: dict[str, Any], lacks: str
) -> None:
    assert missing(an_order({"price": "1", **line}, **more), SELLER.model_copy(update=seller)) == (lacks,)
