"""Many requests at the same instant. Only DynamoDB Local writes concurrently; moto serialises all writes.

Each request runs in its own process, as in Lambda. The processes are forked from this one, so they share the harness's
table and clock. Mails stay in the memory of their process, which reports them.
"""

import io
import os
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
    """The real time."""

    def __call__(self) -> datetime:
        return utc_now()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class StoppedClock(WallClock):
    """The same instant for all processes, however long they wait."""

    def __call__(self) -> datetime:
        return datetime(2026, 11, 23, 9, tzinfo=UTC)


@pytest.fixture
def clock(request: pytest.FixtureRequest) -> Clock:
    make: Callable[[], Clock] = getattr(request, "param", WallClock)
    return make()


@dataclass
class Meeting:
    """The point where a process waits for others: the start, or its n-th call of an operation ("PutObject 1")."""

    barrier: Barrier
    step: str = ""
    then_sleep: float = 0

    def hold(self) -> None:
        self.barrier.wait(timeout=60)
        time.sleep(self.then_sleep)


@dataclass
class Outcome:
    """What a process reports about its request. Times are in seconds of one common clock."""

    answer: Answer
    calls: Counter[str]
    printed: str
    mailed: list[float]
    answered: float


def race(
    service: Service, events: Sequence[Event], meetings: Sequence[Meeting] = (), may_die: bool = False
) -> list[Any]:
    """Handles each event in its own process, all at once unless meetings say otherwise.

    Returns:
        The outcomes; None for a process that died, if it may.
    """
    # Processes cannot share a connection, so each opens its own.
    aws.dynamodb().close()
    running = []
    for event, meeting in zip(events, meetings or [Meeting(FORK.Barrier(len(events)))] * len(events), strict=True):
        reader, writer = FORK.Pipe(duplex=False)
        process = FORK.Process(target=handle, args=(service, event, meeting, writer), daemon=True)
        process.start()
        writer.close()
        running.append((process, reader))
    outcomes = list[Outcome | None]()
    for _, reader in running:
        assert reader.poll(120), "a request did not end"
        try:
            outcomes.append(reader.recv())
        except EOFError:
            assert may_die
            outcomes.append(None)
    for process, reader in running:
        process.join()
        reader.close()
    return outcomes


def handle(service: Service, event: Event, meeting: Meeting, writer: Connection) -> None:
    mailed: list[float] = []
    earlier = len(service.mails)

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
    assert len(mailed) == len(service.mails) - earlier
    writer.send(Outcome(answer, service.calls, printed.getvalue(), mailed, time.monotonic()))


def statuses(outcomes: Sequence[Outcome]) -> Counter[int]:
    return Counter(each.answer.status for each in outcomes)


def answer_texts(outcomes: Sequence[Outcome]) -> set[str | None]:
    return {each.answer.text for each in outcomes}


def counted(outcomes: Sequence[Outcome], metric: str) -> list[int]:
    """Returns the outcomes whose process counted a metric."""
    return [n for n, each in enumerate(outcomes) if f'"{metric}":[1.0]' in each.printed]


def test_one_process_cancels_the_order(service: Service) -> None:
    paths = ("/orders/1001/cancel", "/admin/orders/1001/cancel")
    outcomes = race(service, [service.event("POST", paths[n % 2], {"reason": str(n)}) for n in range(MANY)])
    assert statuses(outcomes) == {204: MANY}
    [winner] = counted(outcomes, "OrdersCancelled")
    order = service.order("1001")
    assert (order["order_status"], order["version"]) == ("cancelled", "2")
    assert (order["cancel_reason"], order["cancelled_as"]) == (str(winner), ("customer", "admin")[winner % 2])


@pytest.mark.parametrize("clock", [WallClock, StoppedClock], indirect=True)
@pytest.mark.parametrize("key", [{}, {"idempotency_key": "k"}], ids=["double click", "with a key"])
def test_one_request_adds_one_comment(service: Service, key: dict[str, str]) -> None:
    event = service.event("POST", "/orders/1001/comments", {"content": "x"}, **key)
    outcomes = race(service, [event] * MANY)
    assert statuses(outcomes) == {201: MANY}
    assert len(answer_texts(outcomes)) == len(service.comments("1001")) == 1


@pytest.mark.parametrize("clock", [WallClock, StoppedClock], indirect=True)
def test_comments_without_a_key_are_all_stored(service: Service) -> None:
    events = [service.event("POST", "/orders/1001/comments", {"content": f"Nº {n}"}) for n in range(MANY)]
    outcomes = race(service, events)
    assert statuses(outcomes) == {201: MANY}
    given = {each.answer.json["comments"][0]["id"]: each.answer.json["comments"][0]["content"] for each in outcomes}
    assert len(given) == MANY
    assert {int(each["id"]): each["content"] for each in service.comments("1001")} == given


def test_comment_is_redacted_once(service: Service) -> None:
    [comment] = service.post("/orders/1001/comments", {"content": "x"}).json["comments"]
    path = f"/admin/orders/1001/comments/{comment['id']}/redact"
    outcomes = race(service, [service.event("POST", path)] * MANY)
    assert statuses(outcomes) == {204: MANY}
    assert len(counted(outcomes, "CommentsRedacted")) == len(service.items("1001", "CHANGE#")) == 1


def test_order_is_created_once(service: Service) -> None:
    outcomes = race(service, [service.event("POST", "/admin/orders", ORDER)] * MANY)
    assert statuses(outcomes) == {201: 1, 200: MANY - 1}
    assert len(answer_texts(outcomes)) == len(counted(outcomes, "OrdersCreated")) == 1


def test_one_key_creates_one_order(service: Service) -> None:
    outcomes = race(service, [service.event("POST", "/admin/orders", ORDER, idempotency_key="k")] * MANY)
    assert statuses(outcomes) == {201: MANY}
    assert len(answer_texts(outcomes)) == 1


@pytest.mark.parametrize(
    ("key", "refused"),
    [({}, (409, "order-exists")), ({"idempotency_key": "k"}, (422, "idempotency-key-reused"))],
    ids=["without a key", "with a key"],
)
def test_one_of_many_orders_gets_the_id(service: Service, key: dict[str, str], refused: tuple[int, str]) -> None:
    orders = [ORDER | {"shipping_cost": n, "customer_summary": {"city": str(n)}} for n in range(MANY)]
    outcomes = race(service, [service.event("POST", "/admin/orders", order, **key) for order in orders])
    [winner] = counted(outcomes, "OrdersCreated")
    assert outcomes.pop(winner).answer.status == 201
    problem = (refused[0], f"urn:problem:orders:{refused[1]}")
    assert {(each.answer.status, each.answer.json["type"]) for each in outcomes} == {problem}
    # Header and lines belong to the same order.
    header, detail = service.items("2001", "ORDER")
    assert float(header["grand_total"]) == 25 + winner
    assert detail["customer_summary"]["city"] == {"S": str(winner)}


@pytest.mark.parametrize("key", [{}, {"idempotency_key": "k"}], ids=["double click", "with a key"])
def test_one_request_sends_one_mail(service: Service, key: dict[str, str]) -> None:
    outcomes = race(service, [service.event("POST", "/admin/orders/1002/send-invoice", {"notes": "x"}, **key)] * MANY)
    done = [each.answer for each in outcomes if each.answer.status == 200]
    assert {answer.headers["location"] for answer in done} == {
        f"/admin/orders/1002/invoices/INV-{utc_now().year}-00001"
    }
    # The other requests came while the mail was being sent.
    early = [each.answer for each in outcomes if each.answer.status != 200]
    assert {(answer.status, answer.json["type"]) for answer in early} <= {(409, "urn:problem:orders:still-running")}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in early)
    assert sum(len(each.mailed) for each in outcomes) == 1
    assert [invoice["outcome"] for invoice in service.invoices("1002")] == ["sent"]
    assert "mailing" not in service.order("1002")


def test_one_of_many_changes_to_a_version_is_made(service: Service) -> None:
    before = service.order("1001")
    etag = f'"{before["version"]}"'
    changes = [{"customer_summary": {"city": str(n)}} for n in range(MANY)]
    outcomes = race(
        service, [service.event("PATCH", "/admin/orders/1001", change, if_match=etag) for change in changes]
    )
    assert statuses(outcomes) == {200: 1, 412: MANY - 1}
    [winner] = [n for n, each in enumerate(outcomes) if each.answer.status == 200]
    header, detail = service.items("1001", "ORDER")
    assert int(header["version"]) == int(before["version"]) + 1
    assert detail["customer_summary"]["city"] == {"S": str(winner)}
    assert len(service.items("1001", "CHANGE#")) == 1


def test_concurrent_changes_are_all_applied(service: Service) -> None:
    """Makes eight changes to eight fields, for any version."""
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
    outcomes = race(service, [service.event("PATCH", "/admin/orders/1001", change) for change in changes])
    assert set(statuses(outcomes)) <= {200, 409}
    assert all(int(each.answer.headers["retry-after"]) > 0 for each in outcomes if each.answer.status == 409)
    made = {name for name, each in zip(fields, outcomes, strict=True) if each.answer.status == 200}
    header, detail = service.items("1001", "ORDER")
    assert {name for name in fields if detail["customer_summary"].get(name) == {"S": "new"}} == made != set()
    assert int(header["version"]) == int(before["version"]) + len(made)
    assert len(service.items("1001", "CHANGE#")) == len(made)


@pytest.fixture
def conflicts(service: Service) -> None:
    """Makes half of all writes fail with a conflict, also repeatedly. DynamoDB Local itself would let them wait."""
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
def test_many_conflicts_lose_and_duplicate_nothing(service: Service) -> None:
    """Makes all kinds of requests on one order: acknowledged writes are stored once, and refused ones are not."""
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
    outcomes = race(service, everything)
    of = {}
    for kind, sent in events.items():
        of[kind], outcomes = outcomes[: len(sent)], outcomes[len(sent) :]
    for kind, each in ((kind, each) for kind, some in of.items() for each in some):
        assert each.answer.status in {200, 201, 204, 409}, (kind, each.answer)
        # Too many conflicts in a row; only refusals that may be retried have Retry-After.
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


# Documents ------------------------------------------------------------------------------------------------------------


def issued(service: Service, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Returns the documents of some orders, by number."""
    found = [each for order_id in ids for each in service.items(order_id, "DOC#")]
    return sorted(found, key=lambda each: str(each["number"]))


def die_often(service: Service) -> None:
    """Makes processes that are forked from now on die in the middle of issuing, archiving and mailing."""
    chance, parent = SystemRandom(), os.getpid()

    def die(model: Any, **_: Any) -> None:
        mailed = service.calls["SendEmail"] and model.name != "SendEmail"
        if os.getpid() != parent and not mailed and chance.random() < 0.1:
            os._exit(1)

    for client, operation in (
        (aws.dynamodb(), "TransactWriteItems"),
        (aws.s3(), "PutObject"),
        (aws.ses(), "SendEmail"),
    ):
        for moment in ("before", "after"):
            client.meta.events.register(f"{moment}-call.*.{operation}", die)


def test_numbers_have_no_gaps_whatever_fails(service: Service, request: pytest.FixtureRequest) -> None:
    """Issues 64 invoices at once. Half of all writes are refused, processes die, and clients repeat their requests."""
    sample = Order.model_validate_json((ROOT / "tests" / "order.json").read_bytes())
    ids = [f"number-{n}" for n in range(MANY)]
    for order_id in ids:
        OrderStore(get_table()).create(sample.model_copy(update={"order_id": order_id}))
    request.getfixturevalue("conflicts")
    die_often(service)
    left, died = set(ids), 0
    for attempt in range(30):
        waiting = sorted(left)
        path = "/admin/orders/{}/send-invoice"
        events = [service.event("POST", path.format(each), idempotency_key=f"{attempt}") for each in waiting]
        for order_id, outcome in zip(waiting, race(service, events, may_die=True), strict=True):
            died += outcome is None
            if outcome is not None:
                assert outcome.answer.status in {200, 409, 503}, outcome.answer.text
                left -= {order_id} if outcome.answer.status == 200 else set()
        if not left:
            break
    assert not left
    assert died
    documents = issued(service, ids)
    assert [each["number"] for each in documents] == [f"INV-{utc_now().year}-{n + 1:05}" for n in range(MANY)]
    assert len({each["order_id"] for each in documents}) == MANY
    assert [each["issued"] for each in documents] == sorted(each["issued"] for each in documents)
    # Whatever failed kept the number of its order.
    for order_id in ids:
        [number] = [each["number"] for each in issued(service, [order_id])]
        assert {each["document"] for each in service.invoices(order_id)} == {number}


def test_sends_and_cancellations_of_one_order_leave_one_document_valid_at_most(service: Service) -> None:
    service.skip_records()
    send, cancel = "/admin/orders/1002/send-invoice", "/admin/orders/1002/cancel"
    events = [service.event("POST", send, idempotency_key=f"{n}") for n in range(MANY)]
    events += [service.event("POST", cancel) for _ in range(MANY)]
    SystemRandom().shuffle(events)
    outcomes = race(service, events)
    cancelled = [each.answered for each in outcomes if each.answer.status == 204]
    mailed = [mail for each in outcomes for mail in each.mailed]
    assert {each.answer.status for each in outcomes} <= {200, 204, 409, 503}
    documents = issued(service, ["1002"])
    invoices = [each for each in documents if each["type"] == "invoice"]
    credit_notes = [each for each in documents if each["type"] == "credit_note"]
    assert len(invoices) <= 1
    assert len(mailed) == 0 or len(invoices) == 1
    if cancelled:
        assert len(credit_notes) + sum("voided" in each for each in invoices) == len(invoices)
        assert all(mail < min(cancelled) for mail in mailed)
        assert service.notify(service.records()) == []
        [notice] = service.notices
        attached = [each.get_filename() for each in notice.iter_attachments()]
        assert attached == [f"{each['number']}.pdf" for each in credit_notes]
    else:
        assert not credit_notes


BEGIN, MAIL, END = "TransactWriteItems 1", "SendEmail 1", "TransactWriteItems 2"


@pytest.mark.parametrize("step", [BEGIN, MAIL, END])
def test_no_mail_leaves_after_a_cancellation_was_acknowledged(service: Service, step: str) -> None:
    """Runs an invoice and a cancellation of each of 16 orders, which meet at one step with different head starts."""
    sample = Order.model_validate_json((ROOT / "tests" / "order.json").read_bytes())
    ids = [f"cancel-{n}" for n in range(16)]
    events, meetings = [], []
    for n, order_id in enumerate(ids):
        OrderStore(get_table()).create(sample.model_copy(update={"order_id": order_id}))
        # Issued before, so that the mailings do not wait for each other's numbers.
        assert service.post(f"/admin/orders/{order_id}/send-invoice").status == 200
        barrier, lead = FORK.Barrier(2), n - 8
        # From zero to two seconds, which is enough for the other request to write.
        head_start = 0.03 * lead**2
        events.append(service.event("POST", f"/admin/orders/{order_id}/send-invoice", {"notes": "again"}))
        meetings.append(Meeting(barrier, step, then_sleep=head_start if lead > 0 else 0))
        events.append(service.event("POST", f"/orders/{order_id}/cancel"))
        meetings.append(Meeting(barrier, "UpdateItem 1", then_sleep=head_start if lead < 0 else 0))
    outcomes = race(service, events, meetings)
    seen = set()
    for order_id, invoiced, cancelled in zip(ids, outcomes[::2], outcomes[1::2], strict=True):
        order, ledger = service.order(order_id), service.invoices(order_id)
        # Either mailed and recorded as mailed, or neither …
        outcome = (invoiced.answer.status, [each["outcome"] for each in ledger], len(invoiced.mailed))
        assert outcome in [(200, ["sent", "sent"], 1), (409, ["sent"], 0)]
        assert "mailing" not in order
        # … and no mail leaves after the cancellation was acknowledged. A cancellation that waited too long for a mail
        # is refused.
        assert (cancelled.answer.status, order["order_status"]) in [(204, "cancelled"), (409, "in_progress")]
        assert cancelled.answer.status == 409 or all(mail < cancelled.answered for mail in invoiced.mailed)
        types = [each["type"] for each in service.documents(order_id)]
        assert types == ["invoice", "credit_note"][: 1 + (cancelled.answer.status == 204)]
        seen.add((bool(invoiced.mailed), cancelled.calls["UpdateItem"] + cancelled.calls["TransactWriteItems"] > 2))
    # A mailing that has begun is completed.
    assert {mailed for mailed, _ in seen} == ({True, False} if step == BEGIN else {True})
    # A cancellation waits for a mail in progress.
    assert step != MAIL or (True, True) in seen
