"""Adding comments: every comment is kept, internal ones stay internal, and requests can be repeated safely."""

import json
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from harness import ADA, ALICE, BOB, ERP, Service, load
from hypothesis import given
from hypothesis import strategies as st

from add_comment.app import comment_as_customer
from orders import aws
from orders.comment_views import Comment
from orders.identity import Caller, Role
from orders.requests import CommentRequest
from orders.table import get_table


def test_customer_comment_has_the_documented_form(service: Service) -> None:
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
def test_flagged_admin_comment_is_internal_by_default(service: Service, body: Any, visible: bool) -> None:
    [comment] = service.post("/admin/orders/1001/comments", {"content": "x", **body}).json["comments"]
    assert comment["is_visible_to_customer"] is visible
    assert comment["is_admin"] is True
    assert comment["admin_name"] == "Ada Admin"
    assert service.comments("1001")[0]["is_visible_to_customer"] is visible


def test_flagged_customer_comment_stays_visible_to_its_author(service: Service) -> None:
    [comment] = service.post("/orders/1001/comments", {"content": "Hilfe!", "flagged": True}).json["comments"]
    assert comment["is_visible_to_customer"] is True
    assert service.comments("1001")[0]["flagged"] is True


def test_customer_cannot_set_visibility(service: Service) -> None:
    answer = service.post("/orders/1001/comments", {"content": "x", "is_visible_to_customer": False})
    assert answer.status == 422
    assert answer.json["errors"] == [{"field": "is_visible_to_customer", "message": "is not a known field"}]
    assert service.comments("1001") == []


@pytest.mark.parametrize("order_id", ["1001", "1003", "1004", "1005", "1007"])
def test_comments_are_accepted_in_every_order_state(service: Service, order_id: str) -> None:
    assert service.post(f"/orders/{order_id}/comments", {"content": "x"}).status == 201


def test_cancelled_order_accepts_comments(service: Service) -> None:
    assert service.post("/orders/1006/comments", {"content": "x"}, BOB).status == 201


def test_other_customers_order_answers_like_a_missing_order(service: Service) -> None:
    others = service.post("/orders/1002/comments", {"content": "x"})
    none = service.post("/orders/9999/comments", {"content": "x"})
    assert others.status == none.status == 404
    assert others.headers == none.headers
    assert others.json | {"instance": None} == none.json | {"instance": None}
    assert service.comments("1002") == []


def test_comment_on_missing_order_is_not_stored(service: Service) -> None:
    assert service.post("/admin/orders/9999/comments", {"content": "x"}).status == 404
    assert service.items("9999") == []


def test_comments_of_the_same_instant_are_all_kept_in_order(service: Service) -> None:
    ids = [service.post("/orders/1001/comments", {"content": str(n)}).json["comments"][0]["id"] for n in range(5)]
    assert ids == sorted(set(ids))
    assert [comment["content"] for comment in service.comments("1001")] == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("order_id", [1001, "1001", None])
def test_id_in_body_may_be_integer_string_or_null(service: Service, order_id: Any) -> None:
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
def test_invalid_body_names_the_field_and_stores_nothing(service: Service, body: Any, field: str) -> None:
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
        "\ufeff\ufeff" + '{"content": "x"}',
        '{"content": ' + "[" * 100_000,
        '{"content": ' + "9" * 5000 + "}",
        "\ud800",
        "<content>x</content>",
    ],
)
def test_malformed_json_is_a_400(service: Service, body: str) -> None:
    answer = service.post("/orders/1001/comments", body)
    assert answer.status == 400
    assert answer.json["type"] == "urn:problem:orders:malformed-body"
    assert service.comments("1001") == []


@pytest.mark.parametrize(
    ("body", "status"), [("eyJjb250ZW50IjogIngifQ==", 201), ("/////w==", 400), ("not base64", 400), ("7f8=", 400)]
)
def test_base64_body_is_decoded(service: Service, body: str, status: int) -> None:
    event = service.event("POST", "/orders/1001/comments", body, {"sub": "alice"})
    assert service.send(event | {"isBase64Encoded": True}).status == status


@pytest.mark.parametrize(
    "media_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml", "json"],
)
def test_other_content_type_is_a_415(service: Service, media_type: str) -> None:
    assert service.post("/orders/1001/comments", {"content": "x"}, content_type=media_type).status == 415
    assert service.comments("1001") == []


@pytest.mark.parametrize("media_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_json_content_type_variants_are_accepted(service: Service, media_type: str) -> None:
    assert service.post("/orders/1001/comments", {"content": "x"}, content_type=media_type).status == 201


def test_oversized_body_is_a_413(service: Service) -> None:
    assert service.post("/orders/1001/comments", '{"content": "' + "x" * 1024 * 1024 + '"}').status == 413


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
def test_only_permitted_callers_may_comment(service: Service, path: str, claims: dict[str, str], status: int) -> None:
    answer = service.post(path, {"content": "x"}, claims)
    assert answer.status == status
    # A caller without permission learns nothing about errors in the request.
    if status != 201:
        assert service.post(path, {"nonsense": 1}, claims).json == answer.json


def test_repeated_key_adds_one_comment_and_repeats_the_answer(service: Service) -> None:
    first = service.post("/orders/1001/comments", {"content": "einmal"}, idempotency_key="k-1")
    service.clock.sleep(timedelta(hours=24).total_seconds())
    again = service.post("/orders/1001/comments", '{ "flagged": null, "content": "einmal" }', idempotency_key="k-1")
    assert (again.status, again.json) == (first.status, first.json) == (201, first.json)
    assert len(service.comments("1001")) == 1


def test_only_new_comments_are_counted(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert service.post("/orders/1001/comments", {"content": "einmal"}, idempotency_key="k").status == 201
    assert service.post("/orders/1001/comments", {"content": "zweimal"}).status == 201
    assert service.post("/orders/1001/comments", {"content": ""}).status == 422
    assert capsys.readouterr().out.count('"CommentsAdded":[1.0]') == len(service.comments("1001")) == 2


def test_double_click_adds_one_comment_and_repeats_the_answer(service: Service) -> None:
    first = service.post("/orders/1001/comments", {"content": "Où est mon colis ?", "flagged": True})
    service.clock.sleep(10)
    # A reply in between changes nothing.
    assert service.post("/admin/orders/1001/comments", {"content": "Bald."}).status == 201
    service.clock.sleep(18)
    again = service.post("/orders/1001/comments", '{"flagged": true,  "content": "Où est mon colis ?"}')
    assert (again.status, again.json) == (first.status, first.json) == (201, first.json)
    assert len(service.comments("1001")) == 2
    service.clock.sleep(3)
    later = service.post("/orders/1001/comments", {"content": "Où est mon colis ?", "flagged": True})
    assert later.json["comments"][0]["id"] > first.json["comments"][0]["id"]
    assert len(service.comments("1001")) == 3


def test_only_the_same_request_is_a_double_click(service: Service) -> None:
    body = {"content": "x"}
    for path, request, claims in (
        ("/orders/1001/comments", body, ALICE),
        ("/admin/orders/1001/comments", body, ADA),
        ("/admin/orders/1001/comments", body, ERP),
        ("/admin/orders/1003/comments", body, ADA),
        ("/orders/1003/comments", body, ALICE),
        ("/orders/1001/comments", {"content": "X"}, ALICE),
        ("/orders/1001/comments", {"content": "x", "flagged": True}, ALICE),
        ("/admin/orders/1001/comments", {"content": "x", "is_visible_to_customer": False}, ADA),
    ):
        before = len(service.comments(path.split("/orders/")[1][:4]))
        assert service.post(path, request, claims).status == 201
        assert len(service.comments(path.split("/orders/")[1][:4])) == before + 1, path


def test_reused_key_with_another_comment_is_refused(service: Service) -> None:
    service.post("/orders/1001/comments", {"content": "one"}, idempotency_key="k-1")
    answer = service.post("/orders/1001/comments", {"content": "two"}, idempotency_key="k-1")
    assert answer.status == 422
    assert answer.json["type"] == "urn:problem:orders:idempotency-key-reused"
    assert len(service.comments("1001")) == 1


def test_keys_are_separate_for_each_caller_and_route(service: Service) -> None:
    body = {"content": "x"}
    service.post("/orders/1001/comments", body, idempotency_key="k")
    service.post("/admin/orders/1001/comments", body, idempotency_key="k")
    service.post("/admin/orders/1001/comments", body, ERP, idempotency_key="k")
    service.post("/admin/orders/1003/comments", body, idempotency_key="k")
    assert len(service.comments("1001")) == 3
    assert len(service.comments("1003")) == 1


def test_key_expires(service: Service) -> None:
    service.post("/orders/1001/comments", {"content": "one"}, idempotency_key="k")
    service.clock.sleep(timedelta(days=3).total_seconds())
    assert service.post("/orders/1001/comments", {"content": "two"}, idempotency_key="k").status == 201


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_invalid_key_is_refused(service: Service, key: str) -> None:
    answer = service.post("/orders/1001/comments", {"content": "x"}, idempotency_key=key)
    assert answer.status == 422
    assert answer.json["errors"][0]["field"] == "idempotency-key"


@pytest.mark.parametrize("key", [{}, {"idempotency_key": "k"}])
def test_transaction_conflict_is_retried(service: Service, key: dict[str, str]) -> None:
    """Only DynamoDB itself reports conflicts; no emulation does."""
    answer: Any = {
        "Error": {"Code": "TransactionCanceledException"},
        "CancellationReasons": [{"Code": "TransactionConflict"}, {"Code": "None"}],
        "ResponseMetadata": {"HTTPStatusCode": 400},
    }
    left = 2

    def conflict(model: Any, **_: object) -> None:
        nonlocal left
        left -= 1
        if left >= 0:
            raise ClientError(answer, model.name)

    aws.dynamodb().meta.events.register("before-call.dynamodb.TransactWriteItems", conflict)
    assert service.post("/orders/1001/comments", {"content": "x"}, **key).status == 201
    assert (left, len(service.comments("1001"))) == (-1, 1)


@pytest.mark.parametrize("name", ["add-comment-as-customer", "add-comment-as-admin"])
def test_event_files_work(service: Service, name: str) -> None:
    event = load(name)
    answer = service.send(event)
    assert answer.status == 201
    assert answer.json["comments"][0]["content"] == json.loads(event["body"])["content"]


def test_round_trips(service: Service) -> None:
    service.calls.clear()
    service.post("/orders/1001/comments", {"content": "x"})
    assert service.calls == {"GetItem": 1, "TransactWriteItems": 1}
    service.calls.clear()
    service.clock.sleep(1)
    service.post("/orders/1001/comments", {"content": "x"}, idempotency_key="k")
    assert service.calls == {"GetItem": 1, "TransactWriteItems": 1}
    service.calls.clear()
    # A double click reads the comment that it repeats.
    service.post("/orders/1001/comments", {"content": "x"})
    assert service.calls == {"GetItem": 2, "TransactWriteItems": 1}


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=3999))
def test_any_text_is_returned_unchanged(service: Service, text: str) -> None:
    # With a letter, because text of which nothing can be seen, such as a soft hyphen, is blank.
    text += "x"
    service.reset()
    answer = service.post("/orders/1001/comments", {"content": text})
    assert answer.json["comments"][0]["content"] == text
    assert service.comments("1001")[-1]["content"] == text


def test_answer_contains_only_what_customers_may_see(service: Service) -> None:
    request = CommentRequest(content="Please ring twice.")
    answer = comment_as_customer("1001", request, Caller(Role.CUSTOMER, "alice"), get_table())
    # With the admin model, only serialisation would remove the author's name.
    assert [type(comment) for comment in answer.comments] == [Comment]
