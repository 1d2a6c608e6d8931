"""Documents and their mailings, as they are stored: invoices and credit notes, and each attempt to mail one."""

import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import Field

from orders.models import DocumentHead, DocumentType, Order, PaymentStatus
from orders.money import amount_due
from orders.types import Day, Model, Moment, OrderId


class Outcome(StrEnum):
    """The result of one mailing, as this service saw it.

    `sending` is written before the mail, so that every mail has a record. `unknown` is never retried automatically:
    SES may have accepted the mail.
    """

    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"


class DeliveryEvent(StrEnum):
    """What SES reports about a mail, later and in any order.

    https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
    """

    SEND = "send"
    DELAY = "delay"
    DELIVERY = "delivery"
    SOFT_BOUNCE = "soft_bounce"
    HARD_BOUNCE = "hard_bounce"
    COMPLAINT = "complaint"
    REJECT = "reject"


class MailingState(StrEnum):
    """The state of one mailing of a document: our outcome combined with the reports from SES."""

    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"
    REJECTED = "rejected"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    COMPLAINED = "complained"


class XmlFormat(StrEnum):
    """The XML files that may be archived beside a document's PDF."""

    PEPPOL = "Peppol BIS Billing 3.0"
    XRECHNUNG = "XRechnung 3.0"


class Mailing(Model):
    """One attempt to mail a document of an order: what was requested, and the result.

    Attributes:
        n: 1, 2, … within the order.
        document: The number of the document. None if version 0.1 stored it: there, each mailing was an invoice of its
            own.
        credit_note: The number of the credit note that the mail brings as well, because it corrects an earlier invoice.
        document_issued: When the document was issued; None as for `document`.
        document_type: Its type.
        payment_due: The last day to pay it.
        outcome: The result of sending, as this service saw it. `lifecycle.mailing_state` combines it with `events`.
        events: What SES reported, and when each event first happened.
        started: When the mailing began.
        ended: When the outcome was known.
        version: The version of the order that the mail shows.
        archived: Whether the PDF was stored before the mail. Only for mailings of version 0.1.
        message_id: SES's id of the mail, once accepted.
        reason: Error code or type that explains `failed` or `unknown`, never an error's message.
    """

    order_id: OrderId
    n: Annotated[int, Field(ge=1)]
    document: str | None = None
    credit_note: str | None = None
    document_issued: Moment | None = None
    document_type: DocumentType = DocumentType.INVOICE
    payment_due: Day | None = None
    outcome: Outcome
    events: dict[DeliveryEvent, Moment] = Field(default_factory=dict)
    started: Moment
    requested_by: str
    recipient: str
    version: int
    currency_code: str
    grand_total: Decimal
    paid: Decimal
    payment_status: PaymentStatus
    payment_method_options: tuple[str, ...] = ()
    notes: str | None = None
    cc: tuple[str, ...] = ()
    subject: str | None = None
    language: str | None = None
    ended: Moment | None = None
    archived: bool = False
    message_id: str | None = None
    reason: str | None = None

    @classmethod
    def next_for(cls, order: Order, now: datetime, requested_by: str, recipient: str, **more: Any) -> "Mailing":
        """Returns the next mailing of an order, which begins now. It does not say yet which document it brings."""
        same = ("order_id", "version", "currency_code", "grand_total", "paid", "payment_status")
        own = {"n": order.invoice_count + 1, "outcome": Outcome.SENDING, "started": now, "requested_by": requested_by}
        return cls(**{name: getattr(order, name) for name in same} | own | {"recipient": recipient} | more)

    @property
    def printed(self) -> dict[str, Any]:
        """What a document takes from the mailing that issues it."""
        names = ("payment_status", "payment_method_options", "notes", "language")
        return {name: getattr(self, name) for name in names}

    @property
    def number(self) -> str:
        """The number of the document."""
        return self.document or own_number(self.order_id, self.n)

    @property
    def numbers(self) -> tuple[str, ...]:
        """The numbers of all documents that the mail brings."""
        return (self.number, self.credit_note) if self.credit_note else (self.number,)

    @property
    def issued(self) -> datetime:
        """When the document was issued."""
        return self.document_issued or self.started

    @property
    def due(self) -> Decimal:
        """The amount that the mail asks for: a credit note asks for nothing."""
        if self.document_type is DocumentType.CREDIT_NOTE:
            return Decimal(0)
        return amount_due(self.grand_total, self.paid)

    def brings(self, document: DocumentHead, credit_note: DocumentHead | None = None) -> "Mailing":
        """Returns this mailing with the document that it brings, and perhaps the credit note for an earlier one."""
        own: dict[str, Any] = {"document": document.number, "document_issued": document.issued}
        own |= {"document_type": document.type}
        own |= {"payment_due": document.payment_due, "credit_note": credit_note and credit_note.number}
        return self.model_copy(update={**own, "language": self.language or document.language})


class SellerDetails(Model):
    """What a document says about the shop, besides its address.

    Attributes:
        name: The name that the shop trades under.
        legal_name: The name of the company or person, "" if it is the same.
        country: ISO 3166-1 alpha-2, "" if not known.
        vat_id: The VAT identification number.
        tax_number: The national tax number.
        register_number: The number in the trade register.
        tax_id: Any other id, as it is printed.
        iban: The bank account that invoices are paid to (ISO 13616).
        bic: The bank's code (ISO 9362).
        street: The address line with street and number.
        post_code: The post code.
        city: The city.
        contact_name: Whom to ask about an invoice: a person or a department.
        contact_phone: Their telephone number.
        contact_email: Their e-mail address.
        peppol_id: The electronic address in Peppol: scheme and value (`0088:…`).
    """

    name: str
    legal_name: str = ""
    country: str = ""
    vat_id: str = ""
    tax_number: str = ""
    register_number: str = ""
    tax_id: str = ""
    iban: str = ""
    bic: str = ""
    street: str = ""
    post_code: str = ""
    city: str = ""
    contact_name: str = ""
    contact_phone: str = ""
    contact_email: str = ""
    peppol_id: str = ""


class Seller(SellerDetails):
    """The shop as a document names it. `address` is its postal address, line by line."""

    address: tuple[str, ...] = ()


class Document(DocumentHead):
    """An invoice or a credit note, as it was issued. It never changes, except that it may become void.

    Attributes:
        order_id: The order that it is about.
        order: The order as it was, without its lines, which never change.
        seller: The shop as it was; None for an invoice of version 0.1, which did not keep it.
        requested_by: The id of the caller who issued it.
        payment_status: The status that it prints.
        payment_method_options: The ways to pay that it names.
        notes: What the shop adds.
        e_invoice: The profile of the e-invoice in its PDF; None without one.
        xml: The format of the XML file beside its PDF; None without one.
        missing: What it lacks to be legally complete or an e-invoice: paths of fields, with the reason if a field is
            set but unfit.
        voided: When it became void: no mail of it had left, and the order was cancelled or another one issued.
        adopted: True for an invoice of version 0.1, whose content was not stored when it was issued.
    """

    order_id: OrderId
    order: dict[str, Any]
    seller: Seller | None = None
    requested_by: str
    payment_status: PaymentStatus
    payment_method_options: tuple[str, ...] = ()
    notes: str | None = None
    e_invoice: str | None = None
    xml: XmlFormat | None = None
    missing: tuple[str, ...] = ()
    voided: Moment | None = None
    adopted: bool = False

    @property
    def head(self) -> DocumentHead:
        """What identifies it."""
        return DocumentHead(**{name: getattr(self, name) for name in DocumentHead.model_fields})

    def order_as_issued(self, order: Order) -> Order:
        """Returns the order that the document states. Its lines come from the order as it is now."""
        return Order.model_validate(self.order | {"order_line_details": order.order_line_details})


@dataclass(frozen=True, slots=True)
class FiledDocument:
    """A document with everything that is known about it.

    Attributes:
        document: The document.
        mailings: Its mailings, newest last.
        archived: Whether its PDF is stored.
        corrected_by: The number of the credit note that cancels it.
    """

    document: Document
    mailings: tuple[Mailing, ...]
    archived: bool
    corrected_by: str | None


def own_document(mailing: Mailing) -> Document:
    """Returns the invoice that a mailing of version 0.1 was. Its order has only the amounts that were recorded."""
    order = {name: getattr(mailing, name) for name in ("currency_code", "grand_total", "paid", "version")}
    head = {"number": mailing.number, "issued": mailing.started, "order": order, "adopted": True}
    return Document(**head, **mailing.printed, order_id=mailing.order_id, requested_by=mailing.requested_by)


def own_number(order_id: str, n: int) -> str:
    """Formats the invoice number that version 0.1 gave to the n-th mailing of an order."""
    return f"INV-{order_id}-{n}"


def parse_own_number(order_id: str, number: str) -> int | None:
    """Returns the n of an invoice number of version 0.1, or None if the number is none of this order."""
    n = number.removeprefix(f"INV-{order_id}-")
    return int(n) if order_id and n != number and re.fullmatch(r"[1-9][0-9]{0,5}", n, re.ASCII) else None


def archive_key(order_id: str, number: str, suffix: str) -> str:
    """Returns the S3 key of a document's PDF or XML file."""
    return f"orders/{quote(order_id, safe='')}/{number}.{suffix}"


def tag_value(text: str) -> str:
    """Encodes text as the value of an SES message tag, which may have only letters, digits, `_` and `-`.

    Any other ASCII character becomes `_x` and two hexadecimal digits: `SO/1` is `SO_x2F1`. At most 64 characters fit.
    https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_MessageTag.html
    """
    return re.sub(r"[^A-Za-z0-9_-]|_(?=x[0-9A-F]{2})", lambda found: f"_x{ord(found[0]):02X}", text)


def parse_tag_value(value: str) -> str:
    """Decodes the value of a tag."""
    return re.sub(r"_x([0-9A-F]{2})", lambda found: chr(int(found[1], 16)), value)
