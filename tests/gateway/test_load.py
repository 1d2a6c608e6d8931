"""Load test: every acknowledged write is stored, and every other one is either complete or absent."""

import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from harness import ROOT, TEMPLATE, Answer
from process import Gateway, emulated_aws, gateway
from ses_endpoint import ses_endpoint

from local.events import find_route

CLIENTS = int(os.environ.get("CLIENTS") or 4)
DURATION = float(os.environ.get("LOAD_SECONDS") or 6)
"""`make load` sets higher values."""

GROWTH = 32 * 1024
"""KB that a process may grow in the second half of the run, after doing everything once."""

PATHS = json.loads((ROOT / "openapi.json").read_text(encoding="utf-8"))["paths"]


@dataclass
class Client:
    """A client that acts as customer and admin and remembers the answers.

    Attributes:
        orders: The orders that it created, and whether that was acknowledged.
        comments: The comments that it wrote on each order, and whether each was acknowledged.
        phones: The telephone numbers that it set on each order, in sequence, and whether each was acknowledged.
        cancelled: The orders that it cancelled, and whether that was acknowledged.
        invoices: The paths of acknowledged invoices.
        answers: The number of answers by route and status.
    """

    api: Gateway
    name: str
    choice: random.Random
    orders: dict[str, bool] = field(default_factory=dict)
    comments: dict[str, dict[str, bool]] = field(default_factory=dict)
    phones: dict[str, list[tuple[str, bool]]] = field(default_factory=dict)
    cancelled: dict[str, bool] = field(default_factory=dict)
    invoices: list[str] = field(default_factory=list)
    asked_for: Counter[str] = field(default_factory=Counter)
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        began = time.monotonic()
        answer = self.api.call(method, path, body=body, **headers)
        self.seconds.append(time.monotonic() - began)
        match = find_route(TEMPLATE.routes, method, path.partition("?")[0])
        assert match
        self.answers[match.route.key, answer.status] += 1
        assert str(answer.status) in PATHS[match.route.path][method.lower()]["responses"], (method, path, answer)
        assert answer.status < 500 or (answer.status == 503 and int(answer.headers["retry-after"]) > 0), answer
        return answer

    def warm_up(self) -> None:
        """Does everything once. All clients do the same at the same time, so that all processes are started."""
        self.create()
        for step in (self.comment, self.change, self.read, self.invoice):
            step(next(iter(self.orders)))
        self.list()

    def work(self, seconds: float) -> None:
        """Makes random requests for a time."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            steps: list[Callable[[], object]] = [self.create]
            if known := [order_id for order_id, acknowledged in self.orders.items() if acknowledged]:
                order_id = self.choice.choice(known)
                steps = [
                    *[partial(step, order_id) for step in 3 * [self.comment, self.change, self.read]],
                    *[partial(step, order_id) for step in (self.cancel, self.invoice)],
                    *[self.create, self.list],
                ]
            self.choice.choice(steps)()

    def create(self) -> None:
        order_id = f"{self.name}-{len(self.orders)}"
        order = {
            "order_id": order_id,
            "customer_id": "alice",
            "currency_code": "EUR",
            "customer_summary": {"email": f"{self.name}@example.com"},
            "order_line_details": [
                {"item_id": n, "product_name": "Brunost", "quantity": 1, "price": "12.50"} for n in range(5)
            ],
        }
        self.orders[order_id] = self.ask("POST", "/admin/orders", order, idempotency_key=order_id).status == 201

    def comment(self, order_id: str) -> None:
        texts = self.comments.setdefault(order_id, {})
        text = f"Nº {len(texts)}"
        admin = self.choice.choice(["", "/admin"])
        answer = self.ask("POST", f"{admin}/orders/{order_id}/comments", {"content": text}, idempotency_key=text)
        texts[text] = answer.status == 201

    def change(self, order_id: str) -> None:
        phones = self.phones.setdefault(order_id, [])
        phone = str(len(phones))
        answer = self.ask("PATCH", f"/admin/orders/{order_id}", {"customer_summary": {"phone": phone}})
        phones.append((phone, answer.status == 200))

    def read(self, order_id: str) -> None:
        admin = self.choice.choice(["", "/admin"])
        tails = ["", "/comments", *(["/timeline", "/invoices"] if admin else [])]
        assert self.ask("GET", f"{admin}/orders/{order_id}{self.choice.choice(tails)}").status in {200, 503}

    def list(self) -> None:
        assert self.ask("GET", self.choice.choice(["/orders", "/admin/orders"])).status in {200, 503}

    def cancel(self, order_id: str) -> None:
        answer = self.ask("POST", f"/orders/{order_id}/cancel")
        self.cancelled[order_id] = self.cancelled.get(order_id, False) or answer.status == 204

    def invoice(self, order_id: str) -> None:
        self.asked_for[order_id] += 1
        key = str(self.asked_for[order_id])
        answer = self.ask("POST", f"/admin/orders/{order_id}/send-invoice", idempotency_key=key)
        if answer.status == 200:
            assert not self.cancelled.get(order_id)
            self.invoices.append(answer.headers["location"])

    def check(self, mails: Counter[str]) -> None:
        """Checks that acknowledged writes are stored, and that the others are either complete or absent."""
        for order_id, acknowledged in self.orders.items():
            order = get_with_retries(self.api, f"/admin/orders/{order_id}")
            assert order.status == 200 or not acknowledged
            if order.status == 404:
                continue
            assert len(order.json["order_line_details"]) == 5
            asked = self.comments.get(order_id, {})
            stored = list(texts_on(self.api, order_id))
            assert len(stored) == len(set(stored))
            assert {text for text, kept in asked.items() if kept} <= set(stored) <= set(asked)
            phones = self.phones.get(order_id, [])
            last = max((n for n, (_, kept) in enumerate(phones) if kept), default=-1)
            left = {phone for phone, _ in phones[max(last, 0) :]} | ({None} if last < 0 else set())
            assert order.json["customer_summary"].get("phone") in left
            assert order.json["order_status"] == "cancelled" or not self.cancelled.get(order_id)
            invoices = get_with_retries(self.api, f"/admin/orders/{order_id}/invoices").json["invoices"]
            # One invoice, and at most its credit note.
            assert [invoice["type"] for invoice in invoices] in ([], ["invoice"], ["invoice", "credit_note"]), invoices
            for invoice in invoices[:1]:
                states = Counter(mailing["state"] for mailing in invoice["mailings"])
                arrived = mails[invoice["number"]]
                assert states["sent"] <= arrived <= states.total() - states["failed"], invoice
                assert arrived <= self.asked_for[order_id]
        for path, count in Counter(self.invoices).items():
            assert mails[path.rpartition("/")[2]] >= count


def get_with_retries(api: Gateway, path: str) -> Answer:
    """Sends a GET request, and repeats it if a busy machine answers 503."""
    for _ in range(20):
        if (answer := api.call("GET", path)).status != 503:
            break
    return answer


def texts_on(api: Gateway, order_id: str) -> Iterator[str]:
    cursor = ""
    while cursor is not None:
        page = get_with_retries(
            api, f"/admin/orders/{order_id}/comments?limit=100{cursor and f'&cursor={cursor}'}"
        ).json
        yield from (comment["content"] for comment in page["comments"])
        cursor = page["next_cursor"]


def memory(process: int) -> dict[int, int]:
    """Returns the memory of a process and its children, in KB."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = dict(
                line.split(":\t", 1) for line in (folder / "status").read_text().splitlines() if ":\t" in line
            )
        except OSError:
            continue
        if process in {int(folder.name), int(status["PPid"])} and "VmRSS" in status:
            found[int(folder.name)] = int(status["VmRSS"].split()[0])
    return found


@pytest.mark.races
def test_acknowledged_writes_are_stored() -> None:
    with (
        emulated_aws() as url,
        ses_endpoint() as ses,
        gateway(AWS_ENDPOINT_URL=url, AWS_ENDPOINT_URL_SESV2=ses.url) as api,
        ThreadPoolExecutor(CLIENTS) as threads,
    ):
        clients = [Client(api, f"client-{n}", random.Random(n)) for n in range(CLIENTS)]

        def all_of_them(do: Callable[[Client], None]) -> None:
            for doing in [threads.submit(do, client) for client in clients]:
                doing.result()

        all_of_them(Client.warm_up)
        all_of_them(lambda client: client.work(DURATION / 2))
        before = memory(api.process.pid)
        all_of_them(lambda client: client.work(DURATION / 2))
        after = memory(api.process.pid)
        mails = Counter(tags["invoice"] for tags in list(ses.tags) if "invoice" in tags)
        all_of_them(lambda client: client.check(mails))
        assert api.process.poll() is None
    grown = {process: after[process] - before[process] for process in before.keys() & after.keys()}
    assert max(grown.values()) < GROWTH, grown
    report(clients, grown, mails.total())


def report(clients: list[Client], grown: dict[int, int], mails: int) -> None:
    """Prints the summary of `make load`."""
    seconds = sorted(each for client in clients for each in client.seconds)
    answers: Counter[int] = Counter()
    for client in clients:
        for (_, status), count in client.answers.items():
            answers[status] += count
    median, slow = seconds[len(seconds) // 2], seconds[len(seconds) * 99 // 100]
    orders, comments = (sum(map(len, each)) for each in zip(*((c.orders, c.comments) for c in clients), strict=True))
    lines = [
        f"{CLIENTS} clients, {DURATION:g} s: {len(seconds)} requests, {len(seconds) / DURATION:.0f} a second",
        f"half of them within {1000 * median:.0f} ms, 99 % within {1000 * slow:.0f} ms",
        f"answers: {', '.join(f'{count} × {status}' for status, count in sorted(answers.items()))}",
        f"checked: {orders} orders, {comments} of them with comments, {mails} mails of invoices",
        f"memory of {len(grown)} processes: {sum(grown.values()) / 1024:+.1f} MB, the most {max(grown.values())} KB",
    ]
    sys.stdout.write("\n".join(["", *lines, ""]))
