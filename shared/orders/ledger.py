"""The ledger of mail: one record for each mailing of an invoice and for each notice to a customer.

A record is written as `sending` before its mail and gets its outcome after it, so that no mail is sent twice for one
request or lost without a trace.
"""

import uuid
from datetime import datetime, timedelta

from orders.errors import InvoiceNotFound, OrderNotFound, Unavailable
from orders.items import select_fields
from orders.keys import DETAIL, HEADER, INVOICE, RequestKey, epoch_seconds, invoice_sk, item_key, notice_sk
from orders.models import DeliveryEvent, Invoice, Order, OrderStatus, Outcome, address_digest
from orders.store import check_order_access
from orders.table import ConditionFailed, Table

MAIL_LEASE = timedelta(seconds=30)
"""How long a mailing can take: longer than its function lives. After that, its process must have crashed."""

UNSETTLED = "invoice"
"""The partition of the index of unsettled invoices. There are few at any time, so one partition is enough."""


class OrderChanged(Exception):
    """The order or the request's key changed since it was read. Read it again."""


class Ledger:
    """Mailings of invoices and notices. Each method makes one DynamoDB call unless it says otherwise.

    Args:
        table: The table.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def now(self) -> datetime:
        """Returns the current time, by the table's clock."""
        return self._table.now()

    def read_for_invoice(self, order_id: str, key: RequestKey | None, *, again: bool) -> tuple[Order, int | None]:
        """Reads an order, and the number of the invoice that the request's key led to before, or None.

        The first read may be slightly old: `begin_invoice` detects that. With `again`, it is the latest version.

        Raises:
            OrderNotFound: The order does not exist.
            KeyReused: The key came with another request before.
        """
        sks = (HEADER, DETAIL, *([key.sk] if key else []))
        found, left = self._table.get_many([item_key(order_id, sk) for sk in sks], consistent=again)
        if left:
            raise Unavailable
        items = {item["sk"]: item for item in found}
        if HEADER not in items or DETAIL not in items:
            if again:
                raise OrderNotFound
            return self.read_for_invoice(order_id, key, again=True)
        order = Order.model_validate(select_fields(items[HEADER] | items[DETAIL], Order))
        marker = items.get(key.sk) if key else None
        if key is None or marker is None or marker["expires_at"] <= epoch_seconds(self.now()):
            return order, None
        key.check(marker)
        return order, int(marker["invoice"])

    def invoice(self, order_id: str, n: int) -> Invoice:
        """Reads the n-th invoice of an order.

        Raises:
            InvoiceNotFound: It does not exist.
        """
        item = self._table.get(order_id, invoice_sk(n))
        if item is None:
            raise InvoiceNotFound
        return Invoice.model_validate(select_fields(item, Invoice))

    def invoices(self, order_id: str) -> list[Invoice]:
        """Reads all invoices of an order, newest last. If there are none, a second call checks that the order exists.

        Raises:
            OrderNotFound: The order does not exist.
        """
        found = read_invoices(self._table, order_id)
        if not found:
            check_order_access(self._table, order_id)
        return found

    def begin_invoice(self, order: Order, invoice: Invoice, key: RequestKey, *, instead_of: int | None) -> None:
        """Records that an invoice is about to be mailed, if the order is still as the invoice shows it.

        Until `end_invoice`, the order cannot be cancelled, so that no mail is sent after a cancellation.

        Args:
            order: The order as it was read.
            invoice: The invoice, with the order's next number.
            key: The request's key. Another request with the same key finds this invoice.
            instead_of: The number of the failed invoice that the same key led to before.

        Raises:
            OrderChanged: The order changed, or another request took the number or the key.
        """
        now = self.now()
        # An expired lease means that the process which took it crashed. No other mailing has begun since, because the
        # invoice count would differ.
        add_number = "ADD mailing :set" if order.mailing_until > epoch_seconds(now) else ", mailing = :set"
        header = self._table.update_action(
            item_key(invoice.order_id, HEADER),
            f"SET invoice_count = :n, mailing_until = :until {add_number}",
            condition="order_status <> :cancelled AND version = :version AND invoice_count = :before",
            values={
                ":n": invoice.n,
                ":before": order.invoice_count,
                ":cancelled": OrderStatus.CANCELLED,
                ":version": order.version,
                ":until": epoch_seconds(now + MAIL_LEASE),
                ":set": {invoice.n},
            },
        )
        record = self._table.put_action(
            item_key(invoice.order_id, invoice_sk(invoice.n)),
            invoice.model_dump(exclude_none=True) | {"unsettled": UNSETTLED},
            "attribute_not_exists(pk)",
        )
        marker = self._table.put_request_key(item_key(invoice.order_id, key.sk), key, instead_of, invoice=invoice.n)
        try:
            self._table.transact(header, record, marker)
        except ConditionFailed as failed:
            raise OrderChanged from failed

    def end_invoice(self, invoice: Invoice) -> None:
        """Records the outcome of an invoice, and allows the order to be cancelled again."""
        settled = "" if invoice.outcome is Outcome.UNKNOWN else " REMOVE unsettled"
        record = self._table.update_action(
            item_key(invoice.order_id, invoice_sk(invoice.n)),
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
        header = self._table.update_action(
            item_key(invoice.order_id, HEADER),
            "DELETE mailing :set",
            condition="attribute_exists(pk)",
            values={":set": {invoice.n}},
        )
        self._table.transact(record, header)

    def record_delivery(self, order_id: str, n: int, event: DeliveryEvent, at: datetime) -> bool:
        """Records an event that SES reports about an invoice. Events may be repeated and come in any order.

        The earliest event of a kind counts. A second call updates the order when the address hard-bounces or complains.

        Returns:
            False if the invoice does not exist: nothing was written.
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
            self._table.write(
                self._table.update_action(
                    item_key(order_id, HEADER),
                    f"ADD {attribute} :digest",
                    condition="attribute_exists(pk)",
                    values={":digest": {address_digest(invoice["recipient"])}},
                )
            )
        return True

    def count_unsettled(self, before: datetime) -> int:
        """Counts the invoices that began before a time and whose outcome is not known."""
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
        # Distinguishes our own write, repeated by botocore after a lost answer, from an earlier one.
        nonce = uuid.uuid4().hex
        put = self._table.put_action(
            item_key(order_id, notice_sk(notice_id)),
            {"outcome": Outcome.SENDING, "started": self.now(), "nonce": nonce},
            "attribute_not_exists(pk) OR outcome = :failed",
            {":failed": Outcome.FAILED},
        )
        try:
            self._table.write(put)
        except ConditionFailed as failed:
            existing = failed.items[0] or {}
            return None if existing.get("nonce") == nonce else Outcome(existing.get("outcome", Outcome.SENDING))
        return None

    def end_notice(self, order_id: str, notice_id: str, outcome: Outcome) -> None:
        """Records the outcome of a notice. A failed notice may begin again."""
        update = self._table.update_action(
            item_key(order_id, notice_sk(notice_id)),
            "SET outcome = :outcome, ended = :now",
            condition="attribute_exists(pk)",
            values={":outcome": outcome, ":now": self.now()},
        )
        self._table.write(update)


def read_invoices(table: Table, order_id: str) -> list[Invoice]:
    """Reads all invoices of an order, newest last; an empty list also if the order does not exist."""
    items = table.collection(order_id, f"{INVOICE}#")
    return [Invoice.model_validate(select_fields(item, Invoice)) for item in items]
