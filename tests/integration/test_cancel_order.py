"""Cancelling an order: who may, what is recorded, and that it happens once."""

from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from harness import ADA, BOB, DYNAMODB_LOCAL, ERP, TEMPLATE, Service, break_at, load
from traffic import traffic

from orders import aws
from orders.models import CancelReason


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
        ({"reason_code": "Customer"}, "reason_code"),
        ({"reason_code": ["customer"]}, "reason_code"),
        # What only the staff may say.
        ({"staff_note": "x"}, "staff_note"),
        ({"notify_customer": False}, "notify_customer"),
        ({"restock": True}, "restock"),
        ({"refund": True}, "refund"),
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


# What a cancellation states ------------------------------------------------------------------------------------------

STATED: dict[str, Any] = {
    "reason": "Ausverkauft",
    "reason_code": "inventory",
    "staff_note": "Lieferant 2 fragen\r\n– 重複",
    "notify_customer": False,
    "restock": False,
    "refund": True,
}
NOTHING: dict[str, Any] = dict.fromkeys(STATED) | {"notify_customer": True}


def recorded(service: Service, order_id: str) -> dict[str, Any]:
    """Returns what the order says of its cancellation, by the names of the request."""
    order = service.get(f"/admin/orders/{order_id}").json
    return {name: order[f"cancel_{name}"] for name in STATED}


def test_admin_states_reason_note_and_intent(service: Service) -> None:
    assert recorded(service, "1002") == dict.fromkeys(STATED)
    assert service.post("/admin/orders/1002/cancel", STATED).status == 204
    assert recorded(service, "1002") == STATED
    [*_, cancelled] = service.get("/admin/orders/1002/timeline").json["timeline"]
    assert cancelled["event"] == "cancelled"
    for name in ("reason", "reason_code", "staff_note", "restock", "refund"):
        assert cancelled[name] == STATED[name]
    # The first cancellation counts.
    assert service.post("/admin/orders/1002/cancel", {"staff_note": "another", "refund": False}).status == 204
    assert recorded(service, "1002") == STATED


@pytest.mark.parametrize("code", CancelReason)
def test_both_roles_state_a_reason_code(service: Service, code: str) -> None:
    for path in ("/orders/1001", "/admin/orders/1004"):
        assert service.post(f"{path}/cancel", {"reason_code": code}).status == 204
        assert recorded(service, path[-4:]) == NOTHING | {"reason_code": code}


@pytest.mark.parametrize("body", [{}, dict.fromkeys(STATED), {"staff_note": "ü" * 500}])
def test_admin_may_leave_everything_out(service: Service, body: dict[str, Any]) -> None:
    assert service.post("/admin/orders/1001/cancel", body).status == 204
    assert recorded(service, "1001") == NOTHING | {name: value for name, value in body.items() if value is not None}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("staff_note", "ü" * 501),
        ("staff_note", "a\x00b"),
        ("notify_customer", "no"),
        ("restock", 1),
        ("refund", "10.00"),
        ("reason_code", "FRAUD"),
    ],
)
def test_invalid_statement_names_the_field_and_changes_nothing(service: Service, field: str, value: object) -> None:
    answer = service.post("/admin/orders/1001/cancel", {field: value})
    assert answer.status == 422
    assert [error["field"] for error in answer.json["errors"]] == [field]
    assert service.order("1001")["order_status"] == "in_progress"


def test_staff_note_reaches_the_staff_only(service: Service) -> None:
    service.skip_records()
    service.post("/admin/orders/1001/cancel", {"staff_note": "Geheim", "reason_code": "fraud"})
    assert service.notify(service.records()) == []
    paths = ("/orders/1001", "/orders/1001/comments", "/orders/1001/invoices", "/orders")
    seen = [str(service.get(path).text) for path in paths] + [mail.as_string() for mail in service.mails]
    assert len(service.mails) == 1
    assert not [text for text in seen if "Geheim" in text or "fraud" in text]
    assert "Geheim" in str(service.get("/admin/orders/1001/timeline").text)


def test_customer_is_not_mailed_if_the_staff_say_so(service: Service) -> None:
    service.post("/admin/orders/1001/send-invoice")
    service.skip_records()
    assert service.post("/admin/orders/1001/cancel", {"notify_customer": False}).status == 204
    assert service.notify(service.records()) == []
    assert (service.notices, service.staff_mails) == ([], [])
    # The credit note is issued and archived all the same.
    credit_note = service.documents("1001")[-1]
    assert (credit_note["type"], credit_note["archived"], credit_note["mailings"]) == ("credit_note", True, [])
    assert "orders/1001/INV-2026-00002.pdf" in service.archived()


def test_what_is_stated_costs_no_more(service: Service) -> None:
    with traffic() as exchanges:
        assert service.post("/admin/orders/1002/cancel", STATED, if_match='"1"').status == 204
    [update] = exchanges
    # Moto does not compute capacity: one unit for the order, one for each index.
    assert not DYNAMODB_LOCAL or update.capacity == 3


def test_index_entries_stay_small() -> None:
    """What is stated is in no index, so that it costs no more than the bytes that it adds to the order."""
    [table] = TEMPLATE.of_type("AWS::DynamoDB::Table").values()
    indexes = table["GlobalSecondaryIndexes"]
    assert {index["Projection"]["ProjectionType"] for index in indexes} <= {"INCLUDE", "KEYS_ONLY"}
    projected = [name for index in indexes for name in index["Projection"].get("NonKeyAttributes", [])]
    assert not [name for name in projected if name.startswith("cancel")]


# If-Match -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/orders/1001", "/admin/orders/1001"])
def test_stale_if_match_cancels_nothing(service: Service, path: str) -> None:
    service.patch("/admin/orders/1001", {"paid": 1})
    before = service.order("1001")
    for condition in ('"1"', '"3"', 'W/"2"', '"02"', '"x"', '"1", "3"', '""'):
        service.calls.clear()
        answer = service.post(f"{path}/cancel", {"reason": "x"}, if_match=condition)
        assert (answer.status, answer.headers.get("etag")) == (412, '"2"'), condition
        assert answer.json["type"] == "urn:problem:orders:outdated"
        assert "Read the order again" in answer.json["detail"]
        assert service.calls == {"UpdateItem": 1}
    for condition in ('"2', "2", '"2" "3"', ", ".join(f'"{n}"' for n in range(101))):
        answer = service.post(f"{path}/cancel", if_match=condition)
        assert (answer.status, answer.json["errors"][0]["field"]) == (422, "If-Match"), condition
    assert service.order("1001") == before


@pytest.mark.parametrize("condition", ['"2"', "*", '"1", "2"', ', "2",', ", ".join(f'"{n}"' for n in range(1, 101))])
def test_current_if_match_cancels(service: Service, condition: str) -> None:
    service.patch("/admin/orders/1001", {"paid": 1})
    service.calls.clear()
    assert service.post("/orders/1001/cancel", if_match=condition).status == 204
    assert service.calls == {"UpdateItem": 1}
    assert service.order("1001")["order_status"] == "cancelled"


def test_repeated_cancellation_succeeds_with_the_etag_of_the_first(service: Service) -> None:
    for _ in range(2):
        assert service.post("/orders/1001/cancel", if_match='"1"').status == 204
    assert service.order("1001")["version"] == "2"
    # Also when the first answer was lost.
    repair = break_at("UpdateItem", "after", ReadTimeoutError(endpoint_url="https://dynamodb"))
    assert service.post("/orders/1008/cancel", if_match='"1"').status == 503
    repair()
    assert service.post("/orders/1008/cancel", if_match='"1"').status == 204
    assert service.order("1008")["version"] == "2"


def test_if_match_does_not_tell_other_customers_orders_apart(service: Service) -> None:
    others, none = (service.post(f"/orders/{order_id}/cancel", if_match='"7"') for order_id in ("1002", "9999"))
    assert others.status == none.status == 404
    assert others.headers == none.headers


def test_forbidden_cancellation_is_a_409_whatever_the_version(service: Service) -> None:
    assert service.post("/orders/1003/cancel", if_match='"7"').status == 409


def test_stale_if_match_leaves_an_invoice_valid(service: Service) -> None:
    service.post("/admin/orders/1001/send-invoice")
    service.patch("/admin/orders/1001", {"paid": 1})
    assert service.post("/admin/orders/1001/cancel", if_match='"1"').status == 412
    assert [document["corrected_by"] for document in service.documents("1001")] == [None]
    assert service.post("/admin/orders/1001/cancel", if_match='"2"').status == 204
    assert len(service.documents("1001")) == 2


def test_change_during_the_cancellation_is_a_412(service: Service) -> None:
    service.post("/admin/orders/1001/send-invoice")
    changed: list[int] = []

    def change(**_: object) -> None:
        if not changed:
            changed.append(1)
            changed.append(service.patch("/admin/orders/1001", {"paid": 1}).status)

    # Between reading the invoice and the transaction that withdraws it.
    aws.dynamodb().meta.events.register("before-call.dynamodb.TransactWriteItems", change)
    assert service.post("/admin/orders/1001/cancel", if_match='"1"').status == 412
    aws.dynamodb().meta.events.unregister("before-call.dynamodb.TransactWriteItems", change)
    assert changed == [1, 200]
    assert service.order("1001")["order_status"] == "in_progress"
    assert len(service.documents("1001")) == 1
