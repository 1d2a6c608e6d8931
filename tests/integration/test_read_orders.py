"""Reading one order or lists of orders: each role gets what it may see."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from harness import ADA, ALICE, BOB, ERP, ROOT, Service, load
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lists import SAMPLE, flatten, pages, put_orders
from pydantic import TypeAdapter
from traffic import Exchange, traffic

from orders.models import Order, OrderStatus, PaymentStatus, ShippingStatus

LINE = {"item_id": 1, "product_name": "x", "quantity": 1, "price": 1}
STAFF_FIELDS = {
    *("created_by", "cancelled_by", "cancelled_as", "status_before_cancel", "refund_due", "cancel_reason_code"),
    *("cancel_staff_note", "cancel_notify_customer", "cancel_restock", "cancel_refund"),
}
CAROL = {"sub": "carol"}
CAROL_ADMIN = ADA | CAROL
"""The caller of each route: Carol on the customer's, an admin on the others."""


def ids(entries: list[Any]) -> list[str]:
    return [entry["order_id"] for entry in entries]


def named(answer: Any) -> list[str]:
    """Returns the fields for which a request was refused."""
    assert answer.status == 422
    return [error["field"] for error in answer.json["errors"]]


def test_order_as_its_customer_sees_it(service: Service) -> None:
    answer = service.get("/orders/1004")
    assert (answer.status, answer.headers["etag"]) == (200, '"1"')
    order = answer.json
    assert (order["customer_summary"]["last_name"], order["items_total"]) == ("Böhm", "6.5")
    assert [order[name] for name in ("grand_total", "paid", "due")] == ["260.99", "120.00", "140.99"]
    staff = service.get("/admin/orders/1004")
    assert staff.headers["etag"] == '"1"'
    actions = {"available_actions": staff.json["available_actions"]}
    assert staff.json == order | dict.fromkeys(STAFF_FIELDS) | actions


def test_customer_never_sees_admin_fields(service: Service) -> None:
    service.post(
        "/admin/orders",
        {"order_id": "new", "customer_id": "alice", "currency_code": "EUR", "paid": 1, "order_line_details": [LINE]},
    )
    told = {
        "reason": "ausverkauft",
        "reason_code": "fraud",
        "staff_note": "adas Notiz",
        "restock": True,
        "refund": False,
    }
    service.post("/admin/orders/new/cancel", told)
    service.post("/orders/1001/cancel", {"reason": "重複"})
    seen = service.get("/admin/orders/new").json
    assert {name: seen[name] for name in STAFF_FIELDS} == {
        "created_by": "ada",
        "cancelled_by": "ada",
        "cancelled_as": "admin",
        "status_before_cancel": "in_progress",
        "refund_due": "1.00",
        "cancel_reason_code": "fraud",
        "cancel_staff_note": "adas Notiz",
        "cancel_notify_customer": True,
        "cancel_restock": True,
        "cancel_refund": False,
    }
    for order_id, reason in (("new", "ausverkauft"), ("1001", "重複")):
        assert service.get(f"/admin/orders/{order_id}").json["cancel_reason"] == reason
        answer = service.get(f"/orders/{order_id}")
        # The customer was told this by mail.
        assert answer.json["cancel_reason"] == reason
        assert not STAFF_FIELDS & answer.json.keys()
        for text in (answer.text, service.get("/orders").text):
            assert not [word for word in ("ada", "admin", "fraud", "restock") if word in (text or "")]


EMAIL = "a@example.com"
ROUTES = {"cancel": "cancel", "comment": "comments", "send_invoice": "send-invoice", "withdraw": "withdraw"}
STATES = [
    *(f"{status} {shipping}" for status in ("draft", "in_progress", "completed") for shipping in ShippingStatus),
    *("in_progress without an address", "in_progress that bounced", "cancelled", "withdrawn"),
]


@pytest.mark.parametrize("state", STATES)
def test_available_actions_are_those_that_the_routes_allow(service: Service, state: str) -> None:
    status, _, shipping = state.partition(" ")
    email = {} if "address" in state else {"email": EMAIL}
    order: dict[str, Any] = {"order_id": "new", "customer_id": "alice", "currency_code": "EUR"}
    order |= {"order_line_details": [LINE], "customer_summary": {"first_name": "Alice", **email}}
    order |= {"order_status": status} if status in tuple(OrderStatus) else {}
    order |= {"shipping_status": shipping} if shipping in tuple(ShippingStatus) else {}
    assert service.post("/admin/orders", order).status == 201
    if "bounced" in state:
        service.post("/admin/orders/new/send-invoice")
        service.report("Bounce", "new", 1, bounceType="Permanent")
        service.clock.sleep(60)
    if "withdrawn" in state:
        service.post("/orders/new/withdraw", {"confirm": True})
    staff, own = (service.get(f"{path}/orders/new").json["available_actions"] for path in ("/admin", ""))
    assert (list(staff), list(own)) == (["cancel", "comment", "send_invoice"], ["cancel", "comment", "withdraw"])
    if status == "cancelled":
        # Repeating it is safe, but there is nothing left to do.
        already = {"allowed": False, "reason": "The order is already cancelled."}
        assert staff.pop("cancel") == own.pop("cancel") == already
    if "withdrawn" in state:
        assert own.pop("withdraw")["reason"] == "A withdrawal from this order has already been declared."
    # Cancelling last, because it forbids the others; first by the customer, who may less.
    asked = [(path, action) for path, actions in (("", own), ("/admin", staff)) for action in actions]
    for path, action in sorted(asked, key=lambda each: each[1] == "cancel"):
        body = {"comment": {"content": "x"}, "withdraw": {"confirm": True, "email": EMAIL}}.get(action)
        answer = service.post(f"{path}/orders/new/{ROUTES[action]}", body)
        reason = answer.json["detail"] if answer.status == 409 else None
        assert (staff if path else own)[action] == {"allowed": answer.status < 300, "reason": reason}, (path, action)


def test_customers_learn_no_reason_of_the_staffs(service: Service) -> None:
    service.post("/admin/orders/1002/send-invoice")
    service.report("Complaint", "1002", 1)
    assert "reported as spam" in service.get("/admin/orders/1002").json["available_actions"]["send_invoice"]["reason"]
    assert "spam" not in (service.get("/orders/1002", BOB).text or "")


def test_order_has_a_new_etag_when_its_actions_change(service: Service) -> None:
    service.post("/admin/orders/1002/send-invoice")
    for kind, more in (("Bounce", {"bounceType": "Permanent"}), ("Complaint", {})):
        before = service.get("/admin/orders/1002").headers["etag"]
        for _ in range(2):
            service.report(kind, "1002", 1, **more)
            assert service.get("/admin/orders/1002", if_none_match=before).status == 200
            # Once, however often it is reported.
            assert service.get("/admin/orders/1002").json["version"] == int(before.strip('"')) + 1


def test_unchanged_order_is_a_304(service: Service) -> None:
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
def test_event_files_work(service: Service, name: str) -> None:
    assert service.send(load(name)).status == 200


def test_only_permitted_callers_may_read(service: Service) -> None:
    for path in ("/admin/orders", "/admin/orders/1001", "/admin/orders/9999"):
        assert [service.get(path, claims).status for claims in ({}, ALICE, ERP)][:2] == [401, 403]
    assert [service.get(path, {}).status for path in ("/orders", "/orders/1001")] == [401, 401]
    assert service.get("/admin/orders/9999").status == 404
    # The path decides the role in which a caller reads.
    assert service.get("/orders", ADA).json["orders"] == []
    assert service.get("/orders/1001", ADA).status == 404
    assert service.get("/admin/orders/1001", ERP).status == 200


def test_reading_takes_one_round_trip_or_one_per_shard(service: Service) -> None:
    for path, queries in (
        ("/orders/1001", 1),
        ("/admin/orders/1001", 1),
    ):
        service.calls.clear()
        service.get(path)
        assert service.calls == {"Query": queries}, path
    # A list finds the orders, and then reads them all in one call.
    for path, queries in (
        ("/orders", 1),
        ("/orders?shipping_status=shipped", 1),
        ("/admin/orders?customer_id=alice", 1),
        ("/admin/orders?email=alice@example.com", 1),
        ("/admin/orders", 4),
        ("/admin/orders?order_status=in_progress", 4),
        ("/admin/orders?updated_from=2026-01-01T00:00:00Z", 4),
    ):
        service.calls.clear()
        assert service.get(path).json["orders"]
        assert service.calls == {"Query": queries, "BatchGetItem": 1}, path
    service.calls.clear()
    assert service.get("/orders", CAROL).json["orders"] == []
    assert service.calls == {"Query": 1}


def test_lists_are_newest_first_and_match_the_orders(service: Service) -> None:
    service.patch("/admin/orders/1003", {"shipping_status": "delivered", "paid": "100"})
    own = service.get("/orders").json
    assert ids(own["orders"]) == ["1008", "1007", "1001", "1004", "1003", "1005"]
    assert own["next_cursor"] is None
    everyones = service.get("/admin/orders").json["orders"]
    assert ids(everyones) == ["1008", "1007", "1002", "1001", "1006", "1004", "1003", "1005"]
    for entry in everyones:
        order = service.get(f"/admin/orders/{entry['order_id']}").json
        assert entry.items() <= order.items()
        assert len(entry) == 12
    assert own["orders"] == [entry for entry in everyones if entry["customer_id"] == "alice"]
    assert ids(service.get("/orders", BOB).json["orders"]) == ["1002", "1006"]
    assert service.get("/orders", CAROL).json == {"orders": [], "next_cursor": None}


@pytest.mark.parametrize("path", ["/orders", "/admin/orders"])
def test_invalid_parameters_are_named(service: Service, path: str) -> None:
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
                # The offset's unencoded plus sign is decoded as a space.
                "2026-11-01T00:00:00+01:00",
                # In UTC these times are before the year 1 and after the year 9999.
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


def test_repeated_parameter_is_refused(service: Service) -> None:
    event = service.event("GET", "/admin/orders?limit=1")
    # As API Gateway passes on ?limit=1&limit=2.
    assert named(service.send(event | {"queryStringParameters": {"limit": "1,2"}})) == ["limit"]


def test_customers_cannot_use_admin_filters(service: Service) -> None:
    for query in ("customer_id=bob", "payment_status=unpaid"):
        assert named(service.get(f"/orders?{query}")) == [query.partition("=")[0]]
        assert service.get(f"/admin/orders?{query}").status == 200
    for query in ("customer_id=", f"customer_id={'x' * 129}", "payment_status=owed"):
        assert named(service.get(f"/admin/orders?{query}")) == [query.partition("=")[0]]


@pytest.mark.parametrize("path", ["/orders/1001", "/admin/orders/1001"])
def test_single_order_takes_no_parameters(service: Service, path: str) -> None:
    assert named(service.get(f"{path}?limit=1")) == ["limit"]


def test_time_zones_of_filters_are_respected(service: Service) -> None:
    # 1001 was placed at 08:14:22 in UTC.
    for created_from, found in (
        ("2026-11-19T08:14:22Z", True),
        ("2026-11-19T09:14:22%2B01:00", True),
        ("2026-11-19T03:14:22.000000-05:00", True),
        ("2026-11-19T08:14:22.000001Z", False),
        ("2026-11-19T09:14:23%2B01:00", False),
    ):
        assert ("1001" in ids(service.get(f"/orders?created_from={created_from}").json["orders"])) == found
        # Each order is either from that time on or before it.
        before = service.get(f"/orders?created_before={created_from}").json["orders"]
        assert ("1001" in ids(before)) == (not found)


@pytest.mark.parametrize("path", ["/orders", "/admin/orders"])
def test_empty_time_range_is_an_empty_page(service: Service, path: str) -> None:
    placed = "2026-11-19T08:14:22Z"
    assert service.get(f"{path}?created_from={placed}&created_before={placed}").json["orders"] == []
    service.calls.clear()
    answer = service.get(f"{path}?created_from=2026-12-01T00:00:00Z&created_before={placed}")
    assert answer.json == {"orders": [], "next_cursor": None}
    # DynamoDB refuses such a range, so it is not called.
    assert service.calls == {}


START = datetime.fromisoformat("2026-09-01T00:00:00Z")
CUSTOMERS = ["carol", "Åsa, 高橋"]


def many(count: int) -> list[Order]:
    """Returns orders in every state, three of each instant."""
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
    """All orders of a larger shop, newest first. With a filter, a page reads few of them."""
    monkeypatch.setattr("orders.table.EXAMINED", 40)
    monkeypatch.setattr("orders.lists.FILTERED", 10)
    added = many(70)
    put_orders(added)
    samples = TypeAdapter(list[Order]).validate_json((ROOT / "local" / "orders.json").read_bytes())
    return sorted([*added, *samples], key=lambda order: (order.created, order.order_id), reverse=True)


MOMENTS = st.none() | st.integers(-1, 24).map(lambda minutes: START + timedelta(minutes=minutes))
LIMITS = st.sampled_from([5, 20, 100])


@settings(max_examples=settings().max_examples // 5)
@example(None, OrderStatus.PAUSED, PaymentStatus.REFUNDED, None, None, 5)
@example("carol", None, None, None, None, 7)
@given(
    st.none() | st.sampled_from([*CUSTOMERS, "unknown"]),
    st.none() | st.sampled_from(OrderStatus),
    st.none() | st.sampled_from(PaymentStatus),
    MOMENTS,
    MOMENTS,
    LIMITS,
)
def test_filters_find_exactly_the_matching_orders_page_by_page(
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
    assert ids(flatten(found)) == [
        order.order_id
        for order in shop
        if customer in {None, order.customer_id}
        and status in {None, order.order_status}
        and payment in {None, order.payment_status}
        and (begin is None or order.created >= begin)
        and (end is None or order.created < end)
    ]
    # Without a status filter every page but the last is full, and the last is not empty.
    lengths = [len(page) for page in found]
    assert max(lengths) <= limit
    if status is None and payment is None:
        assert set(lengths[:-1]) <= {limit}
        assert lengths == [0] or lengths[-1]


def test_customers_filter_their_own_orders(service: Service, shop: list[Order]) -> None:
    for query, matches_filter in (
        ("", lambda _: True),
        ("order_status=paused&", lambda order: order.order_status == "paused"),
        ("created_from=2026-09-01T00:10:00Z&", lambda order: order.created >= START + timedelta(minutes=10)),
    ):
        found = flatten(pages(service, f"/orders?{query}limit=6", CAROL))
        assert ids(found) == [
            order.order_id for order in shop if order.customer_id == "carol" and matches_filter(order)
        ]


def test_limit_may_change_between_pages(service: Service, shop: list[Order]) -> None:
    found, cursor = [], ""
    for limit in (1, 5, 100, 3):
        answer = service.get(f"/admin/orders?limit={limit}{cursor}").json
        found += ids(answer["orders"])
        cursor = f"&cursor={answer['next_cursor']}"
        if answer["next_cursor"] is None:
            break
    assert found == [order.order_id for order in shop]
    assert [len(service.get(f"/admin/orders{query}").json["orders"]) for query in ("", "?limit=100")] == [20, 78]


def test_cursor_is_bound_to_caller_and_query(service: Service, shop: list[Order]) -> None:
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
def test_each_order_is_listed_once_while_others_are_created(service: Service, path: str) -> None:
    put_orders(many(60))
    before = {entry["order_id"] for entry in flatten(pages(service, f"{path}?limit=100", CAROL_ADMIN))}
    new: list[Order] = []

    def create() -> None:
        service.clock.sleep(1)
        three = [{"order_id": f"new-{len(new) + n}", "customer_id": "carol"} for n in range(3)]
        put_orders(orders := [SAMPLE.model_copy(update={**each, "created": service.clock.now}) for each in three])
        new.extend(orders)

    found = ids(flatten(pages(service, f"{path}?limit=7", CAROL_ADMIN, between=create)))
    assert len(found) == len(set(found))
    assert set(found) == before
    assert len(flatten(pages(service, f"{path}?limit=100", CAROL_ADMIN))) == len(before) + len(new)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "calls", "read"),
    [
        # One more than the page and the order before it, to see whether another page follows.
        ("/orders?limit=10", 2, 12),
        ("/admin/orders?limit=10", 5, 4 * 12),
        ("/orders?limit=10&order_status=draft", 2, 32),
        ("/admin/orders?limit=10&payment_status=paid", 5, 48),
        ("/admin/orders?limit=10&updated_from=2026-01-01T00:00:00Z", 5, 48),
        ("/admin/orders?limit=10&email=alice@example.com", 2, 12),
    ],
)
def test_later_pages_cost_no_more_than_the_first(
    service: Service, monkeypatch: pytest.MonkeyPatch, path: str, calls: int, read: int
) -> None:
    monkeypatch.setattr("orders.table.EXAMINED", 48)
    monkeypatch.setattr("orders.lists.FILTERED", 30)
    put_orders(many(130))
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
