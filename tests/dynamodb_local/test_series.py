"""How many documents a second one series of numbers bears. `docs/scale.md` has the figures."""

import os
import time
from collections.abc import Sequence
from functools import partial
from multiprocessing import get_context
from typing import Any

import pytest
from harness import DYNAMODB_LOCAL, ROOT, Service

from orders import aws
from orders.documents import Series, current_invoice, issue_invoice
from orders.errors import StillRunning
from orders.identity import Caller, Role
from orders.invoices import Mailing
from orders.keys import RequestKey
from orders.ledger import Ledger, Plan
from orders.models import Order, PaymentStatus
from orders.requests import InvoiceRequest
from orders.store import OrderStore
from orders.table import Table, get_table

pytestmark = [
    pytest.mark.races,
    pytest.mark.skipif(not DYNAMODB_LOCAL, reason="needs DynamoDB Local: make test-dynamodb-local"),
]

FORK = get_context("fork")
DOCUMENTS = int(os.environ.get("DOCUMENTS") or 32)
"""How many each number of senders issues."""


def issue_all(ids: Sequence[str], barrier: Any, results: Any) -> None:
    """Issues the invoices of some orders, one after the other, as fast as it can."""
    calls = {"TransactWriteItems": 0, "BatchGetItem": 0}
    client = aws.dynamodb()
    client.meta.events.register(
        "before-call.dynamodb.*", lambda model, **_: calls.update({model.name: calls[model.name] + 1})
    )
    ledger = Ledger(Table(client, "OrdersTable"))
    barrier.wait()
    begun, refused = time.monotonic(), 0
    for order_id in ids:
        key = RequestKey.of("send-invoice", Caller(Role.ADMIN, "ada"), InvoiceRequest(), order_id)
        while True:
            found = ledger.read_for_invoice(order_id, key, again=False)
            try:
                ledger.begin(found, partial(plan, found.order, ledger), key, instead_of=None)
            except StillRunning:
                refused += 1
                continue
            break
    results.put((begun, time.monotonic(), sum(calls.values()), refused))


def plan(order: Order, ledger: Ledger, series: Series) -> Plan:
    now = ledger.now()
    issue = issue_invoice(series, order, "ada", now, payment_status=PaymentStatus.UNPAID)
    [invoice] = issue.documents
    mailing = Mailing.next_for(order, now, "ada", "alice@example.com").brings(invoice)
    return Plan(mailing, issue, current_invoice(invoice, order))


def test_throughput_of_one_series(service: Service) -> None:
    sample = Order.model_validate_json((ROOT / "tests" / "order.json").read_bytes())
    print("\nat once  documents/s  calls/document  refused")  # noqa: T201 - shown with -rP
    total = 0
    for processes in (1, 2, 4, 8, 16, 32):
        ids = [f"{processes}-{n}" for n in range(DOCUMENTS)]
        for order_id in ids:
            OrderStore(get_table()).create(sample.model_copy(update={"order_id": order_id}))
        # Processes cannot share a connection, so each opens its own.
        aws.dynamodb().close()
        barrier, results = FORK.Barrier(processes), FORK.Queue()
        running = [
            FORK.Process(target=issue_all, args=(ids[n::processes], barrier, results), daemon=True)
            for n in range(processes)
        ]
        for process in running:
            process.start()
        found = [results.get(timeout=120) for _ in running]
        for process in running:
            process.join()
        seconds = max(end for _, end, _, _ in found) - min(begun for begun, *_ in found)
        calls, refused = (sum(each[place] for each in found) for place in (2, 3))
        print(f"{processes:7}  {DOCUMENTS / seconds:11.0f}  {calls / DOCUMENTS:14.1f}  {refused:7}")  # noqa: T201
        total += DOCUMENTS
        numbers = sorted(each["number"] for order_id in ids for each in service.items(order_id, "DOC#"))
        assert len(set(numbers)) == DOCUMENTS
        assert numbers[-1].endswith(f"{total:05}")
