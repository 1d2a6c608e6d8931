"""Long lists. Only DynamoDB Local computes capacity and supports concurrent reads and writes."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event, Thread

import pytest
from botocore.session import Session
from harness import DYNAMODB_LOCAL, Service
from lists import SAMPLE, flatten, pages, put_orders
from traffic import Exchange, traffic

from orders.models import Order

pytestmark = [
    pytest.mark.races,
    pytest.mark.skipif(not DYNAMODB_LOCAL, reason="needs DynamoDB Local: make test-dynamodb-local"),
]

MANY = 10_000
CLAIMS = {"sub": "alice", "cognito:groups": "[admins]"}


def placed(order_id: str, at: datetime) -> Order:
    return SAMPLE.model_copy(update={"order_id": order_id, "customer_id": "alice", "created": at})


@contextmanager
def others_being_created(prefix: str) -> Iterator[list[str]]:
    """Creates new orders in a thread until the block ends, some of them with old dates."""
    created: list[str] = []
    ending = Event()
    # A separate client, because the calls of the service's client are counted.
    client = Session().create_client("dynamodb", region_name="us-east-1")

    def create() -> None:
        while not ending.is_set():
            # Old orders belong after the page that is being read, new ones before it.
            days = [datetime(2026, *day, tzinfo=UTC) for day in ((10, 1), (11, 20))]
            batch = [placed(f"{prefix}-{len(created) + n}", days[n % 2]) for n in range(24)]
            created.extend(order.order_id for order in batch)
            put_orders(batch, client)

    creating = Thread(target=create)
    creating.start()
    try:
        yield created
    finally:
        ending.set()
        creating.join()
        client.close()


def test_10_000_orders_are_listed_once_at_constant_cost_per_page(service: Service) -> None:
    start = datetime(2026, 10, 1, tzinfo=UTC)
    put_orders(placed(f"old-{n:05}", start + timedelta(minutes=n // 3)) for n in range(MANY))
    for path, whose, calls in (("/orders", "own", 2), ("/admin/orders", "all", 5)):
        costs: list[list[Exchange]] = []
        with others_being_created(whose) as created, traffic() as exchanges:

            def note(costs: list[list[Exchange]] = costs, exchanges: list[Exchange] = exchanges) -> None:
                costs.append(exchanges.copy())
                exchanges.clear()

            query = "limit=100&created_from=2026-10-01T00:00:00Z"
            ids = [order["order_id"] for order in flatten(pages(service, f"{path}?{query}", CLAIMS, between=note))]
        assert created
        assert len(ids) == len(set(ids))
        assert {f"old-{n:05}" for n in range(MANY)} <= set(ids)
        assert len(costs) >= MANY // 100 - 1
        assert {len(page) for page in costs} == {calls}
        units = [sum(each.capacity for each in page) for page in costs]
        assert max(units) == units[0]
