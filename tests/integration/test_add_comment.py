"""Comments: each is kept, private ones stay private, and repeating is safe."""

import json
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from harness import BOB, ERP, Service, load
from hypothesis import given
from hypothesis import strategies as st

from add_comment.app import comment_as_customer
from orders import aws
from orders.comment_views import Comment
from orders.identity import Caller, Role
from orders.requests import CommentRequest
from orders.table import get_table


def test_a_customer_comments_in_the_form_of_the_specification(service: Service) -> None:
    answer = service.post("/orders/1001/comments", {"id": 1001, "content": "Où est mon colis ? 📦", "flagged": False})
    assert answer.status == 201
    [comment] = answer.json["comments"]
    assert list(answer.json) == ["comments"]
    assert comment == {
        "id": 1795424400000000,
        "content": "Où est mon colis ? 📦",
        "admin_name": None,
        "is_visible_to_customer": True,
        "is_admin": False,
        "created": "2026-11-23T09:00:00.000000Z",
    }
    [stored] = service.comments("1001")
    assert stored["content"] == "Où est mon colis ? 📦"
    assert stored["author"] == "alice"


@pytest.mark.parametrize(
    ("body", "visible"),
    [
        ({}, True),
        ({"flagged": False}, True),
        ({"flagged": None}, True),
        ({"flagged": True}, False),
        ({"flagged": True, "is_visible_to_customer": None}, False),
        ({"flagged": True, "is_visible_to_customer": True}, True),
        ({"is_visible_to_customer": False}, False),
        ({"flagged": False, "is_visible_to_customer": False}, False),
    ],
)
def test_what_staff_flags_is_internal_unless_they_say_otherwise(service: Service, body: Any, visible: bool) -> None:
    [comment] = service.post("/admin/orders/1001/comments", {"content": "x", **body}).json["comments"]
    assert comment["is_visible_to_customer"] is visible
    assert comment["is_admin"] is True
    assert comment["admin_name"] == "Ada Admin"
    assert service.comments("1001")[0]["is_visible_to_customer"] is visible


def test_what_a_customer_flags_asks_for_attention_and_stays_visible_to_them(service: Service) -> None:
    [comment] = service.post("/orders/1001/comments", {"content": "Hilfe!", "flagged": True}).json["comments"]
    assert comment["is_visible_to_customer"] is True
    assert service.comments("1001")[0]["flagged"] is True


def test_a_customer_cannot_decide_on_visibility(service: Service) -> None:
    answer = service.post("/orders/1001/comments", {"content": "x", "is_visible_to_customer": False})
    assert answer.status == 422
    assert answer.json["errors"] == [{"field": "is_visible_to_customer", "message": "is not a known field"}]
    assert service.comments("1001") == []


@pytest.mark.parametrize("order_id", ["1001", "1003", "1004", "1005", "1007"])
def test_every_state_takes_comments(service: Service, order_id: str) -> None:
    assert service.post(f"/orders/{order_id}/comments", {"content": "x"}).status == 201


def test_also_a_cancelled_one(service: Service) -> None:
    assert service.post("/orders/1006/comments", {"content": "x"}, BOB).status == 201


def test_somebody_elses_order_and_no_order_are_the_same(service: Service) -> None:
    others = service.post("/orders/1002/comments", {"content": "x"})
    none = service.post("/orders/9999/comments", {"content": "x"})
    assert others.status == none.status == 404
    assert others.headers == none.headers
    assert others.json | {"instance": None} == none.json | {"instance": None}
    assert service.comments("1002") == []


def test_no_comment_on_an_order_that_is_not_there(service: Service) -> None:
    assert service.post("/admin/orders/9999/comments", {"content": "x"}).status == 404
    assert service.items("9999") == []


def test_comments_at_the_same_instant_are_all_kept_in_order(service: Service) -> None:
    ids = [service.post("/orders/1001/comments", {"content": str(n)}).json["comments"][0]["id"] for n in range(5)]
    assert ids == sorted(set(ids))
    assert [comment["content"] for comment in service.comments("1001")] == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("order_id", [1001, "1001", None])
def test_the_id_in_the_body_may_be_integer_string_or_null(service: Service, order_id: Any) -> None:
    assert service.post("/orders/1001/comments", {"id": order_id, "content": "x"}).status == 201


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"content": "x", "id": 1002}, "id"),
        ({"content": "x", "id": "01001"}, "id"),
        ({"content": "x", "id": True}, "id"),
        ({"content": "x", "id": 1001.0}, "id"),
        ({"content": "x", "id": [1001]}, "id"),
        ({}, "content"),
        ({"content": None}, "content"),
        ({"content": ""}, "content"),
        ({"content": " \t\n\u2003"}, "content"),
        ({"content": "x" * 4001}, "content"),
        ({"content": 7}, "content"),
        ({"content": {"text": "x"}}, "content"),
        ({"content": "a\x1bb"}, "content"),
        ('{"content": "\\udfff"}', "content"),
        ({"content": "x", "flagged": "true"}, "flagged"),
        ({"content": "x", "flagged": 1}, "flagged"),
        ({"content": "x", "note": "y"}, "note"),
        ('{"content": "x", "\\ud800": 1}', "body"),
        ({"content": "x", "admin_name": "The Boss"}, "admin_name"),
        ("[]", "body"),
        ('[{"content": "x"}]', "body"),
        ('"x"', "body"),
        ("null", "body"),
        ("7", "body"),
        (None, "body"),
    ],
)
def test_a_bad_body_is_refused_by_name_and_stores_nothing(service: Service, body: Any, field: str) -> None:
    for path in ("/orders/1001/comments", "/admin/orders/1001/comments"):
        answer = service.post(path, body)
        assert answer.status == 422
        assert answer.headers["content-type"] == "application/problem+json"
        assert [error["field"] for error in answer.json["errors"]] == [field]
    assert service.comments("1001") == []


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "{'content': 'x'}",
        '{"content": "x"} trailing',
        '{"content": "x", "content": "y"}',
        '{"content": NaN}',
        '{"content": -Infinity}',
        '{"content": 1e99999999999999999999}',
        "\ufeff" + '{"content": "x"}',
        '{"content": ' + "[" * 100_000,
        '{"content": ' + "9" * 5000 + "}",
        "\ud800",
        "<content>x</content>",
    ],
)
def test_what_is_not_json_is_a_400(service: Service, body: str) -> None:
    answer = service.post("/orders/1001/comments", body)
    assert answer.status == 400
    assert answer.json["type"] == "urn:problem:orders:malformed-body"
    assert service.comments("1001") == []


@pytest.mark.parametrize(
    ("body", "status"), [("eyJjb250ZW50IjogIngifQ==", 201), ("/////w==", 400), ("not base64", 400), ("7f8=", 400)]
)
def test_a_body_in_base64_is_read_as_what_it_is(service: Service, body: str, status: int) -> None:
    event = service.event("POST", "/orders/1001/comments", body, {"sub": "alice"})
    assert service.send(event | {"isBase64Encoded": True}).status == status


@pytest.mark.parametrize(
    "media_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml", "json"],
)
def test_what_is_not_declared_as_json_is_a_415(service: Service, media_type: str) -> None:
    assert service.post("/orders/1001/comments", {"content": "x"}, content_type=media_type).status == 415
    assert service.comments("1001") == []


@pytest.mark.parametrize("media_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_json_is_json(service: Service, media_type: str) -> None:
    assert service.post("/orders/1001/comments", {"content": "x"}, content_type=media_type).status == 201


def test_a_body_beyond_any_valid_request_is_a_413(service: Service) -> None:
    assert service.post("/orders/1001/comments", '{"content": "' + "x" * 1024 * 1024 + '"}').status == 413


@pytest.mark.parametrize("order_id", ["a" * 65, "10 01", "1001!", "１００１", "..", "1001%2F"])
def test_an_id_that_no_order_has_is_named(service: Service, order_id: str) -> None:
    answer = service.post(f"/orders/{order_id}/comments", {"content": "x"})
    assert answer.status in (404, 422)
    if answer.status == 422:
        assert answer.json["errors"][0]["field"] == "order_id"


@pytest.mark.parametrize(
    ("path", "claims", "status"),
    [
        ("/orders/1001/comments", {}, 401),
        ("/admin/orders/1001/comments", {}, 401),
        ("/admin/orders/1001/comments", {"sub": "alice"}, 403),
        ("/admin/orders/1001/comments", {"sub": "eve", "cognito:groups": "[not-admins]"}, 403),
        ("/admin/orders/1001/comments", ERP, 201),
    ],
)
def test_who_may(service: Service, path: str, claims: dict[str, str], status: int) -> None:
    answer = service.post(path, {"content": "x"}, claims)
    assert answer.status == status
    # Who may not, learns nothing about what is wrong with the request.
    if status != 201:
        assert service.post(path, {"nonsense": 1}, claims).json == answer.json


def test_the_same_key_adds_once_and_answers_the_same(service: Service) -> None:
    first = service.post("/orders/1001/comments", {"content": "einmal"}, idempotency_key="k-1")
    service.clock.sleep(timedelta(hours=24).total_seconds())
    again = service.post("/orders/1001/comments", '{ "flagged": null, "content": "einmal" }', idempotency_key="k-1")
    assert (again.status, again.json) == (first.status, first.json) == (201, first.json)
    assert len(service.comments("1001")) == 1


def test_only_what_is_added_is_counted(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert service.post("/orders/1001/comments", {"content": "einmal"}, idempotency_key="k").status == 201
    assert service.post("/orders/1001/comments", {"content": "zweimal"}).status == 201
    assert service.post("/orders/1001/comments", {"content": ""}).status == 422
    assert capsys.readouterr().out.count('"CommentsAdded":[1.0]') == len(service.comments("1001")) == 2


def test_the_same_key_with_another_comment_is_refused(service: Service) -> None:
    service.post("/orders/1001/comments", {"content": "one"}, idempotency_key="k-1")
    answer = service.post("/orders/1001/comments", {"content": "two"}, idempotency_key="k-1")
    assert answer.status == 422
    assert answer.json["type"] == "urn:problem:orders:idempotency-key-reused"
    assert len(service.comments("1001")) == 1


def test_a_key_is_the_callers_own_and_the_routes(service: Service) -> None:
    body = {"content": "x"}
    service.post("/orders/1001/comments", body, idempotency_key="k")
    service.post("/admin/orders/1001/comments", body, idempotency_key="k")
    service.post("/admin/orders/1001/comments", body, ERP, idempotency_key="k")
    service.post("/admin/orders/1003/comments", body, idempotency_key="k")
    assert len(service.comments("1001")) == 3
    assert len(service.comments("1003")) == 1


def test_a_key_is_forgotten_in_the_end(service: Service) -> None:
    service.post("/orders/1001/comments", {"content": "one"}, idempotency_key="k")
    service.clock.sleep(timedelta(days=3).total_seconds())
    assert service.post("/orders/1001/comments", {"content": "two"}, idempotency_key="k").status == 201


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_a_key_that_is_none(service: Service, key: str) -> None:
    answer = service.post("/orders/1001/comments", {"content": "x"}, idempotency_key=key)
    assert answer.status == 422
    assert answer.json["errors"][0]["field"] == "idempotency-key"


@pytest.mark.parametrize("key", [{}, {"idempotency_key": "k"}])
def test_a_transaction_that_writes_the_same_item_is_waited_for(service: Service, key: dict[str, str]) -> None:
    """DynamoDB alone reports this; no emulation does."""
    conflicts: dict[str, Any] = {
        "PutItem": {"Error": {"Code": "TransactionConflictException"}},
        "TransactWriteItems": {
            "Error": {"Code": "TransactionCanceledException"},
            "CancellationReasons": [{"Code": "TransactionConflict"}, {"Code": "None"}],
        },
    }
    left = 2

    def conflict(model: Any, **_: object) -> None:
        nonlocal left
        left -= 1
        if left >= 0:
            raise ClientError(conflicts[model.name] | {"ResponseMetadata": {"HTTPStatusCode": 400}}, model.name)

    for operation in conflicts:
        aws.dynamodb().meta.events.register(f"before-call.dynamodb.{operation}", conflict)
    assert service.post("/orders/1001/comments", {"content": "x"}, **key).status == 201
    assert (left, len(service.comments("1001"))) == (-1, 1)


@pytest.mark.parametrize("name", ["add-comment-as-customer", "add-comment-as-admin"])
def test_the_event_files_work(service: Service, name: str) -> None:
    event = load(name)
    answer = service.send(event)
    assert answer.status == 201
    assert answer.json["comments"][0]["content"] == json.loads(event["body"])["content"]


def test_round_trips(service: Service) -> None:
    service.calls.clear()
    service.post("/orders/1001/comments", {"content": "x"})
    assert service.calls == {"GetItem": 1, "PutItem": 1}
    service.calls.clear()
    service.clock.sleep(1)
    service.post("/orders/1001/comments", {"content": "x"}, idempotency_key="k")
    assert service.calls == {"GetItem": 1, "TransactWriteItems": 1}


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=4000).filter(str.strip))
def test_any_text_comes_back_as_it_was(service: Service, text: str) -> None:
    service.begin_anew()
    answer = service.post("/orders/1001/comments", {"content": text})
    assert answer.json["comments"][0]["content"] == text
    assert service.comments("1001")[-1]["content"] == text


def test_the_answer_is_what_customers_may_see(service: Service) -> None:
    request = CommentRequest(content="Please ring twice.")
    answer = comment_as_customer("1001", request, Caller(Role.CUSTOMER, "alice"), get_table())
    # A staff model would rely on serialisation to drop who wrote it.
    assert [type(comment) for comment in answer.comments] == [Comment]
