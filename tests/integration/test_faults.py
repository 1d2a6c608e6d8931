"""Every AWS call of every function fails in every way: the answer, the stored state and repeating the request.

`wire.py` injects the faults. The calls are not listed here: each job runs once without faults, and then once more for
each call that it made.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any
from unittest.mock import patch

import pytest
from harness import DYNAMODB_LOCAL, EVENTS, TEMPLATE, Answer, Clock, Context, Service, load
from wire import PERFORMED, Fault, Wire

from orders.errors import DomainError

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(bool(DYNAMODB_LOCAL), reason="the emulated AWS is reset for each call"),
]

KEY = {"idempotency-key": "8e03978e"}
PROBLEM = "urn:problem:orders:"

SEND = "/admin/orders/1002/send-invoice"


def comment_of_the_event(service: Service) -> None:
    """Adds the comment that `redact-comment-as-admin` names: the first internal one by this clock."""
    service.clock.now = Clock().now
    service.post("/admin/orders/1001/comments", {"content": "x", "flagged": True})


BEFORE: dict[str, Callable[[Service], object]] = {"redact-comment-as-admin": comment_of_the_event} | {
    name: lambda service: service.post(SEND, idempotency_key="before")
    for name in (
        *("get-invoice-as-admin", "get-invoice-as-customer", "list-invoices-as-admin", "list-invoices-as-customer"),
        *("ses-bounce", "ses-delivery"),
    )
}
"""What must exist before an event can be handled."""


@dataclass(frozen=True)
class Job:
    """One event of `events/`, received for the first time or `again`, with or without an idempotency key."""

    name: str
    keyed: bool = False
    again: bool = False

    def __str__(self) -> str:
        return f"{self.name}{', with a key' if self.keyed else ''}{', again' if self.again else ''}"

    @property
    def event(self) -> Any:
        event = load(self.name)
        if "headers" in event:
            event["headers"] = {name: text for name, text in event["headers"].items() if name not in KEY}
            event["headers"] |= KEY if self.keyed else {}
        return event

    @property
    def order_id(self) -> str:
        """The order of the event."""
        if "create-order" in self.name:
            return "2001"
        told = json.dumps(self.event)
        return next((order_id for order_id in ("1001", "1002", "1003", "1004") if order_id in told), "1001")

    @property
    def only_reads(self) -> bool:
        return self.name.startswith(("get-", "list-", "preview-", "publish-", "watch-"))

    def prepare(self, service: Service) -> None:
        # Not over the wire, which would be slower.
        with patch.dict(os.environ):
            del os.environ["AWS_ENDPOINT_URL"]
            service.reset()
        if self.name in BEFORE:
            BEFORE[self.name](service)
        if self.again:
            self.do(service)

    def do(self, service: Service) -> Answer | None:
        """Returns the answer, or None if the sender has to deliver the event again."""
        if "routeKey" in self.event:
            return service.send(self.event)
        if "notify" in self.name:
            return None if service.notify(self.event["Records"]) else Answer(200, {}, None)
        try:
            import_module(MODULES[self.name]).handler(self.event, Context())
        except DomainError:
            return None
        return Answer(200, {}, None)


MODULES = {
    "publish-events": "publish_events.app",
    "ses-bounce": "record_delivery.app",
    "ses-delivery": "record_delivery.app",
    "watch-invoices-schedule": "watch_invoices.app",
}
TAKES_KEYS = ("add-comment", "create-order", "send-invoice")

JOBS = [Job(name) for name in EVENTS] + [
    Job(name, keyed=True, again=again) for name in EVENTS if name.startswith(TAKES_KEYS) for again in (False, True)
]


def test_every_function_has_a_job() -> None:
    routes = {load(name)["routeKey"] for name in EVENTS if "routeKey" in load(name)}
    assert routes == {route.key for route in TEMPLATE.operations}
    handlers = {function.handler.partition(".")[0] for function in TEMPLATE.functions.values()}
    routed = {TEMPLATE.functions[route.function].handler.partition(".")[0] for route in TEMPLATE.routes}
    assert handlers - routed == {"notify_customer", *(module.partition(".")[0] for module in MODULES.values())}


def picture(service: Service, order_id: str) -> Any:
    """Returns the observable state of an order, without times and generated ids."""
    order = service.get(f"/admin/orders/{order_id}")
    timeline = service.get(f"/admin/orders/{order_id}/timeline?limit=100").json.get("timeline", [])
    withdrawal = order.json.get("withdrawal")
    return (
        order.status,
        {
            name: value
            for name, value in order.json.items()
            if name not in {"created", "updated", "cancelled_at", "request_id"}
        }
        | {"withdrawal": withdrawal and withdrawal | {"declared_at": None}},
        sorted(
            json.dumps([each | {"at": None, "comment": (each["comment"] or {}).get("content")}]) for each in timeline
        ),
        [str(mail["To"]) for mail in (*service.mails, *service.staff_mails)],
    )


def expected(call: str, fault: Fault, *, every_time: bool) -> tuple[int, str] | None:
    """Returns the status and problem that the contract sets for a fault, or None if the caller must not notice it."""
    service = call.partition(" ")[0]
    if service == "ses":
        refusals = {Fault.THROTTLED: (503, "unavailable"), Fault.DENIED: (502, "mail-refused")}
        return refusals.get(fault, (504, "mail-unknown"))
    if fault is Fault.CONFLICT:
        return (409, "still-running") if every_time else None
    # botocore does not retry a refusal, or an unreadable answer unless it comes from S3.
    if not every_time and fault is not Fault.DENIED and (fault is not Fault.MALFORMED or service == "s3"):
        return None
    return (500, "internal-error") if fault is Fault.DENIED and service == "dynamodb" else (503, "unavailable")


def faults_of(call: str) -> list[Fault]:
    operation = call.split()[1]
    known = {
        Fault.CONFLICT: operation in {"PutItem", "UpdateItem", "TransactWriteItems"},
        Fault.IN_PROGRESS: operation == "TransactWriteItems",
    }
    return [fault for fault in Fault if known.get(fault, True)]


def fail_call(call: str, fault: Fault, *, every_time: bool) -> Callable[[str, int], Fault | None]:
    """Makes a call fail, once or at every attempt. After a conflict the service itself retries, with further calls."""
    operation, _, n = call.rpartition(" ")

    def fault_for(name: str, attempt: int) -> Fault | None:
        if every_time and fault is Fault.CONFLICT:
            return fault if name.startswith(operation) and int(name.rpartition(" ")[2]) >= int(n) else None
        return fault if name == call and (every_time or attempt == 1) else None

    return fault_for


@pytest.mark.parametrize("job", JOBS, ids=str)
@pytest.mark.parametrize("every_time", [False, True], ids=["once", "every time"])
def test_fault_is_reported_and_repeating_is_safe(
    wire: Wire, service: Service, subtests: pytest.Subtests, job: Job, every_time: bool
) -> None:
    job.prepare(service)
    wire.reset()
    clean = job.do(service)
    assert clean is not None
    calls = list(wire.calls)
    assert calls or job.name == "publish-events"
    undisturbed = picture(service, job.order_id)
    for call in calls:
        for fault in faults_of(call):
            with subtests.test(call=call, fault=str(fault)):
                if not job.only_reads:
                    job.prepare(service)
                wire.reset(fail_call(call, fault, every_time=every_time))
                answer = job.do(service)
                assert call in wire.calls
                wire.reset()
                problem = expected(call, fault, every_time=every_time)
                check_answer(job, call, problem, answer, clean)
                certain = problem is None or (fault not in PERFORMED and problem != (504, "mail-unknown"))
                check_outcome(service, job, call, fault, answer, certain=certain, undisturbed=undisturbed)


def check_answer(job: Job, call: str, problem: tuple[int, str] | None, answer: Answer | None, clean: Answer) -> None:
    """Checks that the answer is the usual one, or the one that the contract sets for this fault."""
    if problem is None or records_the_outcome(job, call):
        assert answer is not None
        assert answer.status == clean.status
    elif answer is None:
        # The sender delivers it again.
        assert "routeKey" not in job.event
    elif "notify" in job.name:
        # A customer is not told again by a mail that may have left.
        assert problem == (504, "mail-unknown")
    else:
        status, slug = problem
        assert (answer.status, answer.json["type"]) == (status, f"{PROBLEM}{slug}")
        assert answer.headers["content-type"] == "application/problem+json"
        assert ("retry-after" in answer.headers) == (status in {409, 503})
        assert not [word for word in ("@", "Table", "Exception", "Traceback") if word in (answer.text or "")]


def records_the_outcome(job: Job, call: str) -> bool:
    """Whether a call only records the outcome of a mail. The answer tells the outcome, recorded or not."""
    return (job.name.startswith("send-invoice") and call == "dynamodb TransactWriteItems 2") or (
        "notify" in job.name and call.startswith("dynamodb UpdateItem")
    )


def check_outcome(
    service: Service, job: Job, call: str, fault: Fault, answer: Answer | None, *, certain: bool, undisturbed: Any
) -> None:
    """Checks that repeating leads to the state without the fault, or to as much of it as is safe.

    `certain` says that it is known whether AWS performed the call.
    """
    done = answer is not None and answer.status < 400
    if "notify" in job.name:
        assert job.do(service) is not None
        # A mail that may have left is never sent again.
        mails = [*service.mails, *service.staff_mails]
        assert len({mail["To"] for mail in mails}) == len(mails)
        # A withdrawal is told to the customer and to the staff.
        wanted = 2 if "withdrawal" in job.name else 1
        assert len(mails) == wanted or (not certain and len(mails) == wanted - 1)
    elif job.name.startswith("send-invoice"):
        check_invoice(service, job, done=done)
    else:
        again = job.do(service)
        assert again is not None
        if again.status == 412:
            # The change was made, and the answer shows it.
            assert again.json["current"]["shipping_status"] == "shipped"
        else:
            assert again.status < 400
        assert picture(service, job.order_id) == undisturbed


def check_invoice(service: Service, job: Job, *, done: bool) -> None:
    """Checks that one request sends at most one mail, the record is true, and later requests are not blocked."""
    again = job.do(service)
    assert again is not None
    if again.status == 409 and job.keyed:
        # Another process may still be working on it. Without a key, it would be another request by then.
        service.clock.sleep(int(again.headers["retry-after"]))
        again = job.do(service)
        assert again is not None
    mails = len(service.mails)
    documents = service.documents("1002")
    states = [mailing["state"] for document in documents for mailing in document["mailings"]]
    # However often it is attempted, it is one invoice, and each mail brings the same PDF.
    assert [document["number"] for document in documents] == ["INV-2026-00001"][: bool(states)]
    assert mails <= 1
    assert mails == 1 or not done
    # The record never makes a false claim about a mail.
    assert states.count("sent") <= mails <= len([state for state in states if state != "failed"])
    assert (again.status == 200) == ("sent" in states)
    assert again.status in {200, 504} or not job.keyed
    service.clock.sleep(31)
    assert service.post("/admin/orders/1002/cancel").status == 204
