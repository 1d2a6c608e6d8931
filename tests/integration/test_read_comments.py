"""Reading comments: oldest first, page by page, internal ones by admins only."""

from typing import Any

import pytest
from harness import ADA, ALICE, BOB, ERP, Answer, Service, load
from lists import flatten, pages

OWN = "/orders/1001/comments"
ALL = "/admin/orders/1001/comments"


def contents(entries: list[Any]) -> list[str]:
    return [entry["content"] for entry in entries]


def named(answer: Answer) -> list[str]:
    """Returns the fields for which a request was refused."""
    assert answer.status == 422
    return [error["field"] for error in answer.json["errors"]]


@pytest.fixture
def talk(service: Service) -> Service:
    """The service with ten comments by customer and admin: the n-th is flagged if 3 divides n, internal if n is odd."""
    for n in range(10):
        if n % 4 == 0:
            body: dict[str, Any] = {"content": f"{n}", "flagged": n % 3 == 0}
            assert service.post(OWN, body).status == 201
        else:
            body = {"content": f"{n}", "flagged": n % 3 == 0, "is_visible_to_customer": n % 2 == 0}
            assert service.post(ALL, body).status == 201
        # Two at each instant.
        service.clock.sleep(n % 2)
    return service


def test_each_role_gets_its_own_fields(service: Service) -> None:
    service.post(OWN, {"content": "Où est mon colis ? 📦", "flagged": True})
    service.post(ALL, {"content": "Ruft morgen an", "flagged": True}, ADA | {"name": "Ada Žižková"})
    customers = {
        "id": 1795424400000000,
        "content": "Où est mon colis ? 📦",
        "admin_name": None,
        "is_visible_to_customer": True,
        "is_admin": False,
        "created": "2026-11-23T09:00:00.000000Z",
    }
    assert service.get(OWN).json == {"comments": [customers], "next_cursor": None}
    internal = {
        "id": 1795424400000001,
        "content": "Ruft morgen an",
        "admin_name": "Ada Žižková",
        "is_visible_to_customer": False,
        "is_admin": True,
        "created": "2026-11-23T09:00:00.000001Z",
        "flagged": True,
        "author": "ada",
    }
    never = {"redacted_at": None, "redacted_by": None}
    staffs = [customers | {"flagged": True, "author": "alice"} | never, internal | never]
    assert service.get(ALL).json == {"comments": staffs, "next_cursor": None}


@pytest.mark.parametrize(("path", "expected"), [(OWN, "02468"), (ALL, "0123456789")])
def test_pages_of_any_size_list_each_comment_once_oldest_first(talk: Service, path: str, expected: str) -> None:
    for limit in (1, 2, 3, 5, 9, 10, 100):
        found = pages(talk, f"{path}?limit={limit}")
        assert contents(flatten(found)) == list(expected)
        assert {len(page) for page in found[:-1]} <= {limit}
        assert 0 < len(found[-1]) <= limit


def test_admin_filters_by_flag(talk: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    # As if there were many comments: a page reads 4 of each kind.
    monkeypatch.setattr("orders.table.EXAMINED", 8)
    for flagged, expected in (("true", "0369"), ("false", "124578")):
        assert contents(flatten(pages(talk, f"{ALL}?limit=2&flagged={flagged}"))) == list(expected)
    for value in ("", "maybe", "2"):
        assert named(talk.get(f"{ALL}?flagged={value}")) == ["flagged"]


def test_invalid_parameters_are_named(talk: Service) -> None:
    for path in (OWN, ALL):
        for query, field in (
            ("limit=0", "limit"),
            ("limit=101", "limit"),
            ("limit=x", "limit"),
            ("cursor=x", "cursor"),
            ("order=desc", "order"),
            ("Flagged=true", "Flagged"),
        ):
            assert named(talk.get(f"{path}?{query}")) == [field], query
    assert named(talk.get(f"{OWN}?flagged=true")) == ["flagged"]


def test_default_page_size_is_20(service: Service) -> None:
    for n in range(21):
        service.post(OWN, {"content": f"{n}"})
        service.clock.sleep(1)
    assert [len(service.get(path).json["comments"]) for path in (OWN, ALL, f"{OWN}?limit=21")] == [20, 20, 21]


def test_cursor_is_bound_to_caller_order_and_query(talk: Service) -> None:
    talk.post("/orders/1007/comments", {"content": "x"})
    own, all_, flagged = (
        talk.get(f"{path}limit=2").json["next_cursor"] for path in (f"{OWN}?", f"{ALL}?", f"{ALL}?flagged=true&")
    )
    for path, claims, cursor in (
        (f"{ALL}?", ADA, own),
        (f"{OWN}?", ALICE, all_),
        (f"{ALL}?", ERP, all_),
        (f"{ALL}?flagged=true&", ADA, all_),
        (f"{ALL}?flagged=false&", ADA, flagged),
        (f"{ALL}?", ADA, flagged),
        ("/orders/1007/comments?", ALICE, own),
        ("/admin/orders/1007/comments?", ADA, all_),
        ("/admin/orders/1001/timeline?", ADA, all_),
        ("/orders?", ALICE, own),
        (f"{OWN}?", ALICE, own[:-1]),
    ):
        assert named(talk.get(f"{path}cursor={cursor}", claims)) == ["cursor"], (path, claims)


def test_comments_added_while_paging_come_last(talk: Service) -> None:
    numbers = iter(range(100, 1000))

    def write() -> None:
        if (n := next(numbers)) < 104:
            talk.clock.sleep(1)
            talk.post(ALL, {"content": f"{n}", "flagged": n % 2 == 0})

    found = flatten(pages(talk, f"{ALL}?limit=3", between=write))
    assert contents(found) == [*"0123456789", "100", "101", "102", "103"]
    assert contents(flatten(pages(talk, f"{OWN}?limit=3"))) == [*"02468", "101", "103"]


def test_page_cut_short_by_dynamodb_skips_no_comment(service: Service) -> None:
    # 16 KB each, and a DynamoDB response holds 1 MB.
    for n in range(70):
        assert service.post(OWN, {"content": f"{n:04}" + "🧀" * 3996}).status == 201
        service.clock.sleep(1)
    found = pages(service, f"{OWN}?limit=100")
    assert [int(text[:4]) for text in contents(flatten(found))] == list(range(70))
    assert len(found) == 2
    service.post("/orders/1001/cancel")
    found = pages(service, "/admin/orders/1001/timeline?limit=100")
    assert [entry["event"] for entry in flatten(found)] == ["created", *["commented"] * 70, "cancelled"]
    assert len(found) == 2


def test_only_permitted_callers_may_read(talk: Service) -> None:
    assert [talk.get(OWN, claims).status for claims in ({}, ALICE, BOB, ADA)] == [401, 200, 404, 404]
    assert [talk.get(ALL, claims).status for claims in ({}, ALICE, ERP)] == [401, 403, 200]
    assert talk.get("/admin/orders/9999/comments").status == 404
    assert talk.get("/orders/1007/comments").json == {"comments": [], "next_cursor": None}


@pytest.mark.parametrize("name", ["list-comments-as-admin", "list-comments-as-customer"])
def test_event_files_work(service: Service, name: str) -> None:
    assert service.send(load(name)).status == 200


def test_round_trips(talk: Service) -> None:
    for path, calls in ((OWN, {"GetItem": 1, "Query": 1}), (ALL, {"GetItem": 1, "Query": 2})):
        for query in ("", "?limit=1"):
            talk.calls.clear()
            talk.get(path + query)
            assert talk.calls == calls
