"""`make import` reads what shop systems export, and names what has no place here."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import shop_exports
from hypothesis import given
from hypothesis import strategies as st
from imports import Table, counts, summary
from shop_exports import LEFT_OUT, SAMPLES, first, magento_orders, shopify_rows, woocommerce_orders, write_shopify

from importer.fields import Fields
from importer.reading import detect, read
from importer.shopify import convert
from orders.models import Order
from orders.money import payable
from orders.requests import NewOrder

FIGURES = (
    *("order_status", "payment_status", "shipping_status", "currency_code", "prices_include_tax", "shipping_cost"),
    *("shipping_tax", "total_discount", "total_surcharge", "total_tax", "rounding", "grand_total", "paid", "refunded"),
)


def imported(path: Path) -> dict[str, Order]:
    """Returns the orders of a file by number. All are valid."""
    entries = list(read(path, detect(path)))
    assert [error for entry in entries for error in entry.errors] == []
    return {each.order_id: each.order.order(datetime.now(UTC)) for each in entries if each.order}


def errors(path: Path) -> list[str]:
    return [error for entry in read(path, detect(path)) for error in entry.errors]


def figures(order: Order) -> str:
    """Returns the statuses and amounts of an order in a form that is easy to compare: `name=value`, if it is set."""
    values = {name: getattr(order, name) for name in FIGURES}
    texts = {name: f"{value:f}" if isinstance(value, Decimal) else str(value) for name, value in values.items()}
    return " ".join(f"{name}={text}" for name, text in texts.items() if text not in {"0", "0.00", "False"})


def lines(order: Order) -> list[str]:
    """Returns the lines of an order: quantity × price = total − discount, tax and rate."""
    return [
        f"{line.quantity:f} × {line.price.normalize():f} = {line.total_amount} - {line.discount or Decimal(0):f}, "
        f"{line.tax:f}" + (f" at {line.tax_rate:f} %" if line.tax_rate else "")
        for line in order.order_line_details
    ]


# Shopify -------------------------------------------------------------------------------------------------------------


def test_shopify_orders_keep_their_figures() -> None:
    orders = imported(SAMPLES / "shopify.csv")
    assert {number: figures(order) for number, order in orders.items()} == {
        # Prices include 19 %, the shipping too. A code takes 10 %.
        "#1001": "order_status=in_progress payment_status=paid shipping_status=shipped currency_code=EUR "
        "prices_include_tax=True shipping_cost=4.90 shipping_tax=0.78 total_discount=4.80 total_tax=6.90 "
        "grand_total=48.10 paid=48.10",
        "#1002": "order_status=in_progress payment_status=pending shipping_status=awaiting_shipment currency_code=JPY "
        "prices_include_tax=True shipping_cost=500 shipping_tax=37 total_tax=440 grand_total=6440",
        # Two taxes on top, which both apply to everything.
        "#1003": "order_status=in_progress payment_status=partially_refunded shipping_status=partial currency_code=USD "
        "shipping_cost=8.00 shipping_tax=0.66 total_tax=4.95 grand_total=73.61 paid=73.61 refunded=21.65",
        "#1004": "order_status=cancelled payment_status=unpaid shipping_status=awaiting_shipment currency_code=EUR "
        "prices_include_tax=True total_tax=2.00 grand_total=12.50",
        "#1005": "order_status=in_progress payment_status=partial shipping_status=awaiting_shipment currency_code=EUR "
        "prices_include_tax=True total_discount=2.00 total_tax=4.05 grand_total=33.00 paid=20.00",
        "#1006": "order_status=cancelled payment_status=refunded shipping_status=awaiting_shipment currency_code=CHF "
        "shipping_cost=9.00 total_surcharge=3.20 grand_total=52.20 paid=52.20 refunded=52.20",
    }
    assert lines(orders["#1001"]) == [
        "3 × 12.5 = 37.50 - 0, 5.39 at 19 %",
        "1 × 10.5 = 10.50 - 0, 1.51 at 19 %",
    ]
    assert [order.shipping_tax_rate for order in orders.values()] == [19, 8, Decimal("8.25"), None, None, None]
    # One of two rates each: the export says only what both sums are.
    assert lines(orders["#1005"]) == ["2 × 7.5 = 15.00 - 2.00, 0.85 at 7 %", "1 × 20 = 20.00 - 0, 3.20 at 19 %"]


def test_shopify_orders_keep_customer_and_dates() -> None:
    orders = imported(SAMPLES / "shopify.csv")
    zoe, hanako, lukasz = orders["#1001"], orders["#1002"], orders["#1005"]
    assert zoe.customer_summary.model_dump(exclude_none=True) == {
        "first_name": "Zoë",
        "last_name": "Müßigmann",
        "email": "zoe@example.com",
        "phone": "+498315550117",
        "address_line_1": "Gerberstraße 18",
        "address_line_2": "Hinterhaus",
        "city": "Kempten (Allgäu)",
        "state": {"name": "Bayern", "code": "BY"},
        "post_code": "87435",
        "country": {"code": "DE"},
    }
    assert (zoe.created, zoe.delivery_country) == (datetime(2026, 10, 2, 8, 30, tzinfo=UTC), "DE")
    assert (hanako.customer_summary.first_name, hanako.customer_summary.company_name) == (
        "山田",
        "株式会社チーズキング",
    )
    assert str(lukasz.payment_due) == "2026-11-06"
    # No token has these ids.
    assert [zoe.customer_id, orders["#1004"].customer_id] == ["guest:zoe@example.com", "guest:#1004"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"Total": "51.10"},
            "Total: is 3.00 more than Subtotal, Shipping and Duties, but Taxes are 7.68. Shopify exports no column for "
            "a tip",
        ),
        (
            {"Subtotal": "33.20", "Total": "38.10"},
            "Subtotal: is 33.20, but the lines make 48.00 and the discounts 4.80",
        ),
        ({"Financial Status": "gone"}, "Financial Status: is 'gone', but the known values are paid, partially_paid,"),
        ({"Created at": "10/2/26 10:30"}, "Created at: is '10/2/26 10:30', but Shopify writes 2026-11-23 09:00:00"),
        ({"Financial Status": "partially_paid"}, "Outstanding Balance: is needed to know how much"),
        ({"Taxes": "much"}, "Taxes: is 'much', which is not a number"),
        ({"Lineitem quantity": "0"}, "Subtotal: is 43.20, but the lines make 10.50 and the discounts 4.80"),
        ({"Email": "zoe@@example.com"}, "customer_summary.email: must be one e-mail address"),
        ({"Name": "№ 1"}, "order_id: must have 1 to 64 of the characters A-Z a-z 0-9"),
    ],
)
def test_shopify_order_that_cannot_be_represented_is_refused(
    tmp_path: Path, changes: dict[str, str], says: str
) -> None:
    one, two, *_ = shopify_rows()
    found = errors(write_shopify(tmp_path / "orders.csv", [one | changes, two | {"Name": (one | changes)["Name"]}]))
    assert says in found[0]
    number = "" if "Name" in changes else "order #1001: "
    assert found[0].startswith(f"orders.csv:2: {number}")


def test_decimal_commas_of_a_spreadsheet_are_read(tmp_path: Path) -> None:
    amounts = ("Subtotal", "Shipping", "Taxes", "Total", "Discount Amount", "Lineitem price", "Tax 1 Value")
    rows = [row | {name: row[name].replace(".", ",") for name in amounts} for row in shopify_rows()]
    path = write_shopify(tmp_path / "orders.csv", rows)
    assert imported(path) == imported(SAMPLES / "shopify.csv")


@pytest.mark.parametrize(
    ("prices", "shipping", "taxes", "rates"),
    [
        # The shipping fits with and without a tax. Without one it fits better.
        (["10.00"], "0.05", {"19": "1.60"}, ["19", None]),
        (["10.00", "20.00"], "5.00", {"7": "1.31", "19": "2.39"}, ["19", "7", "19"]),
        # Which of two equal lines has which rate is not known.
        (["10.00", "10.00"], "0.00", {"7": "0.65", "19": "1.60"}, [None, None, None]),
    ],
)
def test_rates_of_shopify_are_stated_if_they_are_certain(
    prices: list[str], shipping: str, taxes: dict[str, str], rates: list[str | None]
) -> None:
    subtotal = sum(map(Decimal, prices))
    row = {
        **{"Name": "#1", "Financial Status": "pending", "Created at": "2026-10-02 10:30:00 +0200", "Currency": "EUR"},
        **{"Subtotal": str(subtotal), "Shipping": shipping, "Total": str(subtotal + Decimal(shipping))},
        "Taxes": str(sum(map(Decimal, taxes.values()))),
        **{f"Tax {number} Name": f"MwSt. {rate}%" for number, rate in enumerate(taxes, 1)},
        **{f"Tax {number} Value": tax for number, tax in enumerate(taxes.values(), 1)},
        "Lineitem ": [{"quantity": "1", "price": price, "name": "Käse"} for price in prices],
    }
    order = NewOrder.model_validate(convert(Fields(row))).order(datetime.now(UTC))
    stated = [*(line.tax_rate for line in order.order_line_details), order.shipping_tax_rate]
    assert stated == [rate and Decimal(rate) for rate in rates]


RATES = st.sampled_from([7, 19])
LINES = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 9999), RATES), min_size=1, max_size=5)


@given(items=LINES, discount=st.integers(0, 100), shipping=st.integers(0, 999), included=st.booleans())
def test_taxes_of_shopify_are_those_of_the_shop(
    items: list[tuple[int, int, int]], discount: int, shipping: int, included: bool
) -> None:
    totals = [quantity * Decimal(price) / 100 for quantity, price, _ in items]
    off = min(Decimal(discount) / 100, *totals)
    nets = [totals[0] - off, *totals[1:]]
    percents = [percent for _, _, percent in items]
    taxes = {
        percent: payable(
            sum(
                (
                    net * percent / (100 + percent if included else 100)
                    for net, at in zip([*nets, Decimal(shipping) / 100], [*percents, 19], strict=True)
                    if at == percent
                ),
                Decimal(0),
            ),
            "EUR",
        )
        for percent in (7, 19)
    }
    tax = sum(taxes.values(), Decimal(0))
    subtotal, cost = sum(nets, Decimal(0)), Decimal(shipping) / 100
    body = convert(
        Fields(
            {
                **{"Name": "#1", "Financial Status": "pending", "Created at": "2026-10-02 10:30:00 +0200"},
                **{"Currency": "EUR", "Subtotal": f"{subtotal:.2f}", "Shipping": f"{cost:.2f}", "Taxes": f"{tax:.2f}"},
                "Total": f"{subtotal + cost + (0 if included else tax):.2f}",
                **{"Tax 1 Name": "MwSt. 7%", "Tax 1 Value": str(taxes[7])},
                **{"Tax 2 Name": "MwSt. 19%", "Tax 2 Value": str(taxes[19])},
                "Lineitem ": [
                    {"quantity": str(quantity), "price": f"{price / 100:.2f}", "name": "Käse", "discount": str(part)}
                    for (quantity, price, _), part in zip(items, [off] + [0] * len(items), strict=False)
                ],
            }
        )
    )
    order = NewOrder.model_validate(body).order(datetime.now(UTC))
    assert order.grand_total == subtotal + cost + (0 if included else tax)
    assert order.total_tax + order.shipping_tax == tax
    # A rate that is stated is that of its tax.
    for line, net in zip(order.order_line_details, nets, strict=True):
        if line.tax_rate:
            expected = net * line.tax_rate / (100 + line.tax_rate if included else 100)
            assert abs(line.tax - expected) <= Decimal("0.05")


# WooCommerce ---------------------------------------------------------------------------------------------------------


def test_woocommerce_orders_keep_their_figures() -> None:
    orders = imported(SAMPLES / "woocommerce.json")
    assert {number: figures(order) for number, order in orders.items()} == {
        # Prices were entered with 19 % and 7 %. A coupon takes 10 %.
        "727": "order_status=completed payment_status=paid shipping_status=shipped currency_code=EUR "
        "prices_include_tax=True shipping_cost=4.90 shipping_tax=0.78 total_discount=3.21 total_tax=4.44 "
        "grand_total=33.80 paid=33.80",
        # A fee is a surcharge; a fee below 0 is a discount, which takes its tax off the lines.
        "728": "order_status=in_progress payment_status=partially_refunded shipping_status=awaiting_shipment "
        "currency_code=USD shipping_cost=8.00 shipping_tax=0.66 total_discount=10.00 total_surcharge=5.00 "
        "total_tax=4.12 grand_total=68.19 paid=68.19 refunded=21.65",
        "729": "order_status=paused payment_status=pending shipping_status=awaiting_shipment currency_code=EUR "
        "prices_include_tax=True grand_total=83.90",
        "730": "order_status=cancelled payment_status=unpaid shipping_status=awaiting_shipment currency_code=JPY "
        "prices_include_tax=True grand_total=5940",
        "731": "order_status=completed payment_status=refunded shipping_status=awaiting_shipment currency_code=EUR "
        "prices_include_tax=True total_tax=2.00 grand_total=12.50 paid=12.50 refunded=12.50",
    }
    assert lines(orders["727"]) == ["3 × 9.99 = 29.97 - 3.00, 4.31 at 19 %", "1 × 2.14 = 2.14 - 0.21, 0.13 at 7 %"]
    assert (orders["727"].shipping_tax_rate, orders["728"].surcharge_tax) == (Decimal(19), Decimal("0.41"))
    assert [order.customer_id for order in orders.values()] == ["26", "guest:sam@example.com", "27", "28", "26"]
    assert orders["729"].customer_summary.vat_number == "PL5260001246"
    assert orders["730"].customer_summary.company_name == "株式会社チーズキング"
    assert orders["727"].created == datetime(2026, 10, 2, 8, 30, tzinfo=UTC)
    assert [line.item_id for line in orders["727"].order_line_details] == [7270, 7271]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"total": "33.99"}, "total: is 33.99, but its lines and charges make 33.80: 0.19 is not explained"),
        ({"total_tax": "6.00"}, "total_tax: is 6.00, but the taxes of its lines and charges make 5.22: 0.78 is not"),
        ({"status": "shipped"}, "status: is 'shipped', but the known values are pending, processing, on-hold"),
        ({"date_created_gmt": None}, "date_created_gmt: is empty"),
        ({"line_items": [{"name": "x", "quantity": 300, "subtotal": "10.01", "total": "10.01"}]}, "no unit price with"),
        ({"line_items": [{"name": "x", "quantity": 0, "subtotal": "0", "total": "0"}]}, "a line has the quantity 0"),
        ({"refunds": [{"total": "-40.00"}]}, "refunded: is 40.00, but only 33.80 was paid"),
        ({"line_items": [], "fee_lines": [{"total": "-1"}]}, "line_items: is empty"),
    ],
)
def test_woocommerce_order_that_cannot_be_represented_is_refused(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    [one] = first(woocommerce_orders())
    (tmp_path / "orders.json").write_text(json.dumps([one | changes]))
    [error] = errors(tmp_path / "orders.json")
    assert error.startswith("orders.json, no. 1: order 727: ")
    assert says in error


def test_sums_that_a_shop_rounded_are_kept(tmp_path: Path) -> None:
    [one] = first(woocommerce_orders())
    (tmp_path / "orders.json").write_text(json.dumps([one | {"total": "33.81", "total_tax": "5.23"}]))
    order = imported(tmp_path / "orders.json")["727"]
    assert (order.grand_total, order.rounding) == (Decimal("33.81"), Decimal("0.01"))
    assert order.total_tax + order.shipping_tax == Decimal("5.23")


# Magento -------------------------------------------------------------------------------------------------------------


def test_magento_orders_keep_their_figures() -> None:
    orders = imported(SAMPLES / "magento.json")
    assert {number[-1:]: figures(order) for number, order in orders.items()} == {
        # Catalogue prices include tax, and so does the discount. The second line is a variant of a product.
        "1": "order_status=completed payment_status=paid shipping_status=shipped currency_code=EUR "
        "prices_include_tax=True shipping_cost=4.90 shipping_tax=0.78 total_discount=4.25 total_tax=6.11 "
        "grand_total=43.12 paid=43.12",
        "2": "order_status=in_progress payment_status=partially_refunded shipping_status=partial currency_code=USD "
        "shipping_cost=8.00 total_tax=4.95 grand_total=72.95 paid=72.95 refunded=21.65",
        "3": "order_status=in_progress payment_status=unpaid shipping_status=awaiting_shipment currency_code=EUR "
        "grand_total=83.90",
        "4": "order_status=cancelled payment_status=unpaid shipping_status=awaiting_shipment currency_code=JPY "
        "prices_include_tax=True shipping_cost=500 total_tax=440 grand_total=6440",
        # A bundle: its parts have the taxes.
        "5": "order_status=completed payment_status=refunded shipping_status=awaiting_shipment currency_code=EUR "
        "prices_include_tax=True total_tax=3.99 grand_total=25.00 paid=25.00 refunded=25.00",
        # A gift card paid 10 of 12.50.
        "6": "order_status=paused payment_status=partial shipping_status=awaiting_shipment currency_code=EUR "
        "prices_include_tax=True total_tax=2.00 grand_total=12.50 paid=10.00",
    }
    one, three = orders["000000001"], orders["000000003"]
    assert lines(one) == ["3 × 9.99 = 29.97 - 3.00, 4.31 at 19 %", "1 × 12.5 = 12.50 - 1.25, 1.80 at 19 %"]
    assert lines(orders["000000005"]) == ["1 × 25 = 25.00 - 0, 3.99 at 19 %"]
    assert (one.shipping_tax_rate, one.delivery_country, one.customer_id) == (Decimal(19), "DE", "26")
    assert orders["000000002"].customer_id == "guest:sam@example.com"
    assert one.customer_summary.address_line_2 == "Hinterhaus, 2. Stock"
    assert three.customer_summary.vat_number == "PL5260001246"
    assert three.purchase_order_number == "PO-2026-77"
    assert three.created == datetime(2026, 10, 7, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"grand_total": 45}, "grand_total: is 45.00, but its lines and charges make 43.12: 1.88 is not explained"),
        ({"total_canceled": 9.99}, "total_canceled: is 9.99, but here an order is cancelled as a whole"),
        ({"state": "odd"}, "state: is 'odd', but the known values are new, pending_payment"),
        ({"items": []}, "items: is empty"),
    ],
)
def test_magento_order_that_cannot_be_represented_is_refused(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    [one] = first(magento_orders())
    (tmp_path / "orders.json").write_text(json.dumps({"items": [one | changes]}))
    [error] = errors(tmp_path / "orders.json")
    assert error.startswith("orders.json, no. 1: order 000000001: ")
    assert says in error


def test_single_magento_order_is_read(tmp_path: Path) -> None:
    [one] = first(magento_orders())
    (tmp_path / "order.json").write_text(json.dumps(one, indent=4))
    assert list(imported(tmp_path / "order.json")) == ["000000001"]


# The command ---------------------------------------------------------------------------------------------------------


def left_out(said: str) -> dict[str, int]:
    """Returns the fields that the report names, with the number of orders that had them."""
    counted = [(name, int(count.replace(",", ""))) for count, name in re.findall(r"^ *([\d,]+)  (\S.*)$", said, re.M)]
    empty = [name for names in re.findall("^Left out as well.*: (.*)$", said, re.M) for name in names.split(", ")]
    names = [name for name, _ in counted] + empty
    assert len(names) == len(set(names))
    return dict(counted) | dict.fromkeys(empty, 0)


@pytest.mark.parametrize(
    ("name", "title", "some"),
    [
        ("shopify.csv", "Shopify's export of orders (CSV)", {"Vendor": 6, "Notes": 1, "Employee": 0}),
        (
            "woocommerce.json",
            "WooCommerce's orders (JSON)",
            {"shipping.city": 5, "customer_note": 1, "meta_data._wc_order_attribution_source_type": 1},
        ),
        (
            "magento.json",
            "Magento's sales orders (JSON)",
            {"base_grand_total": 6, "items[] with a parent_item_id": 2, "status_histories": 0},
        ),
    ],
)
def test_report_names_each_field_that_was_left_out(
    table: Table, run: Callable[..., Any], name: str, title: str, some: dict[str, int]
) -> None:
    status, said, _ = run(SAMPLES / name)
    count = counts(said)["new"]
    assert (status, counts(said)) == (0, summary(new=count))
    assert f", {title}, into table" in said
    assert sorted(left_out(said)) == LEFT_OUT[name.partition(".")[0]]
    assert left_out(said).items() >= some.items()


def test_orders_that_are_refused_do_not_stop_the_others(table: Table, run: Callable[..., Any], tmp_path: Path) -> None:
    one, two, three, *_ = first(woocommerce_orders(), 3)
    (tmp_path / "orders.json").write_text(json.dumps([one, two | {"total": "1.00"}, three, one]))
    status, said, meanwhile = run(tmp_path / "orders.json")
    assert (status, counts(said)) == (1, summary(new=2, refused=2))
    assert meanwhile[0].startswith(
        "orders.json, no. 2: order 728: total: is 1.00, but its lines and charges make 68.19"
    )
    assert meanwhile[1] == "orders.json, no. 4: order 727: order_id: is already in orders.json, no. 1"
    assert "2 of 4 orders cannot be imported; the others are." in meanwhile
    assert table.holds("727", "729")
    # Once more: the same two are refused, the others are there.
    status, said, _ = run(tmp_path / "orders.json")
    assert (status, counts(said)) == (1, summary(already_there=2, refused=2))


def test_given_format_must_be_that_of_the_file(table: Table, run: Callable[..., Any], tmp_path: Path) -> None:
    status, _, meanwhile = run(SAMPLES / "woocommerce.json", "--format", "magento")
    assert (status, meanwhile) == (
        1,
        [
            f"import: {SAMPLES / 'woocommerce.json'} is not Magento's sales orders (JSON): it has no increment_id, "
            "items, order_currency_code, state"
        ],
    )
    assert run(SAMPLES / "magento.json", "--format", "shopify")[2] == [
        f"import: {SAMPLES / 'magento.json'} is not Shopify's export of orders (CSV): its name must end in .csv"
    ]
    assert run(SAMPLES / "magento.json", "--format", "magento")[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize("shop", ["shopify", "woocommerce", "magento"])
def test_thousand_orders_are_imported_by_one_command(
    table: Table, run: Callable[..., Any], tmp_path: Path, shop: str
) -> None:
    path = getattr(shop_exports, f"export_{shop}")(tmp_path, 1000)
    status, said, _ = run(path, "--format", shop)
    assert (status, counts(said)) == (0, summary(new=1000))
    assert sorted(left_out(said)) == LEFT_OUT[shop]
