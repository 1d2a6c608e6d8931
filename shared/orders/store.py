"""Orders: creates, reads and changes them."""

import json
from collections.abc import Collection
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from orders import lifecycle
from orders.errors import Invalid, OrderExists, OrderNotFound, StillRunning, TooLarge
from orders.history import Change, FieldChange
from orders.identity import Caller
from orders.items import Item, select_fields
from orders.keys import (
    DETAIL,
    EPOCH,
    HEADER,
    RequestKey,
    change_entry,
    change_sk,
    digest,
    item_key,
    parse_place,
    place_in_lists,
    shard,
)
from orders.models import Order, OrderHeader, address_digest
from orders.money import amount_text
from orders.requests import NewOrder, OrderPatch
from orders.table import PAUSES, Action, ConditionFailed, Table
from orders.terms import LineTerms, OrderTerms

LARGEST_ORDER = 380_000
"""Bytes of an order as JSON. DynamoDB's limit is 400 KB for an item, counted about the same way."""

_IF_SET = {"rounding", "prices_include_tax", "refunded", "billing_email"}
"""Fields that count and are stored only if they are set: version 0.1 had none of them, and the header stays small."""
_IF_GIVEN = {"vat_number", "peppol_id", *OrderTerms.model_fields, *LineTerms.model_fields}
"""Fields that count only if they are given, also as zero."""
_IN_DETAIL = Order.model_fields.keys() - OrderHeader.model_fields.keys()


class CreateResult(StrEnum):
    """The result of a request to create an order."""

    NEW = "new"
    """The request created the order."""
    REPEATED = "repeated"
    """An earlier request with the same key created the order."""
    EXISTING = "existing"
    """Another request created the same order."""


class VersionMismatch(Exception):
    """The order has another version than the change is based on.

    Attributes:
        order: The order as it is now.
    """

    def __init__(self, order: Order) -> None:
        self.order = order
        super().__init__("the order has another version")


class OrderStore:
    """Orders in the table. Each method makes one DynamoDB call unless it says otherwise.

    Args:
        table: The table.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def now(self) -> datetime:
        """Returns the current time, by the table's clock."""
        return self._table.now()

    def create(self, order: Order, key: RequestKey | None = None) -> tuple[Order, CreateResult]:
        """Creates an order unless it exists.

        Returns:
            The order and the result. For a repeated key, that is the order as it was created; for an order that
            another request created, it is the order as it is now.

        Raises:
            Invalid: It was placed in the future.
            OrderExists: Another order has this id.
            KeyReused: The key came with another order before.
            TooLarge: Its texts exceed what the table can store.
        """
        order = order.model_copy(update={"updated": self.now()})
        actions = self.creation_actions(order)
        if key:
            actions.append(self._table.put_request_key(key.own_key, key))
        try:
            self._table.transact(*actions)
        except ConditionFailed as failed:
            header, detail, marker = (failed.items.get(at) for at in range(3))
            if marker and key:
                key.check(marker)
            if not (header and detail) or detail.get("as_created") != order_digest(order):
                raise OrderExists from failed
            if marker:
                created = header["created"]
                # Orders of version 0.2 did not keep when they were created here.
                updated = parse_place(detail["changed"]) if "changed" in detail else created
                times = {"created": datetime.fromisoformat(created), "updated": datetime.fromisoformat(updated)}
                return order.model_copy(update=times), CreateResult.REPEATED
            return Order.model_validate(select_fields(header | detail, Order)), CreateResult.EXISTING
        return order, CreateResult.NEW

    def check(self, order: Order) -> None:
        """Raises the errors that `create` would raise for the order itself. Makes no call.

        Raises:
            Invalid: It was placed in the future.
            TooLarge: Its texts exceed what the table can store.
        """
        if not EPOCH <= order.created <= self.now() + timedelta(days=1):
            raise Invalid([("created", "must be a time between 1970 and now")])
        if order_size(order) > LARGEST_ORDER:
            raise TooLarge("The order is too large to store. Split it or shorten its texts.")

    def creation_actions(self, order: Order) -> list[Action]:
        """Returns the actions that create an order: they put its header and its detail unless they exist."""
        self.check(order)
        updated = order.updated or self.now()
        order = order.model_copy(update={"updated": updated})
        # Without the sets: a new order has none, and DynamoDB has no empty sets.
        header = _without_unset(
            order.model_dump(exclude_none=True, exclude={"bounced", "complained", "archived", "may_have_left"})
        )
        detail = {name: header.pop(name) for name in _IN_DETAIL if name in header}
        header |= {"shard": shard(order.order_id), "listed": place_in_lists(order.order_id, order.created)}
        detail |= {"as_created": order_digest(order), "customer_id": order.customer_id}
        detail |= change_entry(order.order_id, updated) | email_entry(order)
        return [
            self._table.put_action(item_key(order.order_id, sk), item, "attribute_not_exists(pk)")
            for sk, item in ((HEADER, header), (DETAIL, detail))
        ]

    def get(self, order_id: str, caller: Caller) -> Order:
        """Reads an order as it is now.

        Raises:
            OrderNotFound: It does not exist, or it belongs to another customer.
        """
        # Filtered in DynamoDB: the size of another customer's order would otherwise show in the response time.
        own = None if caller.is_admin else {"customer_id": caller.id}
        items = list(self._table.collection(order_id, HEADER, consistent=True, filters=own))
        if not items:
            raise OrderNotFound
        whole = {name: value for item in items for name, value in item.items()}
        return Order.model_validate(select_fields(whole, Order))

    def change(self, order_id: str, caller: Caller, patch: OrderPatch, versions: Collection[int] | None) -> Order:
        """Changes an order: one read and one write, more only while others change it at the same moment.

        Args:
            order_id: Which order.
            caller: The admin who changes it.
            patch: The changes.
            versions: The versions that the change may be based on; None means any.

        Returns:
            The order as it is now. If the patch changes nothing, nothing is written.

        Raises:
            OrderNotFound: It does not exist.
            VersionMismatch: It has another version.
            Invalid: The payment would contradict itself.
            StateConflict: A rule of `lifecycle` forbids it.
            TooLarge: Its texts exceed what the table can store.
        """
        for pause in PAUSES:
            order = self.get(order_id, caller)
            if versions is not None and order.version not in versions:
                raise VersionMismatch(order)
            changed = patch.applied_to(order)
            if changed == order:
                return order
            lifecycle.refuse_change(order, changed)
            changed = changed.model_copy(update={"version": order.version + 1, "updated": self.now()})
            try:
                self._table.transact(*self._change(order, changed, caller))
                return changed
            except ConditionFailed:
                self._table.sleep(pause)
        raise StillRunning("Other requests are changing this order. Nothing was changed; try again.", retry_after=1)

    def _change(self, order: Order, changed: Order, caller: Caller) -> list[Action]:
        """Returns the actions that turn one version of an order into the next, and record who did it."""
        now = changed.updated or self.now()
        before, after = (
            each.model_dump(exclude={"customer_summary", "version", "updated"}) for each in (order, changed)
        )
        different = [name for name in after if after[name] != before[name]]
        in_header = [name for name in different if name not in _IN_DETAIL]
        details = {name: after[name] for name in different if name in _IN_DETAIL}
        actions = [
            self._table.update_action(
                item_key(order.order_id, HEADER),
                "SET version = :version, updated = :now" + "".join(f", {name} = :{name}" for name in in_header),
                condition="version = :before",
                values={
                    ":version": changed.version,
                    ":now": now,
                    ":before": order.version,
                    **{f":{name}": after[name] for name in in_header},
                },
            )
        ]
        fields = [
            FieldChange(field=name, before=_display(before[name], order), after=_display(after[name], order))
            for name in different
        ]
        if changed.customer_summary != order.customer_summary:
            if order_size(changed) > LARGEST_ORDER:
                raise TooLarge("The order is too large to store. Shorten its texts.")
            summary = changed.customer_summary.model_dump(exclude_none=True)
            old = order.customer_summary.model_dump(exclude_none=True)
            names = sorted(name for name in {*summary, *old} if summary.get(name) != old.get(name))
            fields += [FieldChange(field=f"customer_summary.{name}") for name in names]
            details |= {"customer_summary": summary} | email_entry(changed)
        if details:
            removed = "" if changed.customer_summary.email else " REMOVE email_digest"
            actions.append(
                self._table.update_action(
                    item_key(order.order_id, DETAIL),
                    "SET " + ", ".join(f"#{name} = :{name}" for name in details) + removed,
                    condition="attribute_exists(pk)",
                    values={f":{name}": value for name, value in details.items()},
                    # DynamoDB reserves some of the names, such as `language`.
                    names={f"#{name}": name for name in details},
                )
            )
        change = Change(version=changed.version, at=now, by=caller.id, name=caller.name, fields=tuple(fields))
        key = item_key(order.order_id, change_sk(now, changed.version))
        return [*actions, self._table.put_action(key, change.model_dump() | change_entry(order.order_id, now))]


def email_entry(order: Order) -> dict[str, str]:
    """Returns the attributes that list an order in the index `by_email`: none without an e-mail address."""
    email = order.customer_summary.email
    if not email:
        return {}
    return {"email_digest": address_digest(email), "placed": place_in_lists(order.order_id, order.created)}


def order_size(order: Order) -> int:
    """Returns the size of an order as JSON, in bytes."""
    return len(order.model_dump_json(exclude_none=True).encode())


def order_digest(order: Order) -> str:
    """Hashes the order in a request. Amounts count by value, however they are written."""
    facts = order.model_dump(include=NewOrder.model_fields.keys() - {"created"})
    # An order that version 0.1 stored is thus recognised when it is sent again.
    facts["customer_summary"] = _without_unset(facts["customer_summary"])
    facts["order_line_details"] = [_without_unset(line) for line in facts["order_line_details"]]
    return digest(json.dumps(_without_unset(facts), default=lambda amount: str(amount.normalize())))


def _without_unset(fields: Item) -> Item:
    unset = {name for name in _IF_SET if not fields.get(name)}
    unset |= {name for name in _IF_GIVEN if fields.get(name) is None}
    return {name: value for name, value in fields.items() if name not in unset}


def check_order_access(table: Table, order_id: str, caller: Caller | None = None) -> None:
    """Raises `OrderNotFound` unless the order exists and the caller may see it.

    An order's owner never changes and orders are never deleted, so an old answer is as good as a new one, and only a
    miss is read again. Another customer's order counts as a miss too, so that it takes the same time.
    """
    for consistent in (False, True):
        item = table.get(order_id, HEADER, consistent=consistent, projection="customer_id")
        if item and (caller is None or caller.may_read(item["customer_id"])):
            return
    raise OrderNotFound


def _display(value: Any, order: OrderHeader) -> str | None:
    if value is None:
        return None
    return amount_text(value, order.currency_code) if isinstance(value, Decimal) else str(value)
