"""Creating orders: amounts are stored exactly, each order once, and only if its totals add up."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from generated import DECIMALS, orders
from harness import ADA, ALICE, ERP, Service, load
from hypothesis import given

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


def test_missing_totals_are_computed(service: Service) -> None:
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
            "tax_rate": None,
            "tax_category": None,
            "unit_code": None,
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


def test_event_file_creates_a_usable_order(service: Service) -> None:
    assert service.send(load("create-order-as-admin")).status == 201
    assert service.post("/orders/2001/comments", {"content": "Danke!"}).status == 201
    assert service.post("/admin/orders/2001/send-invoice").status == 200
    assert service.post("/orders/2001/cancel").status == 204


def test_repeated_order_changes_nothing(service: Service) -> None:
    first = service.post(ORDERS, ORDER)
    before = service.items("2001")
    service.clock.sleep(60)
    written_otherwise = ORDER | {"order_id": 2001, "grand_total": "31.6500", "sub_total": 25, "paid": 0, "due": None}
    for body in (ORDER, written_otherwise):
        again = service.post(ORDERS, body, ERP)
        assert (again.status, again.json) == (200, first.json)
        assert again.headers["location"] == "/admin/orders/2001"
    assert service.items("2001") == before


def test_repeated_order_answers_with_its_current_state(service: Service) -> None:
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
def test_different_order_with_the_same_id_is_refused(service: Service, change: Any) -> None:
    service.post(ORDERS, ORDER)
    before = service.items("2001")
    answer = service.post(ORDERS, ORDER | change)
    assert answer.status == 409
    assert answer.json["type"] == "urn:problem:orders:order-exists"
    assert service.items("2001") == before


def test_repeated_key_repeats_the_answer(service: Service) -> None:
    first = service.post(ORDERS, ORDER, idempotency_key="k")
    service.clock.sleep(60)
    service.post("/orders/2001/cancel")
    again = service.post(ORDERS, ORDER, idempotency_key="k")
    assert (again.status, again.json, again.headers) == (201, first.json, first.headers)
    assert service.order("2001")["order_status"] == "cancelled"


def test_only_new_orders_are_counted(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    again: Any = {"idempotency_key": "k"}
    told = [service.post(ORDERS, ORDER, **key).status for key in (again, again, {}, {"idempotency_key": "another"})]
    assert told == [201, 201, 200, 200]
    assert service.post(ORDERS, ORDER | {"shipping_cost": "1"}).status == 409
    assert capsys.readouterr().out.count('"OrdersCreated":[1.0]') == 1


def test_keys_are_separate_for_each_order_and_caller(service: Service) -> None:
    service.post(ORDERS, ORDER, idempotency_key="k")
    for other in (ORDER | {"order_id": "2002"}, ORDER | {"shipping_cost": "1"}):
        answer = service.post(ORDERS, other, idempotency_key="k")
        assert answer.status == 422
        assert answer.json["type"] == "urn:problem:orders:idempotency-key-reused"
    assert service.items("2002") == []
    assert service.post(ORDERS, ORDER | {"order_id": "2002"}, ERP, idempotency_key="k").status == 201


def test_key_expires_after_two_days(service: Service) -> None:
    service.post(ORDERS, ORDER, idempotency_key="k")
    service.clock.sleep(timedelta(hours=49).total_seconds())
    assert service.post(ORDERS, ORDER | {"order_id": "2002"}, idempotency_key="k").status == 201


def test_creating_takes_one_round_trip(service: Service) -> None:
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
        ({"paid": "31.66", "due": "-0.01"}, {"due": "is -0.01 but must be 0: 0.01 too little"}),
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


def test_whole_number_may_have_zero_decimals(service: Service) -> None:
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
def test_line_total_is_rounded_half_up_to_a_payable_amount(
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
        ({"order_id": "a@b"}, "order_id"),
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
def test_invalid_input_is_reported_by_field(service: Service, change: Any, field: str) -> None:
    assert list(errors(service.post(ORDERS, ORDER | change))) == [field]
    assert service.items("2001") == []


def test_texts_larger_than_a_dynamodb_item_are_refused(service: Service) -> None:
    lines = [LINE | {"product_name": "🧀" * 300, "item_id": n} for n in range(500)]
    answer = service.post(ORDERS, ORDER | {"order_line_details": lines})
    assert answer.status == 413
    lines = [LINE | {"product_name": "x" * 300, "sku": "y" * 200, "item_id": n} for n in range(500)]
    assert service.post(ORDERS, ORDER | {"order_line_details": lines}).status == 201


def test_only_admins_create_orders(service: Service) -> None:
    assert service.post(ORDERS, ORDER, ALICE).status == 403
    assert service.post(ORDERS, ORDER, {}).status == 401
    assert service.post(ORDERS, ORDER, ADA).status == 201


AMOUNTS = {
    "price",
    "total_amount",
    "tax",
    "discount",
    "sub_total",
    "shipping_cost",
    "shipping_tax",
    "handling_cost",
    "handling_tax",
    "surcharge_tax",
} | {*("total_surcharge", "total_discount", "total_tax", "rounding", "grand_total", "paid", "refunded", "due")}


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
def test_every_field_is_returned_as_given(service: Service, order: dict[str, Any]) -> None:
    service.reset()
    # None of the sample orders' ids.
    order["order_id"] = f"0-{order['order_id']}"
    answer = service.post(ORDERS, json.dumps(order))
    assert answer.status == 201, answer.text
    location = answer.headers["location"]
    for found in (
        answer,
        service.post(ORDERS, json.dumps(order)),
        service.get(location),
        service.get(location.removeprefix("/admin"), {"sub": order["customer_id"]}),
    ):
        got = {name: value for name, value in found.json.items() if name in order}
        assert plain(got, currency=order["currency_code"]) == plain(order)
