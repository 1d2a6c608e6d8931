"""Response bodies: orders, invoices and problems as their readers see them.

`orders.views` makes them from the models.
"""

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from orders.comment_views import NextCursor, StaffComment
from orders.history import FieldChange, TimelineEvent
from orders.invoices import DeliveryEvent, MailingState, XmlFormat
from orders.lifecycle import OrderAction
from orders.models import (
    CancelReason,
    CustomerSummary,
    DocumentType,
    OrderStatus,
    PaymentStatus,
    ShippingStatus,
    WithdrawalRole,
)
from orders.terms import TaxCategory
from orders.types import Day, Model, Moment


class DeliveryReport(Model):
    """One event that SES reported about a mail, and when it first happened."""

    event: DeliveryEvent
    at: Moment


_DOCUMENT: dict[str, Any] = {
    "number": "INV-2026-00017",
    "type": "invoice",
    "issued": "2026-11-23T17:25:09.123456Z",
    "corrects": None,
    "currency_code": "EUR",
    "grand_total": "92.26",
    "paid": "0.00",
    "due": "92.26",
    "payment_status": "unpaid",
    "payment_due": "2026-12-07",
    "language": "en",
    "e_invoice": "EN 16931",
    "xml": None,
}


class MailingRecord(Model):
    """One attempt to mail a document: where it went, what the mail said, and the result.

    `sent_at` is when SES accepted the mail; it is null if that is not known. `due` is what the mail asked for.
    """

    state: MailingState
    started: Moment
    sent_at: Moment | None
    recipient: str
    requested_by: str
    paid: str
    due: str
    payment_status: PaymentStatus
    payment_method_options: tuple[str, ...]
    notes: str | None
    cc: tuple[str, ...]
    subject: str | None
    language: str | None
    reason: str | None
    events: tuple[DeliveryReport, ...]


class OwnDocument(Model):
    """An invoice or a credit note as its customer sees it. Amounts are those that it states.

    `corrects` is the number of the invoice that a credit note cancels. `language` is null for documents of earlier
    versions, which are in the shop's language. `e_invoice` is the profile of the e-invoice in
    its PDF, and `xml` the format of the XML file beside it, both null without one.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_DOCUMENT]})

    number: str
    type: DocumentType
    issued: Moment
    corrects: str | None
    currency_code: str
    grand_total: str
    paid: str
    due: str
    payment_status: PaymentStatus
    payment_due: Day | None
    language: str | None
    e_invoice: str | None
    xml: XmlFormat | None


class DocumentRecord(OwnDocument):
    """An invoice or a credit note as the staff sees it, with its mailings, newest last.

    `corrected_by` is the number of the credit note that cancels it. It is void since `voided`: no mail of it had left
    when the order was cancelled or another invoice was issued. `archived` says whether its PDF is stored. `missing`
    names what it lacks to be legally complete or an e-invoice: paths of fields, with the reason if a field is set but
    unfit.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                _DOCUMENT
                | {
                    "requested_by": "ada",
                    "corrected_by": None,
                    "voided": None,
                    "archived": True,
                    "missing": ["customer_summary.address_line_1"],
                    "mailings": [
                        {
                            "state": "delivered",
                            "started": "2026-11-23T17:25:09.123456Z",
                            "sent_at": "2026-11-23T17:25:09.654321Z",
                            "recipient": "alice@example.com",
                            "requested_by": "ada",
                            "paid": "0.00",
                            "due": "92.26",
                            "payment_status": "unpaid",
                            "payment_method_options": ["Bank transfer"],
                            "notes": None,
                            "cc": [],
                            "subject": None,
                            "language": "en",
                            "reason": None,
                            "events": [
                                {"event": "send", "at": "2026-11-23T17:25:10.000000Z"},
                                {"event": "delivery", "at": "2026-11-23T17:25:12.000000Z"},
                            ],
                        }
                    ],
                }
            ]
        }
    )

    requested_by: str
    corrected_by: str | None
    voided: Moment | None
    archived: bool
    missing: tuple[str, ...]
    mailings: tuple[MailingRecord, ...]


class WithdrawalRecord(Model):
    """The customer's declaration to withdraw from the contract, by the customer or by a guest who knew the order.

    The acknowledgement of receipt goes to `email`. The order stays as it is until the shop has decided.
    """

    declared_at: Moment
    declared_as: WithdrawalRole
    name: Annotated[str, Field(examples=["Alice Martin"])]
    email: Annotated[str, Field(examples=["alice@example.com"])]


class OrderLineRecord(Model):
    """One line of an order. Amounts, quantity and rate are strings; amounts have the decimals of the currency."""

    item_id: Annotated[int, Field(examples=[1])]
    product_name: Annotated[str, Field(examples=["Brunost, 250 g"])]
    product_id: int | None
    sku: str | None
    quantity: Annotated[str, Field(examples=["2"])]
    price: Annotated[str, Field(examples=["12.50"])]
    total_amount: Annotated[str, Field(examples=["25.00"])]
    tax: Annotated[str, Field(examples=["1.75"])]
    discount: Annotated[str, Field(examples=["0.00"])]
    tax_rate: Annotated[str | None, Field(examples=["7"])]
    tax_category: TaxCategory | None
    unit_code: Annotated[str | None, Field(examples=["C62"])]


class AvailableAction(Model):
    """Whether the order's state allows an action now. `reason` says why it does not; it is null if it does."""

    allowed: bool
    reason: Annotated[str | None, Field(examples=["The order is shipped and can no longer be cancelled."])]


class OrderRecord(Model):
    """An order as its customer sees it.

    Amounts are strings with the decimals of the currency. `version` counts the changes and is the order's `ETag`;
    `updated` is when the latest was made. `available_actions` has each action that the caller's role has. A request may
    still be refused for other reasons.
    """

    order_id: Annotated[str, Field(examples=["2001"])]
    customer_id: Annotated[str, Field(examples=["alice"])]
    order_status: Annotated[OrderStatus, Field(examples=["in_progress"])]
    payment_status: PaymentStatus
    shipping_status: ShippingStatus
    currency_code: Annotated[str, Field(examples=["EUR"])]
    sub_total: Annotated[str, Field(examples=["25.00"])]
    shipping_cost: Annotated[str, Field(examples=["4.90"])]
    shipping_tax: Annotated[str, Field(examples=["0.00"])]
    handling_cost: Annotated[str, Field(examples=["0.00"])]
    handling_tax: Annotated[str, Field(examples=["0.00"])]
    total_surcharge: Annotated[str, Field(examples=["0.00"])]
    surcharge_tax: Annotated[str, Field(examples=["0.00"])]
    total_discount: Annotated[str, Field(examples=["0.00"])]
    total_tax: Annotated[str, Field(examples=["1.75"])]
    rounding: Annotated[str, Field(examples=["0.00"])]
    prices_include_tax: Annotated[bool, Field(examples=[False])]
    grand_total: Annotated[str, Field(examples=["31.65"])]
    paid: Annotated[str, Field(examples=["0.00"])]
    refunded: Annotated[str, Field(examples=["0.00"])]
    due: Annotated[str, Field(examples=["31.65"])]
    items_total: Annotated[str, Field(examples=["2"])]
    created: Moment
    updated: Moment
    version: Annotated[int, Field(examples=[1])]
    cancelled_at: Moment | None
    cancel_reason: str | None
    shipping_tax_rate: Annotated[str | None, Field(examples=["19"])]
    handling_tax_rate: Annotated[str | None, Field(examples=[None])]
    surcharge_tax_rate: Annotated[str | None, Field(examples=[None])]
    tax_exemption_reason: str | None
    delivered_on: Day | None
    delivery_country: str | None
    payment_due: Day | None
    purchase_order_number: str | None
    buyer_reference: str | None
    language: str | None
    customer_summary: CustomerSummary
    order_line_details: tuple[OrderLineRecord, ...]
    withdrawal: WithdrawalRecord | None
    available_actions: dict[OrderAction, AvailableAction]


class AdminOrderRecord(OrderRecord):
    """An order as the staff sees it. `refund_due` is what has to go back to the customer of a cancelled order.

    `cancel_restock` and `cancel_refund` are what was intended when it was cancelled, null if nothing was said.
    `cancel_notify_customer` says whether the customer was to be mailed, null if the order is not cancelled.
    """

    created_by: Annotated[str | None, Field(examples=["erp"])]
    cancelled_by: str | None
    cancelled_as: str | None
    cancel_reason_code: CancelReason | None
    cancel_staff_note: str | None
    cancel_notify_customer: bool | None
    cancel_restock: bool | None
    cancel_refund: bool | None
    status_before_cancel: OrderStatus | None
    refund_due: str | None


class ListedOrder(Model):
    """An order in a list: its status and totals. `updated` is when its latest version was made."""

    order_id: Annotated[str, Field(examples=["1001"])]
    customer_id: Annotated[str, Field(examples=["alice"])]
    order_status: OrderStatus
    payment_status: PaymentStatus
    shipping_status: ShippingStatus
    currency_code: Annotated[str, Field(examples=["EUR"])]
    grand_total: Annotated[str, Field(examples=["31.65"])]
    paid: Annotated[str, Field(examples=["0.00"])]
    due: Annotated[str, Field(examples=["31.65"])]
    created: Moment
    updated: Moment
    version: Annotated[int, Field(examples=[1])]


class OrderPage(Model):
    """Orders, newest first; with `updated_from`, by the time of the last change, oldest first.

    With a filter, a page may be short or even empty without being the last.
    """

    orders: tuple[ListedOrder, ...]
    next_cursor: NextCursor


class TimelineEntry(Model):
    """One thing that happened to an order.

    `by`, `role` and `name` identify the person who did it; they are null if that is not known, and for reports from
    SES. A guest who declared a withdrawal has no `by`. The other fields are null unless the event has them: the
    `changes`, the `comment`, the `comment_id` of a redacted comment, the number of the `invoice` or credit note, the
    invoice that a credit note `corrects`, the `report` from SES, and the `reason` of a cancellation or a failed mail.
    `reason_code`, `staff_note`, `restock` and `refund` are those of a cancellation.
    """

    at: Moment
    event: TimelineEvent
    by: Annotated[str | None, Field(examples=["ada"])] = None
    role: Annotated[str | None, Field(examples=["admin"])] = None
    name: Annotated[str | None, Field(examples=["Ada Admin"])] = None
    changes: tuple[FieldChange, ...] | None = None
    comment: StaffComment | None = None
    comment_id: Annotated[int | None, Field(examples=[None])] = None
    invoice: Annotated[str | None, Field(examples=["INV-2026-00017"])] = None
    corrects: Annotated[str | None, Field(examples=[None])] = None
    report: DeliveryEvent | None = None
    reason: Annotated[str | None, Field(examples=["Ordered twice"])] = None
    reason_code: CancelReason | None = None
    staff_note: str | None = None
    restock: bool | None = None
    refund: bool | None = None


class TimelinePage(Model):
    """The history of an order, oldest first."""

    timeline: tuple[TimelineEntry, ...]
    next_cursor: NextCursor


class Documents(Model):
    """All invoices and credit notes of an order, newest last."""

    invoices: tuple[DocumentRecord, ...]


class OwnDocuments(Model):
    """The invoices and credit notes of an order that were mailed, newest last."""

    invoices: tuple[OwnDocument, ...]


class FieldError(Model):
    """One invalid field."""

    field: Annotated[str, Field(examples=["payment_settings.payment_method_options.0"])]
    message: str


class ProblemDocument(Model):
    """A problem document (RFC 9457).

    `type` ends in a slug that clients may branch on. `errors` lists the invalid fields; a conflict with the order's
    state also has the order's statuses.
    """

    model_config = ConfigDict(extra="allow")

    type: Annotated[str, Field(examples=["urn:problem:orders:order-not-found"])]
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    errors: tuple[FieldError, ...] | None = None
