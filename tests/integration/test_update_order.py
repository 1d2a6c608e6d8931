"""Changing an order: only named fields, only for the expected version, and only as the lifecycle rules allow."""

import base64
import json
import os
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from botocore.exceptions import ClientError
from harness import ALICE, ERP, Answer, Service, html_of, load
from hypothesis import given, settings
from hypothesis import strategies as st

from orders import aws
from orders.cancellation import cancel
from orders.identity import Caller, Role
from orders.requests import OrderPatch
from orders.store import OrderStore
from orders.table import Table

ORDER = "/admin/orders/1001"
SHIPPED = {"shipping_status": "shipped"}
NOTHING = {"shipping_status": "awaiting_shipment"}
"""A patch that leaves 1001 unchanged."""

MERGE_PATCH = "application/merge-patch+json"


def meanwhile(operation: str, act: Callable[[], object], times: int = 1) -> None:
    """Runs a function just before the service's next call of a DynamoDB operation."""

    def run(**_: object) -> None:
        nonlocal times
        times -= 1
        if times <= 0:
            aws.dynamodb().meta.events.unregister(event, run)
        act()

    event = f"before-call.dynamodb.{operation}"
    aws.dynamodb().meta.events.register(event, run)


def another_table(service: Service) -> Table:
    """What another process has."""
    return Table(aws.dynamodb(), os.environ["TABLE_NAME"], now=service.clock, sleep=service.clock.sleep)


def another(service: Service) -> OrderStore:
    return OrderStore(another_table(service))


def changes(service: Service, order_id: str = "1001") -> list[Any]:
    return [
        (entry["by"], [(each["field"], each["before"], each["after"]) for each in entry["changes"]])
        for entry in service.get(f"/admin/orders/{order_id}/timeline?limit=100").json["timeline"]
        if entry["event"] == "changed"
    ]


def test_only_the_named_fields_change(service: Service) -> None:
    before = service.get(ORDER).json
    patch = {"order_status": "paused", "payment_status": "partial", "paid": "12.5", **SHIPPED}
    answer = service.patch(ORDER, patch)
    assert (answer.status, answer.headers["etag"]) == (200, '"2"')
    now = {
        "version": 2,
        "updated": "2026-11-23T09:00:00.000000Z",
        "available_actions": answer.json["available_actions"],
    }
    assert answer.json == before | patch | {"paid": "12.50", "due": "79.76"} | now
    assert service.get(ORDER).json == answer.json
    assert service.get("/admin/orders?customer_id=alice&order_status=paused").json["orders"][0]["paid"] == "12.50"
    assert changes(service) == [
        (
            "ada",
            [
                ("order_status", "in_progress", "paused"),
                ("payment_status", "unpaid", "partial"),
                ("shipping_status", "awaiting_shipment", "shipped"),
                ("paid", "0.00", "12.50"),
            ],
        )
    ]


def test_contact_and_address_are_merged(service: Service) -> None:
    before = service.get(ORDER).json["customer_summary"]
    patch = {"email": "alice@example.org", "phone": None, "city": "Łódź", "state": {"code": None}, "country": None}
    after = service.patch(ORDER, {"customer_summary": patch}).json["customer_summary"]
    state = {"name": "Bayern", "code": None}
    assert after == before | {"email": "alice@example.org", "phone": None, "city": "Łódź", "state": state} | {
        "country": None
    }
    assert service.get("/orders/1001").json["customer_summary"] == after
    # What was taken away can come back.
    again = service.patch(ORDER, {"customer_summary": {"country": {"code": "PL"}}}).json["customer_summary"]
    assert again == after | {"country": {"name": None, "code": "PL"}}
    none = service.patch(ORDER, {"customer_summary": None}).json["customer_summary"]
    assert set(none.values()) == {None}


TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), min_size=1, max_size=20
)


@settings(max_examples=settings().max_examples // 5)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(("first_name", "city", "post_code"), st.none() | TEXT),
            "state": st.none()
            | st.fixed_dictionaries({}, optional=dict.fromkeys(("name", "code"), st.none() | TEXT)).filter(bool),
        },
    )
)
def test_any_contact_patch_is_what_the_next_reader_sees(service: Service, patch: dict[str, Any]) -> None:
    expected = service.get(ORDER).json["customer_summary"]
    for name, value in patch.items():
        expected[name] = (expected[name] or {"name": None, "code": None}) | value if isinstance(value, dict) else value
    assert service.patch(ORDER, {"customer_summary": patch}).status == 200
    assert service.get(ORDER).json["customer_summary"] == expected


def test_change_record_holds_no_personal_data(service: Service) -> None:
    patch = {"email": "secret@example.org", "last_name": "Geheim", "state": {"name": "Geheimland"}}
    service.patch(ORDER, {"customer_summary": patch, "paid": "1"})
    [record] = service.items("1001", "CHANGE#")
    fields = {each["M"]["field"]["S"]: {*each["M"]["before"], *each["M"]["after"]} for each in record["fields"]}
    assert fields == {
        "payment_status": {"S"},
        "paid": {"S"},
        "customer_summary.email": {"NULL"},
        "customer_summary.last_name": {"NULL"},
        "customer_summary.state": {"NULL"},
    }
    for word in ("secret", "geheim", "alice@", "böhm"):
        assert word not in json.dumps(record, ensure_ascii=False).lower()


def test_patch_without_changes_writes_nothing(service: Service) -> None:
    before = service.items("1001")
    same: list[Any] = [{"customer_summary": {}}, {"customer_summary": {"first_name": "Alice"}}, {"paid": "0.0"}]
    for patch in ({}, NOTHING, *same):
        service.calls.clear()
        answer = service.patch(ORDER, patch)
        assert (answer.status, answer.headers["etag"]) == (200, '"1"')
        assert service.calls == {"Query": 1}
    assert service.items("1001") == before


def test_change_takes_two_round_trips(service: Service) -> None:
    patches: list[Any] = [SHIPPED, {"customer_summary": {"city": "Kempten"}}]
    for patch in patches:
        service.calls.clear()
        service.patch(ORDER, patch)
        assert service.calls == {"Query": 1, "TransactWriteItems": 1}


@pytest.mark.parametrize("media_type", [MERGE_PATCH, "Application/Merge-Patch+JSON; charset=utf-8"])
def test_merge_patch_content_type_is_accepted(service: Service, media_type: str) -> None:
    # As API Gateway hands over what is not called application/json.
    body = base64.b64encode('{"customer_summary": {"city": "Łódź"}}'.encode()).decode()
    answer = service.send(service.event("PATCH", ORDER, body, content_type=media_type) | {"isBase64Encoded": True})
    assert (answer.status, answer.json["customer_summary"]["city"]) == (200, "Łódź")
    assert service.patch(ORDER, SHIPPED, content_type=media_type).json["shipping_status"] == "shipped"


def test_other_content_types_are_refused(service: Service) -> None:
    for path in ("/orders/1001/comments", "/admin/orders", "/orders/1001/cancel"):
        assert service.post(path, {"content": "x"}, content_type=MERGE_PATCH).status == 415


def test_other_media_types_and_malformed_json_are_refused(service: Service) -> None:
    assert service.patch(ORDER, SHIPPED, content_type="application/json-patch+json").status == 415
    assert service.patch(ORDER, "{").status == 400
    event = service.event("PATCH", ORDER, "7f8=", content_type=MERGE_PATCH)
    assert service.send(event | {"isBase64Encoded": True}).status == 400


def test_change_is_made_for_the_given_version(service: Service) -> None:
    for version, (condition, in_body) in enumerate(
        (
            (None, None),
            ('"{v}"', None),
            ("*", None),
            ('"7000", "{v}"', None),
            ('\t"{v}" ,W/"9"', None),
            (None, "{v}"),
            ("*", "{v}"),
            ('"{v}"', "{v}"),
            ('"{v}", "7000"', "{v}"),
        ),
        start=1,
    ):
        headers = {} if condition is None else {"if_match": condition.format(v=version)}
        body = {"paid": version} | ({} if in_body is None else {"version": int(in_body.format(v=version))})
        answer = service.patch(ORDER, body, **headers)
        assert (answer.status, answer.headers["etag"]) == (200, f'"{version + 1}"'), condition


def test_change_for_another_version_is_refused(service: Service) -> None:
    before = service.items("1001")
    for condition, version in (
        ('"2"', None),
        ('"11"', None),
        ('W/"1"', None),
        ('W/"1", "2"', None),
        ('"01"', None),
        ('"1.0"', None),
        ('""', None),
        (f'"{"9" * 5000}"', None),
        (None, 2),
        ("*", 2),
        ('"1"', 2),
        ('"1", "2"', 2),
        ('"2"', 1),
        ('W/"1"', 1),
    ):
        headers = {} if condition is None else {"if_match": condition}
        answer = service.patch(ORDER, SHIPPED | ({} if version is None else {"version": version}), **headers)
        assert (answer.status, answer.headers.get("etag")) == (412, '"1"'), condition
    assert service.items("1001") == before


def test_invalid_condition_is_named(service: Service) -> None:
    before = service.items("1001")
    for condition in ("1", "", '"1', '"1" "2"', '*, "1"', 'w/"1"', '"١"', '"1 "'):
        answer = service.patch(ORDER, SHIPPED, if_match=condition)
        assert answer.status == 422, condition
        assert [error["field"] for error in answer.json["errors"]] == ["If-Match"]
    assert service.items("1001") == before


def test_outdated_change_answers_with_the_current_order(service: Service) -> None:
    service.patch(ORDER, {"paid": 5}, ERP)
    for headers, body in (({"if_match": '"1"'}, {}), ({}, {"version": 1})):
        # Also a patch without changes, because it was made for another version.
        for patch in (SHIPPED, NOTHING):
            answer = service.patch(ORDER, patch | body, **headers)
            assert (answer.status, answer.headers["etag"]) == (412, '"2"')
            assert answer.json["type"] == "urn:problem:orders:outdated"
            assert answer.json["current"] == service.get(ORDER).json
    assert service.patch(ORDER, SHIPPED, if_match='"2"').headers["etag"] == '"3"'


@pytest.mark.parametrize(
    ("condition", "status", "made"), [({}, 200, ["erp", "ada"]), ({"if_match": '"1"'}, 412, ["erp"])]
)
def test_concurrent_change_is_not_lost(
    service: Service, condition: dict[str, str], status: int, made: list[str]
) -> None:
    patch = OrderPatch(paid=Decimal(5))
    meanwhile(
        "TransactWriteItems", lambda: another(service).change("1001", Caller(Role.ADMIN, "erp"), patch, versions=None)
    )
    answer = service.patch(ORDER, {"customer_summary": {"city": "Lindau"}}, **condition)
    assert answer.status == status
    after = service.get(ORDER).json
    assert after["paid"] == "5.00"
    assert after["customer_summary"]["city"] == ("Lindau" if status == 200 else "Kempten (Allgäu)")
    assert [by for by, _ in changes(service)] == made


def test_concurrent_cancellation_wins(service: Service) -> None:
    meanwhile(
        "TransactWriteItems", lambda: cancel(another_table(service), "1001", Caller(Role.CUSTOMER, "alice"), None)
    )
    answer = service.patch(ORDER, SHIPPED)
    assert (answer.status, answer.json["order_status"]) == (409, "cancelled")
    assert service.order("1001")["shipping_status"] == "awaiting_shipment"


def test_permanent_contention_asks_the_caller_to_retry(service: Service) -> None:
    def count_up() -> None:
        aws.dynamodb().update_item(
            TableName="OrdersTable",
            Key={"pk": {"S": "ORDER#1001"}, "sk": {"S": "ORDER"}},
            UpdateExpression="SET version = version + :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )

    meanwhile("TransactWriteItems", count_up, times=100)
    answer = service.patch(ORDER, SHIPPED)
    assert (answer.status, answer.json["type"]) == (409, "urn:problem:orders:still-running")
    assert int(answer.headers["retry-after"]) > 0
    assert service.order("1001")["shipping_status"] == "awaiting_shipment"


def test_transaction_conflict_is_retried(service: Service) -> None:
    reasons: Any = {"CancellationReasons": [{"Code": "TransactionConflict"}, {"Code": "None"}]}
    conflict: Any = {"Error": {"Code": "TransactionCanceledException"}, "ResponseMetadata": {"HTTPStatusCode": 400}}

    def collide() -> None:
        raise ClientError(conflict | reasons, "TransactWriteItems")

    meanwhile("TransactWriteItems", collide, times=2)
    assert service.patch(ORDER, SHIPPED, if_match='"1"').status == 200


def test_invalid_input_is_reported_by_field_and_changes_nothing(service: Service) -> None:
    before = service.items("1001")
    for body, field in (
        ({"order_status": None}, "order_status"),
        ({"order_status": "open"}, "order_status"),
        ({"payment_status": None}, "payment_status"),
        ({"shipping_status": ["shipped"]}, "shipping_status"),
        ({"paid": None}, "paid"),
        ({"paid": -1}, "paid"),
        ({"paid": "1.00001"}, "paid"),
        ({"paid": "NaN"}, "paid"),
        ({"paid": True}, "paid"),
        ({"version": 0}, "version"),
        ({"version": "1"}, "version"),
        ({"customer_summary": []}, "customer_summary"),
        ({"customer_summary": {"email": "a@b.example, c@d.example"}}, "customer_summary.email"),
        ({"customer_summary": {"city": "a\nb"}}, "customer_summary.city"),
        ({"customer_summary": {"city": {"name": None}}}, "customer_summary.city"),
        ({"customer_summary": {"state": "BY"}}, "customer_summary.state"),
        ({"customer_summary": {"country": {"code": "Norway"}}}, "customer_summary.country.code"),
        ({"customer_summary": {"vat": "1"}}, "customer_summary.vat"),
        ({"customer_id": "bob"}, "customer_id"),
        ({"grand_total": "1"}, "grand_total"),
        ({"due": "0"}, "due"),
        ({"cancelled_by": "me"}, "cancelled_by"),
        ({"bounced": None}, "bounced"),
        ("[]", "body"),
        ("null", "body"),
        (None, "body"),
    ):
        answer = service.patch(ORDER, body)
        assert answer.status == 422, body
        assert [error["field"] for error in answer.json["errors"]] == [field]
    assert service.items("1001") == before


def test_forbidden_status_change_is_a_conflict(service: Service) -> None:
    before = service.items("1003")
    states = {"order_status": "in_progress", "shipping_status": "shipped", "payment_status": "paid"}
    for patch in (
        NOTHING,
        {"order_status": "draft"},
        {"order_status": "cancelled"},
        # One forbidden step refuses the whole change.
        {"shipping_status": "delivered", "order_status": "reopened", "customer_summary": {"city": "Lindau"}},
    ):
        answer = service.patch("/admin/orders/1003", patch)
        assert (answer.status, answer.json["type"]) == (409, "urn:problem:orders:state-conflict")
        assert states.items() <= answer.json.items()
    assert service.items("1003") == before


@pytest.fixture
def cancelled(service: Service) -> Service:
    """The service, after cancelling 1004, of whose 260.99 120.00 had been paid."""
    assert service.post("/admin/orders/1004/cancel").status == 204
    return service


def test_cancelled_order_refuses_shipment_and_a_new_status(cancelled: Service) -> None:
    before = cancelled.items("1004")
    for patch in (
        {"shipping_status": "shipped"},
        {"shipping_status": "delivered"},
        {"order_status": "in_progress"},
        {"order_status": "reopened"},
        {"customer_summary": {"city": "Lindau"}, "shipping_status": "shipped"},
    ):
        answer = cancelled.patch("/admin/orders/1004", patch)
        assert (answer.status, answer.json["order_status"]) == (409, "cancelled"), patch
    assert cancelled.items("1004") == before
    assert cancelled.post("/admin/orders/1001/cancel").status == 204
    # Money that was never paid cannot be refunded.
    assert cancelled.patch(ORDER, {"payment_status": "refunded"}).status == 422


def test_cancelled_order_accepts_contact_changes_payments_and_refunds(cancelled: Service) -> None:
    for version, (patch, payment) in enumerate(
        (
            ({"customer_summary": {"email": "alice@example.org"}}, ("partial", "120.00", "0.00", "120.00")),
            ({"paid": "260.99"}, ("paid", "260.99", "0.00", "260.99")),
            ({"refunded": "0.99"}, ("partially_refunded", "260.99", "0.99", "260.00")),
            ({"payment_status": "refunded"}, ("refunded", "260.99", "260.99", "0.00")),
            (
                {"order_status": "cancelled", "shipping_status": "partial", "customer_summary": {"city": "Lindau"}},
                ("refunded", "260.99", "260.99", "0.00"),
            ),
        ),
        start=3,
    ):
        answer = cancelled.patch("/admin/orders/1004", patch)
        assert (answer.status, answer.json["version"]) == (200, version), patch
        assert tuple(answer.json[name] for name in ("payment_status", "paid", "refunded", "refund_due")) == payment
    assert answer.json["order_status"] == "cancelled"


def test_order_can_be_changed_while_its_invoice_is_mailed(service: Service) -> None:
    answers: list[Answer] = []
    aws.ses().meta.events.register(
        "before-call.sesv2.SendEmail", lambda **_: answers.append(service.patch("/admin/orders/1002", {"paid": "100"}))
    )
    assert service.post("/admin/orders/1002/send-invoice").status == 200
    assert [(answer.status, answer.json["version"]) for answer in answers] == [(200, 2)]
    assert service.get("/admin/orders/1002").json["paid"] == "100.00"
    # The record shows what was mailed.
    [invoice] = service.documents("1002")
    [mailing] = invoice["mailings"]
    assert (mailing["state"], mailing["paid"], mailing["due"]) == ("sent", "0.00", "199.11")
    assert service.post("/admin/orders/1002/cancel").status == 204


def test_invoice_shows_the_changed_order(service: Service) -> None:
    service.post("/admin/orders/1002/send-invoice")
    service.report("Bounce", "1002", 1, bounceType="Permanent")
    assert service.post("/admin/orders/1002/send-invoice", {"notes": "again"}).status == 409
    service.patch("/admin/orders/1002", {"paid": "99.11", "customer_summary": {"email": "bob@example.org"}})
    assert service.post("/admin/orders/1002/send-invoice", {"notes": "again"}).status == 200
    assert service.mails[-1]["To"] == "bob@example.org"
    # The mail asks for what is due now; the document stays as it was issued.
    [invoice] = service.documents("1002")
    assert (invoice["due"], [mailing["due"] for mailing in invoice["mailings"]]) == ("199.11", ["199.11", "100.00"])
    assert "100.00" in html_of(service.mails[-1])
    first, second = (next(mail.iter_attachments()).get_content() for mail in service.mails)
    assert first == second


def test_shipped_order_cannot_be_cancelled(service: Service) -> None:
    service.patch(ORDER, SHIPPED)
    assert service.post("/orders/1001/cancel").status == service.post(f"{ORDER}/cancel").status == 409


def test_texts_larger_than_a_dynamodb_item_are_refused(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    # As if the order had hundreds of lines.
    monkeypatch.setattr("orders.store.LARGEST_ORDER", 3000)
    names = ("first_name", "last_name", "phone", "company_name", "address_line_1", "address_line_2", "city")
    for length, status in ((1, 200), (200, 413)):
        assert service.patch(ORDER, {"customer_summary": dict.fromkeys(names, "🧀" * length)}).status == status
    assert service.get(ORDER).json["customer_summary"]["city"] == "🧀"


def test_only_admins_change_orders(service: Service) -> None:
    assert service.patch(ORDER, SHIPPED, ALICE).status == 403
    assert service.patch(ORDER, SHIPPED, {}).status == 401
    assert service.patch("/admin/orders/9999", SHIPPED).status == 404
    assert service.items("9999") == []
    assert service.patch(ORDER, SHIPPED, ERP).status == 200
    assert changes(service)[0][0] == "erp"


def test_event_file_works(service: Service) -> None:
    answer = service.send(load("update-order-as-admin"))
    assert (answer.status, answer.json["shipping_status"]) == (200, "shipped")


def test_unknown_parameter_is_named(service: Service) -> None:
    answer = service.patch(f"{ORDER}?dry_run=true", SHIPPED)
    assert [error["field"] for error in answer.json["errors"]] == ["dry_run"]
    assert service.order("1001")["shipping_status"] == "awaiting_shipment"
