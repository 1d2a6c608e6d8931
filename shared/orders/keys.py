"""Keys of the table: builds and parses `pk` and `sk`, and derives idempotency keys.

All items of an order form one item collection, `pk = ORDER#<id>`:

| sk                        | item                                                                           |
|---------------------------|--------------------------------------------------------------------------------|
| `ORDER`                   | the header: owner, statuses, totals, version, cancellation, mailing in progress |
| `ORDER#DETAIL`            | lines and customer details: not touched by cancelling or commenting            |
| `ORDER#WITHDRAWAL`        | the customer's withdrawal from the contract, read with the order               |
| `COMMENT#<id, 16 digits>` | a comment that the customer may read                                           |
| `INTERNAL#<id, 16 digits>`| an internal comment, apart so that customers' reads never come near it         |
| `CHANGE#<µs>#<version>`   | one change of the order, by whom and of which fields; both have 16 digits      |
| `CHANGE#<µs>#<comment id>`| the redaction of a comment, by whom; both have 16 digits                       |
| `DOC#<number>`            | a document: an invoice or a credit note, as it was issued                      |
| `INVOICE#<n, 6 digits>`   | one mailing of a document                                                      |
| `NOTICE#<id>`             | a mail that told the customer about a comment or the cancellation              |
| `KEY#<hash>`              | an idempotency key and its result; `expires_at` (epoch seconds) is the TTL     |

The idempotency key of a request that creates an order is a separate collection, `pk = KEY#<hash>` and `sk = KEY`: it
must be found whichever order the request names. The series of document numbers is one too: `pk = SERIES#<name>` and
`sk = SERIES`. So is a counter of requests to a public route: `pk = LIMIT#<hash>` and `sk = LIMIT`, with a TTL.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zlib import crc32

from orders.errors import KeyReused
from orders.identity import Caller
from orders.types import utc_text

if TYPE_CHECKING:
    from pydantic import BaseModel

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

HEADER = "ORDER"
DETAIL = "ORDER#DETAIL"
WITHDRAWAL = "ORDER#WITHDRAWAL"
COMMENT = "COMMENT"
INTERNAL = "INTERNAL"
CHANGE = "CHANGE"
DOCUMENT = "DOC"
INVOICE = "INVOICE"
SERIES = "SERIES"

SHARDS = tuple(map(str, range(4)))
"""Partitions of the indexes of all orders and of all changes: each takes 1,000 writes a second. See `docs/scale.md`."""

KEY_LIFETIME = timedelta(hours=48)
"""How long an Idempotency-Key is kept: a day, and a day more for a late retry."""

DOUBLE_CLICK = timedelta(seconds=30)
"""How long the content of a comment or an invoice request stands in for an Idempotency-Key."""


def order_pk(order_id: str) -> str:
    """Returns the partition key of an order."""
    return f"ORDER#{order_id}"


def item_key(order_id: str, sk: str) -> dict[str, str]:
    """Returns the key of one item of an order."""
    return {"pk": order_pk(order_id), "sk": sk}


def parse_order_id(pk: str) -> str:
    """Returns the order id in a partition key."""
    return pk.partition("#")[2]


def parse_sk(sk: str) -> list[str]:
    """Splits a sort key into the kind of the item and its parts: `["COMMENT", "0001795454709123"]`."""
    return sk.split("#")


def comment_sk(comment_id: int) -> str:
    """Returns the sort key of a comment. Ids of internal comments are odd."""
    return f"{INTERNAL if comment_id % 2 else COMMENT}#{comment_id:016}"


def series_key(name: str) -> dict[str, str]:
    """Returns the key of a series of document numbers."""
    return {"pk": f"{SERIES}#{name}", "sk": SERIES}


def limit_key(*parts: str) -> dict[str, str]:
    """Returns the key of a counter. What it counts is hashed: it may identify a person."""
    return {"pk": f"LIMIT#{digest(*parts)}", "sk": "LIMIT"}


def document_sk(number: str) -> str:
    """Returns the sort key of a document."""
    return f"{DOCUMENT}#{number}"


def invoice_sk(n: int) -> str:
    """Returns the sort key of an order's n-th mailing."""
    return f"{INVOICE}#{n:06}"


def change_sk(at: datetime, version: int) -> str:
    """Returns the sort key of the change that produced a version."""
    return f"{CHANGE}#{sortable_time(at)}#{version:016}"


def redaction_sk(at: datetime, comment_id: int) -> str:
    """Returns the sort key of the record that a comment was redacted. Its id is larger than any version."""
    return f"{CHANGE}#{sortable_time(at)}#{comment_id:016}"


def shard(order_id: str) -> str:
    """Returns the partition of an order in the indexes of all orders and of all changes."""
    return SHARDS[crc32(order_id.encode()) % len(SHARDS)]


def place_in_lists(order_id: str, created: datetime) -> str:
    """Returns where an order sorts in lists: by time, and unique, so that a page can end between any two orders."""
    return f"{utc_text(created)}#{order_id}"


def change_entry(order_id: str, at: datetime) -> dict[str, str]:
    """Returns the attributes that list a change of an order in the index `by_change`.

    Each version has one entry, on an item that has no other: the detail for the creation, the change, the withdrawal,
    the mailing that bounced, and the header for the cancellation. So no entry moves, which would be a second write.
    """
    return {"change_shard": shard(order_id), "changed": place_in_lists(order_id, at)}


def parse_place(place: str) -> str:
    """Returns the time in a place in lists, as text."""
    return place.partition("#")[0]


def notice_sk(notice_id: str) -> str:
    """Returns the sort key of a notice."""
    return f"NOTICE#{notice_id}"


def microseconds(time: datetime) -> int:
    """Converts a time to microseconds since 1970."""
    return (time - EPOCH) // timedelta(microseconds=1)


def sortable_time(time: datetime) -> str:
    """Formats a time so that text order is time order: microseconds since 1970, in 16 digits."""
    return f"{microseconds(time):016}"


def epoch_seconds(time: datetime) -> int:
    """Converts a time to seconds since 1970, as DynamoDB's TTL needs it."""
    return int(time.timestamp())


def digest(*parts: str) -> str:
    """Hashes text."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class RequestKey:
    """Identifies repetitions of the same request.

    Attributes:
        id: Hash of operation, caller and Idempotency-Key, or of the request itself if it came without a key.
        request: Hash of the request's content.
        lifetime: How long it is kept.
        given: True if the caller sent an Idempotency-Key.
    """

    id: str
    request: str
    lifetime: timedelta
    given: bool

    @classmethod
    def of(cls, operation: str, caller: Caller, body: "BaseModel | None", given: str | None) -> "RequestKey":
        """Returns the key of a request: from its Idempotency-Key, else a short-lived one from its content."""
        request = digest(body.model_dump_json(exclude_defaults=True) if body else "{}")
        return cls(
            id=digest(operation, caller.role, caller.id, f"key {given}" if given else f"request {request}"),
            request=request,
            lifetime=KEY_LIFETIME if given else DOUBLE_CLICK,
            given=given is not None,
        )

    @property
    def sk(self) -> str:
        """The sort key of its item in an order."""
        return f"KEY#{self.id}"

    @property
    def own_key(self) -> dict[str, str]:
        """The key of its item outside any order, for requests that create one."""
        return {"pk": self.sk, "sk": "KEY"}

    def item(self, now: datetime, **result: int) -> dict[str, Any]:
        """Returns the item to store: the request's hash, what it led to, and when it expires."""
        return {"request": self.request, "expires_at": epoch_seconds(now + self.lifetime), **result}

    def check(self, item: Mapping[str, Any]) -> None:
        """Raises `KeyReused` if a stored item of this key belongs to another request."""
        if item["request"] != self.request:
            raise KeyReused
