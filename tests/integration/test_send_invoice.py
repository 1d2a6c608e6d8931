"""Sending an invoice: the recipient, at most one mail per request, and when sending is refused."""

import json
from typing import Any

import pytest
from harness import ADA, ALICE, ERP, ROOT, Service, html_of, load

from orders import aws
from orders.models import Order
from orders.store import OrderStore
from orders.table import get_table

SPEC_BODY = {
    "order_id": "1002",
    "payment_settings": {"payment_method_options": None},
    "payment_status": "unpaid",
    "notes": "Bitte bis zum 7. überweisen <b>jetzt</b>",
}


def test_documented_body_sends_one_mail_to_the_orders_address(service: Service) -> None:
    answer = service.post("/admin/orders/1002/send-invoice", SPEC_BODY)
    assert (answer.status, answer.json) == (200, {"status": "success"})
    assert answer.headers["location"] == "/admin/orders/1002/invoices/INV-2026-00001"
    [mail] = service.mails
    assert mail["To"] == "bob@example.com"
    assert mail["Cc"] is mail["Bcc"] is None
    html = html_of(mail)
    assert "Bitte bis zum 7. überweisen &lt;b&gt;jetzt&lt;/b&gt;" in html
    assert "INV-2026-00001" in mail["Subject"]
    assert mail["X-SES-MESSAGE-TAGS"] == "order_id=1002, invoice=INV-2026-00001, mailing=1"


def test_mail_tags_identify_the_longest_order_id(service: Service) -> None:
    order_id = "x" * 64
    sample = Order.model_validate_json((ROOT / "tests" / "order.json").read_bytes())
    OrderStore(get_table()).create(sample.model_copy(update={"order_id": order_id}))
    assert service.post(f"/admin/orders/{order_id}/send-invoice").status == 200
    assert service.mails[0]["X-SES-MESSAGE-TAGS"] == f"order_id={order_id}, invoice=INV-2026-00001, mailing=1"


def test_ledger_records_what_was_sent_and_by_whom(service: Service) -> None:
    service.post("/admin/orders/1002/send-invoice", SPEC_BODY)
    [invoice] = service.invoices("1002")
    assert invoice["outcome"] == "sent"
    assert invoice["message_id"]
    assert invoice["recipient"] == "bob@example.com"
    assert invoice["requested_by"] == "ada"
    assert invoice["started"] == invoice["ended"] == "2026-11-23T09:00:00.000000Z"
    assert invoice["notes"] == SPEC_BODY["notes"]
    order = service.order("1002")
    assert order["invoice_count"] == "1"
    assert "mailing" not in order


def test_sending_does_not_change_the_orders_amounts(service: Service) -> None:
    before = service.order("1002")
    service.post("/admin/orders/1002/send-invoice", {"payment_status": "PENDING"})
    after = service.order("1002")
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {"invoice_count", "mailing_until", "invoice", "archived", "may_have_left"}


@pytest.mark.parametrize("body", [None, "", "{}", '{"payment_settings": null, "payment_status": null, "notes": null}'])
def test_body_is_optional(service: Service, body: str | None) -> None:
    assert service.post("/admin/orders/1001/send-invoice", body).json == {"status": "success"}


@pytest.mark.parametrize(
    "body",
    [
        {"order_id": 1001},
        {"order_id": "1001"},
        {"payment_settings": {}},
        {"payment_settings": {"payment_method_options": []}},
        {"payment_settings": {"payment_method_options": "Überweisung"}},
        {"payment_settings": {"payment_method_options": [f"Weg {n}" for n in range(20)]}},
        {"payment_status": "UnPaid"},
        {"payment_status": "pending"},
        {"notes": "ü" * 2000},
        {"notes": ""},
    ],
)
def test_valid_bodies_are_accepted(service: Service, body: Any) -> None:
    assert service.post("/admin/orders/1001/send-invoice", body).status == 200
    html = html_of(service.mails[0])
    for option in ["Überweisung", "Weg 0", "Weg 19"]:
        assert (option in html) == (option in json.dumps(body, ensure_ascii=False))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"order_id": 1002}, "order_id"),
        ({"order_id": False}, "order_id"),
        ({"payment_status": "owing"}, "payment_status"),
        ({"payment_status": 1}, "payment_status"),
        ({"payment_settings": "card"}, "payment_settings"),
        ({"payment_settings": {"payment_method_options": ["x"] * 21}}, "payment_settings.payment_method_options"),
        ({"payment_settings": {"payment_method_options": ["x", 2]}}, "payment_settings.payment_method_options.1"),
        ({"payment_settings": {"payment_method_options": ["a\nb"]}}, "payment_settings.payment_method_options.0"),
        ({"payment_settings": {"payment_method_option": "x"}}, "payment_settings.payment_method_option"),
        ({"notes": "x" * 2001}, "notes"),
        ({"notes": ["x"]}, "notes"),
        ({"note": "typo"}, "note"),
        ({"email": "eve@example.com"}, "email"),
    ],
)
def test_invalid_body_names_the_field_and_mails_nothing(service: Service, body: Any, field: str) -> None:
    answer = service.post("/admin/orders/1001/send-invoice", body)
    assert answer.status == 422
    assert [error["field"] for error in answer.json["errors"]] == [field]
    assert not service.mails
    assert not service.invoices("1001")


@pytest.mark.parametrize(
    ("order_id", "status", "words"),
    [("1006", 409, "cancelled"), ("1007", 409, "no e-mail address"), ("9999", 404, "no order")],
)
def test_sending_is_refused_for_some_orders(service: Service, order_id: str, status: int, words: str) -> None:
    answer = service.post(f"/admin/orders/{order_id}/send-invoice")
    assert answer.status == status
    assert words in answer.json["detail"]
    assert not service.mails
    assert not service.invoices(order_id)


@pytest.mark.parametrize(("claims", "status"), [({}, 401), (ALICE, 403), (ADA, 200), (ERP, 200)])
def test_only_permitted_callers_may_send(service: Service, claims: dict[str, str], status: int) -> None:
    assert service.post("/admin/orders/1001/send-invoice", claims=claims).status == status
    assert len(service.mails) == (status == 200)


def test_double_click_mails_once_and_succeeds_twice(service: Service) -> None:
    first = service.post("/admin/orders/1002/send-invoice", SPEC_BODY)
    service.clock.sleep(29)
    second = service.post("/admin/orders/1002/send-invoice", SPEC_BODY)
    assert (first.status, first.json, first.headers) == (second.status, second.json, second.headers)
    assert len(service.mails) == 1
    # Later, or with another body, it is a new request.
    service.post("/admin/orders/1002/send-invoice", SPEC_BODY | {"notes": "Mahnung"})
    service.clock.sleep(2)
    third = service.post("/admin/orders/1002/send-invoice", SPEC_BODY)
    assert third.headers["location"] == first.headers["location"]
    assert len(service.mails) == 3


def test_requests_of_two_admins_are_separate(service: Service) -> None:
    service.post("/admin/orders/1002/send-invoice", SPEC_BODY)
    service.post("/admin/orders/1002/send-invoice", SPEC_BODY, ERP)
    assert [mail["Subject"].split(" ")[1] for mail in service.mails] == ["INV-2026-00001", "INV-2026-00001"]


def test_repeated_key_mails_once_within_a_day(service: Service) -> None:
    first = service.post("/admin/orders/1002/send-invoice", SPEC_BODY, idempotency_key="k")
    service.clock.sleep(24 * 3600)
    again = service.post("/admin/orders/1002/send-invoice", SPEC_BODY, idempotency_key="k")
    assert (first.status, first.json, first.headers) == (again.status, again.json, again.headers)
    other = service.post("/admin/orders/1002/send-invoice", {"notes": "other"}, idempotency_key="k")
    assert other.status == 422
    assert other.json["type"] == "urn:problem:orders:idempotency-key-reused"
    assert len(service.mails) == 1


def test_cancelled_order_refuses_sending_at_once(service: Service) -> None:
    service.post("/admin/orders/1001/send-invoice", SPEC_BODY | {"order_id": 1001}, idempotency_key="k")
    service.post("/admin/orders/1001/send-invoice")
    service.post("/orders/1001/cancel")
    assert service.post("/admin/orders/1001/send-invoice").status == 409
    # Repeating a key asks for the outcome of its request, which was sent before.
    repeated = service.post("/admin/orders/1001/send-invoice", SPEC_BODY | {"order_id": 1001}, idempotency_key="k")
    assert repeated.status == 200
    assert len(service.mails) == 2


def test_stale_if_match_mails_nothing(service: Service) -> None:
    service.patch("/admin/orders/1002", {"order_status": "paused"})
    for condition in ('"1"', '"3"', 'W/"2"'):
        answer = service.post("/admin/orders/1002/send-invoice", SPEC_BODY, if_match=condition)
        assert (answer.status, answer.headers.get("etag")) == (412, '"2"'), condition
        assert answer.json["type"] == "urn:problem:orders:outdated"
    assert service.post("/admin/orders/1002/send-invoice", if_match="2").status == 422
    assert (service.mails, service.documents("1002")) == ([], [])
    service.calls.clear()
    assert service.post("/admin/orders/1002/send-invoice", SPEC_BODY, if_match='"2"').status == 200
    assert service.calls == {"BatchGetItem": 1, "TransactWriteItems": 2, "PutObject": 2, "SendEmail": 1}
    # What was sent already is answered as before, although the order changed since.
    service.patch("/admin/orders/1002", {"order_status": "in_progress"})
    assert service.post("/admin/orders/1002/send-invoice", SPEC_BODY, if_match='"2"').status == 200
    assert len(service.mails) == 1
    assert service.post("/admin/orders/1002/send-invoice", {"notes": "x"}, if_match='"2"').status == 412
    # A state that forbids it is a conflict, whatever the version.
    assert service.post("/admin/orders/1006/send-invoice", if_match='"7"').status == 409


@pytest.mark.parametrize(("condition", "status"), [('"2"', 200), ('"1"', 412)])
def test_if_match_is_compared_with_the_latest_version(service: Service, condition: str, status: int) -> None:
    """The first read of an order may be slightly old: neither the old version nor the new one is mistaken."""
    key = {"pk": {"S": "ORDER#1002"}, "sk": {"S": "ORDER"}}
    old = aws.dynamodb().get_item(TableName="OrdersTable", Key=key)["Item"]
    service.patch("/admin/orders/1002", {"paid": 1})
    answers: list[Any] = []

    def answer_slightly_old(parsed: Any, **_: object) -> None:
        items = parsed["Responses"]["OrdersTable"]
        if not answers:
            items[:] = [old if item["sk"] == key["sk"] else item for item in items]
        answers.append(items)

    aws.dynamodb().meta.events.register("after-call.dynamodb.BatchGetItem", answer_slightly_old)
    assert service.post("/admin/orders/1002/send-invoice", if_match=condition).status == status
    assert (len(answers), len(service.mails)) == (2, status == 200)


def test_event_file_works(service: Service) -> None:
    assert service.send(load("send-invoice-as-admin")).status == 200


def test_sending_takes_three_round_trips_and_one_mail(service: Service) -> None:
    service.calls.clear()
    service.post("/admin/orders/1008/send-invoice")
    assert service.calls == {"BatchGetItem": 1, "TransactWriteItems": 2, "PutObject": 1, "SendEmail": 1}
    service.calls.clear()
    service.post("/admin/orders/1008/send-invoice")
    assert service.calls == {"BatchGetItem": 1, "GetItem": 1}
