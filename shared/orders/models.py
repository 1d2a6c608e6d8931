"""Orders, comments and invoices as they are stored.

Field names of an order are WebCommander's, as in the specification. Money is `Decimal`, in units of the order's
currency; time is an aware `datetime` in UTC.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Self

from pydantic import ConfigDict, Field, StrictBool, StrictInt, StrictStr, StringConstraints, model_validator

from orders.money import line_total, mismatch_text, order_totals
from orders.types import (
    Amount,
    Currency,
    CustomerId,
    Line,
    Model,
    Moment,
    Number,
    OrderId,
    ProductName,
    Quantity,
    Rounding,
    Violation,
    violation_error,
)


class OrderStatus(StrEnum):
    """How far the work on an order is."""

    DRAFT = "draft"
    IN_PROGRESS = "in_progress"
    PAUSED = "paused"
    REOPENED = "reopened"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class PaymentStatus(StrEnum):
    """How far an order is paid. `orders.payments` has the figures that each status stands for."""

    UNPAID = "unpaid"
    PENDING = "pending"
    PARTIAL = "partial"
    PAID = "paid"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"


class ShippingStatus(StrEnum):
    """How far an order is shipped."""

    AWAITING = "awaiting_shipment"
    PARTIAL = "partial"
    SHIPPED = "shipped"
    DELIVERED = "delivered"


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


class InvoiceState(StrEnum):
    """The state of one mailing of an invoice: our outcome combined with the reports from SES."""

    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"
    REJECTED = "rejected"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    COMPLAINED = "complained"


class TimelineEvent(StrEnum):
    """The kinds of entries in an order's timeline."""

    CREATED = "created"
    CHANGED = "changed"
    COMMENTED = "commented"
    CANCELLED = "cancelled"
    INVOICE_BEGUN = "invoice_begun"
    INVOICE_SENT = "invoice_sent"
    INVOICE_FAILED = "invoice_failed"
    INVOICE_UNKNOWN = "invoice_unknown"
    INVOICE_REPORTED = "invoice_reported"


class State(Model):
    """A state or province of an address."""

    name: Line | None = None
    code: Line | None = None


class Country(Model):
    """A country of an address. `code` is ISO 3166-1 alpha-2."""

    name: Line | None = None
    code: Annotated[StrictStr, StringConstraints(pattern=r"^[A-Z]{2}$")] | None = None


class CustomerSummary(Model):
    """The customer's contact details and address.

    Invoices may be copied to `billing_email`. `email` may be an address that was valid when it was stored:
    `types.email_problem` tells whether it still is.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"first_name": "Alice", "email": "alice@example.com", "city": "Kempten"}]}
    )

    first_name: Line | None = None
    last_name: Line | None = None
    email: StrictStr | None = None
    billing_email: StrictStr | None = None
    phone: Line | None = None
    company_name: Line | None = None
    address_line_1: Line | None = None
    address_line_2: Line | None = None
    city: Line | None = None
    state: State | None = None
    post_code: Line | None = None
    country: Country | None = None


class OrderLine(Model):
    """One line of an order.

    `total_amount` is `quantity` × `price`, rounded half up to the currency's minor unit, before `discount` and `tax`
    of the line.
    """

    item_id: Number
    product_name: ProductName
    product_id: Number | None = None
    sku: Line | None = None
    quantity: Quantity
    price: Amount
    total_amount: Amount
    tax: Amount = Decimal(0)
    discount: Amount = Decimal(0)


class OrderHeader(Model):
    """An order without its lines and customer details: everything that a rule depends on.

    `grand_total` = `sub_total` − `total_discount` + `total_tax` + `shipping_cost` + `shipping_tax` + `handling_cost`
    + `total_surcharge` + `rounding`; `items_total` is the sum of all quantities. With `prices_include_tax`, prices and
    charges contain the taxes, so `grand_total` does not add them. `rounding` is what the shop rounded at the subtotal.

    `paid` is everything that was received, `refunded` what went back of it. `refund_due` is what still has to go back
    after a cancellation.

    `created` is when the order was placed, `created_by` the admin who created it here. `version` counts the changes of
    the order, `invoice_count` its invoices. Until `mailing_until` (seconds since 1970) an invoice may be in progress.
    `bounced` and `complained` are digests of addresses whose invoices hard-bounced or were reported as spam. The last
    six fields describe the cancellation.
    """

    order_id: OrderId
    customer_id: CustomerId
    order_status: OrderStatus = OrderStatus.IN_PROGRESS
    payment_status: PaymentStatus = PaymentStatus.UNPAID
    shipping_status: ShippingStatus = ShippingStatus.AWAITING
    currency_code: Currency
    sub_total: Amount
    shipping_cost: Amount = Decimal(0)
    shipping_tax: Amount = Decimal(0)
    handling_cost: Amount = Decimal(0)
    total_surcharge: Amount = Decimal(0)
    total_discount: Amount = Decimal(0)
    total_tax: Amount = Decimal(0)
    rounding: Rounding = Decimal(0)
    prices_include_tax: StrictBool = False
    grand_total: Amount
    paid: Amount = Decimal(0)
    refunded: Amount = Decimal(0)
    items_total: Amount
    created: Moment
    created_by: str | None = None
    version: Annotated[StrictInt, Field(ge=1)] = 1
    invoice_count: Annotated[StrictInt, Field(ge=0)] = 0
    mailing_until: Annotated[StrictInt, Field(ge=0)] = 0
    bounced: frozenset[str] = frozenset()
    complained: frozenset[str] = frozenset()
    cancelled_at: Moment | None = None
    cancelled_by: str | None = None
    cancelled_as: str | None = None
    cancel_reason: str | None = None
    status_before_cancel: OrderStatus | None = None
    refund_due: Amount | None = None

    @property
    def due(self) -> Decimal:
        """The amount left to pay."""
        return max(self.grand_total - self.paid, Decimal(0))


class Order(OrderHeader):
    """A whole order, whose totals match its lines."""

    customer_summary: CustomerSummary = Field(default_factory=CustomerSummary)
    order_line_details: Annotated[tuple[OrderLine, ...], Field(min_length=1, max_length=500)]

    @model_validator(mode="after")
    def _check_totals(self) -> Self:
        mismatches: list[Violation] = [
            (("order_line_details", index, "total_amount"), mismatch_text(line.total_amount, total))
            for index, line in enumerate(self.order_line_details)
            if line.total_amount != (total := line_total(line.quantity, line.price, self.currency_code))
        ]
        totals = order_totals(vars(self), [vars(line) for line in self.order_line_details])
        mismatches += [
            ((name,), mismatch_text(given, total))
            for name, total in totals.items()
            if (given := getattr(self, name)) != total
        ]
        if mismatches:
            raise violation_error("Order", mismatches)
        return self


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


class StoredComment(Model):
    """A comment. `id` is the time of `created` in microseconds since 1970; `admin_name` is null for a customer."""

    id: int
    content: str
    admin_name: str | None
    is_visible_to_customer: bool
    is_admin: bool
    created: Moment
    flagged: bool
    author: str


class Invoice(Model):
    """One mailing of an order's invoice: what was requested, and the result.

    Attributes:
        n: 1, 2, … within the order.
        outcome: The result of sending, as this service saw it. `lifecycle.invoice_state` combines it with `events`.
        events: What SES reported, and when each event first happened.
        started: When the mailing began.
        ended: When the outcome was known.
        version: The version of the order that the invoice shows.
        archived: Whether the PDF was stored before the mail.
        message_id: SES's id of the mail, once accepted.
        reason: Error code or type that explains `failed` or `unknown`, never an error's message.
    """

    order_id: OrderId
    n: Annotated[int, Field(ge=1)]
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

    @property
    def number(self) -> str:
        """The invoice number that the customer sees."""
        return invoice_number(self.order_id, self.n)

    @property
    def due(self) -> Decimal:
        """The amount that the invoice asks for."""
        return max(self.grand_total - self.paid, Decimal(0))

    @property
    def archive_key(self) -> str:
        """The S3 key of its PDF."""
        return f"orders/{self.order_id}/{self.number}.pdf"


@dataclass(frozen=True, slots=True)
class TimelineStep:
    """One thing that happened to an order.

    Attributes:
        place: Where it sorts in the timeline. Unique within the order.
        event: What happened.
        at: When it happened.
        subject: The order, comment, change or invoice that it happened to.
        report: The report from SES, for `INVOICE_REPORTED`.
    """

    place: str
    event: TimelineEvent
    at: datetime
    subject: OrderHeader | StoredComment | Change | Invoice
    report: DeliveryEvent | None = None


def address_digest(email: str) -> str:
    """Hashes an e-mail address, for records that only need to recognise it."""
    return hashlib.sha256(email.lower().encode()).hexdigest()[:16]


def invoice_number(order_id: str, n: int) -> str:
    """Formats the number of the n-th invoice of an order. Each order has its own count, so no counter is shared."""
    return f"INV-{order_id}-{n}"


def parse_invoice_number(order_id: str, number: str) -> int | None:
    """Returns the n of an invoice number, or None if the number does not belong to the order."""
    n = number.removeprefix(f"INV-{order_id}-")
    return int(n) if order_id and n != number and re.fullmatch(r"[1-9][0-9]{0,5}", n, re.ASCII) else None
