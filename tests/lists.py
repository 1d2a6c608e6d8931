"""Helpers for long lists: many orders at once, and reading page after page."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from harness import ROOT, Service

from orders import aws
from orders.models import Order
from orders.store import OrderStore
from orders.table import Table

SAMPLE = Order.model_validate_json((ROOT / "tests" / "order.json").read_bytes())


def put_orders(orders: Iterable[Order], client: Any = None) -> None:
    """Puts many orders into the table in few calls, as the store would write them."""
    put: list[Any] = []

    class Batch:
        def transact_write_items(self, **arguments: Any) -> None:
            put.extend({"PutRequest": {"Item": action["Put"]["Item"]}} for action in arguments["TransactItems"])

    batch: Any = Batch()
    for order in orders:
        at = order.updated or order.created
        OrderStore(Table(batch, "OrdersTable", now=partial(datetime.fromtimestamp, at.timestamp(), UTC))).create(order)
    for begin in range(0, len(put), 25):
        (client or aws.dynamodb()).batch_write_item(RequestItems={"OrdersTable": put[begin : begin + 25]})


def pages(
    service: Service, path: str, claims: Any = None, between: Callable[[], object] = lambda: None
) -> list[list[Any]]:
    """Returns all pages of a list. Calls `between` after each page except the last."""
    found, path_of_next, seen = [], path, set[str]()
    while True:
        answer = service.get(path_of_next, claims)
        assert answer.status == 200, answer.text
        cursor = answer.json["next_cursor"]
        [entries] = (value for name, value in answer.json.items() if name != "next_cursor")
        found.append(entries)
        if cursor is None:
            return found
        assert cursor not in seen, "a cursor was returned twice"
        seen.add(cursor)
        path_of_next = f"{path}{'&' if '?' in path else '?'}cursor={cursor}"
        between()


def flatten(found: Iterable[list[Any]]) -> list[Any]:
    """Returns the entries of all pages in one list."""
    return [entry for page in found for entry in page]
