"""Orders in: what is brought is kept to the cent, once, and only if it adds up."""

import json
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from harness import ADA, ALICE, ERP, Service, load
from hypothesis import given
from hypothesis import strategies as st

ORDERS = "/admin/orders"

LINE = {"item_id": 1, "product_name": "Brunost, 250 g", "quantity": 2, "price": "12.50", "tax": "1.75"}
ORDER: dict[str, Any] = {
    "order_id": "2001",
    "customer_id": "alice",
    "currency_code": "EUR",
    "shipping_cost": "4.90",
    "order_line_details": [LINE],
}


def errors(answer: Any) -> dict[str, str]:
    assert answer.status == 422
    assert answer.json["type"] == "urn:problem:orders:invalid-input"
    return {error["field"]: error["message"] for error in answer.json["errors"]}


def test_totals_that_are_left_out_are_computed(service: Service) -> None:
    answer = service.post(ORDERS, ORDER)
    assert answer.status == 201
    assert answer.headers["location"] == "/admin/orders/2001"
    assert answer.headers["etag"] == '"1"'
    order = answer.json
    assert order["order_line_details"] == [
        {
            **LINE,
            "product_id": None,
            "sku": None,
            "quantity": "2",
            "total_amount": "25.00",
            "discount": "0.00",
        }
    ]
    assert {name: order[name] for name in ("sub_total", "total_tax", "grand_total", "due", "items_total")} == {
        "sub_total": "25.00",
        "total_tax": "1.75",
        "grand_total": "31.65",
        "due": "31.65",
        "items_total": "2",
    }
    assert (order["order_status"], order["payment_status"], order["shipping_status"]) == (
        "in_progress",
        "unpaid",
        "awaiting_shipment",
    )
    assert (order["created"], order["version"]) == ("2026-11-23T09:00:00.000000Z", 1)


def test_the_event_file_works_and_the_order_can_be_used(service: Service) -> None:
    assert service.send(load("create-order-as-admin")).status == 201
    assert service.post("/orders/2001/comments", {"content": "Danke!"}).status == 201
    assert service.post("/admin/orders/2001/send-invoice").status == 200
    assert service.post("/orders/2001/cancel").status == 204


def test_the_same_order_again_changes_nothing(service: Service) -> None:
    first = service.post(ORDERS, ORDER)
    before = service.items("2001")
    service.clock.sleep(60)
    written_otherwise = ORDER | {"order_id": 2001, "grand_total": "31.6500", "sub_total": 25, "paid": 0, "due": None}
    for body in (ORDER, written_otherwise):
        again = service.post(ORDERS, body, ERP)
        assert (again.status, again.json) == (200, first.json)
        assert again.headers["location"] == "/admin/orders/2001"
    assert service.items("2001") == before


def test_the_same_order_again_is_shown_as_it_is_now(service: Service) -> None:
    service.post(ORDERS, ORDER)
    service.post("/orders/2001/cancel", {"reason": "Doppelt"})
    again = service.post(ORDERS, ORDER)
    assert again.status == 200
    assert again.headers["etag"] == '"2"'
    assert (again.json["order_status"], again.json["cancel_reason"]) == ("cancelled", "Doppelt")


@pytest.mark.parametrize(
    "change",
    [
        {"customer_id": "bob"},
        {"shipping_cost": "4.91"},
        {"order_line_details": [LINE, LINE]},
        {"customer_summary": {"email": "alice@example.com"}},
        {"payment_status": "paid"},
    ],
)
def test_another_order_under_the_same_id_is_refused(service: Service, change: Any) -> None:
    service.post(ORDERS, ORDER)
    before = service.items("2001")
    answer = service.post(ORDERS, ORDER | change)
    assert answer.status == 409
    assert answer.json["type"] == "urn:problem:orders:order-exists"
    assert service.items("2001") == before


def test_the_same_key_gives_the_first_answer_again(service: Service) -> None:
    first = service.post(ORDERS, ORDER, idempotency_key="k")
    service.clock.sleep(60)
    service.post("/orders/2001/cancel")
    again = service.post(ORDERS, ORDER, idempotency_key="k")
    assert (again.status, again.json, again.headers) == (201, first.json, first.headers)
    assert service.order("2001")["order_status"] == "cancelled"


def test_only_what_is_created_is_counted(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    again: Any = {"idempotency_key": "k"}
    told = [service.post(ORDERS, ORDER, **key).status for key in (again, again, {}, {"idempotency_key": "another"})]
    assert told == [201, 201, 200, 200]
    assert service.post(ORDERS, ORDER | {"shipping_cost": "1"}).status == 409
    assert capsys.readouterr().out.count('"OrdersCreated":[1.0]') == 1


def test_a_key_belongs_to_one_order_and_one_caller(service: Service) -> None:
    service.post(ORDERS, ORDER, idempotency_key="k")
    for other in (ORDER | {"order_id": "2002"}, ORDER | {"shipping_cost": "1"}):
        answer = service.post(ORDERS, other, idempotency_key="k")
        assert answer.status == 422
        assert answer.json["type"] == "urn:problem:orders:idempotency-key-reused"
    assert service.items("2002") == []
    assert service.post(ORDERS, ORDER | {"order_id": "2002"}, ERP, idempotency_key="k").status == 201


def test_a_key_is_free_again_after_two_days(service: Service) -> None:
    service.post(ORDERS, ORDER, idempotency_key="k")
    service.clock.sleep(timedelta(hours=49).total_seconds())
    assert service.post(ORDERS, ORDER | {"order_id": "2002"}, idempotency_key="k").status == 201


def test_creating_is_one_round_trip(service: Service) -> None:
    for body in (ORDER, ORDER, ORDER | {"customer_id": "bob"}):
        service.calls.clear()
        service.post(ORDERS, body)
        assert service.calls == {"TransactWriteItems": 1}


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"sub_total": "25.01"}, {"sub_total": "is 25.01 but must be 25.00: 0.01 too much"}),
        ({"total_tax": 1}, {"total_tax": "is 1 but must be 1.75: 0.75 too little"}),
        ({"items_total": 3}, {"items_total": "is 3 but must be 2: 1 too much"}),
        ({"grand_total": "31.64"}, {"grand_total": "is 31.64 but must be 31.65: 0.01 too little"}),
        ({"paid": "31.65", "due": "0.01"}, {"due": "is 0.01 but must be 0.00: 0.01 too much"}),
        (
            {"order_line_details": [LINE, LINE | {"total_amount": "24.99"}], "sub_total": "50"},
            {
                "order_line_details.1.total_amount": "is 24.99 but must be 25.00: 0.01 too little",
                "sub_total": "is 50 but must be 49.99: 0.01 too much",
            },
        ),
    ],
)
def test_totals_must_add_up(service: Service, change: Any, wrong: dict[str, str]) -> None:
    assert errors(service.post(ORDERS, ORDER | change)) == wrong
    assert service.items("2001") == []


def test_a_whole_number_may_have_a_fraction_of_zero(service: Service) -> None:
    assert service.post(ORDERS, ORDER | {"order_line_details": [LINE | {"item_id": 1.0}]}).status == 201
    assert service.post(ORDERS, ORDER).status == 200


@pytest.mark.parametrize(
    ("currency", "quantity", "price", "total"),
    [
        ("EUR", "0.5", "0.05", "0.03"),
        ("EUR", "3", "0.3333", "1.00"),
        ("JPY", "0.5", "101", "51"),
        ("KWD", "0.5", "0.005", "0.003"),
    ],
)
def test_a_line_is_rounded_half_up_to_what_can_be_paid(
    service: Service, currency: str, quantity: str, price: str, total: str
) -> None:
    line = {"item_id": 1, "product_name": "x", "quantity": quantity, "price": price}
    body = {"order_id": "r", "customer_id": "alice", "currency_code": currency, "order_line_details": [line]}
    order = service.post(ORDERS, body).json
    assert order["order_line_details"][0]["total_amount"] == total
    assert order["grand_total"] == total


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"order_id": None}, "order_id"),
        ({"order_id": "a/b"}, "order_id"),
        ({"order_id": "x" * 65}, "order_id"),
        ({"order_id": 1.5}, "order_id"),
        ({"order_id": True}, "order_id"),
        ({"customer_id": ""}, "customer_id"),
        ({"customer_id": "\ud800"}, "customer_id"),
        ({"currency_code": "eur"}, "currency_code"),
        ({"order_status": "open"}, "order_status"),
        ({"payment_status": 1}, "payment_status"),
        ({"paid": -1}, "paid"),
        ({"paid": "1e30"}, "paid"),
        ({"paid": "NaN"}, "paid"),
        ({"paid": True}, "paid"),
        ({"paid": "1_0"}, "paid"),
        ({"paid": " 1"}, "paid"),
        ({"paid": "٣"}, "paid"),
        ({"total_discount": "100"}, "grand_total"),
        ({"order_line_details": []}, "order_line_details"),
        ({"order_line_details": [LINE] * 501}, "order_line_details"),
        ({"order_line_details": [LINE | {"quantity": 0}]}, "order_line_details.0.quantity"),
        ({"order_line_details": [LINE | {"item_id": 2**53}]}, "order_line_details.0.item_id"),
        ({"order_line_details": [LINE | {"item_id": 1.5}]}, "order_line_details.0.item_id"),
        ({"order_line_details": [LINE | {"price": "12.50001"}]}, "order_line_details.0.price"),
        ({"order_line_details": [LINE | {"vat": 1}]}, "order_line_details.0.vat"),
        ({"customer_summary": {"email": "a@b.example, c@d.example"}}, "customer_summary.email"),
        ({"customer_summary": {"country": {"code": "Norway"}}}, "customer_summary.country.code"),
        *(
            ({name: value}, name)
            for name, value in {
                "version": 2,
                "created": "2026-11-25T00:00:00Z",
                "invoice_count": 0,
                "mailing_until": 0,
                "bounced": [],
                "complained": [],
                "cancelled_by": "me",
                "refund_due": "1",
                "shard": "1",
            }.items()
        ),
    ],
)
def test_what_is_not_valid_is_said_by_field(service: Service, change: Any, field: str) -> None:
    assert list(errors(service.post(ORDERS, ORDER | change))) == [field]
    assert service.items("2001") == []


def test_texts_that_no_item_holds_are_too_large(service: Service) -> None:
    lines = [LINE | {"product_name": "🧀" * 300, "item_id": n} for n in range(500)]
    answer = service.post(ORDERS, ORDER | {"order_line_details": lines})
    assert answer.status == 413
    lines = [LINE | {"product_name": "x" * 300, "sku": "y" * 200, "item_id": n} for n in range(500)]
    assert service.post(ORDERS, ORDER | {"order_line_details": lines}).status == 201


def test_only_the_staff_brings_orders(service: Service) -> None:
    assert service.post(ORDERS, ORDER, ALICE).status == 403
    assert service.post(ORDERS, ORDER, {}).status == 401
    assert service.post(ORDERS, ORDER, ADA).status == 201


DECIMALS = {"EUR": 2, "JPY": 0, "KWD": 3}
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)


def amounts(currency: str, most: int = 10**6) -> st.SearchStrategy[str]:
    return st.integers(0, most).map(lambda n: str(Decimal(n).scaleb(-DECIMALS[currency])))


@st.composite
def orders(draw: st.DrawFn) -> dict[str, Any]:
    """Whole orders, with all totals."""
    currency = draw(st.sampled_from(sorted(DECIMALS)))
    unit = Decimal(1).scaleb(-DECIMALS[currency])
    amount = amounts(currency)
    lines: list[dict[str, Any]] = draw(
        st.lists(
            st.fixed_dictionaries(
                {
                    "item_id": st.integers(0, 2**53 - 1),
                    "product_name": TEXT,
                    "product_id": st.none() | st.integers(0, 2**53 - 1),
                    "sku": st.none() | TEXT,
                    "quantity": st.integers(1, 10**5).map(lambda n: str(Decimal(n).scaleb(-2))),
                    "price": st.integers(0, 10**8).map(lambda n: str(Decimal(n).scaleb(-4))),
                    "tax": amount,
                    "discount": amount,
                }
            ),
            min_size=1,
            max_size=4,
        )
    )
    for line in lines:
        line["total_amount"] = str((Decimal(line["quantity"]) * Decimal(line["price"])).quantize(unit, ROUND_HALF_UP))
    charges = {
        name: draw(amount) for name in ("shipping_cost", "shipping_tax", "handling_cost", "total_surcharge", "paid")
    }

    def total(part: str) -> Decimal:
        return sum((Decimal(line[part]) for line in lines), Decimal(0))

    grand = total("total_amount") + total("tax") + sum(Decimal(charges[name]) for name in charges if name != "paid")
    charges["total_discount"] = draw(amounts(currency, int(grand / unit)))
    grand -= Decimal(charges["total_discount"])
    return {
        **charges,
        "order_id": draw(st.from_regex(r"[A-Za-z0-9_-]{1,50}", fullmatch=True)),
        "customer_id": draw(TEXT.filter(str.strip)),
        "order_status": draw(st.sampled_from(["draft", "in_progress", "paused", "reopened", "completed", "cancelled"])),
        "payment_status": draw(st.sampled_from(["unpaid", "pending", "partial", "paid", "refunded"])),
        "shipping_status": draw(st.sampled_from(["awaiting_shipment", "partial", "shipped", "delivered"])),
        "currency_code": currency,
        "sub_total": str(total("total_amount")),
        "total_tax": str(total("tax")),
        "items_total": str(total("quantity")),
        "grand_total": str(grand),
        "due": str(grand - Decimal(charges["paid"])),
        "customer_summary": draw(
            st.fixed_dictionaries(
                {
                    "first_name": st.none() | TEXT,
                    "last_name": st.none() | TEXT,
                    "email": st.sampled_from([None, "alice@example.com"]),
                    "billing_email": st.sampled_from([None, "billing@example.com"]),
                    "phone": st.none() | TEXT,
                    "company_name": st.none() | TEXT,
                    "address_line_1": st.none() | TEXT,
                    "address_line_2": st.none() | TEXT,
                    "city": st.none() | TEXT,
                    "state": st.none() | st.fixed_dictionaries({"name": TEXT, "code": st.none() | TEXT}),
                    "post_code": st.none() | TEXT,
                    "country": st.none() | st.fixed_dictionaries({"name": TEXT, "code": st.just("NO")}),
                }
            )
        ),
        "order_line_details": lines,
    }


AMOUNTS = {
    "price",
    "total_amount",
    "tax",
    "discount",
    "sub_total",
    "shipping_cost",
    "shipping_tax",
    "handling_cost",
} | {*("total_surcharge", "total_discount", "total_tax", "grand_total", "paid", "due")}


def plain(value: Any, name: str = "", currency: str = "") -> Any:
    """What an order says, however its amounts are written. Amounts in an answer have the decimals of the currency."""
    if isinstance(value, dict):
        return {key: plain(each, key, currency) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each, name, currency) for each in value]
    if name in AMOUNTS and currency:
        assert isinstance(value, str)
        decimals = len(value.partition(".")[2])
        assert decimals == DECIMALS[currency] if name != "price" else decimals >= DECIMALS[currency]
    return Decimal(value) if name in AMOUNTS | {"quantity", "items_total"} else value


@given(orders())
def test_every_field_comes_back_as_it_was_given(service: Service, order: dict[str, Any]) -> None:
    service.begin_anew()
    # None of the sample orders' ids.
    order["order_id"] = f"0-{order['order_id']}"
    answer = service.post(ORDERS, json.dumps(order))
    assert answer.status == 201, answer.text
    customer = {"sub": order["customer_id"]}
    for found in (
        answer,
        service.post(ORDERS, json.dumps(order)),
        service.get(f"{ORDERS}/{order['order_id']}"),
        service.get(f"/orders/{order['order_id']}", customer),
    ):
        got = {name: value for name, value in found.json.items() if name in order}
        assert plain(got, currency=order["currency_code"]) == plain(order)
