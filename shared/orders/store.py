"""The only place that knows the table: its keys, its expressions, its errors.

All of an order is one item collection, `pk = ORDER#<id>`:

| sk                       | item                                                                            |
|--------------------------|---------------------------------------------------------------------------------|
| `ORDER`                  | the header: owner, states, totals, version, who cancelled, mail under way       |
| `ORDER#DETAIL`           | lines and the customer's data: never touched by cancelling or commenting        |
| `COMMENT#<id, 16 digits>`| one comment                                                                     |
| `INVOICE#<n, 6 digits>`  | one mailing of the invoice                                                      |
| `KEY#<hash>`             | an idempotency key and what it led to; `expires_at` (epoch seconds) is its TTL  |

The key of a request that creates an order is a collection of its own, `pk = KEY#<hash>` and `sk = KEY`: it has to be
found whichever order the request names.
"""

import hashlib
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any
from zlib import crc32

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NotReachable
from botocore.parsers import ResponseParserError

from orders import aws, lifecycle
from orders.errors import (
    InternalError,
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
    Comment,
    DeliveryEvent,
    Invoice,
    NewOrder,
    Order,
    OrderHeader,
    OrderStatus,
    Outcome,
    address_digest,
    utc_text,
)

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

SHARDS = 8
"""Over how many partitions the index of all orders is spread: each takes 1,000 writes a second."""

UNSETTLED = "invoice"
"""The key under which the index finds invoices that may or may not have left. Few at any time: one key is enough."""

LARGEST_ORDER = 380_000
"""Bytes of an order as JSON. DynamoDB takes 400 KB for an item, and counts about the same."""

PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Seconds to wait for another writer of the same order, one after the other."""

THROTTLED = {"ProvisionedThroughputExceededException", "ThrottlingException", "Throttling", "RequestLimitExceeded"}


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

    def create(self, order: Order, key: Key | None = None) -> tuple[Order, bool]:
        """Puts a new order, unless it is there already.

        Returns:
            The order, and True if it is new. To a key that was used before, that is the order as it was when it was
            new; without one, an order that was there before is returned as it is now.

        Raises:
            OrderExists: There is another one with this id.
            KeyReused: The key came with another order before.
            TooLarge: Its texts are longer than the table takes.
        """
        if len(order.model_dump_json(exclude_none=True).encode()) > LARGEST_ORDER:
            raise TooLarge("The texts of this order are too long. Split it, or shorten the names of its lines.")
        # Sets: DynamoDB has no empty ones, and a new order has no others.
        whole = order.model_dump(exclude_none=True, exclude={"bounced", "complained"})
        detail = {name: whole.pop(name) for name in _DETAIL if name in whole}
        whole["shard"] = str(crc32(order.order_id.encode()) % SHARDS)
        detail["as_created"] = _digest_of(order)
        there_is_none = "attribute_not_exists(pk)"
        actions = [
            self._put(order.order_id, "ORDER", whole, there_is_none),
            self._put(order.order_id, "ORDER#DETAIL", detail, there_is_none),
        ]
        if key:
            actions.append(self._put_creation_key(key))
        try:
            self._transact(*actions)
        except _Refused as refused:
            header, lines, marker = (refused.items.get(at) for at in range(3))
            if marker:
                _check_same(marker, key)
            if not (header and lines) or lines.get("as_created") != detail["as_created"]:
                raise OrderExists from refused
            if marker:
                return order.model_copy(update={"created": datetime.fromisoformat(header["created"])}), True
            return Order.model_validate(_pick(header | lines, Order)), False
        return order, True

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
                order = OrderHeader.model_validate(_pick(item, OrderHeader))
                if order.order_status is OrderStatus.CANCELLED:
                    return False
                lifecycle.refuse_cancel(order, caller.role)
            self._sleep(pause)
        raise StillRunning(
            "An invoice of this order is being mailed. Nothing was cancelled; try again.", retry_after=10
        )

    def add_comment(
        self, order_id: str, caller: Caller, content: str, *, flagged: bool, visible: bool, key: Key | None
    ) -> Comment:
        """Adds a comment: one read, to see whose order it is, and one write.

        Raises:
            OrderNotFound: There is no such order, or it is another customer's.
            KeyReused: The key came with another comment before.
        """
        self._check_order(order_id, caller)
        now = self.now()
        # The time is the id. Whoever comes second in the same microsecond takes the next one.
        comment_id = (now - _EPOCH) // timedelta(microseconds=1)
        # Tells our own write, repeated by botocore after a lost answer, from somebody else's.
        nonce = uuid.uuid4().hex
        while True:
            comment = Comment(
                id=comment_id,
                content=content,
                admin_name=caller.name if caller.is_admin else None,
                is_visible_to_customer=visible,
                is_admin=caller.is_admin,
                created=_EPOCH + timedelta(microseconds=comment_id),
            )
            more = {"flagged": flagged, "author": caller.id, "nonce": nonce}
            put = self._put(
                order_id, _comment_sk(comment_id), comment.model_dump() | more, condition="attribute_not_exists(pk)"
            )
            try:
                if key:
                    self._transact(put, self._put_key(order_id, key, comment=comment_id))
                else:
                    with _faults():
                        self._client.put_item(**put["Put"])
                return comment
            except _Refused as refused:
                if marker := refused.items.get(1):
                    _check_same(marker, key)
                    return self._comment(order_id, int(marker["comment"]))
                if (there := refused.items[0]) and there["nonce"] == nonce:
                    return comment
                comment_id += 1

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
        items = {item["sk"]: item for item in map(_from_attributes, answer["Responses"][self._table])}
        if "ORDER" not in items or "ORDER#DETAIL" not in items:
            if again:
                raise OrderNotFound
            return self.read_for_invoice(order_id, key, again=True)
        order = Order.model_validate(_pick(items["ORDER"] | items["ORDER#DETAIL"], Order))
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
        return Invoice.model_validate(_pick(_from_attributes(answer["Item"]), Invoice))

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
            with _faults():
                invoice = _from_attributes(self._client.update_item(**update, ReturnValues="ALL_NEW")["Attributes"])
        except _Refused as refused:
            if (known := refused.items[0]) is None:
                return False
            invoice = known
        trouble = {DeliveryEvent.HARD_BOUNCE: "bounced", DeliveryEvent.COMPLAINT: "complained"}.get(event)
        if trouble:
            digest = {":digest": {address_digest(invoice["recipient"])}}
            add = self._update(order_id, "ORDER", f"ADD {trouble} :digest", "attribute_exists(pk)", digest)
            with _faults():
                self._client.update_item(**add)
        return True

    def invoices(self, order_id: str) -> list[Invoice]:
        """Reads all invoices of an order, newest last. A second call if there are none, to see whether there is one.

        Raises:
            OrderNotFound: There is no such order.
        """
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
            found += [Invoice.model_validate(_pick(_from_attributes(item), Invoice)) for item in answer["Items"]]
            if "LastEvaluatedKey" not in answer:
                break
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
        if not found:
            self._check_order(order_id)
        return found

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

    def _check_order(self, order_id: str, caller: Caller | None = None) -> None:
        """Raises `OrderNotFound` unless there is the order and the caller may see it.

        An owner never changes, nor is an order deleted: an old answer is as good as a new one, and only a miss is
        asked for again.
        """
        for consistent in (False, True):
            with _faults():
                answer = self._client.get_item(
                    TableName=self._table,
                    Key=self._key(order_id, "ORDER"),
                    ProjectionExpression="customer_id",
                    ConsistentRead=consistent,
                )
            if item := answer.get("Item"):
                if caller is None or caller.is_admin or _from_attributes(item)["customer_id"] == caller.id:
                    return
                break
        raise OrderNotFound

    def _comment(self, order_id: str, comment_id: int) -> Comment:
        with _faults():
            answer = self._client.get_item(
                TableName=self._table, Key=self._key(order_id, _comment_sk(comment_id)), ConsistentRead=True
            )
        return Comment.model_validate(_pick(_from_attributes(answer["Item"]), Comment))

    def _transact(self, *actions: Any) -> None:
        """Does all or nothing.

        Raises:
            _Refused: A condition did not hold.
            StillRunning: Others kept writing the same items.
        """
        for pause in PAUSES:
            try:
                with _faults():
                    self._client.transact_write_items(TransactItems=actions)
                return
            except _Conflict:
                self._sleep(pause)
        raise StillRunning("Others are changing this order. Nothing was changed; try again.", retry_after=1)

    def _put_key(self, order_id: str, key: Key, instead_of: int | None = None, **led_to: int) -> Any:
        condition, values = "attribute_not_exists(pk) OR expires_at <= :now", {":now": _epoch(self.now())}
        if instead_of is not None:
            condition, values = f"{condition} OR invoice = :instead_of", values | {":instead_of": instead_of}
        marker = {"request": key.request, "expires_at": _epoch(self.now() + key.lifetime), **led_to}
        return self._put(order_id, f"KEY#{key.id}", marker, condition, values)

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


@cache
def get_store() -> Store:
    """For `Depends`: the store of this function, made at its first use."""
    return Store(aws.dynamodb(), os.environ["TABLE_NAME"])


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DETAIL = Order.model_fields.keys() - OrderHeader.model_fields.keys()


def _comment_sk(comment_id: int) -> str:
    return f"COMMENT#{comment_id:016}"


def _invoice_sk(n: int) -> str:
    return f"INVOICE#{n:06}"


def _epoch(moment: datetime) -> int:
    return int(moment.timestamp())


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _digest_of(order: Order) -> str:
    """Stands for what a caller says of an order: the same for the same order, however its amounts are written."""
    facts = order.model_dump(include=set(NewOrder.model_fields))
    return _digest(json.dumps(facts, default=lambda amount: str(amount.normalize())))


def _check_same(marker: Item, key: Key | None) -> None:
    if key is None or marker["request"] != key.request:
        raise KeyReused


def _pick(item: Item, model: "type[BaseModel]") -> Item:
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
        if code in THROTTLED or error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
            raise Unavailable from error
        raise InternalError from error
    except (HTTPClientError, NotReachable, ResponseParserError) as error:
        raise Unavailable from error


def _old(response: Mapping[str, Any]) -> Item | None:
    return _from_attributes(response["Item"]) if response.get("Item") else None


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


def _from_attributes(item: Mapping[str, Any]) -> Item:
    return {name: _from_attribute(value) for name, value in item.items()}


def _from_attribute(attribute: Mapping[str, Any]) -> Any:
    ((kind, value),) = attribute.items()
    match kind:
        case "NULL":
            return None
        case "N":
            number = Decimal(value)
            return int(number) if number == number.to_integral_value() else number
        case "M":
            return _from_attributes(value)
        case "L":
            return [_from_attribute(each) for each in value]
        case "NS":
            return {int(each) for each in value}
        case "SS":
            return set(value)
    return value
