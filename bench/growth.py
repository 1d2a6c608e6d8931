"""How cost grows with order size and concurrency, on DynamoDB Local, which counts capacity units as DynamoDB does."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

from botocore.config import Config
from botocore.session import Session
from dynamodb_local.run import dynamodb_local
from programs import Missing

from bench.artifacts import CANCEL, COMMENT, INVOICE, READ, ours
from bench.orders import NOW, TEXT, items, order
from bench.processes import TEMPLATE, Aws, Runner, event
from local.emulator import client, environment, provision

LINES = (1, 60, 500)
COMMENTS = (0, 1_000, 10_000)
CALLERS = (1, 2, 4, 8, 16, 32)
TABLE = "OrdersTable"
EACH = 10
"""Number of requests that each concurrent caller sends."""


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one request: DynamoDB calls by name, capacity units and CPU seconds."""

    calls: list[str]
    read: float
    write: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Crowd:
    """The cost of one of many concurrent requests: DynamoDB calls, CPU seconds, and seconds until the response."""

    callers: int
    calls: float
    cpu: float
    wait: float
    refused: int
    """The number of 503 responses, because DynamoDB Local exceeded the timeout of a call."""


@dataclass(frozen=True, slots=True)
class Growth:
    """The results: costs by operation, lines and comments, and by number of concurrent callers."""

    costs: dict[tuple[str, int, int], Cost]
    crowds: list[Crowd]
    missing: str = ""


def measure(runner: Runner, aws: Aws, say: Callable[[str], None]) -> Growth:
    """Measures on DynamoDB Local. If that is not available, `missing` holds the reason."""
    try:
        with _table() as (client, url):
            there = replace(aws, dynamodb=url)
            return Growth(_costs(runner, there, client, say), _crowds(runner, there, client, say))
    except Missing as missing:
        return Growth({}, [], str(missing))


@contextmanager
def _table() -> Iterator[tuple[Any, str]]:
    with dynamodb_local() as url:
        # DynamoDB Local has a database for each access key; the functions use this one.
        account = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench"}
        with patch.dict(os.environ, environment({}, url) | account):
            # The first response can be slow on a busy machine.
            patient: Any = Session().create_client("dynamodb", config=Config(read_timeout=60))
            patient.list_tables()
            provision(TEMPLATE)
            yield client("dynamodb"), url


def _costs(runner: Runner, aws: Aws, client: Any, say: Callable[[str], None]) -> dict[tuple[str, int, int], Cost]:
    points = [(lines, 0) for lines in LINES] + [(60, comments) for comments in COMMENTS if comments]
    for lines, comments in points:
        say(f"DynamoDB Local: an order with {lines} lines and {comments} comments")
        order_id = _id(lines, comments)
        _put(client, [*items(order(order_id, lines)), *_comments(order_id, comments), *items(order(f"W{order_id}", 5))])
        # Cancelled without an invoice, which would cost a credit note.
        without = [*items(order(f"C{order_id}", lines)), *_comments(f"C{order_id}", comments)]
        _put(client, [*without, *items(order(f"D{order_id}", 5))])
    found: dict[tuple[str, int, int], Cost] = {}
    for name, function, file, body in (
        ("comment", COMMENT, "add-comment-as-customer", {"content": TEXT}),
        ("send-invoice", INVOICE, "send-invoice-as-admin", None),
        ("read an order", READ, "get-order-as-customer", None),
        ("cancel", CANCEL, "cancel-order-as-customer", None),
    ):
        say(f"DynamoDB Local: cost of {name}")
        for point in points:
            # Another order first: the first request costs more, and each invoice clears the cache of the one before.
            before, asked_for = ("D", "C") if name == "cancel" else ("W", "")
            asked = [event(file, f"{prefix}{_id(*point)}", body) for prefix in (before, asked_for)]
            cost = runner.ask(ours(function), aws, "cost", events=asked)["found"][1]
            assert cost["status"] < 300, f"{name} of {point}: {cost}"
            found[name, *point] = Cost(cost["calls"], cost["read"], cost["write"], cost["cpu"])
    say("DynamoDB Local: cost of lists")
    for name, file in (("list own orders", "list-orders-as-customer"), ("list all orders", "list-orders-as-admin")):
        [cost] = runner.ask(ours(READ), aws, "cost", events=[event(file)])["found"]
        found[name, 0, 0] = Cost(cost["calls"], cost["read"], cost["write"], cost["cpu"])
    return found


def _crowds(runner: Runner, aws: Aws, client: Any, say: Callable[[str], None]) -> list[Crowd]:
    _put(client, items(order("crowd", 5)))
    artifact, found = ours(COMMENT), []

    def comment(*numbers: int) -> dict[str, Any]:
        # Each is another one: repeated content would count as a double click.
        return event("add-comment-as-customer", "crowd", {"content": f"{TEXT} {numbers}"})

    for callers in CALLERS:
        say(f"DynamoDB Local: {callers} concurrent callers comment on one order")
        processes = [
            runner.begin(
                artifact,
                aws,
                "crowd",
                first=comment(callers, caller),
                events=[comment(callers, caller, n) for n in range(EACH)],
            )
            for caller in range(callers)
        ]
        for process in processes:
            assert process.stderr
            process.stderr.readline()
        for process in processes:
            assert process.stdin
            process.stdin.write(b"\n")
            process.stdin.flush()
        told = [runner.read(artifact, process.communicate()[1]) for process in processes]
        statuses = Counter(status for each in told for status in each["statuses"])
        assert statuses.keys() <= {201, 503}, statuses
        mean = {name: sum(each[name] for each in told) / callers for name in ("calls", "cpu", "wait")}
        found.append(Crowd(callers, **mean, refused=statuses[503]))
    return found


def _id(lines: int, comments: int) -> str:
    # Ids of equal length: their length is part of the capacity used.
    return f"L{lines:03}C{comments:05}"


def _comments(order_id: str, count: int) -> Iterator[dict[str, Any]]:
    begun = int(NOW.timestamp() * 1_000_000)
    for n in range(count):
        at = begun + 2 * n
        yield {
            "pk": {"S": f"ORDER#{order_id}"},
            "sk": {"S": f"COMMENT#{at:016}"},
            "id": {"N": str(at)},
            "content": {"S": TEXT},
        }


def _put(client: Any, found: list[dict[str, Any]]) -> None:
    for at in range(0, len(found), 25):
        requests = [{"PutRequest": {"Item": item}} for item in found[at : at + 25]]
        client.batch_write_item(RequestItems={TABLE: requests})
