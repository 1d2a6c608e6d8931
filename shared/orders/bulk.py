"""Orders in bulk: finds and creates many orders in few calls, and lists old orders in new indexes."""

from collections.abc import Iterable, Iterator, Sequence

from orders.errors import Unavailable
from orders.items import Item, select_fields
from orders.keys import DETAIL, HEADER, SHARDS, change_entry, item_key, parse_order_id
from orders.models import Order
from orders.store import OrderStore, email_entry, order_digest, order_size
from orders.table import ConditionFailed, index_query

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

    def list_old_orders(self) -> Iterator[tuple[int, int]]:
        """Lists the orders that version 0.2 stored by e-mail address and by change, as new orders are.

        Safe to repeat and to interrupt, while orders are created and changed. An order that changes at the same moment
        is left for the next run.

        Yields:
            After each batch, how many orders it read and how many of them it listed.
        """
        after: str | None = None
        while True:
            queries = [index_query("by_shard", "shard", each, "listed", "0", after or "~") for each in SHARDS]
            entries, after = self._table.page(
                queries, lambda entry: str(entry["listed"]), after, BATCH, newest_first=True
            )
            yield len(entries), sum(map(self._list_old_order, self._read_details(entries)))
            if after is None:
                return

    def _read_details(self, entries: Sequence[Item]) -> list[Item]:
        """Reads the details of index entries that are not listed by change."""
        keys: list[Item] = [{"pk": entry["pk"], "sk": DETAIL} for entry in entries]
        if not keys:
            return []
        items, left = self._table.get_many(keys, consistent=True)
        if left:
            raise Unavailable
        return [item for item in items if "changed" not in item]

    def _list_old_order(self, detail: Item) -> bool:
        order_id = parse_order_id(detail["pk"])
        header = self._table.get(order_id, HEADER) or {}
        order = Order.model_validate(select_fields(header | detail, Order))
        entry, email = change_entry(order_id, order.last_change) | email_entry(order), order.customer_summary.email
        # A request that changes the address meanwhile lists it itself.
        same = "customer_summary.email = :email" if email else "attribute_not_exists(customer_summary.email)"
        action = self._table.update_action(
            item_key(order_id, DETAIL),
            "SET " + ", ".join(f"{name} = :{name}" for name in entry),
            condition=f"attribute_not_exists(changed) AND {same}",
            values={f":{name}": value for name, value in entry.items()} | ({":email": email} if email else {}),
        )
        try:
            self._table.write(action)
        except ConditionFailed:
            return False
        return True


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
