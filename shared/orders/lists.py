"""Lists of orders: an index says which orders, and the table says what they are now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from orders.errors import Unavailable
from orders.items import Item, select_fields
from orders.keys import HEADER, SHARDS, parse_place
from orders.models import OrderHeader, OrderStatus, PaymentStatus, ShippingStatus, address_digest
from orders.table import Table, index_query
from orders.types import utc_text

FILTERED = 100
"""How many orders a page reads at most to find those that match: as many as DynamoDB reads in one call."""


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Which orders a list contains: those that match every field that is not None. `created_before` is exclusive."""

    customer_id: str | None = None
    email: str | None = None
    order_status: OrderStatus | None = None
    payment_status: PaymentStatus | None = None
    shipping_status: ShippingStatus | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None
    updated_from: datetime | None = None

    @property
    def statuses(self) -> dict[str, str]:
        """The statuses that an order must have, by attribute."""
        names = ("order_status", "payment_status", "shipping_status")
        return {name: value for name in names if (value := getattr(self, name))}

    def matches(self, order: OrderHeader) -> bool:
        """Whether a list contains an order, as far as its header tells."""
        return (
            self.customer_id in {None, order.customer_id}
            and all(getattr(order, name) == value for name, value in self.statuses.items())
            and (self.created_from is None or order.created >= self.created_from)
            and (self.created_before is None or order.created < self.created_before)
            and (self.updated_from is None or order.last_change >= self.updated_from)
        )


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a list finds its orders.

    Attributes:
        queries: The queries of an index.
        sort: The attribute that the index sorts by.
        exact: Whether the index finds matching orders only.
        of_changes: Whether it has an entry for each change of an order, oldest first, instead of one for each order.
    """

    queries: list[Item]
    sort: str
    exact: bool
    of_changes: bool = False


def search(table: Table, wanted: OrderFilter, after: str | None, limit: int) -> tuple[list[OrderHeader], str | None]:
    """Lists orders, newest first; with `updated_from`, unless `email` is given, by their last change, oldest first.

    One call finds the orders, or one for each shard at the same time. Another one reads them.

    Args:
        table: The table.
        wanted: Which orders.
        after: The place of the last order of the previous page; None for the first page.
        limit: The largest number of orders.

    Returns:
        The orders, and the place to continue from, or None if there are no more.
    """
    source = _source(wanted, after)
    if source is None:
        return [], None

    def place(entry: Item) -> str:
        return str(entry[source.sort])

    size = limit if source.exact else max(limit, FILTERED)
    entries, more = table.page(source.queries, place, after, size, newest_first=not source.of_changes)
    # Who polls does not come back to an entry, so each must show its own version or a later one.
    orders = _read(table, entries, consistent=source.of_changes)
    found: dict[str, tuple[OrderHeader, str]] = {}
    for entry in entries:
        order = orders.get(entry["pk"])
        if order is None or not wanted.matches(order):
            continue
        if source.of_changes and parse_place(place(entry)) < utc_text(order.last_change):
            # The order has changed since, and its later change lists it.
            continue
        if len(found) == limit and entry["pk"] not in found:
            more = list(found.values())[-1][1]
            break
        found[entry["pk"]] = order, place(entry)
    return [order for order, _ in found.values()], more


def _source(wanted: OrderFilter, after: str | None) -> _Source | None:
    """Returns where to find the orders; None if there cannot be any."""
    if wanted.updated_from and not wanted.email:
        first = max(utc_text(wanted.updated_from), after or "")
        queries = [index_query("by_change", "change_shard", shard, "changed", first, "~") for shard in SHARDS]
        exact = wanted == OrderFilter(updated_from=wanted.updated_from)
        return _Source(queries, "changed", exact=exact, of_changes=True)
    first = utc_text(wanted.created_from) if wanted.created_from else "0"
    last = min(utc_text(wanted.created_before) if wanted.created_before else "~", after or "~")
    if first > last:
        return None
    if wanted.email:
        queries = [index_query("by_email", "email_digest", address_digest(wanted.email), "placed", first, last)]
        return _Source(queries, "placed", exact=not (wanted.customer_id or wanted.statuses or wanted.updated_from))
    if wanted.customer_id:
        queries = [index_query("by_owner", "customer_id", wanted.customer_id, "listed", first, last)]
        return _Source(queries, "listed", exact=not wanted.statuses)
    # This index has the statuses, so DynamoDB filters by them.
    queries = [index_query("by_shard", "shard", each, "listed", first, last, wanted.statuses) for each in SHARDS]
    return _Source(queries, "listed", exact=True)


def _read(table: Table, entries: Sequence[Item], *, consistent: bool) -> dict[str, OrderHeader]:
    """Reads the orders of index entries, by partition key, in one call."""
    keys: list[Item] = [{"pk": pk, "sk": HEADER} for pk in dict.fromkeys(entry["pk"] for entry in entries)]
    if not keys:
        return {}
    items, left = table.get_many(keys, consistent=consistent)
    if left:
        raise Unavailable
    return {item["pk"]: OrderHeader.model_validate(select_fields(item, OrderHeader)) for item in items}
