"""Money: totals, payment status, refunds and gross prices, from the request to the invoice."""

import json
import re
from typing import Any

import pytest
from harness import ROOT, Answer, Service, html_of
from mails import Page, spaced

from orders import aws

ORDERS = "/admin/orders"


def an_order(*lines: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The body of an order: one line for 100.00 EUR unless it says otherwise."""
    base = {"product_name": "Widget", "quantity": 1, "price": "100.00"}
    named = [{"item_id": n} | base | line for n, line in enumerate(lines or ({},), 1)]
    customer = {"first_name": "Alice", "email": "alice@example.com", "country": {"code": "US"}}
    body = {"order_id": "m", "customer_id": "alice", "currency_code": "EUR", "customer_summary": customer}
    return body | {"order_line_details": named} | fields


def errors(answer: Answer) -> dict[str, str]:
    assert answer.status == 422, answer.text
    return {error["field"]: error["message"] for error in answer.json["errors"]}


def payment(order: Any) -> tuple[str, str, str, str]:
    status, paid, refunded, due = (order[name] for name in ("payment_status", "paid", "refunded", "due"))
    return status, paid, refunded, due


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(
            an_order({"discount": "10.00", "tax": "17.10"}),
            {"total_discount": "10.00", "grand_total": "107.10", "due": "107.10"},
            id="the lines' discounts are summed",
        ),
        pytest.param(
            an_order({"discount": "10.00", "tax": "17.10"}, total_discount="15.00"),
            {"total_discount": "15.00", "grand_total": "102.10"},
            id="a discount on the whole order comes on top of the lines' discounts",
        ),
        pytest.param(
            an_order({"price": "14.505"}, {"price": "14.4955"}, {"price": "14.5003"}, rounding="-0.01"),
            {"sub_total": "43.51", "rounding": "-0.01", "grand_total": "43.50"},
            id="a shop that rounded the sum of 43.5008 charged 43.50",
        ),
        pytest.param(
            an_order({"price": "19.99", "tax": "3.80"}), {"total_tax": "3.80", "due": "23.79"}, id="a rounded tax"
        ),
        pytest.param(
            an_order(
                {"quantity": 3, "price": "9.99", "tax": "4.79"},
                {"quantity": 1000, "price": "0.05"},
                prices_include_tax=True,
                shipping_cost="5.90",
                shipping_tax="0.94",
                handling_cost="1.00",
                total_surcharge="0.50",
                total_discount="2.00",
                rounding="0.03",
            ),
            {
                "prices_include_tax": True,
                "sub_total": "79.97",
                "total_tax": "4.79",
                "shipping_tax": "0.94",
                "grand_total": "85.40",
            },
            id="gross prices contain the taxes",
        ),
        pytest.param(
            an_order({"price": "105"}, currency_code="JPY"), {"grand_total": "105", "due": "105"}, id="whole yen"
        ),
        pytest.param(an_order({"price": "150.50"}, currency_code="RSD"), {"grand_total": "150.50"}, id="dinars"),
        pytest.param(an_order({"price": "1.2345"}, currency_code="CLF"), {"grand_total": "1.2345"}, id="4 decimals"),
        pytest.param(
            an_order(),
            {"rounding": "0.00", "prices_include_tax": False, "refunded": "0.00", "payment_status": "unpaid"},
            id="defaults",
        ),
    ],
)
def test_totals_are_computed_from_lines_and_charges(service: Service, body: Any, expected: dict[str, Any]) -> None:
    answer = service.post(ORDERS, body)
    assert answer.status == 201, answer.text
    assert expected.items() <= answer.json.items()
    assert expected.items() <= service.get(f"{ORDERS}/m").json.items()
    assert expected.items() <= service.get("/orders/m").json.items()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            an_order({"price": "19.99", "tax": "3.7981"}),
            {"order_line_details.0.tax": "is 3.7981, but amounts in EUR have at most 2 decimals"},
        ),
        (
            an_order({"price": "105", "tax": "10.5"}, currency_code="JPY"),
            {"order_line_details.0.tax": "is 10.5, but amounts in JPY have no decimals"},
        ),
        (
            an_order(currency_code="KWD", shipping_cost="0.0001"),
            {"shipping_cost": "is 0.0001, but amounts in KWD have at most 3 decimals"},
        ),
        *(
            (
                an_order({"discount": "0.001"}, **{name: "0.001"}),
                {
                    name: "is 0.001, but amounts in EUR have at most 2 decimals",
                    "order_line_details.0.discount": "is 0.001, but amounts in EUR have at most 2 decimals",
                },
            )
            for name in (
                *("sub_total", "shipping_cost", "shipping_tax", "handling_cost", "total_surcharge", "total_discount"),
                *("total_tax", "rounding", "grand_total", "paid", "refunded", "due"),
            )
        ),
        (
            an_order({"discount": "10.00"}, total_discount="9.99"),
            {"total_discount": "is 9.99 but must be at least 10.00, the sum of the lines' discounts"},
        ),
        (an_order(rounding="1.01"), {"rounding": "Input should be less than or equal to 1"}),
        (an_order(rounding="-1.01"), {"rounding": "Input should be greater than or equal to -1"}),
        (an_order(grand_total="100.01"), {"grand_total": "is 100.01 but must be 100.00: 0.01 too much"}),
        (
            an_order({"tax": "19.00"}, prices_include_tax=True, grand_total="119.00"),
            {"grand_total": "is 119.00 but must be 100.00: 19.00 too much"},
        ),
        (
            an_order({"discount": "10.00", "tax": "90.01"}, prices_include_tax=True, shipping_tax="0.01"),
            {
                "order_line_details.0.tax": "is 90.01, but the amount that contains it is 90.00",
                "total_tax": "is 90.01, but the amount that contains it is 90.00",
                "shipping_tax": "is 0.01, but the amount that contains it is 0",
            },
        ),
        (an_order(prices_include_tax="yes"), {"prices_include_tax": "Input should be a valid boolean"}),
        (an_order(paid="10", refunded="10.01"), {"refunded": "is 10.01, but only 10.00 was paid"}),
        (
            an_order(paid="99.99", payment_status="paid"),
            {"payment_status": "is paid, but the figures say partial: paid 99.99 of 100.00, refunded 0.00"},
        ),
        (
            an_order({"price": "0.00"}, payment_status="unpaid"),
            {"payment_status": "is unpaid, but the figures say paid: paid 0.00 of 0.00, refunded 0.00"},
        ),
    ],
)
def test_contradictory_amounts_are_refused_by_field(service: Service, body: Any, expected: dict[str, str]) -> None:
    assert errors(service.post(ORDERS, body)) == expected
    assert service.items("m") == []


STATED = """
                                                unpaid              0.00    0.00    100.00
paid=30                                         partial             30.00   0.00    70.00
paid=100                                        paid                100.00  0.00    0.00
paid=120                                        paid                120.00  0.00    0.00
paid=100 refunded=30                            partially_refunded  100.00  30.00   0.00
paid=100 refunded=100                           refunded            100.00  100.00  0.00
payment_status=unpaid                           unpaid              0.00    0.00    100.00
payment_status=pending                          pending             0.00    0.00    100.00
payment_status=pending paid=30                  pending             30.00   0.00    70.00
payment_status=partial paid=30                  partial             30.00   0.00    70.00
payment_status=paid                             paid                100.00  0.00    0.00
payment_status=paid paid=120                    paid                120.00  0.00    0.00
payment_status=partially_refunded refunded=30   partially_refunded  100.00  30.00   0.00
payment_status=refunded                         refunded            100.00  100.00  0.00
payment_status=refunded paid=30                 refunded            30.00   30.00   70.00
payment_status=unpaid paid=30                   422
payment_status=pending paid=100                 422
payment_status=partial                          422
payment_status=partial paid=100                 422
payment_status=paid paid=30                     422
payment_status=paid refunded=30                 422
payment_status=partially_refunded               422
payment_status=partially_refunded refunded=100  422
payment_status=refunded refunded=30             422
payment_status=refunded paid=0                  422
"""


@pytest.mark.parametrize("row", STATED.strip("\n").splitlines())
def test_payment_of_a_new_order(service: Service, row: str) -> None:
    given = dict(part.split("=") for part in row[:48].split())
    answer = service.post(ORDERS, an_order(**given))
    expected = row[48:].split()
    if expected == ["422"]:
        assert list(errors(answer)) == ["payment_status"]
    else:
        assert answer.status == 201, answer.text
        assert payment(answer.json) == tuple(expected)


def documented_changes() -> list[tuple[str, str, str]]:
    text = (ROOT / "docs" / "lifecycle.md").read_text(encoding="utf-8")
    return re.findall(r"^\| (\w+ \d+ \d+) \| `({.*})` \| (.*) \|$", text, re.MULTILINE)


@pytest.mark.parametrize(("before", "change", "after"), documented_changes())
def test_payment_changes_as_documented(service: Service, before: str, change: str, after: str) -> None:
    status, paid, refunded = before.split()
    assert service.post(ORDERS, an_order(payment_status=status, paid=paid, refunded=refunded)).status == 201
    stored = service.items("m")
    answer = service.patch(f"{ORDERS}/m", change)
    if after.startswith("422 "):
        assert list(errors(answer)) == [after.removeprefix("422 ")]
        assert service.items("m") == stored
    else:
        expected, paid, refunded = after.split()
        assert answer.status == 200, answer.text
        assert payment(answer.json)[:3] == (expected, f"{paid}.00", f"{refunded}.00")
        assert service.patch(f"{ORDERS}/m", change).json["version"] == answer.json["version"]


def test_documented_changes_are_found() -> None:
    assert len(documented_changes()) > 30


def test_lowering_paid_says_to_record_refunds_in_refunded(service: Service) -> None:
    service.post(ORDERS, an_order(payment_status="paid"))
    answer = service.patch(f"{ORDERS}/m", {"paid": "70.00", "payment_status": "partial"})
    assert "Record what went back in refunded." in errors(answer)["paid"]


@pytest.mark.parametrize("status", ["unpaid", "pending"])
def test_cancelled_order_accepts_payments_and_refunds(service: Service, status: str) -> None:
    service.post(ORDERS, an_order(payment_status=status))
    assert service.post("/orders/m/cancel").status == 204
    steps: list[tuple[Any, tuple[str, str, str]]] = [
        ({}, (status, "0.00", "0.00")),
        ({"paid": "100.00"}, ("paid", "100.00", "100.00")),
        ({"refunded": "40"}, ("partially_refunded", "100.00", "60.00")),
        ({"payment_status": "refunded"}, ("refunded", "100.00", "0.00")),
    ]
    for patch, expected in steps:
        order = service.patch(f"{ORDERS}/m", patch).json
        assert (order["payment_status"], order["paid"], order["refund_due"]) == expected
    assert service.patch(f"{ORDERS}/m", {"shipping_status": "shipped"}).status == 409


def test_cancellation_mail_states_what_was_paid_and_refunded(service: Service) -> None:
    service.post(ORDERS, an_order(payment_status="paid"))
    service.patch(f"{ORDERS}/m", {"refunded": "30"})
    service.skip_records()
    service.post("/orders/m/cancel")
    assert service.get(f"{ORDERS}/m").json["refund_due"] == "70.00"
    service.notify(service.records())
    [mail] = service.notices
    plain = mail.get_body(("plain",))
    assert plain
    for text in (plain.get_content(), Page(html_of(mail)).text):
        assert "You have paid €100.00, of which €30.00 was refunded. The shop will refund" in spaced(text)


@pytest.mark.parametrize(
    ("given", "asked", "field"),
    [
        ({"payment_status": "paid"}, "unpaid", "payment_status"),
        ({"payment_status": "paid"}, "refunded", "payment_status"),
        ({"paid": "30"}, "paid", "payment_status"),
        ({"paid": "30"}, "PENDING", None),
        ({"payment_status": "pending"}, "unpaid", None),
        ({"payment_status": "paid"}, "Paid", None),
    ],
)
def test_send_invoice_refuses_a_status_that_contradicts_the_figures(
    service: Service, given: Any, asked: str, field: str | None
) -> None:
    created = service.post(ORDERS, an_order(**given)).json
    for route in ("invoice-preview", "send-invoice"):
        answer = service.post(f"{ORDERS}/m/{route}", {"payment_status": asked})
        if field:
            assert list(errors(answer)) == [field]
        else:
            assert answer.status == 200
    assert len(service.mails) == (field is None)
    assert payment(service.get(f"{ORDERS}/m").json) == payment(created)


def test_draft_gets_no_invoice(service: Service) -> None:
    service.post(ORDERS, an_order(order_status="draft"))
    for route in ("invoice-preview", "send-invoice"):
        answer = service.post(f"{ORDERS}/m/{route}")
        assert (answer.status, answer.json["detail"]) == (409, "The order is a draft, so no invoice can be sent.")
    assert service.invoices("m") == []


def invoice_page(service: Service) -> Page:
    assert service.post(f"{ORDERS}/m/send-invoice").status == 200
    return Page(html_of(service.mails[-1]))


def test_invoice_of_a_free_order_is_paid(service: Service) -> None:
    assert payment(service.post(ORDERS, an_order({"price": "0.00"})).json) == ("paid", "0.00", "0.00", "0.00")
    page = invoice_page(service)
    assert "Unpaid" not in page.text
    assert "There is nothing to pay." in page.text


def test_invoice_shows_a_refund_and_asks_for_nothing(service: Service) -> None:
    service.post(ORDERS, an_order(paid="100", refunded="30"))
    page = invoice_page(service)
    assert (page.row("Paid"), page.row("Refunded"), page.row("Amount due")) == ("€100.00", "€30.00", "€0.00")
    assert page.row("Grand total") == "€100.00"
    assert "Partly refunded" in page.text
    assert not [link for link in page.links if "pay" in link]


def test_invoice_says_that_prices_include_tax(service: Service) -> None:
    line = {"quantity": 3, "price": "9.99", "tax": "4.79"}
    body = an_order(line, prices_include_tax=True, shipping_cost="5.90", shipping_tax="0.94", rounding="-0.02")
    assert service.post(ORDERS, body).status == 201
    page = invoice_page(service)
    assert "Prices include tax." in page.text
    rows = [[spaced(cell) for cell in row] for row in page.rows if len(row) == 2]
    assert rows[-8:] == [
        ["Subtotal", "€29.97"],
        ["Shipping", "€5.90"],
        ["Rounding", "-€0.02"],
        ["Grand total", "€35.85"],
        ["Includes tax", "€4.79"],
        ["Includes shipping tax", "€0.94"],
        ["Paid", "€0.00"],
        ["Amount due", "€35.85"],
    ]
    assert "Incl. tax €4.79" in spaced(page.text)


# Orders that version 0.1 stored ---------------------------------------------------------------------------------------


def stored_by_0_1(service: Service, **header: str) -> None:
    """Turns a sample order into one that version 0.1 stored: without new fields, with figures that it did not check."""
    names = {"grand_total", "total_tax", "paid", "payment_status", "total_discount"}
    assert header.keys() <= names
    values = {f":{name}": {"S": value} if name == "payment_status" else {"N": value} for name, value in header.items()}
    aws.dynamodb().update_item(
        TableName="OrdersTable",
        Key={"pk": {"S": "ORDER#1003"}, "sk": {"S": "ORDER"}},
        UpdateExpression="SET " + ", ".join(f"{name} = :{name}" for name in header),
        ExpressionAttributeValues=values,
    )
    assert not service.order("1003").keys() & {"rounding", "prices_include_tax", "refunded"}


ODD = [
    {"payment_status": "paid", "paid": "0"},
    {"payment_status": "unpaid", "paid": "119.88"},
    {"payment_status": "refunded", "paid": "0"},
    {"payment_status": "partial", "paid": "23.7881"},
    {"payment_status": "paid", "paid": "130"},
]


@pytest.mark.parametrize("header", ODD)
def test_contradictory_old_order_can_be_read_changed_and_mailed(service: Service, header: dict[str, str]) -> None:
    stored_by_0_1(service, **header)
    order = service.get(f"{ORDERS}/1003").json
    assert order["payment_status"] == header["payment_status"]
    assert (order["refunded"], order["rounding"], order["prices_include_tax"]) == ("0.00", "0.00", False)
    listed = service.get(f"{ORDERS}?limit=100").json["orders"]
    assert [each["due"] for each in listed if each["order_id"] == "1003"] == [order["due"]]
    for patch in (
        {"customer_summary": {"city": "Lindau"}},
        {"shipping_status": "delivered"},
        {"paid": header["paid"], "payment_status": header["payment_status"]},
    ):
        assert service.patch(f"{ORDERS}/1003", patch).status == 200, patch
    after = service.get(f"{ORDERS}/1003").json
    assert payment(after) == payment(order)
    assert service.post(f"{ORDERS}/1003/send-invoice").status == 200
    assert ("Unpaid" in html_of(service.mails[0])) == (order["due"] != "0.00" and order["payment_status"] == "unpaid")


def test_old_order_marked_as_paid_without_amount_is_completed(service: Service) -> None:
    stored_by_0_1(service, payment_status="paid", paid="0")
    answer = service.patch(f"{ORDERS}/1003", {"payment_status": "paid"})
    assert payment(answer.json) == ("paid", "119.88", "0.00", "0.00")


def test_old_order_with_fractions_of_a_cent_can_be_paid_in_full(service: Service) -> None:
    stored_by_0_1(service, payment_status="unpaid", paid="0", total_discount="4.6019", grand_total="119.8781")
    assert service.get(f"{ORDERS}/1003").json["due"] == "119.8781"
    assert list(errors(service.patch(f"{ORDERS}/1003", {"paid": "119.8781"}))) == ["paid"]
    answer = service.patch(f"{ORDERS}/1003", {"payment_status": "paid"})
    assert payment(answer.json) == ("paid", "119.8781", "0.00", "0.00")


def test_old_order_is_recognised_when_it_is_created_again(service: Service) -> None:
    sample = next(
        each for each in json.loads((ROOT / "local" / "orders.json").read_text("utf-8")) if each["order_id"] == "1003"
    )
    # As version 0.1 computed it.
    [detail] = service.items("1003", "ORDER#DETAIL")
    assert detail["as_created"] == "8879ccbcae0d3eb5e4064c7b6680fa91c810c2d29a4c3475465823d7ca5af440"
    assert service.post(ORDERS, sample).status == 200
