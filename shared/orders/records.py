"""What the API answers: orders, comments, invoices and problems as their readers see them.

Apart from `orders.models`, so that a function which only changes something need not load it.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from orders.models import (
    Comment,
    CustomerSummary,
    DeliveryEvent,
    FieldChange,
    InvoiceState,
    Moment,
    OrderStatus,
    PaymentStatus,
    ShippingStatus,
    StaffComment,
    _Model,
)

NextCursor = Annotated[
    str | None,
    Field(description="Ask for the next page with it. Null on the last page.", examples=["MTc5NTQ1NDcwOTEyMzQ1Ng"]),
]


class CommentPage(_Model):
    """Comments that the customer may read, oldest first."""

    comments: tuple[Comment, ...]
    next_cursor: NextCursor


class StaffCommentPage(_Model):
    """Comments, internal ones included, oldest first."""

    comments: tuple[StaffComment, ...]
    next_cursor: NextCursor


class DeliveryReport(_Model):
    """One thing that SES reported of an invoice, and when it first happened."""

    event: DeliveryEvent
    at: Moment


class InvoiceRecord(_Model):
    """An invoice as the staff sees it: what was mailed to whom, and what became of it.

    `sent_at` is when SES accepted the mail, null if that is not known. Amounts are text, with the decimals of the
    currency.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "number": "INV-1001-1",
                    "state": "delivered",
                    "started": "2026-11-23T17:25:09.123456Z",
                    "sent_at": "2026-11-23T17:25:09.654321Z",
                    "recipient": "alice@example.com",
                    "requested_by": "ada",
                    "currency_code": "EUR",
                    "grand_total": "92.26",
                    "paid": "0.00",
                    "due": "92.26",
                    "payment_status": "unpaid",
                    "payment_method_options": ["Bank transfer"],
                    "notes": None,
                    "reason": None,
                    "archived": True,
                    "events": [
                        {"event": "send", "at": "2026-11-23T17:25:10.000000Z"},
                        {"event": "delivery", "at": "2026-11-23T17:25:12.000000Z"},
                    ],
                }
            ]
        }
    )

    number: str
    state: InvoiceState
    started: Moment
    sent_at: Moment | None
    recipient: str
    requested_by: str
    currency_code: str
    grand_total: str
    paid: str
    due: str
    payment_status: PaymentStatus
    payment_method_options: tuple[str, ...]
    notes: str | None
    reason: str | None
    archived: bool
    events: tuple[DeliveryReport, ...]


class OrderLineRecord(_Model):
    """One line of an order. Amounts are text, with the decimals of the currency; so is the quantity."""

    item_id: Annotated[int, Field(examples=[1])]
    product_name: Annotated[str, Field(examples=["Brunost, 250 g"])]
    product_id: int | None
    sku: str | None
    quantity: Annotated[str, Field(examples=["2"])]
    price: Annotated[str, Field(examples=["12.50"])]
    total_amount: Annotated[str, Field(examples=["25.00"])]
    tax: Annotated[str, Field(examples=["1.75"])]
    discount: Annotated[str, Field(examples=["0.00"])]


class OrderRecord(_Model):
    """An order as its customer sees it.

    Amounts are text, with the decimals of the currency. `version` is the order's `ETag`: it counts changes.
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
    total_surcharge: Annotated[str, Field(examples=["0.00"])]
    total_discount: Annotated[str, Field(examples=["0.00"])]
    total_tax: Annotated[str, Field(examples=["1.75"])]
    grand_total: Annotated[str, Field(examples=["31.65"])]
    paid: Annotated[str, Field(examples=["0.00"])]
    due: Annotated[str, Field(examples=["31.65"])]
    items_total: Annotated[str, Field(examples=["2"])]
    created: Moment
    version: Annotated[int, Field(examples=[1])]
    cancelled_at: Moment | None
    cancel_reason: str | None
    customer_summary: CustomerSummary
    order_line_details: tuple[OrderLineRecord, ...]


class AdminOrderRecord(OrderRecord):
    """An order as the staff sees it. `refund_due` is what had been paid when the order was cancelled."""

    created_by: Annotated[str | None, Field(examples=["erp"])]
    cancelled_by: str | None
    cancelled_as: str | None
    status_before_cancel: OrderStatus | None
    refund_due: str | None


class ListedOrder(_Model):
    """An order in a list: enough to find it."""

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
    version: Annotated[int, Field(examples=[1])]


class OrderPage(_Model):
    """Orders, newest first. With a filter a page may have fewer than were asked for, even none, and not be the last."""

    orders: tuple[ListedOrder, ...]
    next_cursor: NextCursor


class TimelineEvent(StrEnum):
    """What can happen to an order."""

    CREATED = "created"
    CHANGED = "changed"
    COMMENTED = "commented"
    CANCELLED = "cancelled"
    INVOICE_BEGUN = "invoice_begun"
    INVOICE_SENT = "invoice_sent"
    INVOICE_FAILED = "invoice_failed"
    INVOICE_UNKNOWN = "invoice_unknown"
    INVOICE_REPORTED = "invoice_reported"


class TimelineEntry(_Model):
    """One thing that happened to an order.

    `by` is the id of whoever did it, `role` as whom, `name` what to call them; null if that is not known, or if it
    was nobody: SES reports by itself. The rest is null unless the event has it: `changes` of a change, the `comment`,
    the number of the `invoice`, the `report` of SES, the `reason` of a cancellation or why a mail did not leave.
    """

    at: Moment
    event: TimelineEvent
    by: Annotated[str | None, Field(examples=["ada"])] = None
    role: Annotated[str | None, Field(examples=["admin"])] = None
    name: Annotated[str | None, Field(examples=["Ada Admin"])] = None
    changes: tuple[FieldChange, ...] | None = None
    comment: StaffComment | None = None
    invoice: Annotated[str | None, Field(examples=["INV-1002-1"])] = None
    report: DeliveryEvent | None = None
    reason: Annotated[str | None, Field(examples=["Ordered twice"])] = None


class TimelinePage(_Model):
    """What happened to an order, oldest first."""

    timeline: tuple[TimelineEntry, ...]
    next_cursor: NextCursor


class Invoices(_Model):
    """All invoices of an order, newest last."""

    invoices: tuple[InvoiceRecord, ...]


class FieldError(_Model):
    """One field that is not as it must be."""

    field: Annotated[str, Field(examples=["payment_settings.payment_method_options.0"])]
    message: str


class ProblemDocument(_Model):
    """A problem, as RFC 9457 has it.

    `type` ends in a word that clients may branch on. `errors` says which fields are invalid; a problem with the
    order's state says that state.
    """

    model_config = ConfigDict(extra="allow")

    type: Annotated[str, Field(examples=["urn:problem:orders:order-not-found"])]
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    errors: tuple[FieldError, ...] | None = None
