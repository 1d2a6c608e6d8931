"""Finding orders: by e-mail address and shipping status, and those that changed since a time."""

import base64
from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import Any
from urllib.parse import quote

import pytest
from harness import ALICE, DYNAMODB_LOCAL, ERP, Answer, Service
from lists import SAMPLE, flatten, pages, put_orders
from traffic import traffic

from orders.keys import SHARDS
from orders.models import ShippingStatus

ORDER: dict[str, Any] = {
    "customer_id": "carol",
    "currency_code": "EUR",
    "order_line_details": [{"item_id": 1, "product_name": "Brunost, 250 g", "quantity": 2, "price": "12.50"}],
}


def create(service: Service, order_id: str, email: str | None = None, **more: Any) -> str:
    """Creates an order of Carol's and returns its id."""
    order = ORDER | {"order_id": order_id, "customer_summary": {"email": email}} | more
    assert service.post("/admin/orders", order).status == 201
    return order_id


def ids(service: Service, query: str, claims: Any = None) -> list[str]:
    """Returns the ids of all orders on all pages of a list of the staff's."""
    return [order["order_id"] for order in flatten(pages(service, f"/admin/orders?{query}", claims))]


def email(address: str) -> str:
    return f"email={quote(address)}"


def named(answer: Any) -> list[str]:
    """Returns the fields for which a request was refused."""
    assert answer.status == 422
    return [error["field"] for error in answer.json["errors"]]


# By e-mail address ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ("Carol.Ødegård@EXAMPLE.com".replace("Ødegård", "Odegard"), "carol.odegard@example.com"),
        ("carol@example.com", "CAROL@Example.COM"),
        ("carol+käse@example.com".replace("ä", "ae"), "carol+kaese@example.com"),
        ("info@müller.de", "info@müller.de"),
        ("info@müller.de", "INFO@MÜLLER.DE"),
        ("info@müller.de", "info@xn--mller-kva.de"),
        ("info@XN--MLLER-KVA.de", "info@müller.de"),
    ],
)
def test_address_is_found_however_it_is_written(service: Service, stored: str, asked: str) -> None:
    create(service, "mine", stored)
    create(service, "other", "carol@example.org")
    assert ids(service, email(asked)) == ["mine"]


def test_orders_of_an_address_are_newest_first_page_by_page(service: Service) -> None:
    address, other = "carol@example.com", {"customer_id": "dave"}
    placed = [f"2026-10-{day:02}T08:00:00Z" for day in (4, 2, 9, 1, 7)]
    for n, created in enumerate(placed):
        # A guest's orders may have several customer ids.
        create(service, f"order-{n}", address, created=created, **(other if n % 2 else {}))
    expected = [f"order-{n}" for n in sorted(range(5), key=placed.__getitem__, reverse=True)]
    for limit in (1, 2, 3, 100):
        found = pages(service, f"/admin/orders?{email(address)}&limit={limit}")
        assert [order["order_id"] for order in flatten(found)] == expected
        assert {len(page) for page in found[:-1]} <= {limit}
    assert ids(service, f"{email(address)}&customer_id=dave") == ["order-1", "order-3"]
    assert ids(service, f"{email(address)}&created_from=2026-10-03T00:00:00Z") == ["order-2", "order-4", "order-0"]
    service.post("/admin/orders/order-4/cancel")
    assert ids(service, f"{email(address)}&order_status=cancelled&limit=1") == ["order-4"]
    assert ids(service, email("nobody@example.com")) == []
    # With `updated_from`, the list stays in this order.
    service.clock.sleep(1)
    for order_id in ("order-2", "order-0"):
        assert service.patch(f"/admin/orders/{order_id}", {"paid": "1"}).status == 200
    since = service.clock.now.isoformat().replace("+00:00", "Z")
    assert ids(service, f"{email(address)}&updated_from={since}&limit=1") == ["order-2", "order-0"]


def test_order_is_found_by_its_current_address_only(service: Service) -> None:
    create(service, "mine", "old@example.com")
    summary = {"customer_summary": {"email": "New@example.com"}}
    assert service.patch("/admin/orders/mine", summary).status == 200
    assert [ids(service, email(each)) for each in ("old@example.com", "new@example.com")] == [[], ["mine"]]
    # Another field changes nothing.
    assert service.patch("/admin/orders/mine", {"customer_summary": {"city": "Łódź"}}).status == 200
    assert ids(service, email("new@example.com")) == ["mine"]
    assert service.patch("/admin/orders/mine", {"customer_summary": {"email": None}}).status == 200
    assert ids(service, email("new@example.com")) == []
    assert service.patch("/admin/orders/mine", summary).status == 200
    assert ids(service, email("new@example.com")) == ["mine"]


def test_address_is_in_no_cursor_and_no_index(service: Service) -> None:
    for n in range(3):
        create(service, f"order-{n}", "carol@example.com")
    cursor = service.get(f"/admin/orders?{email('carol@example.com')}&limit=1").json["next_cursor"]
    assert b"carol" not in base64.urlsafe_b64decode(cursor + "==")
    # The cursor of one address is of no use for another one.
    assert named(service.get(f"/admin/orders?{email('bob@example.com')}&limit=1&cursor={cursor}")) == ["cursor"]
    [detail] = service.items("order-0", "ORDER#DETAIL")
    assert [name for name, value in detail.items() if "carol@" in str(value)] == ["customer_summary"]


@pytest.mark.parametrize(
    "address", ["", "carol", "carol@", "a..b@example.com", "carol@example.com,bob@example.com", "x" * 255 + "@a.com"]
)
def test_invalid_address_is_refused(service: Service, address: str) -> None:
    assert named(service.get(f"/admin/orders?{email(address)}")) == ["email"]


def test_customers_cannot_search(service: Service) -> None:
    for query in (email("bob@example.com"), "updated_from=2026-11-01T00:00:00Z"):
        assert named(service.get(f"/orders?{query}")) == [query.partition("=")[0]]
        assert service.get(f"/admin/orders?{query}", ALICE).status == 403


# By shipping status ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ShippingStatus)
def test_shipping_status_filters_for_both_roles(service: Service, status: ShippingStatus) -> None:
    all_ = service.get("/admin/orders?limit=100").json["orders"]
    wanted = [order for order in all_ if order["shipping_status"] == status]
    query = f"shipping_status={status}"
    assert flatten(pages(service, f"/admin/orders?{query}&limit=2")) == wanted
    own = [order for order in wanted if order["customer_id"] == "alice"]
    assert flatten(pages(service, f"/orders?{query}&limit=2")) == own
    assert flatten(pages(service, f"/admin/orders?{query}&customer_id=alice&limit=1")) == own


def test_lists_show_orders_as_they_are_now(service: Service) -> None:
    service.patch("/admin/orders/1001", {"shipping_status": "shipped", "paid": "92.26"})
    [entry] = [order for order in service.get("/orders").json["orders"] if order["order_id"] == "1001"]
    order = service.get("/orders/1001").json
    assert entry.items() <= order.items()
    assert (entry["updated"], entry["version"], entry["due"]) == ("2026-11-23T09:00:00.000000Z", 2, "0.00")


# Changed since --------------------------------------------------------------------------------------------------------

SINCE = "updated_from=2026-11-23T09:00:00Z"


def cancel(service: Service, order_id: str) -> None:
    assert service.post(f"/admin/orders/{order_id}/cancel").status == 204


def cancel_invoiced(service: Service, order_id: str) -> None:
    assert service.post(f"/admin/orders/{order_id}/send-invoice").status == 200
    service.clock.sleep(1)
    cancel(service, order_id)


def pay_cancelled(service: Service, order_id: str) -> None:
    cancel(service, order_id)
    service.clock.sleep(1)
    assert service.patch(f"/admin/orders/{order_id}", {"paid": "1"}).status == 200


def report(service: Service, order_id: str, *kinds: str) -> None:
    """Mails the invoice, and lets SES report about it."""
    assert service.post(f"/admin/orders/{order_id}/send-invoice").status == 200
    for kind in kinds:
        service.clock.sleep(1)
        service.report(kind, order_id, 1, **({"bounceType": "Permanent"} if kind == "Bounce" else {}))


CHANGES: dict[str, Callable[[Service, str], object]] = {
    "a bounce": lambda service, order: report(service, order, "Bounce"),
    "a bounce and a complaint": lambda service, order: report(service, order, "Bounce", "Complaint"),
    "a status": lambda service, order: service.patch(f"/admin/orders/{order}", {"order_status": "paused"}),
    "a payment": lambda service, order: service.patch(f"/admin/orders/{order}", {"paid": "1"}),
    "an address": lambda service, order: service.patch(f"/admin/orders/{order}", {"customer_summary": {"city": "Rom"}}),
    "a cancellation": lambda service, order: service.post(f"/admin/orders/{order}/cancel"),
    "a customer's cancellation": lambda service, order: service.post(f"/orders/{order}/cancel"),
    "a withdrawal": lambda service, order: service.post(f"/orders/{order}/withdraw", {"confirm": True}),
    "the cancellation of an invoiced order": cancel_invoiced,
    "a payment of a cancelled order": pay_cancelled,
}
OTHERS: dict[str, Callable[[Service, str], object]] = {
    "a comment": lambda service, order: service.post(f"/orders/{order}/comments", {"content": "x"}),
    "an invoice": lambda service, order: report(service, order, "Send", "Delivery"),
    "the same again": lambda service, order: service.patch(f"/admin/orders/{order}", {"paid": "0"}),
}


@pytest.mark.parametrize("what", [*CHANGES, *OTHERS])
def test_each_new_version_is_a_change_and_nothing_else(service: Service, what: str) -> None:
    before = service.get("/admin/orders/1001").json
    assert ids(service, SINCE) == []
    service.clock.sleep(1)
    (CHANGES | OTHERS)[what](service, "1001")
    after = service.get("/admin/orders/1001").json
    assert (after["version"] > before["version"]) == (what in CHANGES)
    if what in CHANGES:
        assert datetime.fromisoformat(after["updated"]) == service.clock.now
        [entry] = service.get(f"/admin/orders?{SINCE}").json["orders"]
        assert entry.items() <= after.items()
    else:
        assert after["updated"] == before["updated"] == "2026-11-22T09:00:00.000000Z"
        assert ids(service, SINCE) == []


def test_creation_is_a_change_however_old_the_order_is(service: Service) -> None:
    service.clock.sleep(1)
    create(service, "old", created="2019-05-01T10:00:00Z")
    [entry] = service.get(f"/admin/orders?{SINCE}").json["orders"]
    assert (entry["order_id"], entry["created"][:4]) == ("old", "2019")
    assert entry["updated"] == service.get("/orders/old", {"sub": "carol"}).json["updated"]
    # A repeated request gets the answer of the first one.
    first = service.post("/admin/orders", ORDER | {"order_id": "keyed"}, idempotency_key="k")
    service.clock.sleep(60)
    assert service.patch("/admin/orders/keyed", {"paid": "1"}).status == 200
    assert service.post("/admin/orders", ORDER | {"order_id": "keyed"}, idempotency_key="k").json == first.json


def test_orders_are_listed_once_by_their_latest_change(service: Service) -> None:
    for order_id in ("1001", "1002", "1004", "1001", "1007", "1002"):
        service.clock.sleep(1)
        paid = float(service.get(f"/admin/orders/{order_id}").json["paid"])
        assert service.patch(f"/admin/orders/{order_id}", {"paid": f"{paid + 1}"}).status == 200
    cancel(service, "1001")
    expected = ["1004", "1007", "1002", "1001"]
    whole = flatten(pages(service, f"/admin/orders?{SINCE}"))
    # Two changes of one moment sort by the order's id.
    assert sorted(order["order_id"] for order in whole) == sorted(expected)
    assert [order["updated"] for order in whole] == sorted(order["updated"] for order in whole)
    for limit in (1, 2, 3):
        found = pages(service, f"/admin/orders?{SINCE}&limit={limit}")
        assert flatten(found) == whole
        assert {len(page) for page in found} <= {*range(limit + 1)}
    later = whole[-2]["updated"]
    assert ids(service, f"updated_from={later}") == [o["order_id"] for o in whole if o["updated"] >= later]


def test_other_filters_apply_to_changed_orders(service: Service) -> None:
    for n in range(6):
        create(service, f"order-{n}", customer_id=("carol", "dave")[n % 2], created=f"2026-10-0{n + 1}T00:00:00Z")
        service.clock.sleep(1)
    cancel(service, "order-1")
    for query, expected in (
        ("customer_id=dave", ["order-3", "order-5", "order-1"]),
        ("order_status=cancelled", ["order-1"]),
        ("shipping_status=awaiting_shipment&customer_id=carol", ["order-0", "order-2", "order-4"]),
        ("created_from=2026-10-05T00:00:00Z", ["order-4", "order-5"]),
        ("created_before=2026-10-02T00:00:00Z", ["order-0"]),
        ("payment_status=paid", []),
    ):
        assert ids(service, f"{SINCE}&{query}&limit=2") == expected, query
    for value in ("", "yesterday", "2026-11-01", "1795424400", "2026-11-01T00:00:00+01:00"):
        assert named(service.get(f"/admin/orders?updated_from={value}")) == ["updated_from"]


class Poller:
    """Another system that mirrors all orders as the documentation says: from a minute before the latest change."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.mirror: dict[str, dict[str, Any]] = {}
        self.since = "2026-01-01T00:00:00Z"

    def poll(self, limit: int, between: Callable[[], object] = lambda: None) -> None:
        path = f"/admin/orders?updated_from={self.since}&limit={limit}"
        for order in flatten(pages(self.service, path, ERP, between)):
            if order["version"] >= self.mirror.get(order["order_id"], order)["version"]:
                self.mirror[order["order_id"]] = order
        if latest := max((order["updated"] for order in self.mirror.values()), default=None):
            since = datetime.fromisoformat(latest) - timedelta(minutes=1)
            self.since = since.isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 5))])
def test_poller_misses_no_change_while_orders_change_and_clocks_differ(service: Service, seed: int) -> None:
    chance = Random(seed)
    poller, count, left = Poller(service), 0, 0

    def change() -> None:
        """Creates, changes or cancels orders, each in a function whose clock is up to two seconds off."""
        nonlocal count, left
        for _ in range(min(chance.randrange(4), left)):
            # Otherwise a poll with small pages would never end.
            left -= 1
            service.clock.sleep(chance.choice([0, 0, 0.000001, 0.3]))
            exact = service.clock.now
            service.clock.now += timedelta(seconds=chance.uniform(-2, 2))
            known = [f"new-{n}" for n in range(count)] + ["1001", "1002", "1004"]
            order_id = chance.choice(known)
            match chance.randrange(4):
                case 0:
                    create(service, f"new-{count}")
                    count += 1
                case 1:
                    service.post(f"/admin/orders/{order_id}/cancel")
                case _:
                    service.patch(f"/admin/orders/{order_id}", {"customer_summary": {"city": f"{chance.random()}"}})
            service.clock.now = exact

    for _ in range(6):
        left = 8
        poller.poll(chance.choice([1, 2, 5, 100]), between=change)
        change()
        service.clock.sleep(chance.uniform(0, 90))
    poller.poll(100)
    now = {order["order_id"]: order for order in flatten(pages(service, "/admin/orders?limit=100"))}
    assert poller.mirror == now


def test_changes_spread_over_all_partitions(service: Service) -> None:
    put_orders(SAMPLE.model_copy(update={"order_id": f"{n}"}) for n in range(40))
    used = {service.order(f"{n}")["shard"] for n in range(40)}
    assert used == {item["change_shard"] for n in range(40) for item in service.items(f"{n}", "ORDER#DETAIL")}
    assert used == set(SHARDS)


# Capacity -------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not DYNAMODB_LOCAL, reason="only DynamoDB Local computes capacity")
def test_capacity_is_as_documented(service: Service) -> None:
    """As `docs/cost.md` and `docs/scale.md` have it."""
    found = {}
    requests: dict[str, Callable[[], Answer]] = {
        "own": lambda: service.get("/orders"),
        "all": lambda: service.get("/admin/orders"),
        "email": lambda: service.get("/admin/orders?email=alice@example.com"),
        "changes": lambda: service.get("/admin/orders?updated_from=2026-11-22T00:00:00Z"),
        "comment": lambda: service.post("/orders/1001/comments", {"content": "x"}),
        "cancel": lambda: service.post("/orders/1001/cancel"),
        "comment on a cancelled order": lambda: service.post("/orders/1001/comments", {"content": "y"}),
    }
    for name, do in requests.items():
        service.clock.sleep(1)
        with traffic() as exchanges:
            assert do().status < 300
        found[name] = [(each.operation, each.capacity) for each in exchanges]
    comment = [("GetItem", 0.5), ("TransactWriteItems", 2)]
    assert found == {
        # Half a unit for each order that is read, one if it has to be current.
        "own": [("Query", 0.5), ("BatchGetItem", 3)],
        "all": [("Query", 0.5)] * 4 + [("BatchGetItem", 4)],
        "email": [("Query", 0.5), ("BatchGetItem", 2.5)],
        "changes": [("Query", 0.5)] * 4 + [("BatchGetItem", 8)],
        "comment": comment,
        # Header, entry of the list of all orders, entry of the changes.
        "cancel": [("UpdateItem", 3)],
        "comment on a cancelled order": comment,
    }
