"""The history of an order: its changes, and the steps of its timeline."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from orders.invoices import DeliveryEvent, Document, Mailing
from orders.models import OrderHeader, Redaction, StoredComment, Withdrawal
from orders.types import Model, Moment


class TimelineEvent(StrEnum):
    """The kinds of entries in an order's timeline."""

    CREATED = "created"
    CHANGED = "changed"
    COMMENTED = "commented"
    COMMENT_REDACTED = "comment_redacted"
    CANCELLED = "cancelled"
    WITHDRAWAL_DECLARED = "withdrawal_declared"
    INVOICE_ISSUED = "invoice_issued"
    INVOICE_VOIDED = "invoice_voided"
    CREDIT_NOTE_ISSUED = "credit_note_issued"
    INVOICE_BEGUN = "invoice_begun"
    INVOICE_SENT = "invoice_sent"
    INVOICE_FAILED = "invoice_failed"
    INVOICE_UNKNOWN = "invoice_unknown"
    INVOICE_REPORTED = "invoice_reported"


class FieldChange(Model):
    """The change of one field. For customer details, `before` and `after` are not kept and are null."""

    field: Annotated[str, Field(examples=["shipping_status"])]
    before: Annotated[str | None, Field(examples=["awaiting_shipment"])] = None
    after: Annotated[str | None, Field(examples=["shipped"])] = None


class Change(Model):
    """One change of an order.

    Attributes:
        version: The version that it produced.
        at: When it was made.
        by: The id of the admin who made it.
        name: The admin's name.
        fields: The changed fields.
    """

    version: int
    at: Moment
    by: str
    name: str | None
    fields: tuple[FieldChange, ...]


@dataclass(frozen=True, slots=True)
class TimelineStep:
    """One thing that happened to an order.

    Attributes:
        place: Where it sorts in the timeline. Unique within the order.
        event: What happened.
        at: When it happened.
        subject: The order, comment, change, redaction, withdrawal, document or mailing that it happened to.
        report: The report from SES, for `INVOICE_REPORTED`.
    """

    place: str
    event: TimelineEvent
    at: datetime
    subject: OrderHeader | StoredComment | Change | Redaction | Withdrawal | Document | Mailing
    report: DeliveryEvent | None = None
