"""A customer cannot detect whether another customer's order exists, or whether an order has internal comments."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from itertools import count
from typing import Any

import pytest
from harness import ALICE, BOB, Answer, Clock, Service
from lists import SAMPLE, pages, put_orders
from traffic import Exchange, traffic

from orders import aws
from orders.models import OrderStatus, ShippingStatus

Send = Callable[[Service, str], Answer]

# Every request that a customer can make about one order.
ROUTES: dict[str, Send] = {
    "get": lambda service, order: service.get(f"/orders/{order}"),
    "get, if changed": lambda service, order: service.get(f"/orders/{order}", if_none_match='"1"'),
    "get, if none exists": lambda service, order: service.get(f"/orders/{order}", if_none_match="*"),
    "comments": lambda service, order: service.get(f"/orders/{order}/comments"),
    "comments, one page": lambda service, order: service.get(f"/orders/{order}/comments?limit=1"),
    "comment": lambda service, order: service.post(f"/orders/{order}/comments", {"id": order, "content": "x"}),
    "comment, with a key": lambda service, order: service.post(
        f"/orders/{order}/comments", {"content": "x"}, idempotency_key="k"
    ),
    "cancel": lambda service, order: service.post(f"/orders/{order}/cancel", {"reason": "x"}),
    "cancel, if unchanged": lambda service, order: service.post(f"/orders/{order}/cancel", {}, if_match='"1"'),
    "cancel, if it is another version": lambda service, order: service.post(f"/orders/{order}/cancel", if_match='"9"'),
    "withdraw": lambda service, order: service.post(f"/orders/{order}/withdraw", {"confirm": True}),
}
# These are invalid whatever the order is.
WRONG: dict[str, tuple[int, Send]] = {
    "unknown parameter": (422, lambda service, order: service.get(f"/orders/{order}?x=1")),
    "invalid condition": (404, lambda service, order: service.get(f"/orders/{order}", if_none_match="1")),
    "invalid cursor": (422, lambda service, order: service.get(f"/orders/{order}/comments?cursor=x")),
    "the cursor of another order": (
        422,
        lambda service, order: service.get(f"/orders/{order}/comments?cursor={own_cursor(service)}"),
    ),
    "empty content": (422, lambda service, order: service.post(f"/orders/{order}/comments", {"content": ""})),
    "another id": (422, lambda service, order: service.post(f"/orders/{order}/comments", {"id": 1001, "content": "x"})),
    "invalid reason": (422, lambda service, order: service.post(f"/orders/{order}/cancel", {"reason": 1})),
    "not json": (400, lambda service, order: service.post(f"/orders/{order}/cancel", "{")),
    "admin list": (403, lambda service, order: service.get(f"/admin/orders?customer_id={order}", ALICE)),
    "admin order": (403, lambda service, order: service.get(f"/admin/orders/{order}", ALICE)),
    "admin comments": (403, lambda service, order: service.get(f"/admin/orders/{order}/comments", ALICE)),
    "timeline": (403, lambda service, order: service.get(f"/admin/orders/{order}/timeline", ALICE)),
    "change": (403, lambda service, order: service.patch(f"/admin/orders/{order}", {"paid": 1}, ALICE)),
}

NONE = "9999"


def own_cursor(service: Service) -> str:
    return str(service.get("/orders/1001/comments?limit=1").json["next_cursor"])


@dataclass(frozen=True)
class Observation:
    """Everything that a caller can observe of one request."""

    status: int
    headers: dict[str, str]
    body: Any
    calls: tuple[tuple[str, str], ...]
    exchanges: tuple[Exchange, ...]


def ask(order: str, send: Callable[[], Answer]) -> Observation:
    with traffic() as exchanges:
        answer = send()
    body = json.loads((answer.text or "null").replace(order, "‹id›"))
    calls = tuple((each.operation, each.error) for each in exchanges)
    return Observation(answer.status, answer.headers, body, calls, tuple(exchanges))


OTHERS = ("small", "large", "noisy", "ended", "moved")


@pytest.fixture
def others(service: Service) -> Service:
    """The service with more orders of Bob's: small, with 300 lines, with comments, cancelled, shipped."""
    [line] = SAMPLE.order_line_details
    lines = tuple(line.model_copy(update={"item_id": n}) for n in range(300))
    total = {"sub_total": 300 * line.price, "grand_total": 300 * line.price, "items_total": Decimal(300)}
    different: dict[str, dict[str, Any]] = {
        "large": {"order_line_details": lines, **total},
        "ended": {"order_status": OrderStatus.CANCELLED},
        "moved": {"shipping_status": ShippingStatus.SHIPPED},
    }
    put_orders(
        SAMPLE.model_copy(update={"order_id": name, "customer_id": "bob", **different.get(name, {})}) for name in OTHERS
    )
    for n in range(2):
        service.post("/orders/noisy/comments", {"content": f"{n}"}, BOB, idempotency_key=f"{n}")
        service.post("/admin/orders/noisy/comments", {"content": f"{n}", "flagged": True})
        service.post("/orders/1001/comments", {"content": f"{n}"})
    return service


@pytest.mark.parametrize("route", ROUTES)
def test_other_customers_order_is_indistinguishable_from_a_missing_one(others: Service, route: str) -> None:
    before = [others.items(name) for name in OTHERS]
    none = ask(NONE, partial(ROUTES[route], others, NONE))
    assert none.status == 404
    for name in OTHERS:
        seen = ask(name, partial(ROUTES[route], others, name))
        assert seen.status == none.status
        assert seen.headers == none.headers
        assert seen.body == none.body
        # The same round trips, so that it takes as long.
        assert seen.calls == none.calls
    assert [others.items(name) for name in OTHERS] == before


def test_invalid_requests_do_not_reveal_an_order(others: Service) -> None:
    for request, (status, send) in WRONG.items():
        none = ask(NONE, partial(send, others, NONE))
        assert none.status == status, request
        for name in OTHERS:
            seen = ask(name, partial(send, others, name))
            assert (seen.status, seen.headers, seen.body, seen.calls) == (status, none.headers, none.body, none.calls)


def test_size_of_dynamodb_responses_does_not_reveal_an_order(others: Service) -> None:
    def sizes(route: str, order: str) -> list[int]:
        return [each.size for each in ask(order, partial(ROUTES[route], others, order)).exchanges]

    for route in ROUTES:
        if route.startswith(("get", "withdraw")):
            # Only these requests read whole orders.
            assert sizes(route, "large") == sizes(route, NONE)
        # Totals may have more digits than in the other order. 300 lines are 30 KB.
        assert sum(sizes(route, "large")) - sum(sizes(route, "small")) < 32


def test_lists_do_not_reveal_an_order(others: Service) -> None:
    def lists() -> list[Any]:
        with traffic() as exchanges:
            found = [pages(others, f"/orders?limit=2{query}") for query in ("", "&order_status=in_progress")]
        return [found, exchanges]

    before = lists()
    put_orders(SAMPLE.model_copy(update={"order_id": f"new-{n}", "customer_id": "bob"}) for n in range(10))
    assert lists() == before


# What a customer can observe, one aspect after the other.
FACETS: dict[str, Callable[[Observation], Any]] = {
    "responses": lambda seen: (seen.status, seen.body),
    "headers including the version": lambda seen: seen.headers,
    "ids and times of comments": lambda seen: [
        (each["id"], each["created"]) for each in (seen.body or {}).get("comments", [])
    ],
    "counts": lambda seen: [len(value) for value in (seen.body or {}).values() if isinstance(value, list)],
    "cursors": lambda seen: (seen.body or {}).get("next_cursor"),
    "kinds of calls": lambda seen: seen.calls,
    "cost and size of the calls": lambda seen: seen.exchanges,
}


def story(service: Service, *, internal: bool) -> list[Observation]:
    """Returns all that Alice can observe of an order with admin comments, with or without internal ones."""
    order, comments = "/orders/story", "/orders/story/comments"
    seen: list[Observation] = []
    numbers = count()

    def alice(method: Callable[..., Answer], path: str, *body: Any, **headers: str) -> None:
        seen.append(ask("story", partial(method, path, *body, **headers)))

    def secretly() -> None:
        if internal:
            for flagged in (True, False, True):
                body = {"content": f"{next(numbers)}".zfill(500), "flagged": flagged, "is_visible_to_customer": False}
                assert service.post(f"/admin{comments}", body).status == 201

    def read() -> None:
        for path in (order, "/orders?limit=2", comments):
            alice(service.get, path)
        for limit in (1, 2, 3):
            alice(service.get, f"{comments}?limit={limit}")
            while cursor := seen[-1].body["next_cursor"]:
                alice(service.get, f"{comments}?limit={limit}&cursor={cursor}")

    service.clock.now = Clock().now
    put_orders([SAMPLE.model_copy(update={"order_id": "story"})])
    secretly()
    read()
    # All at the same instant, so that each comment takes the next free id.
    for n in range(2):
        alice(service.post, comments, {"content": f"{n}"})
        secretly()
        alice(service.post, comments, {"content": f"{n}"}, idempotency_key=f"{n}")
        assert service.post(f"/admin{comments}", {"content": f"{n}"}).status == 201
    secretly()
    read()
    # A repeated key returns its comment, also after other comments.
    alice(service.post, comments, {"content": "0"}, idempotency_key="0")
    service.clock.sleep(1)
    secretly()
    alice(service.get, order, if_none_match='"1"')
    alice(service.post, f"{order}/cancel")
    secretly()
    read()
    return seen


def test_internal_comments_are_undetectable_for_customers(service: Service) -> None:
    without = story(service, internal=False)
    for item in service.items("story"):
        aws.dynamodb().delete_item(TableName="OrdersTable", Key={"pk": {"S": item["pk"]}, "sk": {"S": item["sk"]}})
    with_them = story(service, internal=True)
    assert len(service.get("/admin/orders/story/comments?limit=100").json["comments"]) == 6 + 3 * 6
    told_by = [
        name
        for name, facet in FACETS.items()
        if [facet(each) for each in with_them] != [facet(each) for each in without]
    ]
    assert told_by == []
    read = {comment["id"] for each in with_them for comment in (each.body or {}).get("comments", [])}
    assert len(read) == 6
    assert {each % 2 for each in read} == {0}


def test_internal_comment_does_not_change_the_order(service: Service) -> None:
    """The version and the position in lists stay as they are, and other callers can still change the order."""
    own, item = service.get("/orders").json, service.order("1001")
    service.post("/admin/orders/1001/comments", {"content": "intern", "flagged": True}, idempotency_key="k")
    assert service.get("/orders").json == own
    assert service.order("1001") == item
    assert service.get("/orders/1001", if_none_match='"1"').status == 304
    assert service.patch("/admin/orders/1001", {"paid": 1}, if_match='"1"').status == 200
