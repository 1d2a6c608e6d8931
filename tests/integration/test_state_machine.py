"""Stateful property test: two customers and an admin make random requests while AWS fails, and all guarantees hold.

A small model, which implements the rules independently, says what may be answered and what is stored afterwards.
"""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from email.message import EmailMessage
from functools import partial
from itertools import count
from typing import Any

import hypothesis.strategies as st
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from harness import ADA, ALICE, BOB, Answer, Clock, Service, break_at
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

EXAMPLES = int(os.environ.get("EXAMPLES") or max(3, settings().max_examples // 8))
"""Number of generated runs. `make storm` sets a higher one."""

STEPS = 40
"""The most steps that a run has."""

CLAIMS = {"alice": ALICE, "bob": BOB, "ada": ADA}

SECRET = "not for the customer"

MAY_BE_CANCELLED = {"draft", "in_progress", "paused", "reopened"}
SHIPPED_SO_FAR = {"alice": {"awaiting_shipment"}, "bob": {"awaiting_shipment"}, "ada": {"awaiting_shipment", "partial"}}
NEXT = {
    "order_status": {
        "in_progress": {"paused", "completed"},
        "paused": {"in_progress", "completed"},
        "completed": {"reopened"},
        "reopened": {"in_progress", "paused", "completed"},
    },
    "shipping_status": {
        "awaiting_shipment": {"partial", "shipped"},
        "partial": {"shipped"},
    },
    "payment_status": {
        "unpaid": {"pending", "paid"},
        "pending": {"unpaid", "paid"},
        "paid": {"refunded"},
    },
}
CHANGES = [(name, value) for name, after in NEXT.items() for value in sorted(set().union(*after.values()))]


@dataclass
class Known:
    """What the model knows about an order.

    Attributes:
        comments: The text of each comment by its id, and whether the customer may read it.
        bounced: Whether an invoice bounced at its address.
        mailed_before_cancelling: The number of mails with its invoice when it was cancelled.
        city: Where the customer lives.
        issued_for: Where they lived when its valid invoice was issued; None without an invoice.
    """

    owner: str
    states: dict[str, str]
    version: int = 1
    comments: dict[int, tuple[str, bool]] = field(default_factory=dict)
    bounced: bool = False
    mailed_before_cancelling: int | None = None
    city: str = ""
    issued_for: str | None = None


def new_order(owner: str) -> Known:
    states = {"order_status": "in_progress", "shipping_status": "awaiting_shipment", "payment_status": "unpaid"}
    return Known(owner, states)


ORDERS = {"1001": "alice", "1002": "bob"}
TO_COME = {"3001": "alice", "3002": "bob"}

who = st.sampled_from(["alice", "bob", "ada"])
where = st.sampled_from([*ORDERS, *ORDERS, *ORDERS, *TO_COME])
keys = st.sampled_from([None, "k", "l"])
texts = st.sampled_from(["x", "y"])

Fault = tuple[str, str, BaseException]
throttled = ClientError(
    {"Error": {"Code": "ThrottlingException"}, "ResponseMetadata": {"HTTPStatusCode": 400}},  # type: ignore[typeddict-item]
    "Operation",
)
out_of_time = ReadTimeoutError(endpoint_url="https://aws")


def faults_at(*calls: str) -> st.SearchStrategy[Fault | None]:
    """Returns a strategy for faults: none, or one of these calls is throttled or times out."""
    kinds = st.sampled_from([("before", throttled), ("before", out_of_time), ("after", out_of_time)])
    return st.none() | st.builds(lambda call, kind: (call, *kind), st.sampled_from(calls), kinds)


class Story(RuleBasedStateMachine):
    """The rules and invariants of the state machine."""

    def __init__(self, service: Service) -> None:
        super().__init__()
        self.service = service
        self.numbers = count()
        service.clock.now = Clock().now
        service.reset()
        service.skip_records()
        self.orders = {order_id: new_order(owner) for order_id, owner in ORDERS.items()}
        self.done: dict[tuple[str, ...], tuple[Any, Answer | None]] = {}
        self.records: list[Any] = []
        self.mailed: Counter[tuple[str, ...]] = Counter()
        self.clicked: dict[tuple[str, ...], Any] = {}
        self.told_in_peace = True
        self.touched: set[str] = set()

    def ask(
        self, send: Callable[..., Answer], path: str, *body: Any, fault: Fault | None, **headers: str | None
    ) -> Answer:
        """Sends a request, a moment after the one before. It may fail only because of the AWS fault."""
        self.service.clock.sleep(0.001)
        self.touched = {order_id for order_id in (*ORDERS, *TO_COME) if order_id in f"{path}{body}"}
        repair = break_at(*fault) if fault else lambda: None
        try:
            answer = send(path, *body, **{name: value for name, value in headers.items() if value})
        finally:
            repair()
        # A mail whose outcome is unknown is still unknown when the request is repeated.
        assert answer.status < 500 or fault or self.problem(answer) == "mail-unknown", answer.text
        assert answer.status != 500, answer.text
        return answer

    def problem(self, answer: Answer) -> str:
        return str(answer.json["type"]).rpartition(":")[2] if answer.status >= 400 else ""

    def visible_to(self, name: str, order_id: str) -> bool:
        known = self.orders.get(order_id)
        return known is not None and name in {"ada", known.owner}

    def same_as_before(self, scope: tuple[str, ...], key: str | None, body: Any, answer: Answer) -> bool:
        """Whether the key was used before. If so, checks that the first answer is repeated, or the request refused."""
        if key is None or (*scope, key) not in self.done:
            return False
        before, first = self.done[*scope, key]
        if body != before:
            assert (answer.status, self.problem(answer)) == (422, "idempotency-key-reused")
        elif first is not None:
            assert (answer.status, answer.text) == (first.status, first.text)
        else:
            assert answer.status in {200, 201}
        return True

    @rule(
        name=who,
        order_id=where,
        internal=st.booleans(),
        key=keys,
        text=texts,
        fault=faults_at("GetItem", "TransactWriteItems"),
    )
    def comment(
        self, name: str, order_id: str, internal: bool, key: str | None, text: str, fault: Fault | None
    ) -> None:
        if not key:
            # Otherwise it could be a double click of an earlier one.
            text = f"{text} {next(self.numbers)}"
        body: dict[str, Any] = {"content": text}
        if name == "ada" and internal:
            body = {"content": f"{text}: {SECRET}", "flagged": True}
        path = f"{'/admin' if name == 'ada' else ''}/orders/{order_id}/comments"
        answer = self.ask(self.service.post, path, body, CLAIMS[name], fault=fault, idempotency_key=key)
        known = self.orders.get(order_id)
        stored = {int(each["id"]): each for each in self.service.comments(order_id)}
        new = {n: each["content"] for n, each in stored.items() if known is None or n not in known.comments}
        if known is None or not self.visible_to(name, order_id):
            assert answer.status in {404, 503}
            assert not new
            return
        scope = ("comment", name, order_id)
        if answer.status != 503 and self.same_as_before(scope, key, body, answer):
            assert not new
            return
        if answer.status == 201:
            [made] = answer.json["comments"]
            assert new == {made["id"]: body["content"]}
            if not key:
                assert self.service.post(path, body, CLAIMS[name]).text == answer.text
        else:
            # Either complete or absent.
            assert answer.status == 503
            assert list(new.values()) in ([], [body["content"]])
        assert all(n > max(known.comments, default=0) for n in new)
        known.comments |= {n: (content, SECRET not in content) for n, content in new.items()}
        if key and new:
            self.done[*scope, key] = body, answer if answer.status == 201 else None

    @rule(name=who, order_id=where, fault=faults_at("UpdateItem", "BatchGetItem", "TransactWriteItems"))
    def cancel(self, name: str, order_id: str, fault: Fault | None) -> None:
        held = self.is_being_mailed(order_id)
        path = f"{'/admin' if name == 'ada' else ''}/orders/{order_id}/cancel"
        answer = self.ask(self.service.post, path, {"reason": "x"}, CLAIMS[name], fault=fault)
        known = self.orders.get(order_id)
        if known is None or not self.visible_to(name, order_id):
            assert answer.status in {404, 503}
            return
        cancelled = self.service.order(order_id)["order_status"] == "cancelled"
        if known.mailed_before_cancelling is not None:
            assert answer.status in {204, 503}
            return
        allowed = (
            known.states["order_status"] in MAY_BE_CANCELLED and known.states["shipping_status"] in SHIPPED_SO_FAR[name]
        )
        if answer.status == 204:
            assert allowed
            assert cancelled
        elif self.problem(answer) == "still-running":
            assert held
            assert not cancelled
        elif answer.status == 409:
            assert not allowed
            assert not cancelled
        else:
            assert answer.status == 503
            assert allowed or not cancelled
        if cancelled:
            known.states["order_status"] = "cancelled"
            known.version += 1
            known.mailed_before_cancelling = len(self.invoice_mails(order_id))

    @rule(
        name=who,
        order_id=where,
        change=st.sampled_from(CHANGES),
        given=st.sampled_from([0, 0, 1, -1]),
        fault=faults_at("Query", "TransactWriteItems"),
    )
    def change(self, name: str, order_id: str, change: tuple[str, str], given: int, fault: Fault | None) -> None:
        """Changes an order. `given` selects the version: the latest (1), the one before (-1) or none (0)."""
        known = self.orders.get(order_id)
        state, value = change
        version = known.version + min(given, 0) if known else 1
        tag = f'"{version}"' if given else None
        path = f"/admin/orders/{order_id}"
        answer = self.ask(self.service.patch, path, {state: value}, CLAIMS[name], fault=fault, if_match=tag)
        if name != "ada":
            assert answer.status == 403
            return
        if known is None:
            assert answer.status in {404, 503}
            return
        now = self.service.order(order_id)
        states = {each: now[each] for each in known.states}
        changed = replace(known, version=known.version + 1, states=known.states | {state: value})
        same = known.states[state] == value
        allowed = value in NEXT[state].get(known.states[state], set())
        if known.mailed_before_cancelling is not None:
            # Money that arrived or went back may be recorded.
            allowed = state == "payment_status" and allowed
        if answer.status == 200 and not same:
            assert allowed
            assert given >= 0
            assert (states, int(now["version"])) == (changed.states, changed.version)
        elif answer.status == 503:
            before, after = (known.states, known.version), (changed.states, changed.version)
            assert (states, int(now["version"])) in ([before, after] if allowed and given >= 0 else [before])
        else:
            expected = 412 if given < 0 else 200 if same else 422 if state == "payment_status" else 409
            assert answer.status == expected
            assert not allowed or given < 0
            assert (states, int(now["version"])) == (known.states, known.version)
        known.states, known.version = states, int(now["version"])

    @rule(order_id=where, city=st.sampled_from(["Oslo", "Bergen"]))
    def the_customer_moves(self, order_id: str, city: str) -> None:
        """Changes the buyer that a document would name."""
        body = {"customer_summary": {"city": city}}
        answer = self.ask(self.service.patch, f"/admin/orders/{order_id}", body, fault=None)
        if known := self.orders.get(order_id):
            assert (answer.status, answer.json["version"]) == (200, known.version + (city != known.city))
            known.version, known.city = answer.json["version"], city

    @rule(
        order_id=st.sampled_from(list(TO_COME)),
        price=st.sampled_from(["1", "2"]),
        key=keys,
        fault=faults_at("TransactWriteItems"),
    )
    def create(self, order_id: str, price: str, key: str | None, fault: Fault | None) -> None:
        line = {"item_id": 1, "product_name": "Brunost", "quantity": 1, "price": price}
        owner = TO_COME[order_id]
        body = {
            "order_id": order_id,
            "customer_id": owner,
            "currency_code": "EUR",
            "customer_summary": {"email": f"{owner}@example.com"},
            "order_line_details": [line],
        }
        answer = self.ask(self.service.post, "/admin/orders", body, fault=fault, idempotency_key=key)
        there = len(self.service.items(order_id, "ORDER"))
        # Either both header and lines are stored, or neither.
        assert there in {0, 2}
        if answer.status == 503:
            if there and order_id not in self.orders:
                self.orders[order_id] = new_order(owner)
                self.done["price", order_id] = price, None
                if key:
                    self.done["create", key] = body, None
            return
        if self.same_as_before(("create",), key, body, answer):
            return
        if order_id not in self.orders:
            assert answer.status == 201
            self.orders[order_id] = new_order(owner)
            self.done["price", order_id] = price, None
            if key:
                self.done["create", key] = body, answer
        elif self.done["price", order_id][0] == price:
            assert (answer.status, answer.json["version"]) == (200, self.orders[order_id].version)
        else:
            assert (answer.status, self.problem(answer)) == (409, "order-exists")

    @rule(
        order_id=where,
        key=keys,
        notes=texts,
        choice=st.sampled_from([None, None, "reissue", "as_issued"]),
        fault=faults_at(
            "BatchGetItem",
            "TransactWriteItems",
            "TransactWriteItems 2",
            "PutObject",
            "SendEmail",
            "SendEmail",
            "SendEmail",
        ),
    )
    def invoice(self, order_id: str, key: str | None, notes: str, choice: str | None, fault: Fault | None) -> None:
        before = len(self.invoice_mails(order_id))
        path = f"/admin/orders/{order_id}/send-invoice"
        body = {"notes": notes} | ({choice: True} if choice else {})
        answer = self.ask(self.service.post, path, body, fault=fault, idempotency_key=key)
        new = len(self.invoice_mails(order_id)) - before
        known = self.orders.get(order_id)
        if known is None:
            assert (answer.status in {404, 503}, new) == (True, 0)
            return
        refused = known.mailed_before_cancelling is not None or known.bounced
        outdated = known.issued_for not in {None, known.city}
        request = ("invoice", order_id, key) if key else ("click", order_id, str(body))
        now = self.service.clock.now
        began, asked, asked_for = self.clicked.get(request, (now - timedelta(hours=1), False, body))
        if key is None and now - began >= timedelta(seconds=30):
            # Later than 30 seconds, it is a new click.
            asked = False
            self.mailed[request] = 0
        self.mailed[request] += new
        # One request sends at most one mail, and none after the order was cancelled.
        assert self.mailed[request] <= 1
        assert not new or not refused
        if answer.status == 200:
            assert self.mailed[request] == 1
        elif answer.status == 504:
            assert fault or asked
        else:
            assert new == 0
        if not fault and not asked:
            # No earlier attempt, successful or not, delays the cancellation.
            expected = (409, "invoice-outdated") if outdated and not choice else (200, "")
            assert (answer.status, self.problem(answer)) == ((409, "state-conflict") if refused else expected)
        if asked and asked_for != body and not fault:
            assert (answer.status, self.problem(answer)) == (422, "idempotency-key-reused")
        if f"INVOICE#{self.count(order_id):06}" in self.sks(order_id, now):
            if known.issued_for is None or (outdated and choice == "reissue"):
                known.issued_for = known.city
            if not asked:
                self.clicked[request] = now, True, body

    def sks(self, order_id: str, now: Any) -> set[str]:
        """Returns the invoices of an order that began at this instant."""
        return {each["sk"] for each in self.service.invoices(order_id) if each["started"].startswith(f"{now:%FT%T.%f}")}

    def count(self, order_id: str) -> int:
        return len(self.service.invoices(order_id))

    @rule(order_id=where, kind=st.sampled_from(["Send", "Delivery", "Bounce"]))
    def ses_reports(self, order_id: str, kind: str) -> None:
        # SES reports only on mails that it accepted.
        for mail in self.invoice_mails(order_id)[-1:]:
            more = {"bounceType": "Permanent"} if kind == "Bounce" else {}
            self.service.report(kind, order_id, int(tags(mail)["mailing"]), **more)
            known = self.orders[order_id]
            # The first bounce is a new version: from now on, no invoice may be sent to the address.
            known.version += kind == "Bounce" and not known.bounced
            known.bounced |= kind == "Bounce"
            self.touched = {order_id}

    @rule(seconds=st.sampled_from([1, 31]))
    def time_passes(self, seconds: int) -> None:
        self.service.clock.sleep(seconds)

    @rule(
        fault=faults_at("Query", "PutItem", "SendEmail", "UpdateItem", "GetItem", "PutObject", "TransactWriteItems"),
        twice=st.booleans(),
    )
    def the_stream_is_read(self, fault: Fault | None, twice: bool) -> None:
        records = self.records + self.service.records()
        repair = break_at(*fault) if fault else lambda: None
        try:
            failed = self.service.notify(records)
        finally:
            repair()
        self.told_in_peace &= fault is None
        assert not failed or fault
        first = min(
            (at for at, each in enumerate(records) if each["dynamodb"]["SequenceNumber"] in failed), default=None
        )
        self.records = records if twice else [] if first is None else records[first:]

    def invoice_mails(self, order_id: str) -> list[EmailMessage]:
        """Returns the mails that brought an invoice, without those that told of the cancellation."""
        return [
            mail for mail in self.service.mails if "notice" not in tags(mail) and tags(mail)["order_id"] == order_id
        ]

    def is_being_mailed(self, order_id: str) -> bool:
        """Whether a mailing without a recorded outcome may still be in progress."""
        return any(
            each["outcome"] == "sending"
            and f"{self.service.clock.now - timedelta(seconds=31):%FT%T.%f}" < each["started"]
            for each in self.service.invoices(order_id)
        )

    @invariant()
    def guarantees_hold(self) -> None:
        """Checks all guarantees for the orders of the last step, and at the end for all orders."""
        for order_id in self.touched & self.orders.keys():
            known = self.orders[order_id]
            self.check_that_nothing_is_lost_or_duplicated(order_id, known)
            self.check_that_cancelled_orders_stay_cancelled(order_id, known)
            self.check_that_the_ledger_is_true(order_id)
            self.check_that_internal_comments_stay_internal(order_id, known)
            self.check_that_customers_are_told_once(order_id, known)
        self.check_that_numbers_have_no_gaps()

    def check_that_numbers_have_no_gaps(self) -> None:
        issued = [each for order_id in (*ORDERS, *TO_COME) for each in self.service.items(order_id, "DOC#")]
        issued.sort(key=lambda each: str(each["number"]))
        assert [each["number"] for each in issued] == [f"INV-2026-{n + 1:05}" for n in range(len(issued))]
        assert [each["issued"] for each in issued] == sorted(each["issued"] for each in issued)

    def check_that_nothing_is_lost_or_duplicated(self, order_id: str, known: Known) -> None:
        stored = {int(each["id"]): each["content"] for each in self.service.comments(order_id)}
        assert stored == {n: text for n, (text, _) in known.comments.items()}
        order = self.service.order(order_id)
        assert {name: order[name] for name in known.states} == known.states
        assert int(order["version"]) == known.version
        changes = [int(each["version"]) for each in self.service.items(order_id, "CHANGE#")]
        assert changes == sorted(set(changes))
        # A cancellation and a bounce have other records.
        assert len(changes) == known.version - 1 - (known.mailed_before_cancelling is not None) - known.bounced

    def check_that_cancelled_orders_stay_cancelled(self, order_id: str, known: Known) -> None:
        if known.mailed_before_cancelling is not None:
            assert known.states["order_status"] == "cancelled"
            assert len(self.invoice_mails(order_id)) == known.mailed_before_cancelling

    def check_that_the_ledger_is_true(self, order_id: str) -> None:
        documents = self.service.documents(order_id)
        mails = [mail for mail in self.service.mails if tags(mail)["order_id"] == order_id]
        arrived = Counter(tags(mail)["mailing"] for mail in mails if "mailing" in tags(mail))
        for mailing in self.service.invoices(order_id):
            left = {"failed": {0}, "sending": {0, 1}, "unknown": {0, 1}}.get(mailing["outcome"], {1})
            assert arrived.pop(mailing["n"], 0) in left, mailing
        assert not arrived
        # At most one invoice is valid; each other one is void or has one credit note.
        invoices = [each for each in documents if each["type"] == "invoice"]
        credited = Counter(each["corrects"] for each in documents if each["type"] == "credit_note")
        states = [bool(each["voided"]) + credited.pop(each["number"], 0) for each in invoices]
        cancelled = self.orders[order_id].mailed_before_cancelling is not None
        assert states == [1] * (len(invoices) - 1) + [int(cancelled)] * bool(invoices)
        assert not credited
        # A number always stands for the same bytes.
        pdfs: dict[str | None, Any] = {}
        for mail in mails:
            for attachment in mail.iter_attachments():
                content = attachment.get_content()
                assert pdfs.setdefault(attachment.get_filename(), content) == content

    def check_that_internal_comments_stay_internal(self, order_id: str, known: Known) -> None:
        stranger, owner = BOB if known.owner == "alice" else ALICE, CLAIMS[known.owner]
        comments = f"/orders/{order_id}/comments?limit=100"
        assert self.service.get(comments, stranger).status == 404
        assert self.service.get(f"/orders/{order_id}", stranger).status == 404
        read = self.service.get(comments, owner).json["comments"]
        # Oldest first.
        assert [(each["id"], each["content"]) for each in read] == sorted(
            (n, text) for n, (text, visible) in known.comments.items() if visible
        )

    def check_that_customers_are_told_once(self, order_id: str, known: Known) -> None:
        notices_by_kind = self.notices_by_kind(order_id)
        assert notices_by_kind["cancellation"] <= (known.mailed_before_cancelling is not None)
        assert notices_by_kind["comment"] <= sum(visible for _, visible in known.comments.values())

    def notices_by_kind(self, order_id: str) -> Counter[str]:
        """Returns the number of notices of each kind that the customer got."""
        notices = [mail for mail in self.service.notices if tags(mail)["order_id"] == order_id]
        assert not [mail for mail in notices if SECRET in mail.as_string()]
        return Counter(tags(mail)["notice"] for mail in notices)

    def teardown(self) -> None:
        """Checks the guarantees for all orders, and that all notices were sent unless something prevented them."""
        self.touched = {*self.orders}
        self.guarantees_hold()
        listed = [each["order_id"] for each in self.service.get("/admin/orders?limit=100").json["orders"]]
        assert len(listed) == len(set(listed))
        assert self.orders.keys() <= set(listed)
        archived = {key.rpartition("/")[2] for key in self.service.archived()}
        for order_id in self.orders:
            for each in self.service.get(f"/admin/orders/{order_id}/invoices").json["invoices"]:
                assert not each["archived"] or f"{each['number']}.pdf" in archived
        if self.told_in_peace:
            assert self.service.notify(self.records + self.service.records()) == []
            for order_id, known in self.orders.items():
                if not known.bounced:
                    assert self.notices_by_kind(order_id)["cancellation"] == (
                        known.mailed_before_cancelling is not None
                    )


def tags(mail: EmailMessage) -> dict[str, str]:
    return dict(tag.split("=") for tag in mail["X-SES-MESSAGE-TAGS"].split(", "))


@pytest.mark.slow
def test_guarantees_hold_whatever_happens(service: Service) -> None:
    run_state_machine_as_test(
        partial(Story, service),  # type: ignore[arg-type]
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
