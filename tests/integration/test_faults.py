"""Every call of AWS that any function makes fails in every way: what is told, what is so, what a repetition does.

The faults are on the wire (`wire.py`). Which calls there are is not written down here: each job is done once, and then
once more for each of its calls.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any
from unittest.mock import patch

import pytest
from harness import DYNAMODB_LOCAL, EVENTS, TEMPLATE, Answer, Context, Service, load
from wire import DONE, Fault, Wire

from orders.errors import DomainError

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(bool(DYNAMODB_LOCAL), reason="the emulated AWS is started anew for each call"),
]

KEY = {"idempotency-key": "8e03978e"}
PROBLEM = "urn:problem:orders:"

PUT = "dynamodb PutItem 1"
SEND = "/admin/orders/1002/send-invoice"

BEFORE: dict[str, Callable[[Service], object]] = {
    name: lambda service: service.post(SEND, idempotency_key="before")
    for name in ("get-invoice-as-admin", "list-invoices-as-admin", "ses-bounce", "ses-delivery")
}
"""What has to be there before an event can be handled."""


@dataclass(frozen=True)
class Job:
    """One event of `events/`, as it comes for the first time or `again`, with a key or without."""

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
        """The order that it is about."""
        if "create-order" in self.name:
            return "2001"
        told = json.dumps(self.event)
        return next((order_id for order_id in ("1001", "1002", "1004") if order_id in told), "1001")

    @property
    def only_reads(self) -> bool:
        return self.name.startswith(("get-", "list-", "preview-", "publish-", "watch-"))

    def prepare(self, service: Service) -> None:
        # Not over the wire: here, it is faster.
        with patch.dict(os.environ):
            del os.environ["AWS_ENDPOINT_URL"]
            service.begin_anew()
        if self.name in BEFORE:
            BEFORE[self.name](service)
        if self.again:
            self.do(service)

    def do(self, service: Service) -> Answer | None:
        """Its answer; None if whoever sent it has to send it again."""
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
    assert routes == {route.key for route in TEMPLATE.routes}
    handlers = {function.handler.partition(".")[0] for function in TEMPLATE.functions.values()}
    routed = {TEMPLATE.functions[route.function].handler.partition(".")[0] for route in TEMPLATE.routes}
    assert handlers - routed == {"notify_customer", *(module.partition(".")[0] for module in MODULES.values())}


def picture(service: Service, order_id: str) -> Any:
    """All that can be noticed afterwards of an order, but for when it was and what it is called."""
    order = service.get(f"/admin/orders/{order_id}")
    timeline = service.get(f"/admin/orders/{order_id}/timeline?limit=100").json.get("timeline", [])
    return (
        order.status,
        {name: value for name, value in order.json.items() if name not in {"created", "cancelled_at", "request_id"}},
        sorted(
            json.dumps([each | {"at": None, "comment": (each["comment"] or {}).get("content")}]) for each in timeline
        ),
        [str(mail["To"]) for mail in service.mails],
    )


def expected(call: str, fault: Fault, *, for_good: bool) -> tuple[int, str] | None:
    """What the contract says to a fault of a call: status and problem, None if it is not to be noticed."""
    service = call.partition(" ")[0]
    if service == "ses":
        refusals = {Fault.THROTTLED: (503, "unavailable"), Fault.DENIED: (502, "mail-refused")}
        return refusals.get(fault, (504, "mail-unknown"))
    if fault is Fault.CONFLICT:
        return (409, "still-running") if for_good else None
    # What botocore does not repeat: a no, and an answer that cannot be read, unless it is S3's.
    if not for_good and fault is not Fault.DENIED and (fault is not Fault.MALFORMED or service == "s3"):
        return None
    return (500, "internal-error") if fault is Fault.DENIED and service == "dynamodb" else (503, "unavailable")


def faults_of(call: str) -> list[Fault]:
    operation = call.split()[1]
    known = {
        Fault.CONFLICT: operation in {"PutItem", "UpdateItem", "TransactWriteItems"},
        Fault.IN_PROGRESS: operation == "TransactWriteItems",
    }
    return [fault for fault in Fault if known.get(fault, True)]


def strike_at(call: str, fault: Fault, *, for_good: bool) -> Callable[[str, int], Fault | None]:
    """Strikes a call, once or whenever it is tried. After a conflict it is the service that tries, by further calls."""
    operation, _, n = call.rpartition(" ")

    def strike(name: str, attempt: int) -> Fault | None:
        if for_good and fault is Fault.CONFLICT:
            return fault if name.startswith(operation) and int(name.rpartition(" ")[2]) >= int(n) else None
        return fault if name == call and (for_good or attempt == 1) else None

    return strike


@pytest.mark.parametrize("job", JOBS, ids=str)
@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
def test_a_fault_is_told_and_a_repetition_is_safe(
    wire: Wire, service: Service, subtests: pytest.Subtests, job: Job, for_good: bool
) -> None:
    job.prepare(service)
    wire.begin_anew()
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
                wire.begin_anew(strike_at(call, fault, for_good=for_good))
                answer = job.do(service)
                assert call in wire.calls
                wire.begin_anew()
                problem = expected(call, fault, for_good=for_good)
                check_answer(job, call, problem, answer, clean)
                certain = problem is None or (fault not in DONE and problem != (504, "mail-unknown"))
                check_end(service, job, call, fault, answer, certain=certain, undisturbed=undisturbed)


def check_answer(job: Job, call: str, problem: tuple[int, str] | None, answer: Answer | None, clean: Answer) -> None:
    """The answer is the undisturbed one, or the contract's for this fault."""
    if problem is None or records_the_end(job, call):
        assert answer is not None
        assert answer.status == clean.status
    elif answer is None:
        # Who sent it sends it again.
        assert "routeKey" not in job.event
    elif "notify" in job.name:
        # Of a mail that may have left nobody is told again.
        assert problem == (504, "mail-unknown")
    else:
        status, slug = problem
        assert (answer.status, answer.json["type"]) == (status, f"{PROBLEM}{slug}")
        assert answer.headers["content-type"] == "application/problem+json"
        assert ("retry-after" in answer.headers) == (status in {409, 503})
        assert not [word for word in ("@", "Table", "Exception", "Traceback") if word in (answer.text or "")]


def records_the_end(job: Job, call: str) -> bool:
    """Whether a call only records what became of a mail: that is told as it is, recorded or not."""
    return (job.name.startswith("send-invoice") and call == "dynamodb TransactWriteItems 2") or (
        "notify" in job.name and call == "dynamodb UpdateItem 1"
    )


def check_end(
    service: Service, job: Job, call: str, fault: Fault, answer: Answer | None, *, certain: bool, undisturbed: Any
) -> None:
    """Repeating leads to what would have been without the fault, or to as much of it as is safe.

    `certain` says that AWS did not leave in the dark whether it did what the call asked for.
    """
    done = answer is not None and answer.status < 400
    if "notify" in job.name:
        assert job.do(service) is not None
        # What may have been mailed is never mailed again.
        assert len(service.mails) == 1 or (not certain and not service.mails)
    elif job.name.startswith("send-invoice"):
        check_invoice(service, job, done=done)
    elif job.name.startswith("add-comment") and not job.keyed and (done or (fault in DONE and call == PUT)):
        # Without a key nobody can know that a repetition is one.
        assert picture(service, job.order_id) == undisturbed
    else:
        again = job.do(service)
        assert again is not None
        if again.status == 412:
            # The change was made, and whoever asked for it is shown that it was.
            assert again.json["current"]["shipping_status"] == "shipped"
        else:
            assert again.status < 400
        assert picture(service, job.order_id) == undisturbed


def check_invoice(service: Service, job: Job, *, done: bool) -> None:
    """One request is one mail at most, what the record says is so, and nobody is held up."""
    again = job.do(service)
    assert again is not None
    if again.status == 409 and job.keyed:
        # Somebody may still be at it. Without a key, it would be another request by then.
        service.clock.sleep(int(again.headers["retry-after"]))
        again = job.do(service)
        assert again is not None
    mails = len(service.mails)
    states = [invoice["state"] for invoice in service.get("/admin/orders/1002/invoices").json["invoices"]]
    assert mails <= 1
    assert mails == 1 or not done
    # The record never says of a mail what is not so.
    assert states.count("sent") <= mails <= len([state for state in states if state != "failed"])
    assert (again.status == 200) == ("sent" in states)
    assert again.status in {200, 504} or not job.keyed
    service.clock.sleep(31)
    assert service.post("/admin/orders/1002/cancel").status == 204
