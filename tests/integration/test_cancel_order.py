"""Cancelling an order: who may, what is recorded, and that it happens once."""

import pytest
from harness import ADA, BOB, ERP, Service, load


def test_customer_cancels_own_order_once(service: Service) -> None:
    first = service.post("/orders/1001/cancel", {"reason": "doppelt bestellt – 重複"})
    assert (first.status, first.text) == (204, None)
    order = service.order("1001")
    assert order["order_status"] == "cancelled"
    assert order["status_before_cancel"] == "in_progress"
    assert order["cancelled_by"] == "alice"
    assert order["cancelled_as"] == "customer"
    assert order["cancelled_at"] == "2026-11-23T09:00:00.000000Z"
    assert order["cancel_reason"] == "doppelt bestellt – 重複"
    assert float(order["refund_due"]) == 0
    assert order["version"] == "2"

    service.clock.sleep(60)
    again = service.post("/orders/1001/cancel", {"reason": "another"})
    assert again.status == 204
    assert service.order("1001") == order


def test_cancellation_records_that_a_refund_is_due(service: Service) -> None:
    before = service.order("1004")
    assert service.post("/admin/orders/1004/cancel").status == 204
    after = service.order("1004")
    assert float(after["refund_due"]) == float(before["paid"]) > 0
    assert after["paid"] == before["paid"]
    assert after["payment_status"] == before["payment_status"]
    assert after["cancelled_as"] == "admin"


@pytest.mark.parametrize(
    ("path", "status", "word"),
    [
        ("/orders/1003/cancel", 409, "shipped"),
        ("/admin/orders/1003/cancel", 409, "shipped"),
        ("/orders/1004/cancel", 409, "partly shipped"),
        ("/orders/1005/cancel", 409, "completed"),
        ("/admin/orders/1005/cancel", 409, "completed"),
    ],
)
def test_refused_cancellation_changes_nothing(service: Service, path: str, status: int, word: str) -> None:
    order_id = path.split("/")[-2]
    before = service.order(order_id)
    answer = service.post(path)
    assert answer.status == status
    assert f"The order is {word} " in answer.json["detail"]
    assert answer.json["type"] == "urn:problem:orders:state-conflict"
    assert answer.json["shipping_status"] == before["shipping_status"]
    assert service.order(order_id) == before


def test_order_cancelled_by_another_system_is_a_success(service: Service) -> None:
    assert service.post("/orders/1006/cancel", claims=BOB).status == 204
    assert service.post("/admin/orders/1006/cancel").status == 204


def test_other_customers_order_answers_like_a_missing_order(service: Service) -> None:
    others, none = service.post("/orders/1002/cancel"), service.post("/orders/9999/cancel")
    assert others.status == none.status == 404
    assert others.headers == none.headers
    assert others.json | {"instance": None} == none.json | {"instance": None}
    assert service.order("1002")["order_status"] == "in_progress"
    # Also once it is cancelled, when cancelling again would succeed for its owner.
    assert service.post("/orders/1002/cancel", claims=BOB).status == 204
    assert service.post("/orders/1002/cancel").json == others.json


def test_admin_cannot_cancel_others_orders_on_the_customer_route(service: Service) -> None:
    assert service.post("/orders/1001/cancel", claims=ADA).status == 404


def test_machine_client_cancels(service: Service) -> None:
    assert service.post("/admin/orders/1001/cancel", claims=ERP).status == 204
    assert service.order("1001")["cancelled_by"] == "erp"


@pytest.mark.parametrize("body", [None, "", "{}", '{"reason": null}', '{"reason": "' + "ü" * 500 + '"}'])
def test_body_is_optional(service: Service, body: str | None) -> None:
    assert service.post("/orders/1001/cancel", body).status == 204


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"reason": "ü" * 501}, "reason"),
        ({"reason": 7}, "reason"),
        ({"reason": ["x"]}, "reason"),
        ({"raeson": "typo"}, "raeson"),
        ({"reason": "a\x00b"}, "reason"),
        ('{"reason": "\\ud800"}', "reason"),
    ],
)
def test_invalid_body_names_the_field_and_changes_nothing(service: Service, body: object, field: str) -> None:
    answer = service.post("/orders/1001/cancel", body)
    assert answer.status == 422
    assert [error["field"] for error in answer.json["errors"]] == [field]
    assert service.order("1001")["order_status"] == "in_progress"


@pytest.mark.parametrize("name", ["cancel-order-as-customer", "cancel-order-as-admin"])
def test_event_files_work(service: Service, name: str) -> None:
    event = load(name)
    assert service.send(event).status == 204
    assert service.order(event["pathParameters"]["order_id"])["order_status"] == "cancelled"


@pytest.mark.parametrize("order_id", ["1001", "9999", "1002", "1003"])
def test_every_answer_takes_one_round_trip(service: Service, order_id: str) -> None:
    service.calls.clear()
    service.post(f"/orders/{order_id}/cancel")
    assert service.calls == {"UpdateItem": 1}
