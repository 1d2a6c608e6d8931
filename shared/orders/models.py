"""Orders, comments and invoices as they are stored.

Field names of an order are WebCommander's, as in the specification. Money is `Decimal`, in units of the order's
currency; time is an aware `datetime` in UTC.
"""

import hashlib
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Self

from pydantic import ConfigDict, Field, StrictBool, StrictInt, StrictStr, model_validator

from orders.money import amount_due, line_total, mismatch_text, order_totals
from orders.terms import LineTerms, OrderTerms
from orders.types import (
    Amount,
    CountryCode,
    Currency,
    CustomerId,
    Day,
    Line,
    Model,
    Moment,
    Number,
    OrderId,
    ProductName,
    Quantity,
    Rounding,
    Violation,
    described,
    matching,
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


class CancelReason(StrEnum):
    """Why an order is cancelled, for reports and other systems. The first six are those of Shopify's `orderCancel`.

    `customer`: the customer no longer wants it; `inventory`: it is out of stock; `fraud`: it is fraudulent; `declined`:
    the payment was declined; `staff`: the staff made a mistake; `other`; `expired`: it was not paid in time.
    """

    CUSTOMER = "customer"
    INVENTORY = "inventory"
    FRAUD = "fraud"
    DECLINED = "declined"
    STAFF = "staff"
    OTHER = "other"
    EXPIRED = "expired"


class State(Model):
    """A state or province of an address."""

    name: Line | None = None
    code: Line | None = None


class Country(Model):
    """A country of an address. `code` is ISO 3166-1 alpha-2."""

    name: Line | None = None
    code: CountryCode | None = None


class CustomerSummary(Model):
    """The customer's contact details and address.

    `vat_number` is the customer's VAT number, `peppol_id` their electronic address (scheme and value, `0088:…`).
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
    vat_number: Line | None = None
    peppol_id: (
        Annotated[
            StrictStr,
            matching(
                "[0-9]{4}:[!-~]{1,50}",
                "must be a scheme of four digits, a colon and a value, such as 0088:7300010000001",
            ),
            described("^[0-9]{4}:[!-~]{1,50}$"),
        ]
        | None
    ) = None


class OrderLine(LineTerms):
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


class DocumentType(StrEnum):
    """The kinds of documents. A credit note cancels an invoice."""

    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"


class DocumentHead(Model):
    """What identifies a document, and when it has to be paid.

    Attributes:
        number: Its number in the shop's series.
        type: Invoice or credit note.
        issued: When it was issued. Numbers of a series are in this order.
        corrects: The number of the invoice that a credit note cancels.
        payment_due: The last day to pay an invoice, in the shop's time zone.
        language: The language that it is written in (BCP 47); None if it is the shop's.
    """

    number: str
    type: DocumentType = DocumentType.INVOICE
    issued: Moment
    corrects: str | None = None
    payment_due: Day | None = None
    language: str | None = None


class CurrentInvoice(DocumentHead):
    """The invoice that is valid for an order.

    Attributes:
        buyer: The digest of the buyer that it names.
        credit_note: The credit note that cancels the invoice which this one replaces. Every mail of this invoice brings
            it, because no other mail does.
    """

    buyer: str
    credit_note: DocumentHead | None = None


class WithdrawalRole(StrEnum):
    """In which role a withdrawal was declared: signed in, or with order number and e-mail address."""

    CUSTOMER = "customer"
    GUEST = "guest"


class Withdrawal(Model):
    """A customer's declaration to withdraw from the contract (Directive 2011/83/EU, Article 11a).

    It has no effect on the order: the shop decides what follows from it.

    Attributes:
        declared_at: When it was submitted.
        declared_as: In which role.
        declared_by: The customer's id; None for a guest.
        name: The customer's name, as declared.
        email: The address that the acknowledgement of receipt goes to.
    """

    declared_at: Moment
    declared_as: WithdrawalRole
    declared_by: str | None = None
    name: str
    email: str


class OrderHeader(Model):
    """An order without its lines and customer details: everything that a rule depends on.

    `grand_total` = `sub_total` − `total_discount` + `total_tax` + `shipping_cost` + `shipping_tax` + `handling_cost`
    + `handling_tax` + `total_surcharge` + `surcharge_tax` + `rounding`; `items_total` is the sum of all quantities.
    With `prices_include_tax`, prices and charges contain the taxes, so `grand_total` does not add them. `rounding` is
    what the shop rounded at the subtotal.

    `paid` is everything that was received, `refunded` what went back of it. `refund_due` is what still has to go back
    after a cancellation.

    `created` is when the order was placed, `created_by` the admin who created it here. `version` counts the changes of
    the order, and `updated` is when the latest was made; None means before that was kept. `invoice_count` counts the
    mailings of its documents. Until `mailing_until` (seconds since 1970) one may be in progress. `bounced` and
    `complained` are digests of addresses whose invoices hard-bounced or were reported as spam. `invoice` is the valid
    invoice, `archived` has the numbers of the documents whose PDF is archived, and `may_have_left` the mailings of the
    valid invoice that may have left.

    The last twelve fields describe the cancellation. The customer may know `cancelled_at` and `cancel_reason`.
    `cancel_notify_customer`, `cancel_restock` and `cancel_refund` are what the request stated, None if nothing.
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
    updated: Moment | None = None
    version: Annotated[StrictInt, Field(ge=1)] = 1
    invoice_count: Annotated[StrictInt, Field(ge=0)] = 0
    mailing_until: Annotated[StrictInt, Field(ge=0)] = 0
    bounced: frozenset[str] = frozenset()
    complained: frozenset[str] = frozenset()
    invoice: CurrentInvoice | None = None
    archived: frozenset[str] = frozenset()
    may_have_left: frozenset[int] = frozenset()
    credit_note: DocumentHead | None = None
    cancelled_at: Moment | None = None
    cancelled_by: str | None = None
    cancelled_as: str | None = None
    cancel_reason: str | None = None
    cancel_reason_code: CancelReason | None = None
    cancel_staff_note: str | None = None
    cancel_notify_customer: bool | None = None
    cancel_restock: bool | None = None
    cancel_refund: bool | None = None
    status_before_cancel: OrderStatus | None = None
    refund_due: Amount | None = None

    @property
    def last_change(self) -> datetime:
        """When its latest version was made, as far as it is known."""
        return self.updated or self.cancelled_at or self.created

    @property
    def due(self) -> Decimal:
        """The amount left to pay."""
        return amount_due(self.grand_total, self.paid)


class Order(OrderHeader, OrderTerms):
    """A whole order, whose totals match its lines. `withdrawal` is stored on its own."""

    customer_summary: CustomerSummary = Field(default_factory=CustomerSummary)
    order_line_details: Annotated[tuple[OrderLine, ...], Field(min_length=1, max_length=500)]
    withdrawal: Withdrawal | None = None

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


class StoredComment(Model):
    """A comment. `id` is the time of `created` in microseconds since 1970; `admin_name` is null for a customer.

    A redacted comment has no `content`; `redacted_by` is the id of the admin who redacted it.
    """

    id: int
    content: str
    admin_name: str | None
    is_visible_to_customer: bool
    is_admin: bool
    created: Moment
    flagged: bool
    author: str
    redacted_at: Moment | None = None
    redacted_by: str | None = None


class Redaction(Model):
    """The redaction of a comment.

    Attributes:
        comment_id: The comment.
        at: When it was redacted.
        by: The id of the admin who redacted it.
        name: The admin's name.
    """

    comment_id: int
    at: Moment
    by: str
    name: str | None


def address_digest(email: str) -> str:
    """Hashes an e-mail address, for records that only need to recognise it. Case does not matter."""
    return hashlib.sha256(email.lower().encode()).hexdigest()[:16]


_BUYER = (
    *("first_name", "last_name", "company_name", "address_line_1", "address_line_2", "city", "state", "post_code"),
    *("country", "vat_number"),
)
"""The customer details that an invoice must state: the others may change after it was issued."""


def buyer_details(customer: CustomerSummary) -> dict[str, object]:
    """Returns the name, address and VAT number that are set."""
    details = customer.model_dump(exclude_none=True)
    return {name: details[name] for name in _BUYER if details.get(name)}


def buyer_digest(customer: CustomerSummary) -> str:
    """Hashes the name, address and VAT number of a buyer, to recognise that they changed."""
    return hashlib.sha256(repr(buyer_details(customer)).encode()).hexdigest()[:16]
