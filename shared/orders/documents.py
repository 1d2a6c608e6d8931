"""Issues documents: takes their numbers from the shop's series, and reads and writes invoices and credit notes.

A number is taken in the transaction that records its document. So numbers are unique, in order of issue and without
gaps, whatever fails. https://eur-lex.europa.eu/eli/dir/2006/112 (Article 226, number 2)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from orders import settings
from orders.invoices import Document, Mailing, Outcome
from orders.items import select_fields
from orders.keys import DOCUMENT, EPOCH, document_sk, item_key, series_key
from orders.models import CurrentInvoice, DocumentHead, DocumentType, Order, buyer_digest
from orders.table import Action, Table


@dataclass(frozen=True, slots=True)
class Series:
    """A series of document numbers.

    Attributes:
        name: What its numbers begin with: the shop's prefix and a year.
        taken: How many numbers are taken.
        issued: When the last of them was taken.
    """

    name: str
    taken: int = 0
    issued: datetime = EPOCH

    @classmethod
    def of(cls, name: str, item: Mapping[str, Any] | None) -> "Series":
        """Returns a series as it is stored; without an item, no number of it is taken."""
        return cls(name, int(item["taken"]), datetime.fromisoformat(item["issued"])) if item else cls(name)

    def take(self, now: datetime) -> "Series":
        """Returns the series after another number is taken. Clocks of processes differ: its time never turns back."""
        return Series(self.name, self.taken + 1, max(now, self.issued))

    @property
    def number(self) -> str:
        """The last number that was taken: `INV-2026-00017`."""
        return f"{self.name}-{self.taken:05}"


def series_name(now: datetime) -> str:
    """Returns the name of the series from which a document takes its number: `INV-2026`."""
    configured = settings.read(settings.SeriesSettings)
    return f"{configured.invoice_prefix}{now.astimezone(ZoneInfo(configured.shop_time_zone)).year}"


@dataclass(frozen=True, slots=True)
class Issue:
    """What one transaction issues.

    Attributes:
        before: The series as it was read.
        after: The series once the documents have their numbers.
        documents: The new documents, in order of their numbers.
        voided: An existing invoice that becomes void.
    """

    before: Series
    after: Series
    documents: tuple[Document, ...] = ()
    voided: Document | None = None

    def actions(self, table: Table) -> list[Action]:
        """Returns the actions that record it. If it takes numbers, the first one does so."""
        return [
            *([self._take(table)] if self.after.taken > self.before.taken else []),
            *(
                table.put_action(
                    item_key(document.order_id, document_sk(document.number)),
                    document.model_dump(exclude_none=True),
                    "attribute_not_exists(pk)",
                )
                for document in self.documents
            ),
            *([self._void(table, self.voided)] if self.voided else []),
        ]

    def _take(self, table: Table) -> Action:
        before = {":before": self.before.taken} if self.before.taken else {}
        return table.update_action(
            series_key(self.before.name),
            "SET taken = :taken, issued = :issued",
            condition="taken = :before" if before else "attribute_not_exists(pk)",
            values={":taken": self.after.taken, ":issued": self.after.issued, **before},
        )

    def _void(self, table: Table, invoice: Document) -> Action:
        return table.update_action(
            item_key(invoice.order_id, document_sk(invoice.number)),
            "SET voided = :at",
            condition="attribute_exists(pk)",
            values={":at": invoice.voided},
        )


def issue_invoice(series: Series, order: Order, by: str, now: datetime, **content: Any) -> Issue:
    """Issues an invoice for an order as it is now.

    Args:
        series: The series that it takes its number from.
        order: The order.
        by: The id of the caller.
        now: The current time.
        content: What it says besides: the other attributes of a document.
    """
    after = series.take(now)
    return Issue(series, after, (_document({"number": after.number, "issued": after.issued}, order, by, **content),))


def withdraw_invoice(series: Series, invoice: Document, by: str, now: datetime, *, may_have_left: bool) -> Issue:
    """Withdraws an invoice: by a credit note if a mail of it may have left; otherwise it becomes void."""
    if not may_have_left:
        return Issue(series, series, voided=invoice.model_copy(update={"voided": now}))
    after = series.take(now)
    head = {"number": after.number, "type": DocumentType.CREDIT_NOTE, "issued": after.issued}
    # When and how to pay and what the shop added were about the invoice.
    own = {
        "corrects": invoice.number,
        "requested_by": by,
        "adopted": False,
        "payment_due": None,
        "payment_method_options": (),
        "missing": (),
        "notes": None,
    }
    return Issue(series, after, (invoice.model_copy(update={**head, **own}),))


def reissue_invoice(series: Series, order: Order, invoice: Document, by: str, now: datetime, **content: Any) -> Issue:
    """Withdraws an invoice and issues another one for the order as it is now. See both for the arguments."""
    withdrawn = withdraw_invoice(series, invoice, by, now, may_have_left=bool(order.may_have_left))
    issued = issue_invoice(withdrawn.after, order, by, now, **content)
    return Issue(series, issued.after, withdrawn.documents + issued.documents, withdrawn.voided)


def adopt_invoice(order: Order, mailings: Sequence[Mailing]) -> tuple[Document, Mailing] | None:
    """Returns the invoice of an order that version 0.1 invoiced, and the mailing that it was; None without one.

    Each mailing of version 0.1 has an invoice number of its own. The last that may have left counts.
    """
    for mailing in reversed(mailings):
        if mailing.document is None and (mailing.outcome is not Outcome.FAILED or mailing.events):
            head = {"number": mailing.number, "issued": mailing.started}
            paid = {"paid": mailing.paid, "payment_status": mailing.payment_status}
            then = order.model_copy(update=paid)
            return _document(head, then, mailing.requested_by, adopted=True, **mailing.printed), mailing
    return None


def current_invoice(document: Document, order: Order, credit_note: DocumentHead | None = None) -> CurrentInvoice:
    """Returns what the order's header keeps of an invoice that was issued for it as it is now."""
    buyer = buyer_digest(order.customer_summary)
    return CurrentInvoice(**dict(document.head), buyer=buyer, credit_note=credit_note)


def read_documents(table: Table, order_id: str) -> list[Document]:
    """Reads all documents of an order, in order of issue."""
    items = table.collection(order_id, f"{DOCUMENT}#", consistent=True)
    found = [Document.model_validate(select_fields(item, Document)) for item in items]
    return sorted(found, key=lambda document: (document.issued, document.number))


_NOT_FROZEN = {
    *("order_line_details", "invoice_count", "mailing_until", "bounced", "complained", "invoice", "archived"),
    *("may_have_left", "credit_note", "created_by", "withdrawal", "language"),
}
"""What a document does not keep of an order: its lines, which never change, and what no document says."""


def _document(head: Mapping[str, Any], order: Order, by: str, **content: Any) -> Document:
    snapshot = order.model_dump(exclude=_NOT_FROZEN, exclude_none=True)
    return Document(**head, order_id=order.order_id, order=snapshot, requested_by=by, **content)
