"""Many requests at the same instant. Only here do writes really meet: moto does one thing after the other.

Each request has a process of its own, as in Lambda. They are forked from this one, so table, mailbox and clock are the
harness's. What a process mails stays in its own memory: it tells.
"""

import io
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from random import SystemRandom
from typing import Any

import pytest
from botocore.exceptions import ClientError
from harness import DYNAMODB_LOCAL, ROOT, Answer, Clock, Service

from orders import aws
from orders.models import Order
from orders.store import OrderStore
from orders.table import get_table, utc_now

pytestmark = [
    pytest.mark.races,
    pytest.mark.skipif(not DYNAMODB_LOCAL, reason="needs DynamoDB Local: make test-dynamodb-local"),
]

Event = dict[str, Any]

FORK = get_context("fork")
MANY = 64

ORDER: dict[str, Any] = {
    "order_id": "2001",
    "customer_id": "alice",
    "currency_code": "EUR",
    "order_line_details": [{"item_id": 1, "product_name": "Brunost, 250 g", "quantity": 2, "price": "12.50"}],
}


class WallClock(Clock):
    """The time of the day."""

    def __call__(self) -> datetime:
        return utc_now()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class StoppedClock(WallClock):
    """The same instant for everybody, however long they wait."""

    def __call__(self) -> datetime:
        return datetime(2026, 11, 23, 9, tzinfo=UTC)


@pytest.fixture
def clock(request: pytest.FixtureRequest) -> Clock:
    make: Callable[[], Clock] = getattr(request, "param", WallClock)
    return make()


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried here is the order of writes, not how many of them a small machine does in a second."""
    monkeypatch.setattr(aws.DYNAMODB, "read_timeout", 30)


@dataclass
class Meeting:
    """Where a process waits for others: at the start, or before its n-th call of an operation ("PutObject 1")."""

    barrier: Barrier
    step: str = ""
    then_sleep: float = 0

    def hold(self) -> None:
        self.barrier.wait(timeout=60)
        time.sleep(self.then_sleep)


@dataclass
class Told:
    """What a process has to tell of its request. Times are in seconds, of one clock for all."""

    answer: Answer
    calls: Counter[str]
    printed: str
    mailed: list[float]
    answered: float


def race(service: Service, events: Sequence[Event], meetings: Sequence[Meeting] = ()) -> list[Told]:
    """Lets each event be handled in a process of its own, all of them at once unless told otherwise."""
    # A connection cannot be shared: each process opens its own.
    aws.dynamodb().close()
    running = []
    for event, meeting in zip(events, meetings or [Meeting(FORK.Barrier(len(events)))] * len(events), strict=True):
        reader, writer = FORK.Pipe(duplex=False)
        process = FORK.Process(target=handle, args=(service, event, meeting, writer), daemon=True)
        process.start()
        writer.close()
        running.append((process, reader))
    told = list[Told]()
    for _, reader in running:
        assert reader.poll(120), "a request has no end"
        told.append(reader.recv())
    for process, reader in running:
        process.join()
        reader.close()
    return told


def handle(service: Service, event: Event, meeting: Meeting, writer: Connection) -> None:
    mailed: list[float] = []

    def before_call(model: Any, **_: Any) -> None:
        if f"{model.name} {service.calls[model.name]}" == meeting.step:
            meeting.hold()
        if model.name == "SendEmail":
            mailed.append(time.monotonic())

    for client in (aws.dynamodb(), aws.s3(), aws.ses()):
        client.meta.events.register("before-call", before_call)
    service.calls.clear()
    if not meeting.step:
        meeting.hold()
    with redirect_stdout(io.StringIO()) as printed:
        answer = service.send(event)
    assert len(mailed) == len(service.mails)
    writer.send(Told(answer, service.calls, printed.getvalue(), mailed, time.monotonic()))


def statuses(told: Sequence[Told]) -> Counter[int]:
    return Counter(each.answer.status for each in told)


def texts(told: Sequence[Told]) -> set[str | None]:
    return {each.answer.text for each in told}


def counted(told: Sequence[Told], metric: str) -> list[int]:
    """Who counted something."""
    return [n for n, each in enumerate(told) if f'"{metric}":[1.0]' in each.printed]


def test_an_order_is_cancelled_by_one(service: Service) -> None:
    paths = ("/orders/1001/cancel", "/admin/orders/1001/cancel")
    told = race(service, [service.event("POST", paths[n % 2], {"reason": str(n)}) for n in range(MANY)])
    assert statuses(told) == {204: MANY}
    [winner] = counted(told, "OrdersCancelled")
    order = service.order("1001")
    assert (order["order_status"], order["version"]) == ("cancelled", "2")
    assert (order["cancel_reason"], order["cancelled_as"]) == (str(winner), ("customer", "admin")[winner % 2])


@pytest.mark.parametrize("clock", [WallClock, StoppedClock], indirect=True)
def test_one_key_is_one_comment(service: Service) -> None:
    event = service.event("POST", "/orders/1001/comments", {"content": "x"}, idempotency_key="k")
    told = race(service, [event] * MANY)
    assert statuses(told) == {201: MANY}
    assert len(texts(told)) == len(service.comments("1001")) == 1


@pytest.mark.parametrize("clock", [WallClock, StoppedClock], indirect=True)
def test_without_a_key_each_comment_is_kept(service: Service) -> None:
    events = [service.event("POST", "/orders/1001/comments", {"content": f"Nº {n}"}) for n in range(MANY)]
    told = race(service, events)
    assert statuses(told) == {201: MANY}
    given = {each.answer.json["comments"][0]["id"]: each.answer.json["comments"][0]["content"] for each in told}
    assert len(given) == MANY
    assert {int(each["id"]): each["content"] for each in service.comments("1001")} == given


def test_an_order_is_new_once(service: Service) -> None:
    told = race(service, [service.event("POST", "/admin/orders", ORDER)] * MANY)
    assert statuses(told) == {201: 1, 200: MANY - 1}
    assert len(texts(told)) == len(counted(told, "OrdersCreated")) == 1


def test_one_key_is_one_order(service: Service) -> None:
    told = race(service, [service.event("POST", "/admin/orders", ORDER, idempotency_key="k")] * MANY)
    assert statuses(told) == {201: MANY}
    assert len(texts(told)) == 1


@pytest.mark.parametrize(
    ("key", "refused"),
    [({}, (409, "order-exists")), ({"idempotency_key": "k"}, (422, "idempotency-key-reused"))],
    ids=["without a key", "with a key"],
)
def test_of_many_orders_one_gets_the_id(service: Service, key: dict[str, str], refused: tuple[int, str]) -> None:
    orders = [ORDER | {"shipping_cost": n, "customer_summary": {"city": str(n)}} for n in range(MANY)]
    told = race(service, [service.event("POST", "/admin/orders", order, **key) for order in orders])
    [winner] = counted(told, "OrdersCreated")
    assert told.pop(winner).answer.status == 201
    problem = (refused[0], f"urn:problem:orders:{refused[1]}")
    assert {(each.answer.status, each.answer.json["type"]) for each in told} == {problem}
    # The header and the lines are of the same order.
    header, detail = service.items("2001", "ORDER")
    assert float(header["grand_total"]) == 25 + winner
    assert detail["customer_summary"]["city"] == {"S": str(winner)}


@pytest.mark.parametrize("key", [{}, {"idempotency_key": "k"}], ids=["double click", "with a key"])
def test_one_request_is_one_mail(service: Service, key: dict[str, str]) -> None:
    told = race(service, [service.event("POST", "/admin/orders/1002/send-invoice", {"notes": "x"}, **key)] * MANY)
    done = [each.answer for each in told if each.answer.status == 200]
    assert {answer.headers["location"] for answer in done} == {"/admin/orders/1002/invoices/INV-1002-1"}
    # The others came while the mail was on its way.
    early = [each.answer for each in told if each.answer.status != 200]
    assert {(answer.status, answer.json["type"]) for answer in early} <= {(409, "urn:problem:orders:still-running")}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in early)
    assert sum(len(each.mailed) for each in told) == 1
    assert [invoice["outcome"] for invoice in service.invoices("1002")] == ["sent"]
    assert "mailing" not in service.order("1002")


def test_of_many_changes_to_one_version_one_is_made(service: Service) -> None:
    before = service.order("1001")
    etag = f'"{before["version"]}"'
    changes = [{"customer_summary": {"city": str(n)}} for n in range(MANY)]
    told = race(service, [service.event("PATCH", "/admin/orders/1001", change, if_match=etag) for change in changes])
    assert statuses(told) == {200: 1, 412: MANY - 1}
    [winner] = [n for n, each in enumerate(told) if each.answer.status == 200]
    header, detail = service.items("1001", "ORDER")
    assert int(header["version"]) == int(before["version"]) + 1
    assert detail["customer_summary"]["city"] == {"S": str(winner)}
    assert len(service.items("1001", "CHANGE#")) == 1


def test_no_change_is_lost(service: Service) -> None:
    """Eight changes to eight fields, whatever the version."""
    fields = (
        "first_name",
        "last_name",
        "phone",
        "company_name",
        "address_line_1",
        "address_line_2",
        "city",
        "post_code",
    )
    before = service.order("1001")
    changes = [{"customer_summary": {name: "new"}} for name in fields]
    told = race(service, [service.event("PATCH", "/admin/orders/1001", change) for change in changes])
    assert set(statuses(told)) <= {200, 409}
    assert all(int(each.answer.headers["retry-after"]) > 0 for each in told if each.answer.status == 409)
    made = {name for name, each in zip(fields, told, strict=True) if each.answer.status == 200}
    header, detail = service.items("1001", "ORDER")
    assert {name for name in fields if detail["customer_summary"].get(name) == {"S": "new"}} == made != set()
    assert int(header["version"]) == int(before["version"]) + len(made)
    assert len(service.items("1001", "CHANGE#")) == len(made)


@pytest.fixture
def conflicts(service: Service) -> None:
    """Half of all writes meet another transaction, over and over. DynamoDB Local lets them wait for one another."""
    chance = SystemRandom()

    def meet(model: Any, **_: Any) -> None:
        if chance.random() < 0.5:
            many = model.name == "TransactWriteItems"
            code = "TransactionCanceledException" if many else "TransactionConflictException"
            answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 400}}
            if many:
                answer["CancellationReasons"] = [{"Code": "TransactionConflict"}, {"Code": "None"}]
            raise ClientError(answer, model.name)

    for operation in ("PutItem", "UpdateItem", "TransactWriteItems"):
        aws.dynamodb().meta.events.register(f"before-call.dynamodb.{operation}", meet)


@pytest.mark.usefixtures("conflicts")
def test_a_storm_of_conflicts_loses_nothing_and_doubles_nothing(service: Service) -> None:
    """Everything at once on one order: what was acknowledged is there once, what was refused is not there."""
    comments = "/orders/1001/comments"
    events = {
        "same": [service.event("POST", comments, {"content": "same"}, idempotency_key="k")] * 16,
        "own": [service.event("POST", comments, {"content": f"{n}"}, idempotency_key=f"{n}") for n in range(8)],
        "plain": [service.event("POST", comments, {"content": f"p{n}"}) for n in range(8)],
        "change": [
            service.event("PATCH", "/admin/orders/1001", {"customer_summary": {"phone": f"{n}"}}) for n in range(16)
        ],
        "invoice": [service.event("POST", "/admin/orders/1001/send-invoice", idempotency_key="k")] * 8,
        "cancel": [service.event("POST", "/orders/1001/cancel")] * 8,
    }
    everything = [event for kind in events.values() for event in kind]
    assert len(everything) == MANY
    told = race(service, everything)
    of = {}
    for kind, sent in events.items():
        of[kind], told = told[: len(sent)], told[len(sent) :]
    for kind, each in ((kind, each) for kind, some in of.items() for each in some):
        assert each.answer.status in {200, 201, 204, 409}, (kind, each.answer)
        # Too many conflicts in a row; what is refused for good says no time.
        for_now = each.answer.status == 409 and each.answer.json["type"].endswith("still-running")
        assert ("retry-after" in each.answer.headers) == for_now
    stored = Counter(each["content"] for each in service.comments("1001"))
    assert stored["same"] == bool(statuses(of["same"])[201])
    for n, each in enumerate(of["own"]):
        assert stored[f"{n}"] == (each.answer.status == 201)
    for n, each in enumerate(of["plain"]):
        assert stored[f"p{n}"] == (each.answer.status == 201)
    order, made = service.order("1001"), len(service.items("1001", "CHANGE#"))
    assert made == statuses(of["change"])[200]
    cancelled = order["order_status"] == "cancelled"
    assert cancelled == bool(statuses(of["cancel"])[204])
    assert int(order["version"]) == 1 + made + cancelled
    mails = sorted(mail for each in of["invoice"] for mail in each.mailed)
    assert len(mails) <= 1
    assert len(mails) == 1 or not statuses(of["invoice"])[200]
    ends = [each.answered for each in of["cancel"] if each.answer.status == 204]
    assert not mails or not ends or mails[0] < min(ends)


BEGIN, MAIL, END = "TransactWriteItems 1", "SendEmail 1", "TransactWriteItems 2"


@pytest.mark.parametrize("step", [BEGIN, MAIL, END])
def test_no_mail_leaves_after_a_cancellation(service: Service, step: str) -> None:
    """Of sixteen orders, each invoice meets a cancellation at one of its steps: now one is earlier, now the other."""
    sample = Order.model_validate_json((ROOT / "tests" / "order.json").read_bytes())
    ids = [f"fence-{n}" for n in range(16)]
    events, meetings = [], []
    for n, order_id in enumerate(ids):
        OrderStore(get_table()).create(sample.model_copy(update={"order_id": order_id}))
        barrier, lead = FORK.Barrier(2), n - 8
        # From none to two seconds, which is certainly enough for the other to write.
        head_start = 0.03 * lead**2
        events.append(service.event("POST", f"/admin/orders/{order_id}/send-invoice"))
        meetings.append(Meeting(barrier, step, then_sleep=head_start if lead > 0 else 0))
        events.append(service.event("POST", f"/orders/{order_id}/cancel"))
        meetings.append(Meeting(barrier, "UpdateItem 1", then_sleep=head_start if lead < 0 else 0))
    told = race(service, events, meetings)
    seen = set()
    for order_id, invoiced, cancelled in zip(ids, told[::2], told[1::2], strict=True):
        order, ledger = service.order(order_id), service.invoices(order_id)
        # Mailed and on record as mailed, or neither …
        outcome = (invoiced.answer.status, [each["outcome"] for each in ledger], len(invoiced.mailed))
        assert outcome in [(200, ["sent"], 1), (409, [], 0)]
        assert "mailing" not in order
        # … and whoever is told that the order is cancelled never sees a mail leave after that. Who waited too long for
        # a mail is told that it is not.
        assert (cancelled.answer.status, order["order_status"]) in [(204, "cancelled"), (409, "in_progress")]
        assert cancelled.answer.status == 409 or all(mail < cancelled.answered for mail in invoiced.mailed)
        seen.add((bool(invoiced.mailed), cancelled.calls["UpdateItem"] > 1))
    # What has begun is mailed.
    assert {mailed for mailed, _ in seen} == ({True, False} if step == BEGIN else {True})
    # A cancellation that comes upon a mail on its way waits for it.
    assert step != MAIL or (True, True) in seen
