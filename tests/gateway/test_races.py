"""The same things at the same time: functions in several processes, on one table."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import boto3
import pytest
from harness import ROOT, Answer
from process import Gateway, gateway

from orders.models import Order
from orders.store import Store


@pytest.fixture(scope="module")
def api() -> Iterator[Gateway]:
    with gateway() as running:
        yield running


@pytest.fixture
def table(api: Gateway) -> Any:
    return boto3.resource("dynamodb", endpoint_url=api.aws).Table("OrdersTable")


@pytest.fixture
def new_order(api: Gateway) -> Callable[[str], str]:
    """Makes one more order of alice's."""
    store = Store(boto3.client("dynamodb", endpoint_url=api.aws), "OrdersTable")

    def make(order_id: str) -> str:
        sample = Order.model_validate_json((ROOT / "tests" / "order.json").read_bytes())
        store.create(sample.model_copy(update={"order_id": order_id}))
        return order_id

    return make


def at_once(calls: Sequence[Callable[[], Answer]]) -> list[Answer]:
    with ThreadPoolExecutor(len(calls)) as threads:
        return [call.result() for call in [threads.submit(call) for call in calls]]


def changes(api: Gateway, order_id: str) -> list[tuple[str, str, str]]:
    """What became of each item of an order, in the order in which it was written: two processes have two clocks."""
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


def test_no_comment_overwrites_another(api: Gateway, table: Any, new_order: Callable[[str], str]) -> None:
    order_id = new_order("many-comments")
    answers = at_once([partial(api.post, f"/orders/{order_id}/comments", {"content": f"Nº {n}"}) for n in range(40)])
    assert {answer.status for answer in answers} == {201}
    stored = table.query(
        KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
        ExpressionAttributeValues={":pk": f"ORDER#{order_id}", ":sk": "COMMENT#"},
    )["Items"]
    assert {comment["content"] for comment in stored} == {f"Nº {n}" for n in range(40)}
    assert len({answer.json["comments"][0]["id"] for answer in answers}) == 40


def test_one_key_is_one_comment(api: Gateway, new_order: Callable[[str], str]) -> None:
    order_id = new_order("one-comment")
    send = partial(api.post, f"/orders/{order_id}/comments", {"content": "x"}, idempotency_key="k")
    answers = at_once([send] * 20)
    assert {answer.status for answer in answers} == {201}
    assert len({answer.json["comments"][0]["id"] for answer in answers}) == 1


@pytest.mark.parametrize("key", [{"idempotency_key": "k"}, {}], ids=["with a key", "double click"])
def test_one_key_is_one_mail(api: Gateway, new_order: Callable[[str], str], key: dict[str, str]) -> None:
    order_id = new_order(f"one-mail-{len(key)}")
    answers = at_once([partial(api.post, f"/admin/orders/{order_id}/send-invoice", {"notes": "x"}, **key)] * 20)
    statuses = Counter(answer.status for answer in answers)
    assert set(statuses) <= {200, 409}
    assert statuses[200] >= 1
    assert all(int(answer.headers["retry-after"]) > 0 for answer in answers if answer.status == 409)
    assert len(api.outbox(order_id, "invoice")) == 1


def test_two_keys_are_two_mails_with_two_numbers(api: Gateway, new_order: Callable[[str], str]) -> None:
    order_id = new_order("two-mails")
    send = [partial(api.post, f"/admin/orders/{order_id}/send-invoice", idempotency_key=str(n)) for n in range(2)]
    assert [answer.status for answer in at_once(send)] == [200, 200]
    numbers = [mail["tags"]["invoice"] for mail in api.outbox(order_id, "invoice")]
    assert sorted(numbers) == [f"INV-{order_id}-1", f"INV-{order_id}-2"]


@pytest.mark.parametrize("n", range(10))
def test_a_cancellation_and_an_invoice_come_one_after_the_other(
    api: Gateway, new_order: Callable[[str], str], n: int
) -> None:
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
