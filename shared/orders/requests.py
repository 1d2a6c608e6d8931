"""Request bodies: what callers send, and the domain objects that these describe."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StringConstraints,
    model_validator,
)

from orders.models import (
    CustomerSummary,
    Order,
    OrderStatus,
    PaymentStatus,
    ShippingStatus,
    mismatch_error,
)
from orders.money import line_total, order_totals
from orders.types import (
    IN_LINE,
    IN_TEXT,
    VISIBLE,
    Amount,
    Currency,
    CustomerId,
    EmailAddress,
    GivenMoment,
    LanguageTag,
    Line,
    Model,
    Money,
    NewOrderId,
    Number,
    OrderIdInBody,
    ProductName,
    Quantity,
    Text,
    described,
    not_blank,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class NewCustomerSummary(CustomerSummary):
    """The customer's contact details and address."""

    email: EmailAddress | None = None
    billing_email: EmailAddress | None = None


class NewOrderLine(Model):
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


class NewOrder(Model):
    """An order to be created.

    Totals that are left out are computed; totals that are given must add up: `sub_total`, `total_tax` and `items_total`
    from the lines, `grand_total` from these and the charges, `due` from `grand_total` and `paid`. `created` is when the
    order was placed, by default now.
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
    customer_summary: NewCustomerSummary | None = None
    # A list, because of a tuple with an invalid item pydantic also reports that it is too short.
    order_line_details: Annotated[list[NewOrderLine], Field(min_length=1, max_length=500)]

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        # The order's own rules apply; their violations are reported as fields of this request.
        order = self.order(_EPOCH)
        if self.due is not None and self.due != order.due:
            raise mismatch_error([(("due",), self.due, order.due)])
        return self

    def order(self, created: datetime, created_by: str | None = None) -> Order:
        """Builds the order, with everything that was left out."""
        given = self.model_dump(exclude_none=True, exclude={"due"})
        lines = given["order_line_details"]
        for line in lines:
            line.setdefault("total_amount", line_total(line["quantity"], line["price"], self.currency_code))
        return Order.model_validate({"created": created, "created_by": created_by} | order_totals(given, lines) | given)


def _left_out() -> Any:
    """Default of a field that may be left out but not be null."""
    return None


class OrderPatch(Model):
    """Changes of an order: a JSON Merge Patch (RFC 7396).

    Fields that are left out stay as they are. In `customer_summary`, null removes a value; no other field can be
    removed. `version` is the version that the change is based on, like the header `If-Match`.
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
    customer_summary: NewCustomerSummary | None = None
    version: Annotated[StrictInt, Field(ge=1, lt=2**53)] | None = None

    def applied_to(self, order: Order) -> Order:
        """Returns the order with the changes made. `lifecycle` decides whether they are allowed."""
        patch = self.model_dump(exclude_unset=True, exclude={"version"})
        return Order.model_validate(merge_patch(order.model_dump(), patch))


def merge_patch(target: Any, patch: Any) -> Any:
    """Applies a JSON Merge Patch without changing its arguments (RFC 7396, section 2)."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


class CancelRequest(Model):
    """The body of a cancellation. Every field is optional. The customer is told the `reason`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "Ordered twice"}]})

    reason: Annotated[Text, StringConstraints(max_length=500)] | None = None


class CommentRequest(Model):
    """The body of a customer's comment. `flagged` asks the staff for attention."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"id": 1001, "content": "Please ring twice.", "flagged": False}]}
    )

    id: OrderIdInBody | None = None
    content: Annotated[
        Text,
        AfterValidator(not_blank),
        StringConstraints(max_length=4000),
        described(f"^{IN_TEXT}*{VISIBLE}{IN_TEXT}*$"),
    ]
    flagged: StrictBool | None = None

    def visible_to_customer(self) -> bool:
        """Returns True: customers always see their own comments."""
        return True


class AdminCommentRequest(CommentRequest):
    """The body of an admin's comment. `flagged` makes it internal unless `is_visible_to_customer` says otherwise."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"id": 1001, "content": "Address checked.", "flagged": True}]}
    )

    is_visible_to_customer: StrictBool | None = None

    def visible_to_customer(self) -> bool:
        """Returns whether the customer may read it: `is_visible_to_customer` if given, else not `flagged`."""
        return not self.flagged if self.is_visible_to_customer is None else self.is_visible_to_customer


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _or_one(schema: dict[str, Any]) -> None:
    """Describes in OpenAPI what `_as_list` accepts."""
    many = dict(schema)
    schema.clear()
    schema["anyOf"] = [many, many["items"]]


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


class PaymentSettings(Model):
    """The payment methods that the invoice names: none, one name, or up to 20 names."""

    payment_method_options: (
        Annotated[
            tuple[Annotated[Line, AfterValidator(not_blank), described(f"^{IN_LINE}*{VISIBLE}{IN_LINE}*$")], ...],
            Field(max_length=20),
            BeforeValidator(_as_list),
            Field(json_schema_extra=_or_one),
        ]
        | None
    ) = None


def _subject(text: str) -> str:
    if "=?" in text:
        raise ValueError("must not contain =? because mail headers mark encoded text with it")
    return not_blank(text)


class InvoiceRequest(Model):
    """The body of send-invoice. Every field is optional. The values are printed and do not change the order.

    `resend` sends the invoice even if an earlier one to the same address bounced or was reported as spam. `cc` takes
    the order's `billing_email` and the addresses that the shop has configured, no others. `subject` replaces the mail's
    usual one. `language` decides how amounts and dates are written (a BCP 47 tag); by default, the shop's language.
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
    cc: Annotated[tuple[EmailAddress, ...], Field(max_length=5)] | None = None
    subject: Annotated[Line, AfterValidator(_subject), described(f"^{IN_LINE}*{VISIBLE}{IN_LINE}*$")] | None = None
    language: LanguageTag | None = None
    resend: StrictBool | None = None
