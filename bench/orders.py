"""Orders for the benchmark, as the table stores them."""

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
    """Makes an order for Alice with the given number of lines."""
    line = {"product_name": "Bergkäse, 12 Monate gereift, 250 g", "quantity": 2, "price": "12.50", "tax": "1.75"}
    line["tax_rate"] = "7"
    body = {
        "order_id": order_id,
        "customer_id": "alice",
        "currency_code": "EUR",
        "shipping_cost": "4.90",
        "shipping_tax_rate": 7,
        "shipping_tax": "0.34",
        "delivered_on": "2026-11-23",
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
    """A DynamoDB client that only records what it is asked to write."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []

    def transact_write_items(self, *, TransactItems: Iterable[Any]) -> dict[str, Any]:  # noqa: N803
        """Records the items of a transaction."""
        self.items += [action["Put"]["Item"] for action in TransactItems]
        return {}


def items(order: Order) -> list[dict[str, Any]]:
    """The items that the table stores for an order: its header, then its detail."""
    recorder: Any = Recorder()
    OrderStore(Table(recorder, "", now=lambda: NOW)).create(order)
    found: list[dict[str, Any]] = recorder.items
    return found


def answers() -> dict[str, Any]:
    """The stub's responses: there is one order, it can be written, and its mail is accepted."""
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
