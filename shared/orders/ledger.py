"""The ledger of mail: one record for each mailing of a document and for each notice to a customer.

A record is written as `sending` before its mail and gets its outcome after it, so that no mail is sent twice for one
request or lost without a trace. The first mailing of an order issues its invoice, in the same transaction.
"""

import random
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from orders.documents import Issue, Series, read_documents, series_name
from orders.errors import InvoiceNotFound, OrderNotFound, StillRunning, Unavailable
from orders.identity import Caller
from orders.invoices import DeliveryEvent, Document, FiledDocument, Mailing, Outcome, own_document
from orders.items import Item, select_fields
from orders.keys import (
    DETAIL,
    HEADER,
    INVOICE,
    SERIES,
    RequestKey,
    change_entry,
    document_sk,
    epoch_seconds,
    invoice_sk,
    item_key,
    notice_sk,
    series_key,
)
from orders.models import CurrentInvoice, Order, OrderStatus, address_digest
from orders.table import ConditionFailed, Table

MAIL_LEASE = timedelta(seconds=30)
"""How long a mailing can take: longer than its function lives. After that, its process must have crashed."""

NUMBER_ATTEMPTS = 60
"""How often a mailing tries to take a number while other orders take theirs."""

UNSETTLED = "invoice"
"""The partition of the index of unsettled mailings. There are few at any time, so one partition is enough."""


class OrderChanged(Exception):
    """The order or the request's key changed since it was read. Read it again."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a request to mail an invoice finds.

    Attributes:
        order: The order.
        earlier: The number of the mailing that the request's key led to before, or None.
        series: The series that a new document would take its number from.
    """

    order: Order
    earlier: int | None
    series: Series


@dataclass(frozen=True, slots=True)
class Plan:
    """A mailing, and what it issues.

    Attributes:
        mailing: The mailing, with the order's next number.
        issue: What is issued in the same transaction.
        invoice: The order's new valid invoice; None if it stays as it is.
        may_have_left: Earlier mailings of that invoice that may have left.
        archived: Its number, if its PDF is archived already.
    """

    mailing: Mailing
    issue: Issue | None = None
    invoice: CurrentInvoice | None = None
    may_have_left: frozenset[int] = frozenset()
    archived: frozenset[str] = frozenset()


class Ledger:
    """Mailings of documents and notices. Each method makes one DynamoDB call unless it says otherwise.

    Args:
        table: The table.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def now(self) -> datetime:
        """Returns the current time, by the table's clock."""
        return self._table.now()

    def read_for_invoice(self, order_id: str, key: RequestKey | None, *, again: bool) -> Found:
        """Reads an order, what the request's key led to before, and the series of numbers.

        The first read may be slightly old: `begin` detects that. With `again`, it is the latest version.

        Raises:
            OrderNotFound: The order does not exist.
            KeyReused: The key came with another request before.
        """
        name = series_name(self.now())
        sks = (HEADER, DETAIL, *([key.sk] if key else []))
        keys = [*(item_key(order_id, sk) for sk in sks), series_key(name)]
        found, left = self._table.get_many(keys, consistent=again)
        if left:
            raise Unavailable
        items = {item["sk"]: item for item in found}
        if HEADER not in items or DETAIL not in items:
            if again:
                raise OrderNotFound
            return self.read_for_invoice(order_id, key, again=True)
        order = Order.model_validate(select_fields(items[HEADER] | items[DETAIL], Order))
        series = Series.of(name, items.get(SERIES))
        marker = items.get(key.sk) if key else None
        if key is None or marker is None or marker["expires_at"] <= epoch_seconds(self.now()):
            return Found(order, None, series)
        key.check(marker)
        return Found(order, int(marker["invoice"]), series)

    def mailing(self, order_id: str, n: int) -> Mailing:
        """Reads the n-th mailing of an order.

        Raises:
            InvoiceNotFound: It does not exist.
        """
        item = self._table.get(order_id, invoice_sk(n))
        if item is None:
            raise InvoiceNotFound
        return Mailing.model_validate(select_fields(item, Mailing))

    def mailings(self, order_id: str) -> list[Mailing]:
        """Reads all mailings of an order, newest last; an empty list also if the order does not exist."""
        return read_mailings(self._table, order_id)

    def document(self, order_id: str, number: str) -> Document:
        """Reads a document of an order.

        Raises:
            InvoiceNotFound: It does not exist.
        """
        item = self._table.get(order_id, document_sk(number))
        if item is None:
            raise InvoiceNotFound
        return Document.model_validate(select_fields(item, Document))

    def filed(self, order_id: str, caller: Caller) -> list[FiledDocument]:
        """Reads all documents of an order with their mailings, newest last: three calls.

        Raises:
            OrderNotFound: The order does not exist, or it belongs to another customer.
        """
        header = self._table.get(order_id, HEADER)
        if header is None or not caller.may_read(header["customer_id"]):
            raise OrderNotFound
        mailings = self.mailings(order_id)
        documents = {each.number: own_document(each) for each in mailings if each.document is None}
        documents |= {each.number: each for each in read_documents(self._table, order_id)}
        # What SES reports about was archived before it was mailed, even if the process crashed before recording it.
        mailed = {number for each in mailings if each.archived or each.events for number in each.numbers}
        archived = header.get("archived", set()) | mailed
        corrected = {each.corrects: number for number, each in documents.items() if each.corrects}
        return [
            FiledDocument(
                document,
                tuple(each for each in mailings if number in each.numbers),
                number in archived,
                corrected.get(number),
            )
            for number, document in documents.items()
        ]

    def begin(self, found: Found, plan: Callable[[Series], Plan], key: RequestKey, *, instead_of: int | None) -> Plan:
        """Records that a mail is about to be sent, and issues its documents, if the order is still as it was read.

        Until `end`, the order cannot be cancelled, so that no mail is sent after a cancellation. It makes another call
        each time that another order takes the number first.

        Args:
            found: The order as it was read.
            plan: Returns the mailing and its documents, with the next numbers of a series.
            key: The request's key. Another request with the same key finds this mailing.
            instead_of: The number of the failed mailing that the same key led to before.

        Returns:
            The plan that was recorded.

        Raises:
            OrderChanged: The order changed, or another request took the mailing's number or the key.
            StillRunning: Other orders kept taking the numbers.
        """
        series = found.series
        for attempt in range(NUMBER_ATTEMPTS):
            planned = plan(series)
            own = [
                self._begin_on_header(found.order, planned),
                self._table.put_action(
                    item_key(planned.mailing.order_id, invoice_sk(planned.mailing.n)),
                    planned.mailing.model_dump(exclude_none=True) | {"unsettled": UNSETTLED},
                    "attribute_not_exists(pk)",
                ),
                self._table.put_request_key(
                    item_key(planned.mailing.order_id, key.sk), key, instead_of, invoice=planned.mailing.n
                ),
            ]
            try:
                self._table.transact(*own, *(planned.issue.actions(self._table) if planned.issue else ()))
                return planned
            except ConditionFailed as failed:
                if failed.items.keys() != {len(own)} or (item := failed.items[len(own)]) is None:
                    raise OrderChanged from failed
                series = Series.of(series.name, item)
            # At different times, because all that lost this race try again.
            self._table.sleep(random.uniform(0, min(0.01 * 2**attempt, 0.3)))  # noqa: S311
        raise StillRunning("Many invoices are being issued. No mail was sent; try again.", retry_after=1)

    def _begin_on_header(self, order: Order, plan: Plan) -> Item:
        now, n = self.now(), plan.mailing.n
        sets, adds = ["invoice_count = :n", "mailing_until = :until"], []
        condition = "order_status <> :cancelled AND version = :version AND invoice_count = :before"
        values = {":n": n, ":until": epoch_seconds(now + MAIL_LEASE), ":set": {n}}
        # An expired lease means that the process which took it crashed. No other mailing has begun since, because the
        # count would differ.
        if order.mailing_until > epoch_seconds(now):
            adds.append("mailing :set")
        else:
            sets.append("mailing = :set")
        if plan.invoice:
            sets += ["invoice = :invoice", "may_have_left = :left"]
            # Decides between a credit note and a void invoice.
            condition += f" AND attribute_{'exists' if order.may_have_left else 'not_exists'}(may_have_left)"
            values |= {":invoice": plan.invoice.model_dump(exclude_none=True), ":left": {n} | plan.may_have_left}
        else:
            adds.append("may_have_left :set")
        if plan.archived:
            adds.append("archived :archived")
            values[":archived"] = plan.archived
        return self._table.update_action(
            item_key(order.order_id, HEADER),
            f"SET {', '.join(sets)}" + (f" ADD {', '.join(adds)}" if adds else ""),
            condition=condition,
            values={
                **values,
                ":before": order.invoice_count,
                ":cancelled": OrderStatus.CANCELLED,
                ":version": order.version,
            },
        )

    def end(self, mailing: Mailing, archived: Sequence[str] = ()) -> None:
        """Records the outcome of a mailing and the documents that it archived, and allows cancelling the order."""
        n = {mailing.n}
        failed = mailing.outcome is Outcome.FAILED
        header = self._table.update_action(
            item_key(mailing.order_id, HEADER),
            f"DELETE mailing :set{', may_have_left :set' if failed else ''}"
            + (" ADD archived :new" if archived else ""),
            condition="attribute_exists(pk)",
            values={":set": n, **({":new": set(archived)} if archived else {})},
        )
        self._table.transact(self._outcome(mailing), header)

    def _outcome(self, mailing: Mailing) -> Item:
        settled = "" if mailing.outcome is Outcome.UNKNOWN else " REMOVE unsettled"
        return self._table.update_action(
            item_key(mailing.order_id, invoice_sk(mailing.n)),
            f"SET outcome = :outcome, ended = :ended, message_id = :message_id, reason = :reason{settled}",
            condition="attribute_exists(pk)",
            values={
                ":outcome": mailing.outcome,
                ":ended": mailing.ended,
                ":message_id": mailing.message_id,
                ":reason": mailing.reason,
            },
        )

    def record_delivery(self, order_id: str, n: int, event: DeliveryEvent, at: datetime) -> bool:
        """Records an event that SES reports about a mailing. Events may be repeated and come in any order.

        The earliest event of a kind counts. A second call updates the order when the address hard-bounces or complains.

        Returns:
            False if the mailing does not exist: nothing was written.
        """
        update = self._table.update_action(
            item_key(order_id, invoice_sk(n)),
            "SET events.#event = :at REMOVE unsettled",
            condition="attribute_exists(pk) AND (attribute_not_exists(events.#event) OR events.#event > :at)",
            values={":at": at},
            names={"#event": event},
        )
        try:
            invoice = self._table.write(update, ReturnValues="ALL_NEW")
        except ConditionFailed as failed:
            if (existing := failed.items[0]) is None:
                return False
            invoice = existing
        attribute = {DeliveryEvent.HARD_BOUNCE: "bounced", DeliveryEvent.COMPLAINT: "complained"}.get(event)
        if attribute:
            now, digest = self.now(), address_digest(invoice["recipient"])
            # A new version, because no invoice may be sent to this address now.
            header = self._table.update_action(
                item_key(order_id, HEADER),
                f"SET version = version + :one, updated = :now ADD {attribute} :digests",
                condition=f"attribute_exists(pk) AND NOT contains({attribute}, :digest)",
                values={":one": 1, ":now": now, ":digest": digest, ":digests": {digest}},
            )
            listed = self._table.update_action(
                item_key(order_id, invoice_sk(n)),
                "SET change_shard = :change_shard, changed = :changed",
                condition="attribute_exists(pk)",
                values={f":{name}": value for name, value in change_entry(order_id, now).items()},
            )
            with suppress(ConditionFailed):
                self._table.transact(header, listed)
        return True

    def count_unsettled(self, before: datetime) -> int:
        """Counts the mailings that began before a time and whose outcome is not known."""
        return self._table.count(
            "by_unsettled",
            "unsettled = :unsettled AND started < :before",
            {":unsettled": UNSETTLED, ":before": before},
        )

    def begin_notice(self, order_id: str, notice_id: str) -> Outcome | None:
        """Records that a notice is about to be mailed, unless it was mailed before.

        Returns:
            None if it may be mailed now; otherwise its outcome, and it must not be mailed again.
        """
        return self._begin_once(order_id, notice_sk(notice_id), {"outcome": Outcome.SENDING, "started": self.now()})

    def begin_credit_note(self, mailing: Mailing) -> Outcome | None:
        """Records that a credit note is about to be mailed, unless it was mailed before. Returns as `begin_notice`."""
        item = mailing.model_dump(exclude_none=True) | {"unsettled": UNSETTLED}
        return self._begin_once(mailing.order_id, invoice_sk(mailing.n), item)

    def _begin_once(self, order_id: str, sk: str, item: Item) -> Outcome | None:
        # Distinguishes our own write, repeated by botocore after a lost answer, from an earlier one.
        nonce = uuid.uuid4().hex
        put = self._table.put_action(
            item_key(order_id, sk),
            item | {"nonce": nonce},
            "attribute_not_exists(pk) OR outcome = :failed",
            {":failed": Outcome.FAILED},
        )
        try:
            self._table.write(put)
        except ConditionFailed as failed:
            existing = failed.items[0] or {}
            return None if existing.get("nonce") == nonce else Outcome(existing.get("outcome", Outcome.SENDING))
        return None

    def record_archived(self, order_id: str, number: str) -> None:
        """Records that the PDF of a credit note is archived."""
        self._table.write(
            self._table.update_action(
                item_key(order_id, HEADER),
                "ADD archived :archived",
                condition="attribute_exists(pk)",
                values={":archived": {number}},
            )
        )

    def end_notice(self, order_id: str, notice_id: str, outcome: Outcome) -> None:
        """Records the outcome of a notice. A failed notice may begin again."""
        update = self._table.update_action(
            item_key(order_id, notice_sk(notice_id)),
            "SET outcome = :outcome, ended = :now",
            condition="attribute_exists(pk)",
            values={":outcome": outcome, ":now": self.now()},
        )
        self._table.write(update)


def read_mailings(table: Table, order_id: str) -> list[Mailing]:
    """Reads all mailings of an order, newest last; an empty list also if the order does not exist."""
    items = table.collection(order_id, f"{INVOICE}#")
    return [Mailing.model_validate(select_fields(item, Mailing)) for item in items]
