"""Orders to measure with, as the table has them."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from orders.models import Order
from orders.requests import NewOrder
from orders.store import OrderStore
from orders.table import Table

NOW = datetime(2026, 11, 23, 9, 0, 0, tzinfo=UTC)
TEXT = "Bitte bei der Nachbarin abgeben, falls niemand öffnet. " * 5


def order(order_id: str, lines: int) -> Order:
    """An order of Alice's with so many lines."""
    line = {"product_name": "Bergkäse, 12 Monate gereift, 250 g", "quantity": 2, "price": "12.50", "tax": "1.75"}
    body = {
        "order_id": order_id,
        "customer_id": "alice",
        "currency_code": "EUR",
        "shipping_cost": "4.90",
        "customer_summary": {
            "first_name": "Alice",
            "last_name": "Böhm",
            "email": "alice@example.com",
            "address_line_1": "Gerberstraße 18",
            "city": "Kempten",
            "post_code": "87435",
            "country": {"name": "Germany", "code": "DE"},
        },
        "order_line_details": [{"item_id": n + 1, "sku": f"BK-{n:04}", **line} for n in range(lines)],
    }
    return NewOrder.model_validate(body).order(NOW)


class Recorder:
    """A client of DynamoDB that only notes what it is given to write."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []

    def transact_write_items(self, *, TransactItems: Iterable[Any]) -> dict[str, Any]:  # noqa: N803
        """Notes the items of a transaction."""
        self.items += [action["Put"]["Item"] for action in TransactItems]
        return {}


def items(order: Order) -> list[dict[str, Any]]:
    """The items that the table has of an order: its header, then its detail."""
    recorder: Any = Recorder()
    OrderStore(Table(recorder, "", now=lambda: NOW)).create(order)
    found: list[dict[str, Any]] = recorder.items
    return found


def answers() -> dict[str, Any]:
    """What the stub says: there is one order, it may be written to, and its mail is taken."""
    header, detail = items(order("1002", 5))
    return {
        "GetItem": {"Item": header},
        "BatchGetItem": {"Responses": {"OrdersTable": [header, detail]}, "UnprocessedKeys": {}},
        "Query": {"Items": [header, detail], "Count": 2},
        "Query index": {"Items": [header], "Count": 1},
        "UpdateItem": {},
        "PutItem": {},
        "TransactWriteItems": {},
        "POST v2": {"MessageId": "0100018b-bench"},
    }
