"""The events on the bus, version 1. `docs/events/` has their JSON Schemas.

Events contain only ids, states and amounts. Names, addresses and texts are left out, because an event may be copied to
places where it cannot be deleted. Consumers that need more call the API with their own permissions.

Within a version, members and states may only be added, so the schemas allow members that they do not know.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from orders.identity import Role
from orders.invoices import DeliveryEvent, MailingState
from orders.models import CancelReason, OrderStatus, PaymentStatus, ShippingStatus, WithdrawalRole
from orders.types import Moment

AmountText = Annotated[str, Field(description="With the decimals of the currency.")]
CurrencyCode = Annotated[str, Field(description="ISO 4217.")]


class _Event(BaseModel):
    model_config = ConfigDict(
        frozen=True, defer_build=True, hide_input_in_errors=True, json_schema_serialization_defaults_required=True
    )

    id: Annotated[str, Field(description="Identifies the event. Redelivered events have the same id.")]
    type: str
    schema_version: Literal["1"] = "1"
    time: Annotated[Moment, Field(description="When it happened, in UTC.")]
    order_id: str


class _OrderEvent(_Event):
    customer_id: str
    payment_status: PaymentStatus
    shipping_status: ShippingStatus
    currency_code: CurrencyCode
    grand_total: AmountText
    version: Annotated[int, Field(description="The number of the order's version; its ETag in the API.")]


class OrderCreated(_OrderEvent):
    """An order was created. It may have any status, even cancelled: then no OrderCancelled follows."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "order/1001/created",
                    "type": "OrderCreated",
                    "schema_version": "1",
                    "time": "2026-11-23T09:00:00.000000Z",
                    "order_id": "1001",
                    "customer_id": "alice",
                    "payment_status": "unpaid",
                    "shipping_status": "awaiting_shipment",
                    "currency_code": "EUR",
                    "grand_total": "92.26",
                    "version": 1,
                    "order_status": "in_progress",
                    "paid": "0.00",
                    "refunded": "0.00",
                    "created": "2026-11-19T08:14:22.000000Z",
                }
            ]
        }
    )

    type: Literal["OrderCreated"] = "OrderCreated"
    order_status: OrderStatus
    paid: AmountText
    refunded: AmountText
    created: Annotated[
        Moment, Field(description="When the order was placed: long before `time` for an imported old order.")
    ]


class OrderCancelled(_OrderEvent):
    """An order was cancelled, which is final."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "order/1001/cancelled",
                    "type": "OrderCancelled",
                    "schema_version": "1",
                    "time": "2026-11-23T09:12:31.250000Z",
                    "order_id": "1001",
                    "customer_id": "alice",
                    "payment_status": "partial",
                    "shipping_status": "awaiting_shipment",
                    "currency_code": "EUR",
                    "grand_total": "92.26",
                    "version": 3,
                    "cancelled_as": "customer",
                    "status_before_cancel": "in_progress",
                    "refund_due": "20.00",
                    "reason_code": None,
                    "restock": None,
                    "refund": None,
                }
            ]
        }
    )

    type: Literal["OrderCancelled"] = "OrderCancelled"
    cancelled_as: Annotated[Role, Field(description="The role of the caller who cancelled it.")]
    status_before_cancel: OrderStatus
    refund_due: Annotated[AmountText, Field(description="What was paid and not refunded by then.")]
    reason_code: Annotated[CancelReason | None, Field(description="Why, if the caller said so.")]
    restock: Annotated[
        bool | None, Field(description="Whether the goods are to be restocked; null if the caller did not say so.")
    ]
    refund: Annotated[
        bool | None, Field(description="Whether `refund_due` is to go back; null if the caller did not say so.")
    ]


class CommentAdded(_Event):
    """A comment was added to an order. Its content is available from the API."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "order/1001/comment/1795424400000000",
                    "type": "CommentAdded",
                    "schema_version": "1",
                    "time": "2026-11-23T09:00:00.000000Z",
                    "order_id": "1001",
                    "comment_id": 1795424400000000,
                    "is_admin": False,
                    "is_visible_to_customer": True,
                    "flagged": True,
                }
            ]
        }
    )

    type: Literal["CommentAdded"] = "CommentAdded"
    comment_id: int
    is_admin: Annotated[bool, Field(description="True if the staff wrote it, false if the customer did.")]
    is_visible_to_customer: bool
    flagged: Annotated[bool, Field(description="Whether it is flagged for the staff.")]


class CommentRedacted(_Event):
    """The staff removed the content of a comment. Delete your copies of it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "order/1001/comment/1795424400000000/redacted",
                    "type": "CommentRedacted",
                    "schema_version": "1",
                    "time": "2026-11-23T09:05:00.000000Z",
                    "order_id": "1001",
                    "comment_id": 1795424400000000,
                    "is_admin": False,
                    "is_visible_to_customer": True,
                }
            ]
        }
    )

    type: Literal["CommentRedacted"] = "CommentRedacted"
    comment_id: int
    is_admin: Annotated[bool, Field(description="True if the staff wrote it, false if the customer did.")]
    is_visible_to_customer: Annotated[bool, Field(description="Whether the customer could read it.")]


class WithdrawalDeclared(_Event):
    """A customer declared to withdraw from the contract. The order stays as it is until the shop decides."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "order/1003/withdrawal",
                    "type": "WithdrawalDeclared",
                    "schema_version": "1",
                    "time": "2026-11-23T09:00:00.000000Z",
                    "order_id": "1003",
                    "customer_id": "alice",
                    "declared_as": "guest",
                }
            ]
        }
    )

    type: Literal["WithdrawalDeclared"] = "WithdrawalDeclared"
    customer_id: str
    declared_as: Annotated[
        WithdrawalRole,
        Field(description="`customer`: signed in. `guest`: with order number and e-mail address."),
    ]


class InvoiceStatusChanged(_Event):
    """The state of an invoice changed: its mailing began, succeeded or failed, or SES reported an event."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "order/1002/invoice/1/delivery",
                    "type": "InvoiceStatusChanged",
                    "schema_version": "1",
                    "time": "2026-11-23T09:00:05.000000Z",
                    "order_id": "1002",
                    "number": "INV-2026-00017",
                    "state": "delivered",
                    "previous_state": "sent",
                    "report": "delivery",
                    "currency_code": "EUR",
                    "grand_total": "199.11",
                    "due": "199.11",
                    "order_version": 1,
                }
            ]
        }
    )

    type: Literal["InvoiceStatusChanged"] = "InvoiceStatusChanged"
    number: str
    state: MailingState
    previous_state: Annotated[MailingState | None, Field(description="Null if the invoice is new.")]
    report: Annotated[
        DeliveryEvent | None, Field(description="The report from SES that decided the state; null if there is none.")
    ]
    currency_code: CurrencyCode
    grand_total: AmountText
    due: Annotated[AmountText, Field(description="The amount that the invoice asks for.")]
    order_version: Annotated[int, Field(description="The version of the order that the invoice shows.")]


class _DocumentEvent(_Event):
    number: str
    currency_code: CurrencyCode
    grand_total: AmountText
    order_version: Annotated[int, Field(description="The version of the order that the document shows.")]


class InvoiceIssued(_DocumentEvent):
    """An invoice was issued. It is mailed at the same time: InvoiceStatusChanged tells the result."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "order/1002/document/INV-2026-00017",
                    "type": "InvoiceIssued",
                    "schema_version": "1",
                    "time": "2026-11-23T09:00:00.000000Z",
                    "order_id": "1002",
                    "number": "INV-2026-00017",
                    "currency_code": "EUR",
                    "grand_total": "199.11",
                    "order_version": 1,
                }
            ]
        }
    )

    type: Literal["InvoiceIssued"] = "InvoiceIssued"


class CreditNoteIssued(_DocumentEvent):
    """A credit note was issued: it cancels an invoice in full."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "order/1002/document/INV-2026-00018",
                    "type": "CreditNoteIssued",
                    "schema_version": "1",
                    "time": "2026-11-23T09:12:31.250000Z",
                    "order_id": "1002",
                    "number": "INV-2026-00018",
                    "currency_code": "EUR",
                    "grand_total": "199.11",
                    "order_version": 1,
                    "corrects": "INV-2026-00017",
                }
            ]
        }
    )

    type: Literal["CreditNoteIssued"] = "CreditNoteIssued"
    corrects: Annotated[str, Field(description="The number of the invoice that it cancels.")]


Event = (
    OrderCreated
    | OrderCancelled
    | CommentAdded
    | CommentRedacted
    | WithdrawalDeclared
    | InvoiceIssued
    | CreditNoteIssued
    | InvoiceStatusChanged
)
