"""The words of the domain: orders, comments, invoices, and what requests and responses look like.

Field names of an order are WebCommander's, as in the specification. Money is `Decimal`, in units of the order's
currency; time is an aware `datetime` in UTC.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StrictBool,
    StrictInt,
    StrictStr,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError


class OrderStatus(StrEnum):
    """How far the work on an order is."""

    DRAFT = "draft"
    IN_PROGRESS = "in_progress"
    PAUSED = "paused"
    REOPENED = "reopened"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class PaymentStatus(StrEnum):
    """What is paid of an order."""

    UNPAID = "unpaid"
    PENDING = "pending"
    PARTIAL = "partial"
    PAID = "paid"
    REFUNDED = "refunded"


class ShippingStatus(StrEnum):
    """What is shipped of an order."""

    AWAITING = "awaiting_shipment"
    PARTIAL = "partial"
    SHIPPED = "shipped"
    DELIVERED = "delivered"


class Outcome(StrEnum):
    """What we saw of one mailing of an invoice.

    `sending` is written before the mail, so that no mail is ever without a record. `unknown` is never sent again by
    itself: SES may have taken it.
    """

    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"


class DeliveryEvent(StrEnum):
    """What SES reports of a mail, later and in any order.

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
    """What is known of one mailing of an invoice, from our side and from SES's."""

    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"
    REJECTED = "rejected"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    COMPLAINED = "complained"


# C0 controls but tab and line ends, DEL, and halves of surrogate pairs: nothing that a person types, and mail, logs
# and UTF-8 break on them.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")

# What the validators below check, for OpenAPI.
_IN_TEXT = r"[^\x00-\x08\x0B\x0C\x0E-\x1F\x7F]"
_IN_LINE = r"[^\x00-\x08\x0A-\x1F\x7F]"
_VISIBLE = r"[^\x00-\x20\x7F\s]"

_DIGITS = r"[0-9]{1,11}(\.[0-9]{1,4})?"
"""15 digits at most: what JavaScript keeps exactly."""


def _printable(text: str) -> str:
    if _UNPRINTABLE.search(text):
        raise ValueError("must not contain control characters")
    return text


def _described(pattern: str) -> Any:
    """Says in OpenAPI what a validator checks: its words explain a refusal better than a pattern does."""
    return Field(json_schema_extra={"pattern": pattern})


def _decimal_schema(pattern: str, **bounds: float) -> WithJsonSchema:
    return WithJsonSchema(
        {
            "anyOf": [{"type": "number", **bounds}, {"type": "string", "pattern": pattern}],
            "description": "At most 15 digits, of these 4 decimals.",
        }
    )


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text


def _one_line(text: str) -> str:
    if "\n" in text or "\r" in text:
        raise ValueError("must be one line")
    return text


def _decimal(value: object) -> object:
    """Refuses a float, which has already lost the cents it stood for, and text that only Python takes for a number."""
    if isinstance(value, float | bool) or (isinstance(value, str) and not re.fullmatch(f"-?{_DIGITS}", value)):
        raise ValueError("must be a decimal number with at most 15 digits and 4 decimals")
    return value


def _whole(value: Any) -> Any:
    """JSON has one kind of numbers: 1.0 is 1. What is too large anyway stays: to write out 1E+999999 takes long."""
    whole = isinstance(value, Decimal) and value.adjusted() < 16 and value == value.to_integral_value()
    return int(value) if whole else value


def _no_negative_zero(number: Decimal) -> Decimal:
    return number or Decimal(0)


def utc_text(moment: datetime) -> str:
    """ISO 8601 in UTC, ending in Z (RFC 3339)."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


Text = Annotated[StrictStr, AfterValidator(_printable), _described(f"^{_IN_TEXT}*$")]
Line = Annotated[Text, AfterValidator(_one_line), StringConstraints(max_length=200), _described(f"^{_IN_LINE}*$")]
Moment = Annotated[
    AwareDatetime,
    PlainSerializer(utc_text, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-23T17:25:09.123456Z"]}),
]
Money = Annotated[
    Decimal,
    BeforeValidator(_decimal),
    Field(max_digits=15, decimal_places=4, allow_inf_nan=False),
    AfterValidator(_no_negative_zero),
    _decimal_schema(rf"^-?{_DIGITS}$", exclusiveMinimum=-1e11, exclusiveMaximum=1e11),
]
Amount = Annotated[Money, Field(ge=0), _decimal_schema(rf"^{_DIGITS}$", minimum=0, exclusiveMaximum=1e11)]

Number = Annotated[StrictInt, Field(ge=0, lt=2**53), BeforeValidator(_whole)]
"""The number of something in another system: what JavaScript and DynamoDB keep exactly."""


def _iso(value: Any) -> Any:
    # Pydantic would also read "12" as a time: so many seconds since 1970.
    if isinstance(value, str) and not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]", value):
        raise ValueError("must be a date and time with its zone, such as 2026-11-23T09:00:00Z")
    if isinstance(value, int | float):
        raise ValueError("must be a text, such as 2026-11-23T09:00:00Z")
    return value


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be in the years 1 to 9999, also in UTC") from None


GivenMoment = Annotated[Moment, BeforeValidator(_iso), AfterValidator(_in_utc)]
"""A moment that somebody else names (RFC 3339)."""

OrderId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
"""The id of an order in a path. Text everywhere: the specification has it as string and as integer."""


def _id_as_text(value: Any) -> Any:
    if isinstance(value, int | str) and not isinstance(value, bool):
        return str(value)
    raise ValueError("must be an integer or a string")


OrderIdInBody = Annotated[
    str,
    BeforeValidator(_id_as_text),
    WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "string"}], "description": "Repeats the id in the path."}),
]
"""The id of an order in a body: repeats the path's, as integer or as string."""

NewOrderId = Annotated[
    OrderId,
    BeforeValidator(_id_as_text),
    WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}]}),
]
"""The id of an order to be created, as integer or as string."""

CustomerId = Annotated[Line, StringConstraints(min_length=1, max_length=128)]
"""The id of a customer: the claim `sub` of their tokens."""

Currency = Annotated[StrictStr, StringConstraints(pattern=r"^[A-Z]{3}$")]
"""ISO 4217."""

EmailAddress = Annotated[
    StrictStr,
    # One ASCII address (SES takes no other) and nothing that a mail header could read as a second one. No `?` either:
    # between `=?` and `?=` a header hides any other address (RFC 2047).
    StringConstraints(
        pattern=r"^[A-Za-z0-9.!#$%&'*+/=^_`{|}~-]{1,64}@([A-Za-z0-9-]{1,63}\.)+[A-Za-z0-9-]{2,63}$", max_length=254
    ),
]


class _Model(BaseModel):
    # Validators are built at first use, so that a function pays at cold start only for the models it needs. What a
    # person typed stays out of error messages, because those reach the log.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, hide_input_in_errors=True)


class State(_Model):
    """A state or province of an address."""

    name: Line | None = None
    code: Line | None = None


class Country(_Model):
    """A country of an address. `code` is ISO 3166-1 alpha-2."""

    name: Line | None = None
    code: Annotated[StrictStr, StringConstraints(pattern=r"^[A-Z]{2}$")] | None = None


class CustomerSummary(_Model):
    """Whom an order is for: contact and address."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"first_name": "Alice", "email": "alice@example.com", "city": "Kempten"}]}
    )

    first_name: Line | None = None
    last_name: Line | None = None
    email: EmailAddress | None = None
    phone: Line | None = None
    company_name: Line | None = None
    address_line_1: Line | None = None
    address_line_2: Line | None = None
    city: Line | None = None
    state: State | None = None
    post_code: Line | None = None
    country: Country | None = None


ProductName = Annotated[Text, StringConstraints(min_length=1, max_length=300)]
Quantity = Annotated[Money, Field(gt=0), _decimal_schema(rf"^{_DIGITS}$", exclusiveMinimum=0, exclusiveMaximum=1e11)]


class OrderLine(_Model):
    """One line of an order.

    `total_amount` is `quantity` × `price`, rounded half up to what the currency can pay, before `discount` and `tax`
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


class OrderHeader(_Model):
    """What an order is but for its lines and its customer's data: everything that a rule asks for.

    `grand_total` = `sub_total` − `total_discount` + `total_tax` + `shipping_cost` + `shipping_tax` + `handling_cost`
    + `total_surcharge`; `due` = `grand_total` − `paid`; `items_total` is the sum of all quantities.

    `created` is when it was placed, `created_by` who brought it. `version` counts the changes of the order,
    `invoice_count` its invoices. Until `mailing_until` (seconds since 1970) an invoice may be on its way. `bounced` and
    `complained` are digests of addresses that invoices did not get through to, or whose owners called them spam. The
    last six say how the order was cancelled, if it was.
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
    grand_total: Amount
    paid: Amount = Decimal(0)
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
        """What is still to be paid. Negative if more was paid than asked for."""
        return self.grand_total - self.paid


class Order(OrderHeader):
    """A whole order."""

    customer_summary: CustomerSummary = Field(default_factory=CustomerSummary)
    order_line_details: Annotated[tuple[OrderLine, ...], Field(min_length=1, max_length=500)]

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        wrong: list[tuple[tuple[str | int, ...], Decimal, Decimal]] = [
            (("order_line_details", index, "total_amount"), line.total_amount, total)
            for index, line in enumerate(self.order_line_details)
            if line.total_amount != (total := line_total(line.quantity, line.price, self.currency_code))
        ]
        totals = _totals(vars(self), [vars(line) for line in self.order_line_details])
        wrong += [((name,), given, total) for name, total in totals.items() if (given := getattr(self, name)) != total]
        if wrong:
            raise _off(wrong)
        return self


class NewOrderLine(_Model):
    """One line of an order to be created. `total_amount` is computed if it is left out."""

    item_id: Number
    product_name: ProductName
    product_id: Number | None = None
    sku: Line | None = None
    quantity: Quantity
    price: Amount
    total_amount: Amount | None = None
    tax: Amount | None = None
    discount: Amount | None = None


class NewOrder(_Model):
    """An order to be created.

    Totals that are left out are computed; those that are given must be what their parts add up to: `sub_total`,
    `total_tax` and `items_total` from the lines, `grand_total` from these and the charges, `due` from what is `paid`.
    `created` is when the order was placed: now, if it is left out.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "order_id": "2001",
                    "customer_id": "alice",
                    "currency_code": "EUR",
                    "shipping_cost": "4.90",
                    "customer_summary": {"first_name": "Alice", "email": "alice@example.com"},
                    "order_line_details": [
                        {"item_id": 1, "product_name": "Brunost, 250 g", "quantity": 2, "price": "12.50", "tax": "1.75"}
                    ],
                }
            ]
        }
    )

    order_id: NewOrderId
    customer_id: CustomerId
    created: GivenMoment | None = None
    order_status: OrderStatus | None = None
    payment_status: PaymentStatus | None = None
    shipping_status: ShippingStatus | None = None
    currency_code: Currency
    sub_total: Amount | None = None
    shipping_cost: Amount | None = None
    shipping_tax: Amount | None = None
    handling_cost: Amount | None = None
    total_surcharge: Amount | None = None
    total_discount: Amount | None = None
    total_tax: Amount | None = None
    grand_total: Amount | None = None
    paid: Amount | None = None
    due: Money | None = None
    items_total: Amount | None = None
    customer_summary: CustomerSummary | None = None
    # A list: pydantic says of a tuple with a wrong item also that it is too short.
    order_line_details: Annotated[list[NewOrderLine], Field(min_length=1, max_length=500)]

    @model_validator(mode="after")
    def _makes_an_order(self) -> Self:
        # The rules of an order are its own. What breaks them is this request's fault, and said of its fields.
        order = self.order(_EPOCH)
        if self.due is not None and self.due != order.due:
            raise _off([(("due",), self.due, order.due)])
        return self

    def order(self, created: datetime, created_by: str | None = None) -> Order:
        """The whole order, with what was left out."""
        given = self.model_dump(exclude_none=True, exclude={"due"})
        lines = given["order_line_details"]
        for line in lines:
            line.setdefault("total_amount", line_total(line["quantity"], line["price"], self.currency_code))
        return Order.model_validate({"created": created, "created_by": created_by} | _totals(given, lines) | given)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ZERO = Decimal(0)


def _totals(order: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> dict[str, Decimal]:
    """What the totals of an order have to be, from its lines and charges."""

    def of_lines(part: str) -> Decimal:
        return sum((line.get(part, _ZERO) for line in lines), _ZERO)

    def charges(*parts: str) -> Decimal:
        return sum((order.get(part, _ZERO) for part in parts), _ZERO)

    sub_total, total_tax = of_lines("total_amount"), of_lines("tax")
    return {
        "sub_total": sub_total,
        "total_tax": total_tax,
        "items_total": of_lines("quantity"),
        "grand_total": sub_total
        - charges("total_discount")
        + total_tax
        + charges("shipping_cost", "shipping_tax", "handling_cost", "total_surcharge"),
    }


def _off(wrong: Sequence[tuple[tuple[str | int, ...], Decimal, Decimal]]) -> ValidationError:
    """Says of each total (its place, what it is, what it has to be) how far it is off."""
    return ValidationError.from_exception_data(
        "Order",
        [
            InitErrorDetails(
                type=PydanticCustomError(
                    "adds_up",
                    "is {given} and adds up to {total}: {off} too {much}",
                    {
                        "given": f"{given:f}",
                        "total": f"{total:f}",
                        "off": f"{abs(given - total):f}",
                        "much": "much" if given > total else "little",
                    },
                ),
                loc=place,
                input=None,
            )
            for place, given, total in wrong
        ],
        hide_input=True,
    )


def _left_out() -> Any:
    """The value of a field that may be left out and must not be null."""
    return None


class OrderPatch(_Model):
    """What changes of an order: a JSON Merge Patch (RFC 7396).

    What is left out stays. In `customer_summary`, null takes a value away; the other fields cannot be taken away.
    `version` is the one that the change was made for, as is the header `If-Match`.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"payment_status": "paid", "paid": "92.26"},
                {"shipping_status": "shipped", "version": 1},
                {"customer_summary": {"email": "alice@example.org", "phone": None}},
            ]
        }
    )

    order_status: OrderStatus = Field(default_factory=_left_out)
    payment_status: PaymentStatus = Field(default_factory=_left_out)
    paid: Amount = Field(default_factory=_left_out)
    shipping_status: ShippingStatus = Field(default_factory=_left_out)
    customer_summary: CustomerSummary | None = None
    version: Annotated[StrictInt, Field(ge=1, lt=2**53)] | None = None

    def applied_to(self, order: Order) -> Order:
        """The order as it is afterwards. Whether it may become so, `lifecycle` says."""
        patch = self.model_dump(exclude_unset=True, exclude={"version"})
        return Order.model_validate(merge_patch(order.model_dump(), patch))


def merge_patch(target: Any, patch: Any) -> Any:
    """Applies a JSON Merge Patch, and leaves both as they are (RFC 7396, section 2)."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


class FieldChange(_Model):
    """What became of one field. Of the customer's data only that it changed is kept: `before` and `after` are null."""

    field: Annotated[str, Field(examples=["shipping_status"])]
    before: Annotated[str | None, Field(examples=["awaiting_shipment"])] = None
    after: Annotated[str | None, Field(examples=["shipped"])] = None


class Change(_Model):
    """One change of an order.

    Attributes:
        version: The version that it made.
        at: When it was made.
        by: The id of whoever made it.
        name: What to call them.
        fields: What it changed.
    """

    version: int
    at: Moment
    by: str
    name: str | None
    fields: tuple[FieldChange, ...]


class CancelRequest(_Model):
    """The body of a cancellation. All of it may be left out. The customer is told the `reason`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "Ordered twice"}]})

    reason: Annotated[Text, StringConstraints(max_length=500)] | None = None


class CommentRequest(_Model):
    """The body of a customer's comment. `flagged` asks the staff for attention."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"id": 1001, "content": "Please ring twice.", "flagged": False}]}
    )

    id: OrderIdInBody | None = None
    content: Annotated[
        Text,
        AfterValidator(_not_blank),
        StringConstraints(max_length=4000),
        _described(f"^{_IN_TEXT}*{_VISIBLE}{_IN_TEXT}*$"),
    ]
    flagged: StrictBool | None = None

    def visible_to_customer(self) -> bool:
        """A customer always sees what they wrote."""
        return True


class AdminCommentRequest(CommentRequest):
    """The body of an admin's comment. `flagged` makes it internal unless `is_visible_to_customer` says otherwise."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"id": 1001, "content": "Address checked.", "flagged": True}]}
    )

    is_visible_to_customer: StrictBool | None = None

    def visible_to_customer(self) -> bool:
        """Whether the customer may read it: as told, else if it is not flagged."""
        return not self.flagged if self.is_visible_to_customer is None else self.is_visible_to_customer


class Comment(_Model):
    """A comment, as the specification shows it. `id` is the time of `created` in microseconds since 1970."""

    id: Annotated[int, Field(ge=0, lt=2**53, examples=[1795454709123456])]
    content: Annotated[str, Field(examples=["Please ring twice."])]
    admin_name: str | None
    is_visible_to_customer: Annotated[bool, Field(examples=[True])]
    is_admin: bool
    created: Moment


class Comments(_Model):
    """The answer to a new comment: that comment alone."""

    comments: tuple[Comment, ...]


class StaffComment(Comment):
    """A comment as the staff sees it: also whether it is flagged for them, and who wrote it."""

    flagged: bool
    author: Annotated[str, Field(examples=["alice"])]


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _or_one(schema: dict[str, Any]) -> None:
    """Says in OpenAPI what `_as_list` takes."""
    many = dict(schema)
    schema.clear()
    schema["anyOf"] = [many, many["items"]]


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


class PaymentSettings(_Model):
    """How the invoice says it can be paid: nothing, one name, or up to 20 names."""

    payment_method_options: (
        Annotated[
            tuple[Annotated[Line, AfterValidator(_not_blank), _described(f"^{_IN_LINE}*{_VISIBLE}{_IN_LINE}*$")], ...],
            Field(max_length=20),
            BeforeValidator(_as_list),
            Field(json_schema_extra=_or_one),
        ]
        | None
    ) = None


class InvoiceRequest(_Model):
    """The body of send-invoice. All of it may be left out. It is printed, and changes nothing about the order.

    `resend` sends although an earlier invoice bounced or was called spam at the same address.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "payment_settings": {"payment_method_options": ["Bank transfer"]},
                    "payment_status": "unpaid",
                    "notes": "Thank you!",
                }
            ]
        }
    )

    order_id: OrderIdInBody | None = None
    payment_settings: PaymentSettings | None = None
    payment_status: Annotated[PaymentStatus | None, BeforeValidator(_lower)] = None
    notes: Annotated[Text, StringConstraints(max_length=2000)] | None = None
    resend: StrictBool | None = None


class InvoiceSent(_Model):
    """The answer to send-invoice: SES accepted the mail."""

    status: Annotated[str, Field(pattern="^success$", examples=["success"])] = "success"


class Invoice(_Model):
    """One mailing of an order's invoice: what was asked for, and what became of it.

    Attributes:
        n: 1, 2, … for each order.
        outcome: What we saw of the mail. `lifecycle.invoice_state` says what is known of it in all.
        events: What SES reported, and when each first happened.
        started: When the mailing began.
        ended: When we knew the outcome.
        version: The version of the order that the invoice shows.
        archived: Whether the PDF was stored before the mail.
        message_id: What SES calls the mail, once it took it.
        reason: Why it did not leave, or why that is not known: a word of AWS or of the network, never its message.
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
    ended: Moment | None = None
    archived: bool = False
    message_id: str | None = None
    reason: str | None = None

    @property
    def number(self) -> str:
        """What the customer knows the invoice by."""
        return invoice_number(self.order_id, self.n)

    @property
    def due(self) -> Decimal:
        """What the invoice asks for."""
        return self.grand_total - self.paid

    @property
    def archive_key(self) -> str:
        """Where its PDF is archived."""
        return f"orders/{self.order_id}/{self.number}.pdf"


NO_DECIMALS = frozenset({"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW"}) | {
    *("PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF")
}
THREE_DECIMALS = frozenset(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"])
"""Currencies whose minor unit is not a hundredth (ISO 4217)."""


def minor_units(currency: str) -> int:
    """How many decimals an amount of a currency has when it is paid."""
    return 0 if currency in NO_DECIMALS else 3 if currency in THREE_DECIMALS else 2


def line_total(quantity: Decimal, price: Decimal, currency: str) -> Decimal:
    """What a line comes to: rounded half up, because nobody can pay half a cent."""
    return (quantity * price).quantize(Decimal(1).scaleb(-minor_units(currency)), ROUND_HALF_UP)


def amount_text(amount: Decimal, currency: str) -> str:
    """An amount as text, with at least the decimals of its currency: `12.50`."""
    return f"{amount:.{max(minor_units(currency), -int(amount.normalize().as_tuple().exponent))}f}"


def quantity_text(quantity: Decimal) -> str:
    """A quantity as text, without decimals that say nothing: `2`."""
    return f"{quantity.normalize():f}"


def address_digest(email: str) -> str:
    """Stands for an address where the address itself need not be known."""
    return hashlib.sha256(email.lower().encode()).hexdigest()[:16]


def invoice_number(order_id: str, n: int) -> str:
    """The number of the n-th invoice of an order. Each order counts for itself, so that no counter is shared."""
    return f"INV-{order_id}-{n}"


def parse_invoice_number(order_id: str, number: str) -> int | None:
    """Which of an order's invoices a number means, or None if it is no number of that order."""
    n = number.removeprefix(f"INV-{order_id}-")
    return int(n) if order_id and n != number and re.fullmatch(r"[1-9][0-9]{0,5}", n, re.ASCII) else None
