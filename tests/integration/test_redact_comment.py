"""Redacting comments: the content is gone, the customer no longer sees the comment, and the staff sees a trace."""

import json
from typing import Any

import pytest
from harness import ADA, ALICE, BOB, ERP, Service, load
from lists import flatten, pages

OWN, ALL = "/orders/1001/comments", "/admin/orders/1001/comments"
TYPO = "Karte 4111 1111 1111 1111 – 你好"


def add(service: Service, path: str = OWN, content: str = TYPO, **more: Any) -> int:
    """Adds a comment and returns its id."""
    [comment] = service.post(path, {"content": content, **more}).json["comments"]
    return int(comment["id"])


def redact(service: Service, comment_id: object, claims: Any = None) -> int:
    return service.post(f"{ALL}/{comment_id}/redact", None, claims).status


@pytest.mark.parametrize(
    ("path", "more"),
    [(OWN, {}), (OWN, {"flagged": True}), (ALL, {}), (ALL, {"flagged": True})],
    ids=["customer's", "customer's, flagged", "staff's", "internal"],
)
def test_content_is_gone_and_the_staff_sees_who_removed_it_and_when(
    service: Service, path: str, more: dict[str, Any]
) -> None:
    comment_id = add(service, path, **more)
    [before] = service.get(ALL).json["comments"]
    service.clock.sleep(90)
    assert redact(service, comment_id, ERP) == 204
    # No item of the order has it, and none has its author's words in another form.
    assert "4111" not in json.dumps(service.items("1001"), default=str)
    assert service.get(ALL).json["comments"] == [
        before | {"content": "", "redacted_at": "2026-11-23T09:01:30.000000Z", "redacted_by": "erp"}
    ]
    assert service.get(OWN).json == {"comments": [], "next_cursor": None}


def test_redacting_again_changes_nothing(service: Service) -> None:
    comment_id = add(service)
    assert redact(service, comment_id) == 204
    before = service.items("1001")
    service.clock.sleep(60)
    assert [redact(service, comment_id, claims) for claims in (ADA, ERP)] == [204, 204]
    assert service.items("1001") == before


def test_only_new_redactions_are_counted(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    comment_id = add(service)
    for _ in range(2):
        redact(service, comment_id)
    assert capsys.readouterr().out.count('"CommentsRedacted":[1.0]') == 1


def test_timeline_shows_the_redaction(service: Service) -> None:
    comment_id = add(service)
    service.clock.sleep(60)
    add(service, ALL, "Danke.")
    service.clock.sleep(60)
    redact(service, comment_id)
    whole = service.get("/admin/orders/1001/timeline").json["timeline"]
    assert [entry["event"] for entry in whole] == ["created", "commented", "commented", "comment_redacted"]
    assert [entry["comment"] and entry["comment"]["content"] for entry in whole] == [None, "", "Danke.", None]
    shown = {name: value for name, value in whole[-1].items() if value is not None}
    assert shown == {
        "at": "2026-11-23T09:02:00.000000Z",
        "event": "comment_redacted",
        "by": "ada",
        "role": "admin",
        "name": "Ada Admin",
        "comment_id": comment_id,
    }
    for limit in (1, 2, 3):
        assert flatten(pages(service, f"/admin/orders/1001/timeline?limit={limit}")) == whole


def test_order_itself_does_not_change(service: Service) -> None:
    comment_id = add(service)
    header = service.order("1001")
    redact(service, comment_id)
    assert service.order("1001") == header
    assert service.get("/orders/1001", if_none_match='"1"').status == 304


def test_pages_do_not_reveal_redacted_comments(service: Service) -> None:
    """The customer's pages are those of an order that never had these comments."""
    ids = []
    for n in range(12):
        ids.append(add(service, (OWN, ALL)[n % 2], f"{n}"))
        service.clock.sleep(1)
    gone = {0, 4, 5, 6, 7, 10, 11}
    for n in gone:
        assert redact(service, ids[n]) == 204
    rest = [f"{n}" for n in range(12) if n not in gone]
    for limit in (1, 2, 3, 4, 5, 6, 100):
        found = pages(service, f"{OWN}?limit={limit}")
        assert [entry["content"] for entry in flatten(found)] == rest
        full, last = divmod(len(rest) - 1, limit)
        assert [len(page) for page in found] == [limit] * full + [last + 1]
    assert len(flatten(pages(service, f"{ALL}?limit=5"))) == 12


def test_repeated_request_gets_its_first_answer_and_brings_nothing_back(service: Service) -> None:
    for headers in ({}, {"idempotency_key": "k"}):
        service.clock.sleep(31)
        first = service.post(OWN, {"content": TYPO}, **headers)
        redact(service, first.json["comments"][0]["id"])
        again = service.post(OWN, {"content": TYPO}, **headers)
        assert (again.status, again.json) == (201, first.json)
        assert service.get(OWN).json["comments"] == []
        assert "4111" not in json.dumps(service.items("1001"), default=str)


@pytest.mark.parametrize("comment_id", ["1", "1795424400000000", str(2**53 - 1)])
def test_unknown_comment_is_a_404_and_nothing_is_stored(service: Service, comment_id: str) -> None:
    add(service, "/orders/1007/comments")
    before = service.items("1001")
    answer = service.post(f"{ALL}/{comment_id}/redact")
    assert (answer.status, answer.json["type"]) == (404, "urn:problem:orders:comment-not-found")
    assert service.items("1001") == before
    assert service.post(f"/admin/orders/9999/comments/{comment_id}/redact").status == 404
    assert service.items("9999") == []


@pytest.mark.parametrize("comment_id", ["x", "-1", "1.5", str(2**53)])
def test_invalid_id_is_named(service: Service, comment_id: str) -> None:
    answer = service.post(f"{ALL}/{comment_id}/redact")
    assert answer.status == 422
    assert [error["field"] for error in answer.json["errors"]] == ["comment_id"]


@pytest.mark.parametrize(
    ("body", "field"), [({"reason": "x"}, "reason"), ({"order_id": 1002}, "order_id"), ([], "body")]
)
def test_invalid_body_is_named_and_changes_nothing(service: Service, body: Any, field: str) -> None:
    comment_id = add(service)
    answer = service.post(f"{ALL}/{comment_id}/redact", body)
    assert answer.status == 422
    assert [error["field"] for error in answer.json["errors"]] == [field]
    assert service.comments("1001")[0]["content"] == TYPO
    assert service.post(f"{ALL}/{comment_id}/redact", {"order_id": 1001}).status == 204


def test_only_admins_redact(service: Service) -> None:
    comment_id = add(service)
    assert [redact(service, comment_id, claims) for claims in ({}, ALICE, BOB)] == [401, 403, 403]
    assert service.comments("1001")[0]["content"] == TYPO


def test_event_file_works(service: Service) -> None:
    add(service, ALL, flagged=True)
    assert service.send(load("redact-comment-as-admin")).status == 204
    assert service.comments("1001")[0]["content"] == ""


def test_round_trips(service: Service) -> None:
    comment_id = add(service)
    for _ in range(2):
        service.calls.clear()
        redact(service, comment_id)
        assert service.calls == {"TransactWriteItems": 1}
    # A page for the customer takes another query only if it has to replace a comment.
    add(service, OWN, "noch da")
    for query, queries in (("", 1), ("?limit=1", 1)):
        service.calls.clear()
        assert len(service.get(OWN + query).json["comments"]) == 1
        assert service.calls == {"GetItem": 1, "Query": queries}
