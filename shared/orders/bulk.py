"""Orders in bulk, for imports: finds and creates many orders in few calls."""

from collections.abc import Iterable, Iterator, Sequence

from orders.errors import Unavailable
from orders.items import Item
from orders.keys import DETAIL, item_key, parse_order_id
from orders.models import Order
from orders.store import OrderStore, order_digest, order_size
from orders.table import ConditionFailed

BATCH = 50
"""Orders that can be created in one call: DynamoDB's limit is 100 items."""

LARGEST_BATCH = 3_000_000
"""Bytes of orders as JSON that can be created in one call. DynamoDB's limit is 4 MB."""


class BulkStore(OrderStore):
    """Orders in the table, in bulk."""

    def find_existing(self, orders: Sequence[Order]) -> dict[str, bool]:
        """Finds which orders of a batch already exist.

        Returns:
            For each id that is taken, whether it is by this order as it was created (True) or by another one.
        """
        digests = {order.order_id: order_digest(order) for order in orders}
        keys: list[Item] = [item_key(order_id, DETAIL) for order_id in digests]
        existing = {}
        while keys:
            items, left = self._table.get_many(keys, consistent=True, projection="pk, as_created")
            for item in items:
                order_id = parse_order_id(item["pk"])
                existing[order_id] = item.get("as_created") == digests[order_id]
            # Left out for size or for throttling.
            if len(left) == len(keys):
                raise Unavailable
            keys = left
        return existing

    def create_many(self, orders: Sequence[Order]) -> set[str]:
        """Creates a batch of orders, in one call if none of their ids is taken. Safe to repeat.

        Returns:
            The ids that other orders have. All other orders are stored.

        Raises:
            Invalid, TooLarge: See `check`.
        """
        if not orders:
            return set()
        try:
            self._table.transact(*(action for order in orders for action in self.creation_actions(order)))
        except ConditionFailed as failed:
            # Another request was faster, or our own call succeeded but its answer was lost. The others go on.
            hit = {orders[at // 2].order_id for at in failed.items}
            ours = {order_id for order_id, same in self.find_existing(orders).items() if same}
            return hit - ours | self.create_many([order for order in orders if order.order_id not in hit])
        return set()


def batches(orders: Iterable[Order]) -> Iterator[list[Order]]:
    """Groups orders into batches as large as `BulkStore.create_many` takes them. Their ids must be unique."""
    batch: list[Order] = []
    size = 0
    for order in orders:
        more = order_size(order)
        if batch and (len(batch) == BATCH or size + more > LARGEST_BATCH):
            yield batch
            batch, size = [], 0
        batch.append(order)
        size += more
    if batch:
        yield batch
