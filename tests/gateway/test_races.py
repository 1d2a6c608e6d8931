"""Concurrent requests: functions in several processes, on one table."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import boto3
import pytest
from harness import ROOT, TEMPLATE, Answer
from lists import SAMPLE, put_orders
from process import Gateway, gateway, http

from local.emulator import provision
from orders.models import Order
from orders.store import OrderStore
from orders.table import Table

pytestmark = pytest.mark.races


@pytest.fixture(scope="module")
def api() -> Iterator[Gateway]:
    with gateway() as running:
        yield running


@pytest.fixture
def table(api: Gateway) -> Any:
    return boto3.resource("dynamodb", endpoint_url=api.aws).Table("OrdersTable")


@pytest.fixture
def new_order(api: Gateway) -> Callable[[str], str]:
    """Creates another order of Alice's."""
    store = OrderStore(Table(boto3.client("dynamodb", endpoint_url=api.aws), "OrdersTable"))

    def make(order_id: str) -> str:
        sample = Order.model_validate_json((ROOT / "tests" / "order.json").read_bytes())
        store.create(sample.model_copy(update={"order_id": order_id}))
        return order_id

    return make


def at_once(calls: Sequence[Callable[[], Answer]]) -> list[Answer]:
    with ThreadPoolExecutor(len(calls)) as threads:
        return [call.result() for call in [threads.submit(call) for call in calls]]


def changes(api: Gateway, order_id: str) -> list[tuple[str, str, str]]:
    """Returns the writes to the items of an order, in sequence by the stream, because two processes have two clocks."""
    client: Any = boto3.client("dynamodbstreams", endpoint_url=api.aws)
    [stream] = client.list_streams()["Streams"]
    [shard] = client.describe_stream(StreamArn=stream["StreamArn"])["StreamDescription"]["Shards"]
    place = {"StreamArn": stream["StreamArn"], "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
    iterator, found = client.get_shard_iterator(**place)["ShardIterator"], []
    while records := (page := client.get_records(ShardIterator=iterator))["Records"]:
        iterator = page["NextShardIterator"]
        found += [record["dynamodb"] for record in records]
    return [
        (item["Keys"]["sk"]["S"], name, value["S"])
        for item in found
        if item["Keys"]["pk"]["S"] == f"ORDER#{order_id}"
        for name, value in item["NewImage"].items()
        if "S" in value
    ]


def test_concurrent_comments_are_all_stored(api: Gateway, table: Any, new_order: Callable[[str], str]) -> None:
    order_id = new_order("many-comments")
    answers = at_once([partial(api.post, f"/orders/{order_id}/comments", {"content": f"Nº {n}"}) for n in range(40)])
    assert {answer.status for answer in answers} == {201}
    stored = table.query(
        KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
        ExpressionAttributeValues={":pk": f"ORDER#{order_id}", ":sk": "COMMENT#"},
    )["Items"]
    assert {comment["content"] for comment in stored} == {f"Nº {n}" for n in range(40)}
    assert len({answer.json["comments"][0]["id"] for answer in answers}) == 40


@pytest.mark.parametrize("key", [{"idempotency_key": "k"}, {}], ids=["with a key", "double click"])
def test_one_request_adds_one_comment(api: Gateway, new_order: Callable[[str], str], key: dict[str, str]) -> None:
    order_id = new_order(f"one-comment-{len(key)}")
    send = partial(api.post, f"/orders/{order_id}/comments", {"content": "x"}, **key)
    answers = at_once([send] * 20)
    assert {answer.status for answer in answers} == {201}
    assert len({answer.json["comments"][0]["id"] for answer in answers}) == 1


def test_concurrent_withdrawals_are_declared_once(api: Gateway, table: Any, new_order: Callable[[str], str]) -> None:
    order_id = new_order("withdrawn")
    address = api.call("GET", f"/admin/orders/{order_id}").json["customer_summary"]["email"]
    statement = {"order_id": order_id, "email": address, "confirm": True}
    calls = [partial(api.post, f"/orders/{order_id}/withdraw", {"confirm": True, "name": f"C{n}"}) for n in range(10)]
    calls += [partial(api.post, "/withdrawals", statement | {"name": f"G{n}"}, token="") for n in range(10)]
    answers = at_once(calls)
    assert {answer.status for answer in answers} == {200}
    # All customers learn of the same declaration.
    assert len({answer.text for answer in answers[:10]}) == 1
    assert table.get_item(Key={"pk": f"ORDER#{order_id}", "sk": "ORDER"})["Item"]["version"] == 2


@pytest.mark.parametrize("key", [{"idempotency_key": "k"}, {}], ids=["with a key", "double click"])
def test_one_key_sends_one_mail(api: Gateway, new_order: Callable[[str], str], key: dict[str, str]) -> None:
    order_id = new_order(f"one-mail-{len(key)}")
    answers = at_once([partial(api.post, f"/admin/orders/{order_id}/send-invoice", {"notes": "x"}, **key)] * 20)
    statuses = Counter(answer.status for answer in answers)
    assert set(statuses) <= {200, 409}
    assert statuses[200] >= 1
    assert all(int(answer.headers["retry-after"]) > 0 for answer in answers if answer.status == 409)
    assert len(api.outbox(order_id, "invoice")) == 1


def test_two_keys_send_one_invoice_twice(api: Gateway, new_order: Callable[[str], str]) -> None:
    order_id = new_order("two-mails")
    send = [partial(api.post, f"/admin/orders/{order_id}/send-invoice", idempotency_key=str(n)) for n in range(2)]
    assert [answer.status for answer in at_once(send)] == [200, 200]
    numbers = [mail["tags"]["invoice"] for mail in api.outbox(order_id, "invoice")]
    [invoice] = api.documents(order_id)
    assert numbers == [invoice["number"]] * 2


@pytest.mark.parametrize("n", range(10))
def test_cancellation_and_invoice_are_serialised(api: Gateway, new_order: Callable[[str], str], n: int) -> None:
    order_id = new_order(f"race-{n}")
    invoice = partial(api.post, f"/admin/orders/{order_id}/send-invoice")
    cancel = partial(api.post, f"/orders/{order_id}/cancel")
    answers = at_once([invoice, cancel] if n % 2 else [cancel, invoice])
    invoiced, cancelled = answers if n % 2 else reversed(answers)
    mails = api.outbox(order_id, "invoice")
    assert cancelled.status == 204
    assert (invoiced.status, len(mails)) in {(200, 1), (409, 0)}
    if mails:
        written = changes(api, order_id)
        assert written.index(("INVOICE#000001", "outcome", "sent")) < written.index(
            ("ORDER", "order_status", "cancelled")
        )


def retry_while_busy(call: Callable[[], Answer]) -> Answer:
    """Repeats a call while a busy machine answers 503, as clients may."""
    for _ in range(20):
        if (answer := call()).status != 503:
            break
    return answer


def patch(api: Gateway, path: str, body: Any, **headers: str) -> Callable[[], Answer]:
    return partial(retry_while_busy, partial(api.call, "PATCH", path, body=body, **headers))


def test_one_of_200_changes_to_the_same_version_wins(api: Gateway, table: Any, new_order: Callable[[str], str]) -> None:
    order_id = new_order("one-winner")
    path = f"/admin/orders/{order_id}"
    # Starts all processes beforehand. Otherwise the first request would be done before the second one starts.
    assert {answer.status for answer in at_once([patch(api, path, {"paid": 1}, if_match='"2"')] * 32)} == {412}
    answers = at_once([patch(api, path, {"paid": n + 1}, if_match='"1"') for n in range(200)])
    assert Counter(answer.status for answer in answers) == {200: 1, 412: 199}
    [won] = [answer.json for answer in answers if answer.status == 200]
    assert {answer.json["current"]["paid"] for answer in answers if answer.status == 412} == {won["paid"]}
    after = api.call("GET", path)
    assert (after.json, after.headers["etag"]) == (won, '"2"')
    [record] = table.query(
        KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
        ExpressionAttributeValues={":pk": f"ORDER#{order_id}", ":sk": "CHANGE#"},
    )["Items"]
    assert record["version"] == 2


def test_changes_without_a_version_are_all_applied(api: Gateway, new_order: Callable[[str], str]) -> None:
    path = f"/admin/orders/{new_order('all-win')}"
    fields = ("first_name", "last_name", "phone", "city", "post_code")
    answers = at_once([patch(api, path, {"customer_summary": {field: "Ω"}}) for field in fields])
    assert {answer.status for answer in answers} == {200}
    summary = api.call("GET", path).json["customer_summary"]
    assert {summary[field] for field in fields} == {"Ω"}


def test_order_is_never_both_shipped_and_cancelled(api: Gateway, table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs 200 races. In every second one the cancellation starts first."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", api.aws)
    client = boto3.client("dynamodb", endpoint_url=api.aws)
    outcomes: Counter[tuple[int, int]] = Counter()
    for _ in range(5):
        # Moto copies all its data for each transaction, so it is faster with little data.
        http.request("POST", f"{api.aws}/moto-api/reset")
        provision(TEMPLATE)
        orders = [f"ship-or-cancel-{n}" for n in range(40)]
        put_orders((SAMPLE.model_copy(update={"order_id": order_id}) for order_id in orders), client)
        calls: list[Callable[[], Answer]] = []
        for n, order_id in enumerate(orders):
            ship = patch(api, f"/admin/orders/{order_id}", {"shipping_status": "shipped"})
            cancel = partial(retry_while_busy, partial(api.post, f"/orders/{order_id}/cancel"))
            calls += [cancel, ship] if n % 2 else [ship, cancel]
        answers = at_once(calls)
        for n, order_id in enumerate(orders):
            pair = answers[2 * n : 2 * n + 2]
            to_ship, to_cancel = reversed(pair) if n % 2 else pair
            order = table.get_item(Key={"pk": f"ORDER#{order_id}", "sk": "ORDER"})["Item"]
            outcomes[to_ship.status, to_cancel.status] += 1
            assert (to_ship.status, to_cancel.status, order["shipping_status"], order["order_status"]) in {
                (200, 409, "shipped", "in_progress"),
                (409, 204, "awaiting_shipment", "cancelled"),
            }
    assert outcomes.total() == 200
    # Both outcomes must occur, or there was no race.
    assert len(outcomes) == 2
