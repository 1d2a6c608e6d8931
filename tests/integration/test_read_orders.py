"""Reading orders: one or page after page, by each role what is theirs to see."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from harness import ADA, ALICE, BOB, ERP, ROOT, Service, load
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lists import SAMPLE, bring, joined, pages
from pydantic import TypeAdapter
from traffic import Exchange, traffic

from orders.models import Order, OrderStatus, PaymentStatus

STAFF_FIELDS = {"created_by", "cancelled_by", "cancelled_as", "status_before_cancel", "refund_due"}
CAROL = {"sub": "carol"}
CAROL_ADMIN = ADA | CAROL
"""Carol on a customer's route, an admin on the others."""


def ids(entries: list[Any]) -> list[str]:
    return [entry["order_id"] for entry in entries]


def named(answer: Any) -> list[str]:
    """The fields that a request was refused for."""
    assert answer.status == 422
    return [error["field"] for error in answer.json["errors"]]


def test_an_order_as_its_customer_sees_it(service: Service) -> None:
    answer = service.get("/orders/1004")
    assert (answer.status, answer.headers["etag"]) == (200, '"1"')
    order = answer.json
    assert (order["customer_summary"]["last_name"], order["items_total"]) == ("Böhm", "6.5")
    assert [order[name] for name in ("grand_total", "paid", "due")] == ["260.99", "120.00", "140.99"]
    staff = service.get("/admin/orders/1004")
    assert staff.headers["etag"] == '"1"'
    assert staff.json == order | dict.fromkeys(STAFF_FIELDS)


def test_a_customer_never_sees_what_is_the_staffs(service: Service) -> None:
    line = {"item_id": 1, "product_name": "x", "quantity": 1, "price": 1}
    service.post(
        "/admin/orders",
        {"order_id": "new", "customer_id": "alice", "currency_code": "EUR", "paid": 1, "order_line_details": [line]},
    )
    service.post("/admin/orders/new/cancel", {"reason": "ausverkauft"})
    service.post("/orders/1001/cancel", {"reason": "重複"})
    seen = service.get("/admin/orders/new").json
    assert {name: seen[name] for name in STAFF_FIELDS} == {
        "created_by": "ada",
        "cancelled_by": "ada",
        "cancelled_as": "admin",
        "status_before_cancel": "in_progress",
        "refund_due": "1.00",
    }
    for order_id, reason in (("new", "ausverkauft"), ("1001", "重複")):
        assert service.get(f"/admin/orders/{order_id}").json["cancel_reason"] == reason
        answer = service.get(f"/orders/{order_id}")
        # They were told it by mail.
        assert answer.json["cancel_reason"] == reason
        assert not STAFF_FIELDS & answer.json.keys()
        for text in (answer.text, service.get("/orders").text):
            assert not [word for word in ("ada", "admin") if word in (text or "")]


def test_what_has_not_changed_is_not_sent_again(service: Service) -> None:
    service.patch("/admin/orders/1001", {"paid": 1})
    for path in ("/orders/1001", "/admin/orders/1001"):
        for condition, status in (
            ('"2"', 304),
            ('W/"2"', 304),
            ("*", 304),
            ('"7", W/"2"', 304),
            ('"1"', 200),
            ('"22"', 200),
            ('"02"', 200),
            ('""', 200),
        ):
            answer = service.get(path, if_none_match=condition)
            assert (answer.status, answer.headers["etag"]) == (status, '"2"'), condition
            assert bool(answer.text) == (status == 200)
        assert named(service.get(path, if_none_match="2")) == ["If-None-Match"]


@pytest.mark.parametrize(
    "name", ["get-order-as-admin", "get-order-as-customer", "list-orders-as-admin", "list-orders-as-customer"]
)
def test_the_event_files_work(service: Service, name: str) -> None:
    assert service.send(load(name)).status == 200


def test_who_may_read(service: Service) -> None:
    for path in ("/admin/orders", "/admin/orders/1001", "/admin/orders/9999"):
        assert [service.get(path, claims).status for claims in ({}, ALICE, ERP)][:2] == [401, 403]
    assert [service.get(path, {}).status for path in ("/orders", "/orders/1001")] == [401, 401]
    assert service.get("/admin/orders/9999").status == 404
    # The path decides as whom somebody reads.
    assert service.get("/orders", ADA).json["orders"] == []
    assert service.get("/orders/1001", ADA).status == 404
    assert service.get("/admin/orders/1001", ERP).status == 200


def test_reading_is_one_round_trip_or_one_for_each_shard(service: Service) -> None:
    for path, queries in (
        ("/orders/1001", 1),
        ("/admin/orders/1001", 1),
        ("/orders", 1),
        ("/admin/orders?customer_id=alice", 1),
        ("/admin/orders", 4),
        ("/admin/orders?order_status=paused", 4),
    ):
        service.calls.clear()
        service.get(path)
        assert service.calls == {"Query": queries}, path


def test_lists_are_newest_first_and_say_what_the_orders_say(service: Service) -> None:
    service.patch("/admin/orders/1003", {"shipping_status": "delivered", "paid": "100"})
    own = service.get("/orders").json
    assert ids(own["orders"]) == ["1008", "1007", "1001", "1004", "1003", "1005"]
    assert own["next_cursor"] is None
    everyones = service.get("/admin/orders").json["orders"]
    assert ids(everyones) == ["1008", "1007", "1002", "1001", "1006", "1004", "1003", "1005"]
    for entry in everyones:
        order = service.get(f"/admin/orders/{entry['order_id']}").json
        assert entry.items() <= order.items()
        assert len(entry) == 11
    assert own["orders"] == [entry for entry in everyones if entry["customer_id"] == "alice"]
    assert ids(service.get("/orders", BOB).json["orders"]) == ["1002", "1006"]
    assert service.get("/orders", CAROL).json == {"orders": [], "next_cursor": None}


@pytest.mark.parametrize("path", ["/orders", "/admin/orders"])
def test_what_is_asked_wrongly_is_said_by_name(service: Service, path: str) -> None:
    for query, field in (
        *((f"limit={limit}", "limit") for limit in ("0", "101", "-1", "x", "", "1.5", "9" * 5000)),
        *((f"order_status={status}", "order_status") for status in ("", "open", "PAUSED", "paused,draft")),
        *(
            (f"{name}={value}", name)
            for name in ("created_from", "created_before")
            for value in (
                "2026-11-01T00:00:00",
                "2026-11-01",
                "1795424400",
                "yesterday",
                "",
                "2026-02-30T00:00:00Z",
                # The offset's plus, not quoted, is a blank.
                "2026-11-01T00:00:00+01:00",
                # In UTC these are before the year 1 and after the year 9999.
                "0001-01-01T00:00:00%2B14:00",
                "9999-12-31T23:59:59-12:00",
            )
        ),
        ("status=paused", "status"),
        ("Limit=5", "Limit"),
        ("cursor=nonsense", "cursor"),
        ("cursor=", "cursor"),
        (f"cursor={'x' * 1001}", "cursor"),
    ):
        assert named(service.get(f"{path}?{query}")) == [field], query
    assert named(service.get(f"{path}?b=1&a=2&limit=5")) == ["a", "b"]


def test_a_parameter_that_comes_twice_is_not_taken_for_one(service: Service) -> None:
    event = service.event("GET", "/admin/orders?limit=1")
    # As API Gateway hands over ?limit=1&limit=2.
    assert named(service.send(event | {"queryStringParameters": {"limit": "1,2"}})) == ["limit"]


def test_filters_of_the_staff_are_unknown_to_customers(service: Service) -> None:
    for query in ("customer_id=bob", "payment_status=unpaid"):
        assert named(service.get(f"/orders?{query}")) == [query.partition("=")[0]]
        assert service.get(f"/admin/orders?{query}").status == 200
    for query in ("customer_id=", f"customer_id={'x' * 129}", "payment_status=owed"):
        assert named(service.get(f"/admin/orders?{query}")) == [query.partition("=")[0]]


@pytest.mark.parametrize("path", ["/orders/1001", "/admin/orders/1001"])
def test_one_order_takes_no_parameters(service: Service, path: str) -> None:
    assert named(service.get(f"{path}?limit=1")) == ["limit"]


def test_a_time_is_the_same_in_every_zone(service: Service) -> None:
    # 1001 was placed at 08:14:22 in UTC.
    for created_from, found in (
        ("2026-11-19T08:14:22Z", True),
        ("2026-11-19T09:14:22%2B01:00", True),
        ("2026-11-19T03:14:22.000000-05:00", True),
        ("2026-11-19T08:14:22.000001Z", False),
        ("2026-11-19T09:14:23%2B01:00", False),
    ):
        assert ("1001" in ids(service.get(f"/orders?created_from={created_from}").json["orders"])) == found
        # What is not from that time on is before it.
        before = service.get(f"/orders?created_before={created_from}").json["orders"]
        assert ("1001" in ids(before)) == (not found)


@pytest.mark.parametrize("path", ["/orders", "/admin/orders"])
def test_no_time_at_all_is_an_empty_page(service: Service, path: str) -> None:
    placed = "2026-11-19T08:14:22Z"
    assert service.get(f"{path}?created_from={placed}&created_before={placed}").json["orders"] == []
    service.calls.clear()
    answer = service.get(f"{path}?created_from=2026-12-01T00:00:00Z&created_before={placed}")
    assert answer.json == {"orders": [], "next_cursor": None}
    # DynamoDB refuses such a range: it is not asked.
    assert service.calls == {}


START = datetime.fromisoformat("2026-09-01T00:00:00Z")
CUSTOMERS = ["carol", "Åsa, 高橋"]


def many(count: int) -> list[Order]:
    """Orders in every state, three of each moment."""
    statuses, payments = list(OrderStatus), list(PaymentStatus)
    return [
        SAMPLE.model_copy(
            update={
                "order_id": f"many-{n:04}",
                "customer_id": CUSTOMERS[n % 5 == 0],
                "order_status": statuses[n % len(statuses)],
                "payment_status": payments[n // 2 % len(payments)],
                "created": START + timedelta(minutes=n // 3),
            }
        )
        for n in range(count)
    ]


@pytest.fixture
def shop(service: Service, monkeypatch: pytest.MonkeyPatch) -> list[Order]:
    """All orders of a larger shop, newest first. With a filter, a page looks at few of them."""
    monkeypatch.setattr("orders.table.EXAMINED", 40)
    brought = many(70)
    bring(brought)
    samples = TypeAdapter(list[Order]).validate_json((ROOT / "local" / "orders.json").read_bytes())
    return sorted([*brought, *samples], key=lambda order: (order.created, order.order_id), reverse=True)


MOMENTS = st.none() | st.integers(-1, 24).map(lambda minutes: START + timedelta(minutes=minutes))
LIMITS = st.sampled_from([5, 20, 100])


@settings(max_examples=settings().max_examples // 5)
@example(None, OrderStatus.PAUSED, PaymentStatus.REFUNDED, None, None, 5)
@example("carol", None, None, None, None, 7)
@given(
    st.none() | st.sampled_from([*CUSTOMERS, "nobody"]),
    st.none() | st.sampled_from(OrderStatus),
    st.none() | st.sampled_from(PaymentStatus),
    MOMENTS,
    MOMENTS,
    LIMITS,
)
def test_filters_find_all_that_fits_and_nothing_else_page_by_page(
    service: Service,
    shop: list[Order],
    customer: str | None,
    status: OrderStatus | None,
    payment: PaymentStatus | None,
    begin: datetime | None,
    end: datetime | None,
    limit: int,
) -> None:
    filters = {
        "customer_id": customer,
        "order_status": status,
        "payment_status": payment,
        "created_from": begin.isoformat() if begin else None,
        "created_before": end.isoformat() if end else None,
    }
    query = "&".join(f"{name}={quote(value)}" for name, value in filters.items() if value is not None)
    found = pages(service, f"/admin/orders?limit={limit}&{query}")
    assert ids(joined(found)) == [
        order.order_id
        for order in shop
        if customer in {None, order.customer_id}
        and status in {None, order.order_status}
        and payment in {None, order.payment_status}
        and (begin is None or order.created >= begin)
        and (end is None or order.created < end)
    ]
    # Without a filter by status, every page but the last is full, and that one is not empty.
    lengths = [len(page) for page in found]
    assert max(lengths) <= limit
    if status is None and payment is None:
        assert set(lengths[:-1]) <= {limit}
        assert lengths == [0] or lengths[-1]


def test_customers_find_their_own_by_the_same_filters(service: Service, shop: list[Order]) -> None:
    for query, matches_filter in (
        ("", lambda _: True),
        ("order_status=paused&", lambda order: order.order_status == "paused"),
        ("created_from=2026-09-01T00:10:00Z&", lambda order: order.created >= START + timedelta(minutes=10)),
    ):
        found = joined(pages(service, f"/orders?{query}limit=6", CAROL))
        assert ids(found) == [
            order.order_id for order in shop if order.customer_id == "carol" and matches_filter(order)
        ]


def test_the_limit_may_change_from_page_to_page(service: Service, shop: list[Order]) -> None:
    found, cursor = [], ""
    for limit in (1, 5, 100, 3):
        answer = service.get(f"/admin/orders?limit={limit}{cursor}").json
        found += ids(answer["orders"])
        cursor = f"&cursor={answer['next_cursor']}"
        if answer["next_cursor"] is None:
            break
    assert found == [order.order_id for order in shop]
    assert [len(service.get(f"/admin/orders{query}").json["orders"]) for query in ("", "?limit=100")] == [20, 78]


def test_a_cursor_is_its_callers_and_its_questions(service: Service, shop: list[Order]) -> None:
    query = "order_status=paused&limit=2"

    def given(path: str, claims: Any = None) -> str:
        return str(service.get(path, claims).json["next_cursor"])

    own, all_ = given(f"/orders?{query}", CAROL), given(f"/admin/orders?{query}")
    assert service.get(f"/orders?{query}&cursor={own}", CAROL).status == 200
    assert service.get(f"/admin/orders?{query}&cursor={all_}").status == 200
    for path, claims, cursor in (
        (f"/orders?{query}", ALICE, own),
        (f"/orders?{query}", ADA, all_),
        (f"/admin/orders?{query}", ERP, all_),
        (f"/admin/orders?{query}", ADA, own),
        ("/orders?limit=2", CAROL, own),
        ("/orders?order_status=draft&limit=2", CAROL, own),
        (f"/orders?{query}&created_from=2026-01-01T00:00:00Z", CAROL, own),
        (f"/admin/orders?{query}&customer_id=carol", ADA, all_),
        (f"/admin/orders?{query}&payment_status=paid", ADA, all_),
        ("/orders/1001/comments?limit=2", ALICE, given("/orders?limit=2")),
        ("/admin/orders/1001/timeline?limit=2", ADA, all_),
        (f"/orders?{query}", CAROL, own[:-1]),
        (f"/orders?{query}", CAROL, own[1:]),
        (f"/orders?{query}", CAROL, own[:-1] + chr(ord(own[-1]) ^ 1)),
    ):
        assert named(service.get(f"{path}&cursor={cursor}", claims)) == ["cursor"], (path, claims)


@pytest.mark.parametrize("path", ["/orders", "/admin/orders"])
def test_each_order_comes_once_while_others_are_created(service: Service, path: str) -> None:
    bring(many(60))
    before = {entry["order_id"] for entry in joined(pages(service, f"{path}?limit=100", CAROL_ADMIN))}
    new: list[Order] = []

    def create() -> None:
        service.clock.sleep(1)
        three = [{"order_id": f"new-{len(new) + n}", "customer_id": "carol"} for n in range(3)]
        bring(orders := [SAMPLE.model_copy(update={**each, "created": service.clock.now}) for each in three])
        new.extend(orders)

    found = ids(joined(pages(service, f"{path}?limit=7", CAROL_ADMIN, between=create)))
    assert len(found) == len(set(found))
    assert set(found) == before
    assert len(joined(pages(service, f"{path}?limit=100", CAROL_ADMIN))) == len(before) + len(new)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "calls", "read"),
    [
        # One more than the page and the one before it, to see whether there is a next.
        ("/orders?limit=10", 1, 12),
        ("/admin/orders?limit=10", 4, 4 * 12),
        ("/orders?limit=10&order_status=draft", 1, 48),
        ("/admin/orders?limit=10&payment_status=paid", 4, 48),
    ],
)
def test_no_page_costs_more_than_the_first(
    service: Service, monkeypatch: pytest.MonkeyPatch, path: str, calls: int, read: int
) -> None:
    monkeypatch.setattr("orders.table.EXAMINED", 48)
    bring(many(130))
    costs: list[list[Exchange]] = []
    with traffic() as exchanges:

        def note() -> None:
            costs.append(exchanges.copy())
            exchanges.clear()

        pages(service, path, CAROL_ADMIN, between=note)
        note()
    assert len(costs) > 2
    assert {len(page) for page in costs} == {calls}
    items = [sum(each.read for each in page) for page in costs]
    assert max(items) == items[0] == read
    units = [sum(each.capacity for each in page) for page in costs]
    assert max(units) == units[0]
