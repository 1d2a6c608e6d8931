"""The only place that knows the table: its keys, its expressions, its errors.

All of an order is one item collection, `pk = ORDER#<id>`:

| sk                       | item                                                                            |
|--------------------------|---------------------------------------------------------------------------------|
| `ORDER`                  | the header: owner, states, totals, version, who cancelled, mail under way       |
| `ORDER#DETAIL`           | lines and the customer's data: never touched by cancelling or commenting        |
| `COMMENT#<id, 16 digits>`| one comment that the customer may read                                          |
| `INTERNAL#<id, 16 digits>`| one that only the staff may read: what a customer reads never comes near it    |
| `CHANGE#<µs>#<version>`  | one change of the order, by whom, of which fields; both numbers have 16 digits  |
| `INVOICE#<n, 6 digits>`  | one mailing of the invoice                                                      |
| `NOTICE#<what>`          | a mail that told the customer of a comment or the cancellation               |
| `KEY#<hash>`             | an idempotency key and what it led to; `expires_at` (epoch seconds) is its TTL  |

The key of a request that creates an order is a collection of its own, `pk = KEY#<hash>` and `sk = KEY`: it has to be
found whichever order the request names.
"""

import hashlib
import json
import os
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from zlib import crc32

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NotReachable
from botocore.parsers import ResponseParserError

from orders import aws, lifecycle
from orders.errors import (
    InternalError,
    Invalid,
    InvoiceNotFound,
    KeyReused,
    OrderExists,
    OrderNotFound,
    StillRunning,
    TooLarge,
    Unavailable,
)
from orders.identity import Caller
from orders.models import (
    Change,
    DeliveryEvent,
    FieldChange,
    Invoice,
    NewOrder,
    Order,
    OrderHeader,
    OrderPatch,
    OrderStatus,
    Outcome,
    PaymentStatus,
    StaffComment,
    address_digest,
    amount_text,
    utc_text,
)
from orders.startup import once

if TYPE_CHECKING:
    from pydantic import BaseModel
    from types_boto3_dynamodb import DynamoDBClient

Item = dict[str, Any]

KEY_LIFETIME = timedelta(hours=48)
"""How long an Idempotency-Key is remembered: the contract's 24 hours, and room for a late repeat."""

DOUBLE_CLICK = timedelta(seconds=30)
"""How long an invoice request without a key stands in for its own key."""

MAIL_LEASE = timedelta(seconds=30)
"""How long a mailing can be under way: longer than the function lives. After that, its process has died."""

SHARDS = 4
"""Over how many keys the index of all orders is spread: each takes 1,000 writes a second. `docs/scale.md`"""

EXAMINED = 400
"""How many entries a page looks at if it has a filter, however few of them pass."""

UNSETTLED = "invoice"
"""The key under which the index finds invoices that may or may not have left. Few at any time: one key is enough."""

LARGEST_ORDER = 380_000
"""Bytes of an order as JSON. DynamoDB takes 400 KB for an item, and counts about the same."""

BATCH = 50
"""Orders that can be put in one call: DynamoDB takes 100 items."""

LARGEST_BATCH = 3_000_000
"""Bytes of orders as JSON that can be put in one call. DynamoDB takes 4 MB."""

PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Seconds to wait for another writer of the same order, one after the other."""

LATER = {
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "Throttling",
    "ThrottlingException",
    # To botocore, which repeats a transaction whose answer was lost.
    "TransactionInProgressException",
}
"""DynamoDB's words for: not now."""


def utc_now() -> datetime:
    """The clock of the service. Tests hand the store another one."""
    return datetime.now(UTC)


class Changed(Exception):
    """The order, or the idempotency key, changed since it was read. Read again."""


class _Refused(Exception):
    """A condition did not hold. `items` has what was there (or None), by the position of the action."""

    def __init__(self, items: Mapping[int, Item | None]) -> None:
        self.items = items
        super().__init__("a condition did not hold")


class _Conflict(Exception):
    """Another transaction writes the same item at this moment."""


class Creation(StrEnum):
    """What a request to create an order met."""

    NEW = "new"
    """Nothing: it created the order."""
    AGAIN = "again"
    """Its own key: an earlier request of the same key created the order."""
    THERE = "there"
    """The same order, from another request."""


@dataclass(frozen=True, slots=True)
class Key:
    """What makes two requests the same request.

    Attributes:
        id: Hash of operation, caller and Idempotency-Key (or of the request itself, if it came without a key).
        request: Hash of the request's content.
        lifetime: How long it is remembered.
        given: True if the caller named the key.
    """

    id: str
    request: str
    lifetime: timedelta
    given: bool

    @classmethod
    def of(cls, operation: str, caller: Caller, body: "BaseModel | None", given: str | None) -> "Key":
        """The key of a request: the one that was given, else one that lives as long as a double click takes."""
        request = _digest(body.model_dump_json(exclude_defaults=True) if body else "{}")
        return cls(
            id=_digest(operation, caller.role, caller.id, f"key {given}" if given else f"request {request}"),
            request=request,
            lifetime=KEY_LIFETIME if given else DOUBLE_CLICK,
            given=given is not None,
        )


class Stale(Exception):
    """The order has another version than the change was made for."""

    def __init__(self, order: Order) -> None:
        self.order = order
        super().__init__("the order has another version")


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which orders a list has: those that fit all that is not None. `created_before` itself is not among them."""

    customer_id: str | None = None
    order_status: OrderStatus | None = None
    payment_status: PaymentStatus | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class History:
    """What happened to an order.

    Attributes:
        order: The order, which knows when it was created and cancelled.
        happened: Comments and changes, oldest first, each with its place in the history.
        invoices: All its invoices.
        more: The place up to which `happened` is complete, if it is not complete altogether.
    """

    order: OrderHeader
    happened: list[tuple[str, StaffComment | Change]]
    invoices: list[Invoice]
    more: str | None


class Store:
    """Orders in DynamoDB.

    Each method is one call of DynamoDB unless it says otherwise. All raise `Unavailable` when DynamoDB throttles or
    does not answer, and `InternalError` when the deployment is at fault.

    Args:
        client: A DynamoDB client.
        table: The name of the table.
        now: The clock.
        sleep: Waits for so many seconds.
    """

    def __init__(
        self,
        client: "DynamoDBClient",
        table: str,
        now: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._table = table
        self.now = now
        self._sleep = sleep

    def create(self, order: Order, key: Key | None = None) -> tuple[Order, Creation]:
        """Puts a new order, unless it is there already.

        Returns:
            The order, and what there was of it before. To a key that was used before, that is the order as it was
            when it was new; without one, an order that was there before is returned as it is now.

        Raises:
            Invalid: It was placed in the future.
            OrderExists: There is another one with this id.
            KeyReused: The key came with another order before.
            TooLarge: Its texts are longer than the table takes.
        """
        actions = self._creation(order)
        if key:
            actions.append(self._put_creation_key(key))
        try:
            self._transact(*actions)
        except _Refused as refused:
            header, lines, marker = (refused.items.get(at) for at in range(3))
            if marker:
                _check_same(marker, key)
            if not (header and lines) or lines.get("as_created") != _digest_of(order):
                raise OrderExists from refused
            if marker:
                return order.model_copy(update={"created": datetime.fromisoformat(header["created"])}), Creation.AGAIN
            return Order.model_validate(pick(header | lines, Order)), Creation.THERE
        return order, Creation.NEW

    def check(self, order: Order) -> None:
        """Raises what `create` would raise of the order itself, whatever is in the table. Calls nobody.

        Raises:
            Invalid: It was placed in the future.
            TooLarge: Its texts are longer than the table takes.
        """
        if not _EPOCH <= order.created <= self.now() + timedelta(days=1):
            raise Invalid([("created", "must be a time between 1970 and now")])
        if _size(order) > LARGEST_ORDER:
            raise TooLarge("The texts of this order are too long. Split it, or shorten the names of its lines.")

    def known(self, orders: Sequence[Order]) -> dict[str, bool]:
        """Looks which of some orders, up to a batch, are there already.

        Returns:
            For each id that is taken whether it is by this order, as it was when it was new, or by another one.
        """
        digests = {order.order_id: _digest_of(order) for order in orders}
        keys: Sequence[Any] = [self._key(order_id, "ORDER#DETAIL") for order_id in digests]
        known = {}
        while keys:
            request: Any = {"Keys": keys, "ProjectionExpression": "pk, as_created", "ConsistentRead": True}
            with _faults():
                answer = self._client.batch_get_item(RequestItems={self._table: request})
            for item in map(from_attributes, answer["Responses"].get(self._table, [])):
                order_id = item["pk"].removeprefix("ORDER#")
                known[order_id] = item.get("as_created") == digests[order_id]
            # What was too much for one answer, or for the table at this moment.
            left = answer["UnprocessedKeys"][self._table]["Keys"] if answer.get("UnprocessedKeys") else []
            if len(left) == len(keys):
                raise Unavailable
            keys = left
        return known

    def create_many(self, orders: Sequence[Order]) -> set[str]:
        """Puts a batch of new orders, in one call if none of their ids is taken. Safe to repeat.

        Returns:
            The ids that were taken by other orders. All other orders are there.

        Raises:
            Invalid, TooLarge: See `check`.
        """
        if not orders:
            return set()
        try:
            self._transact(*(action for order in orders for action in self._creation(order)))
        except _Refused as refused:
            # Somebody was faster, or our own call was answered too late. The others are not held up.
            hit = {orders[at // 2].order_id for at in refused.items}
            ours = {order_id for order_id, same in self.known(orders).items() if same}
            return hit - ours | self.create_many([order for order in orders if order.order_id not in hit])
        return set()

    def order(self, order_id: str, caller: Caller) -> Order:
        """Reads an order as it is now.

        Raises:
            OrderNotFound: There is none, or it is another customer's.
        """
        query: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :sk)",
            "ExpressionAttributeValues": {":pk": {"S": f"ORDER#{order_id}"}, ":sk": {"S": "ORDER"}},
            "ConsistentRead": True,
        }
        if not caller.is_admin:
            # Here, so that no byte of another's order comes back: how long it is would show in the time it takes.
            query["FilterExpression"] = "customer_id = :caller"
            query["ExpressionAttributeValues"][":caller"] = {"S": caller.id}
        with _faults():
            items = self._client.query(**query)["Items"]
        if not items:
            raise OrderNotFound
        whole = {name: value for item in map(from_attributes, items) for name, value in item.items()}
        return Order.model_validate(pick(whole, Order))

    def change(self, order_id: str, caller: Caller, patch: OrderPatch, versions: Collection[int] | None) -> Order:
        """Changes an order: one read and one write, more only if somebody else changes it at the same moment.

        Args:
            order_id: Which order.
            caller: Who changes it.
            patch: What is different afterwards.
            versions: The versions that the change was made for; None means any.

        Returns:
            The order as it is now. If the patch changes nothing, nothing is written.

        Raises:
            OrderNotFound: There is none.
            Stale: It has another version.
            StateConflict: A rule of `lifecycle` forbids it.
            TooLarge: Its texts are longer than the table takes.
        """
        for pause in PAUSES:
            order = self.order(order_id, caller)
            if versions is not None and order.version not in versions:
                raise Stale(order)
            changed = patch.applied_to(order)
            if changed == order:
                return order
            lifecycle.refuse_change(order, changed)
            changed = changed.model_copy(update={"version": order.version + 1})
            try:
                self._transact(*self._change(order, changed, caller))
                return changed
            except _Refused:
                self._sleep(pause)
        raise StillRunning("Others are changing this order. Nothing was changed; try again.", retry_after=1)

    def orders(self, chosen: "Chosen", after: str | None, limit: int) -> tuple[list[Item], str | None]:
        """Lists orders, newest first: one call for a customer's orders, one for each shard at once for all.

        Args:
            chosen: Which orders.
            after: The place of the last order before, as this method returned it; None for the first page.
            limit: How many at most.

        Returns:
            What a list shows of each order, and the place of the last one if there may be more.
        """
        first, last = "0", after or "~"
        if chosen.created_from:
            first = utc_text(chosen.created_from)
        if chosen.created_before:
            last = min(last, utc_text(chosen.created_before))
        if first > last:
            return [], None
        filters = {"order_status": chosen.order_status, "payment_status": chosen.payment_status}
        filters = {name: value for name, value in filters.items() if value}
        keys = [("customer_id", chosen.customer_id)] if chosen.customer_id else [("shard", each) for each in _SHARDS]
        queries = [
            {
                "IndexName": "by_customer" if name == "customer_id" else "by_shard",
                # By another name: `shard` is a reserved word.
                "KeyConditionExpression": "#key = :key AND listed BETWEEN :first AND :last",
                "ExpressionAttributeNames": {"#key": name},
                **_filter({":key": key, ":first": first, ":last": last}, filters),
            }
            for name, key in keys
        ]
        return self._page(queries, lambda item: str(item["listed"]), after, limit, newest_first=True)

    def comments(
        self, order_id: str, caller: Caller, after: str | None, limit: int, *, flagged: bool | None = None
    ) -> tuple[list[StaffComment], str | None]:
        """Lists the comments that somebody may read, oldest first. One call before that, to see whose order it is.

        Args:
            order_id: Which order.
            caller: Who reads.
            after: The place of the last comment before, as this method returned it; None for the first page.
            limit: How many at most.
            flagged: Only those that are flagged, or that are not; None means all.

        Raises:
            OrderNotFound: There is no such order, or it is another customer's.
        """
        self._check_order(order_id, caller)
        kinds = ["COMMENT", "INTERNAL"] if caller.is_admin else ["COMMENT"]
        queries = [
            self._range(order_id, kind, after or "0", {} if flagged is None else {"flagged": flagged}) for kind in kinds
        ]
        items, more = self._page(queries, lambda item: str(item["sk"]).partition("#")[2], after, limit)
        return [StaffComment.model_validate(pick(item, StaffComment)) for item in items], more

    def history(self, order_id: str, after: str | None, limit: int) -> "History":
        """Reads what happened to an order: one call for the order, one for its invoices, and three at once.

        Args:
            order_id: Which order.
            after: Where to begin, as `History.more` says; None for the beginning.
            limit: How many comments and changes at most.

        Raises:
            OrderNotFound: There is no such order.
        """
        with _faults():
            answer = self._client.get_item(TableName=self._table, Key=self._key(order_id, "ORDER"), ConsistentRead=True)
        if "Item" not in answer:
            raise OrderNotFound
        queries = [
            self._range(order_id, kind, _going_on(kind, after or "0")) for kind in ("COMMENT", "INTERNAL", "CHANGE")
        ]
        items, more = self._page(queries, _moment_first, after, limit)
        happened: list[tuple[str, StaffComment | Change]] = []
        for item in items:
            model = Change if item["sk"].startswith("CHANGE#") else StaffComment
            happened.append((_moment_first(item), model.model_validate(pick(item, model))))
        return History(
            order=OrderHeader.model_validate(pick(from_attributes(answer["Item"]), OrderHeader)),
            happened=happened,
            invoices=self._invoices(order_id),
            more=more,
        )

    def cancel(self, order_id: str, caller: Caller, reason: str | None) -> bool:
        """Cancels an order, unless a rule forbids it. Waits for an invoice that is being mailed at this moment.

        The condition is the rule itself, so that nothing can come between checking and cancelling. More than one
        call only while an invoice is on its way.

        Returns:
            True if this call cancelled it, False if it was cancelled already: then nothing changed.

        Raises:
            OrderNotFound: There is none, or it is another customer's.
            StateConflict: A rule of `lifecycle` forbids it.
            StillRunning: An invoice is still on its way.
        """
        for pause in PAUSES:
            try:
                with _faults():
                    self._client.update_item(**self._cancellation(order_id, caller, reason))
                return True
            except _Conflict:
                pass
            except _Refused as refused:
                item = refused.items[0]
                if item is None or not (caller.is_admin or item["customer_id"] == caller.id):
                    raise OrderNotFound from refused
                order = OrderHeader.model_validate(pick(item, OrderHeader))
                if order.order_status is OrderStatus.CANCELLED:
                    return False
                lifecycle.refuse_cancel(order, caller.role)
            self._sleep(pause)
        raise StillRunning(
            "An invoice of this order is being mailed. Nothing was cancelled; try again.", retry_after=10
        )

    def add_comment(
        self, order_id: str, caller: Caller, content: str, *, flagged: bool, visible: bool, key: Key | None
    ) -> tuple[StaffComment, bool]:
        """Adds a comment: one read, to see whose order it is, and one write.

        Returns:
            The comment, and True if this call added it, False if an earlier one of the same key did.

        Raises:
            OrderNotFound: There is no such order, or it is another customer's.
            KeyReused: The key came with another comment before.
        """
        self._check_order(order_id, caller)
        # The time is the id. Whoever comes second in the same microsecond takes the next one: even ones if the customer
        # may read it, so that nothing in these ids tells of the others.
        comment_id = _microseconds(self.now()) // 2 * 2 + (not visible)
        # Tells our own write, repeated by botocore after a lost answer, from somebody else's.
        nonce = uuid.uuid4().hex
        while True:
            comment = StaffComment(
                id=comment_id,
                content=content,
                admin_name=caller.name if caller.is_admin else None,
                is_visible_to_customer=visible,
                is_admin=caller.is_admin,
                created=_EPOCH + timedelta(microseconds=comment_id),
                flagged=flagged,
                author=caller.id,
            )
            item = comment.model_dump() | {"nonce": nonce}
            put = self._put(order_id, _comment_sk(comment_id), item, condition="attribute_not_exists(pk)")
            try:
                if key:
                    self._transact(put, self._put_key(order_id, key, comment=comment_id))
                else:
                    self._write(self._client.put_item, **put["Put"])
                return comment, True
            except _Refused as refused:
                if marker := refused.items.get(1):
                    _check_same(marker, key)
                    return self._comment(order_id, int(marker["comment"])), False
                if (there := refused.items[0]) and there["nonce"] == nonce:
                    return comment, True
                comment_id += 2

    def read_for_invoice(self, order_id: str, key: Key | None, *, again: bool) -> tuple[Order, int | None]:
        """Reads an order and what its key led to before: the number of an invoice, or None.

        The first read may be a moment old: what is stale is noticed when the invoice begins. With `again` it is
        certainly the latest.

        Raises:
            OrderNotFound: There is no such order.
            KeyReused: The key came with another request before.
        """
        sks = ("ORDER", "ORDER#DETAIL", *([f"KEY#{key.id}"] if key else []))
        keys = [self._key(order_id, sk) for sk in sks]
        with _faults():
            answer = self._client.batch_get_item(RequestItems={self._table: {"Keys": keys, "ConsistentRead": again}})
        if answer.get("UnprocessedKeys"):
            raise Unavailable
        items = {item["sk"]: item for item in map(from_attributes, answer["Responses"][self._table])}
        if "ORDER" not in items or "ORDER#DETAIL" not in items:
            if again:
                raise OrderNotFound
            return self.read_for_invoice(order_id, key, again=True)
        order = Order.model_validate(pick(items["ORDER"] | items["ORDER#DETAIL"], Order))
        marker = items.get(sks[-1]) if key else None
        if marker is None or marker["expires_at"] <= _epoch(self.now()):
            return order, None
        _check_same(marker, key)
        return order, int(marker["invoice"])

    def invoice(self, order_id: str, n: int) -> Invoice:
        """Reads the n-th invoice of an order.

        Raises:
            InvoiceNotFound: There is none.
        """
        with _faults():
            answer = self._client.get_item(
                TableName=self._table, Key=self._key(order_id, _invoice_sk(n)), ConsistentRead=True
            )
        if "Item" not in answer:
            raise InvoiceNotFound
        return Invoice.model_validate(pick(from_attributes(answer["Item"]), Invoice))

    def begin_invoice(self, order: Order, invoice: Invoice, key: Key, *, instead_of: int | None) -> None:
        """Writes that an invoice is about to be mailed, if the order is still as the invoice shows it.

        From here until `end_invoice` the order cannot be cancelled: no mail leaves after a cancellation.

        Args:
            order: As it was read.
            invoice: Its number is the next of the order.
            key: What the request is known by. Another request of the same key finds this invoice.
            instead_of: The number of the failed invoice that the same key led to before.

        Raises:
            Changed: The order changed, or another request took the number or the key.
        """
        # Whoever noted a number and let the time run out has died. Nobody can have begun since: the count would differ.
        note = "ADD mailing :set" if order.mailing_until > _epoch(self.now()) else ", mailing = :set"
        header = self._update(
            invoice.order_id,
            "ORDER",
            f"SET invoice_count = :n, mailing_until = :until {note}",
            condition="order_status <> :cancelled AND version = :version AND invoice_count = :before",
            values={
                ":n": invoice.n,
                ":before": order.invoice_count,
                ":cancelled": OrderStatus.CANCELLED,
                ":version": order.version,
                ":until": _epoch(self.now() + MAIL_LEASE),
                ":set": {invoice.n},
            },
        )
        item = invoice.model_dump(exclude_none=True) | {"unsettled": UNSETTLED}
        put = self._put(invoice.order_id, _invoice_sk(invoice.n), item, "attribute_not_exists(pk)")
        try:
            self._transact({"Update": header}, put, self._put_key(invoice.order_id, key, instead_of, invoice=invoice.n))
        except _Refused as refused:
            raise Changed from refused

    def end_invoice(self, invoice: Invoice) -> None:
        """Writes what became of an invoice that began, and lets the order be cancelled again."""
        settled = "" if invoice.outcome is Outcome.UNKNOWN else " REMOVE unsettled"
        self._transact(
            {
                "Update": self._update(
                    invoice.order_id,
                    _invoice_sk(invoice.n),
                    "SET outcome = :outcome, ended = :ended, archived = :archived, message_id = :message_id,"
                    f" reason = :reason{settled}",
                    condition="attribute_exists(pk)",
                    values={
                        ":outcome": invoice.outcome,
                        ":ended": invoice.ended,
                        ":archived": invoice.archived,
                        ":message_id": invoice.message_id,
                        ":reason": invoice.reason,
                    },
                )
            },
            {
                "Update": self._update(
                    invoice.order_id,
                    "ORDER",
                    "DELETE mailing :set",
                    condition="attribute_exists(pk)",
                    values={":set": {invoice.n}},
                )
            },
        )

    def record_delivery(self, order_id: str, n: int, event: DeliveryEvent, at: datetime) -> bool:
        """Writes what SES reports of an invoice. Reports may come twice and in any order: the first of a kind counts.

        A second call, to the order, when the address turns out to be no good.

        Returns:
            False if there is no such invoice: nothing was written.
        """
        update = self._update(
            order_id,
            _invoice_sk(n),
            "SET events.#event = :at REMOVE unsettled",
            condition="attribute_exists(pk) AND (attribute_not_exists(events.#event) OR events.#event > :at)",
            values={":at": at},
            names={"#event": event},
        )
        try:
            answer = self._write(self._client.update_item, **update, ReturnValues="ALL_NEW")
            invoice = from_attributes(answer["Attributes"])
        except _Refused as refused:
            if (known := refused.items[0]) is None:
                return False
            invoice = known
        trouble = {DeliveryEvent.HARD_BOUNCE: "bounced", DeliveryEvent.COMPLAINT: "complained"}.get(event)
        if trouble:
            digest = {":digest": {address_digest(invoice["recipient"])}}
            add = self._update(order_id, "ORDER", f"ADD {trouble} :digest", "attribute_exists(pk)", digest)
            self._write(self._client.update_item, **add)
        return True

    def invoices(self, order_id: str) -> list[Invoice]:
        """Reads all invoices of an order, newest last. A second call if there are none, to see whether there is one.

        Raises:
            OrderNotFound: There is no such order.
        """
        found = self._invoices(order_id)
        if not found:
            self._check_order(order_id)
        return found

    def begin_notice(self, order_id: str, notice: str) -> Outcome | None:
        """Writes that a notice is about to be mailed, unless it was before.

        Returns:
            None if it may be mailed now. Otherwise what became of it: it must not be mailed again, whatever that is.
        """
        # Tells our own write, repeated by botocore after a lost answer, from an earlier one.
        nonce = uuid.uuid4().hex
        put = self._put(
            order_id,
            f"NOTICE#{notice}",
            {"outcome": Outcome.SENDING, "started": self.now(), "nonce": nonce},
            "attribute_not_exists(pk) OR outcome = :failed",
            {":failed": Outcome.FAILED},
        )
        try:
            self._write(self._client.put_item, **put["Put"])
        except _Refused as refused:
            there = refused.items[0] or {}
            return None if there.get("nonce") == nonce else Outcome(there.get("outcome", Outcome.SENDING))
        return None

    def end_notice(self, order_id: str, notice: str, outcome: Outcome) -> None:
        """Writes what became of a notice. One that failed may begin again."""
        update = self._update(
            order_id,
            f"NOTICE#{notice}",
            "SET outcome = :outcome, ended = :now",
            condition="attribute_exists(pk)",
            values={":outcome": outcome, ":now": self.now()},
        )
        self._write(self._client.update_item, **update)

    def count_unsettled(self, before: datetime) -> int:
        """Counts the invoices that began before a time and of which it is not known whether they left."""
        with _faults():
            answer = self._client.query(
                TableName=self._table,
                IndexName="by_unsettled",
                Select="COUNT",
                KeyConditionExpression="unsettled = :unsettled AND started < :before",
                ExpressionAttributeValues=_to_attributes({":unsettled": UNSETTLED, ":before": before}),
            )
        return answer["Count"]

    def _invoices(self, order_id: str) -> list[Invoice]:
        found: list[Invoice] = []
        start: Any = {}
        while True:
            with _faults():
                answer = self._client.query(
                    TableName=self._table,
                    KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
                    ExpressionAttributeValues=_to_attributes({":pk": f"ORDER#{order_id}", ":sk": "INVOICE#"}),
                    **start,
                )
            found += [Invoice.model_validate(pick(from_attributes(item), Invoice)) for item in answer["Items"]]
            if "LastEvaluatedKey" not in answer:
                break
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
        return found

    def _cancellation(self, order_id: str, caller: Caller, reason: str | None) -> Any:
        now, shipping = self.now(), lifecycle.CANCELLABLE_SHIPPING[caller.role]
        return self._update(
            order_id,
            "ORDER",
            "SET order_status = :cancelled, version = version + :one, status_before_cancel = order_status,"
            " refund_due = paid, cancelled_at = :at, cancelled_by = :by, cancelled_as = :as, cancel_reason = :reason",
            condition=f"order_status IN ({_names('o', lifecycle.CANCELLABLE_ORDER)})"
            f" AND shipping_status IN ({_names('s', shipping)})"
            " AND (attribute_not_exists(mailing) OR mailing_until < :now)"
            + ("" if caller.is_admin else " AND customer_id = :by"),
            values={
                ":cancelled": OrderStatus.CANCELLED,
                ":one": 1,
                ":at": now,
                ":by": caller.id,
                ":as": caller.role,
                ":reason": reason,
                ":now": _epoch(now),
                **_values("o", lifecycle.CANCELLABLE_ORDER),
                **_values("s", shipping),
            },
        )

    def _change(self, order: Order, changed: Order, caller: Caller) -> list[Any]:
        """The actions that make one version of an order into the next, and note who did it."""
        before, after = (each.model_dump(exclude={"customer_summary", "version"}) for each in (order, changed))
        different = [name for name in after if after[name] != before[name]]
        header = self._update(
            order.order_id,
            "ORDER",
            "SET version = :version" + "".join(f", {name} = :{name}" for name in different),
            condition="version = :before",
            values={
                ":version": changed.version,
                ":before": order.version,
                **{f":{name}": after[name] for name in different},
            },
        )
        fields = [
            FieldChange(
                field=name, **{when: _said(said[name], order) for when, said in (("before", before), ("after", after))}
            )
            for name in different
        ]
        actions = [{"Update": header}]
        if changed.customer_summary != order.customer_summary:
            if len(changed.model_dump_json(exclude_none=True).encode()) > LARGEST_ORDER:
                raise TooLarge("The texts of this order are too long. Shorten them.")
            summary = changed.customer_summary.model_dump(exclude_none=True)
            old = order.customer_summary.model_dump(exclude_none=True)
            names = sorted(name for name in {*summary, *old} if summary.get(name) != old.get(name))
            fields += [FieldChange(field=f"customer_summary.{name}") for name in names]
            detail = self._update(
                order.order_id,
                "ORDER#DETAIL",
                "SET customer_summary = :summary",
                condition="attribute_exists(pk)",
                values={":summary": summary},
            )
            actions.append({"Update": detail})
        now = self.now()
        change = Change(version=changed.version, at=now, by=caller.id, name=caller.name, fields=tuple(fields))
        sk = f"CHANGE#{moment(now)}#{changed.version:016}"
        return [*actions, self._put(order.order_id, sk, change.model_dump())]

    def _range(self, order_id: str, kind: str, begin: str, filters: Mapping[str, Any] | None = None) -> Any:
        """The query for all items of a kind in an order, from a place on."""
        values = {":pk": f"ORDER#{order_id}", ":first": f"{kind}#{begin}", ":last": f"{kind}#~"}
        return {
            "KeyConditionExpression": "pk = :pk AND sk BETWEEN :first AND :last",
            "ConsistentRead": True,
            **_filter(values, filters or {}),
        }

    def _page(
        self,
        queries: Sequence[Any],
        place: Callable[[Item], str],
        after: str | None,
        limit: int,
        *,
        newest_first: bool = False,
    ) -> tuple[list[Item], str | None]:
        """One page of what several queries find, in one order. All are asked at once, and each once.

        Args:
            queries: What to ask. Each may find again what is at the place `after`.
            place: Where an item is in the order. No two items are at the same place.
            after: The place of the last item before.
            limit: How many items at most.
            newest_first: The last place comes first.

        Returns:
            The items, and the place to go on from, None if there are no more.
        """
        looked_at = max(EXAMINED // len(queries), limit + 2) if "FilterExpression" in queries[0] else limit + 2

        def ask(query: Any) -> Any:
            with _faults():
                return self._client.query(
                    TableName=self._table, Limit=looked_at, ScanIndexForward=not newest_first, **query
                )

        if len(queries) == 1:
            answers = [ask(queries[0])]
        else:
            # Late, because whoever lists nothing need not wait for it.
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

            with ThreadPoolExecutor(len(queries)) as pool:
                answers = list(pool.map(ask, queries))
        items = [from_attributes(item) for answer in answers for item in answer["Items"]]
        if after:
            items = [item for item in items if (place(item) < after if newest_first else place(item) > after)]
        items.sort(key=place, reverse=newest_first)
        # Where a query was left off, what it would find next is not known: nothing beyond that may be shown yet.
        if ends := [
            place(from_attributes(answer["LastEvaluatedKey"])) for answer in answers if "LastEvaluatedKey" in answer
        ]:
            end = max(ends) if newest_first else min(ends)
            items = [item for item in items if (place(item) >= end if newest_first else place(item) <= end)]
        if len(items) > limit:
            return items[:limit], place(items[limit - 1])
        return items, end if ends else None

    def _check_order(self, order_id: str, caller: Caller | None = None) -> None:
        """Raises `OrderNotFound` unless there is the order and the caller may see it.

        An owner never changes, nor is an order deleted: an old answer is as good as a new one, and only a miss is
        asked for again. Somebody else's order is a miss, too, so that it takes as long.
        """
        for consistent in (False, True):
            with _faults():
                answer = self._client.get_item(
                    TableName=self._table,
                    Key=self._key(order_id, "ORDER"),
                    ProjectionExpression="customer_id",
                    ConsistentRead=consistent,
                )
            item = answer.get("Item")
            if item and (caller is None or caller.is_admin or from_attributes(item)["customer_id"] == caller.id):
                return
        raise OrderNotFound

    def _comment(self, order_id: str, comment_id: int) -> StaffComment:
        with _faults():
            answer = self._client.get_item(
                TableName=self._table, Key=self._key(order_id, _comment_sk(comment_id)), ConsistentRead=True
            )
        return StaffComment.model_validate(pick(from_attributes(answer["Item"]), StaffComment))

    def _transact(self, *actions: Any) -> None:
        """Does all or nothing.

        Raises:
            _Refused, StillRunning: See `_write`.
        """
        self._write(self._client.transact_write_items, TransactItems=actions)

    def _write(self, write: Callable[..., Any], **arguments: Any) -> Any:
        """Writes, again if another transaction was at the same item.

        Raises:
            _Refused: A condition did not hold.
            StillRunning: Others kept writing the same items.
        """
        for pause in PAUSES:
            try:
                with _faults():
                    return write(**arguments)
            except _Conflict:
                self._sleep(pause)
        raise StillRunning("Others are changing this order. Nothing was changed; try again.", retry_after=1)

    def _put_key(self, order_id: str, key: Key, instead_of: int | None = None, **led_to: int) -> Any:
        condition, values = "attribute_not_exists(pk) OR expires_at <= :now", {":now": _epoch(self.now())}
        if instead_of is not None:
            condition, values = f"{condition} OR invoice = :instead_of", values | {":instead_of": instead_of}
        marker = {"request": key.request, "expires_at": _epoch(self.now() + key.lifetime), **led_to}
        return self._put(order_id, f"KEY#{key.id}", marker, condition, values)

    def _creation(self, order: Order) -> list[Any]:
        """What puts a new order: its header and its detail, each only if there is none."""
        self.check(order)
        # Sets: DynamoDB has no empty ones, and a new order has no others.
        whole = order.model_dump(exclude_none=True, exclude={"bounced", "complained"})
        detail = {name: whole.pop(name) for name in _DETAIL if name in whole}
        whole["shard"] = _SHARDS[crc32(order.order_id.encode()) % SHARDS]
        # Sorts by time, and differs for each order: so every place in a list is between two orders.
        whole["listed"] = f"{utc_text(order.created)}#{order.order_id}"
        detail |= {"as_created": _digest_of(order), "customer_id": order.customer_id}
        there_is_none = "attribute_not_exists(pk)"
        return [
            self._put(order.order_id, "ORDER", whole, there_is_none),
            self._put(order.order_id, "ORDER#DETAIL", detail, there_is_none),
        ]

    def _put_creation_key(self, key: Key) -> Any:
        put = self._put_key("", key)
        put["Put"]["Item"] |= _to_attributes({"pk": f"KEY#{key.id}", "sk": "KEY"})
        return put

    def _put(
        self,
        order_id: str,
        sk: str,
        item: Mapping[str, Any],
        condition: str | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> Any:
        put: dict[str, Any] = {"TableName": self._table, "Item": self._key(order_id, sk) | _to_attributes(item)}
        if condition:
            put |= {"ConditionExpression": condition, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
        if values:
            put["ExpressionAttributeValues"] = _to_attributes(values)
        return {"Put": put}

    def _update(
        self,
        order_id: str,
        sk: str,
        expression: str,
        condition: str,
        values: Mapping[str, Any],
        names: Mapping[str, str] | None = None,
    ) -> Any:
        update = {
            "TableName": self._table,
            "Key": self._key(order_id, sk),
            "UpdateExpression": expression,
            "ConditionExpression": condition,
            "ExpressionAttributeValues": _to_attributes(values),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        return update | ({"ExpressionAttributeNames": names} if names else {})

    def _key(self, order_id: str, sk: str) -> Item:
        return {"pk": {"S": f"ORDER#{order_id}"}, "sk": {"S": sk}}


def batches(orders: Iterable[Order]) -> Iterator[list[Order]]:
    """Orders in batches as large as `Store.create_many` takes them. No id may come twice."""
    batch: list[Order] = []
    size = 0
    for order in orders:
        more = _size(order)
        if batch and (len(batch) == BATCH or size + more > LARGEST_BATCH):
            yield batch
            batch, size = [], 0
        batch.append(order)
        size += more
    if batch:
        yield batch


@once
def get_store() -> Store:
    """For `Depends`: the store of this function."""
    return Store(aws.dynamodb(), os.environ["TABLE_NAME"])


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHARDS = tuple(map(str, range(SHARDS)))
_DETAIL = Order.model_fields.keys() - OrderHeader.model_fields.keys()


def _comment_sk(comment_id: int) -> str:
    return f"{'INTERNAL' if comment_id % 2 else 'COMMENT'}#{comment_id:016}"


def _invoice_sk(n: int) -> str:
    return f"INVOICE#{n:06}"


def _epoch(moment: datetime) -> int:
    return int(moment.timestamp())


def _microseconds(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1)


def moment(time: datetime) -> str:
    """A time as the places of a history begin with it: microseconds since 1970, in 16 digits."""
    return f"{_microseconds(time):016}"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _size(order: Order) -> int:
    return len(order.model_dump_json(exclude_none=True).encode())


def _digest_of(order: Order) -> str:
    """Stands for what a caller says of an order: the same for the same order, however its amounts are written."""
    facts = order.model_dump(include=NewOrder.model_fields.keys() - {"created"})
    return _digest(json.dumps(facts, default=lambda amount: str(amount.normalize())))


def _check_same(marker: Item, key: Key | None) -> None:
    if key is None or marker["request"] != key.request:
        raise KeyReused


def _moment_first(item: Item) -> str:
    """The place of a comment or change among all that happened: its moment in microseconds, then its key."""
    return f"{item['sk'].split('#')[1]}#{item['sk']}"


def _going_on(kind: str, after: str) -> str:
    """Where in the keys of a kind a history goes on after a place: not before it, however much shares its moment."""
    moment, _, sk = after.partition("#")
    first, last = f"{kind}#{moment}", f"{kind}#{moment}#~"
    return min(max(first, sk), last).removeprefix(f"{kind}#")


def _said(value: Any, order: OrderHeader) -> str:
    return amount_text(value, order.currency_code) if isinstance(value, Decimal) else str(value)


def _filter(values: Mapping[str, Any], filters: Mapping[str, Any]) -> Item:
    """The values of a query's condition, and a filter for attributes that must have certain values."""
    given = {f":{name}": value for name, value in filters.items()}
    query: Item = {"ExpressionAttributeValues": _to_attributes({**values, **given})}
    if filters:
        query["FilterExpression"] = " AND ".join(f"{name} = :{name}" for name in filters)
    return query


def pick(item: Item, model: "type[BaseModel]") -> Item:
    """What of an item belongs to a model: the rest is keys, indexes and bookkeeping."""
    return {name: item[name] for name in model.model_fields if name in item}


def _names(prefix: str, words: frozenset[Any]) -> str:
    return ", ".join(_values(prefix, words))


def _values(prefix: str, words: frozenset[Any]) -> dict[str, Any]:
    return {f":{prefix}{index}": word for index, word in enumerate(sorted(words))}


@contextmanager
def _faults() -> Iterator[None]:
    """Turns every error of DynamoDB and of the way to it into a word of the domain. The only place that does.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
    """
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "ConditionalCheckFailedException":
            raise _Refused({0: _old(error.response)}) from error
        if code == "TransactionConflictException":
            raise _Conflict from error
        if code == "TransactionCanceledException":
            reasons: list[Any] = list(enumerate(error.response.get("CancellationReasons", [])))
            if failed := {at: _old(why) for at, why in reasons if why.get("Code") == "ConditionalCheckFailed"}:
                raise _Refused(failed) from error
            if any(why.get("Code") == "TransactionConflict" for _, why in reasons):
                raise _Conflict from error
            if any(why.get("Code") in {"ThrottlingError", "ProvisionedThroughputExceeded"} for _, why in reasons):
                raise Unavailable from error
        if code in LATER or error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
            raise Unavailable from error
        raise InternalError from error
    except (HTTPClientError, NotReachable, ResponseParserError) as error:
        raise Unavailable from error


def _old(response: Mapping[str, Any]) -> Item | None:
    return from_attributes(response["Item"]) if response.get("Item") else None


def _to_attributes(item: Mapping[str, Any]) -> Item:
    return {name: _to_attribute(value) for name, value in item.items()}


def _to_attribute(value: Any) -> Item:
    """A value as DynamoDB writes it. boto3 has this too, behind an import that takes longer than our cold start."""
    match value:
        case None | bool():
            return {"NULL": True} if value is None else {"BOOL": value}
        case str():
            return {"S": value}
        case int() | Decimal():
            return {"N": str(value)}
        case datetime():
            return {"S": utc_text(value)}
        case Mapping():
            return {"M": _to_attributes(value)}
        case list() | tuple():
            return {"L": [_to_attribute(each) for each in value]}
        case set() | frozenset():
            return {"NS" if isinstance(next(iter(value)), int) else "SS": sorted(map(str, value))}
    raise TypeError(f"cannot be stored: {type(value).__name__}")


def from_attributes(item: Mapping[str, Any]) -> Item:
    """An item as DynamoDB writes it, as plain values."""
    return {name: _from_attribute(value) for name, value in item.items()}


def _from_attribute(attribute: Mapping[str, Any]) -> Any:
    if not attribute:
        # How DynamoDB Local's stream writes an empty map.
        return {}
    ((kind, value),) = attribute.items()
    match kind:
        case "NULL":
            return None
        case "N":
            number = Decimal(value)
            return int(number) if number == number.to_integral_value() else number
        case "M":
            return from_attributes(value)
        case "L":
            return [_from_attribute(each) for each in value]
        case "NS":
            return {int(each) for each in value}
        case "SS":
            return set(value)
    return value
