"""Request bodies: what callers send, and the domain objects that these describe."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
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

from orders.models import CustomerSummary, Order, OrderLine, OrderStatus, PaymentStatus, ShippingStatus
from orders.money import line_total, mismatch_text, order_totals, refuse_unpayable
from orders.payments import Payment, change_payment, complete_payment, payment_violations
from orders.terms import LineTerms, OrderTerms, term_violations
from orders.types import (
    IN_LINE,
    IN_TEXT,
    VISIBLE,
    Amount,
    Currency,
    CustomerId,
    Day,
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
    Rounding,
    Text,
    Violation,
    described,
    not_blank,
    violation_error,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class NewCustomerSummary(CustomerSummary):
    """The customer's contact details and address."""

    email: EmailAddress | None = None
    billing_email: EmailAddress | None = None


class NewOrderLine(LineTerms):
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


class NewOrder(OrderTerms):
    """An order to be created.

    Totals that are left out are computed; totals that are given must add up: `sub_total`, `total_tax` and `items_total`
    from the lines, `grand_total` from these and the charges, `due` from `grand_total` and `paid`. `total_discount` is
    the sum of the lines' discounts and of any discount on the whole order. `rounding` is what the shop rounded at the
    subtotal. With `prices_include_tax`, prices and charges contain the taxes. Every amount but a unit price has at most
    the decimals of its currency.

    `paid` is everything that was received, `refunded` what went back of it. `payment_status` must agree with them; if
    it is left out, they give it. `paid` without an amount means paid in full. `created` is when the order was placed,
    by default now.
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
    rounding: Rounding | None = None
    prices_include_tax: StrictBool | None = None
    grand_total: Amount | None = None
    paid: Amount | None = None
    refunded: Amount | None = None
    due: Money | None = None
    items_total: Amount | None = None
    customer_summary: NewCustomerSummary | None = None
    # A list, because of a tuple with an invalid item pydantic also reports that it is too short.
    order_line_details: Annotated[list[NewOrderLine], Field(min_length=1, max_length=500)]

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        # The order's own rules apply too; their violations are reported as fields of this request. The rules below are
        # those of new orders: an order that version 0.1 stored may violate them.
        violations = [*self._unpayable_amounts()]
        if not violations:
            violations += self._contradictions(self.order(_EPOCH))
        if violations:
            raise violation_error("NewOrder", violations)
        return self

    def _unpayable_amounts(self) -> Iterator[Violation]:
        """Yields the amounts with more decimals than the currency has. Unit prices may have more."""
        amounts: dict[tuple[str | int, ...], Any] = {(name,): getattr(self, name) for name in _ORDER_AMOUNTS}
        for index, line in enumerate(self.order_line_details):
            amounts |= {("order_line_details", index, name): getattr(line, name) for name in _LINE_AMOUNTS}
        for location, amount in amounts.items():
            if amount is not None and (problem := refuse_unpayable(amount, self.currency_code)):
                yield location, problem

    def _contradictions(self, order: Order) -> Iterator[Violation]:
        """Yields the amounts that contradict each other although all sums are right."""
        if self.due is not None and self.due != order.due:
            yield ("due",), mismatch_text(self.due, order.due)
        if order.total_discount < (least := _sum_discounts(order.order_line_details)):
            problem = f"is {order.total_discount:f} but must be at least {least:f}, the sum of the lines' discounts"
            yield ("total_discount",), problem
        for index, line in enumerate(self.order_line_details):
            yield from term_violations(index, line)
        if order.prices_include_tax:
            yield from _excessive_taxes(order)
        payment = Payment(order.payment_status, order.paid, order.refunded)
        yield from payment_violations(order.grand_total, payment, order.currency_code)

    def order(self, created: datetime, created_by: str | None = None) -> Order:
        """Builds the order, with everything that was left out."""
        given = self.model_dump(exclude_none=True, exclude={"due"})
        lines = given["order_line_details"]
        for line in lines:
            line.setdefault("total_amount", line_total(line["quantity"], line["price"], self.currency_code))
        given.setdefault("total_discount", sum((line.get("discount", Decimal(0)) for line in lines), Decimal(0)))
        order = {"created": created, "created_by": created_by} | order_totals(given, lines) | given
        payment = complete_payment(order["grand_total"], self.payment_status, self.paid, self.refunded)
        return Order.model_validate(order | payment.as_fields())


_ORDER_AMOUNTS = (
    *("sub_total", "shipping_cost", "shipping_tax", "handling_cost", "total_surcharge", "total_discount", "total_tax"),
    *("rounding", "grand_total", "paid", "refunded", "due", "handling_tax", "surcharge_tax"),
)
_LINE_AMOUNTS = ("total_amount", "tax", "discount")


def _sum_discounts(lines: Iterable[OrderLine]) -> Decimal:
    return sum((line.discount for line in lines), Decimal(0))


def _excessive_taxes(order: Order) -> Iterator[Violation]:
    """Yields the taxes that are larger than the amount that contains them."""
    taxes: dict[tuple[str | int, ...], tuple[Decimal, Decimal]] = {
        ("order_line_details", index, "tax"): (line.tax, line.total_amount - line.discount)
        for index, line in enumerate(order.order_line_details)
    }
    taxes["total_tax",] = order.total_tax, order.sub_total - order.total_discount
    taxes["shipping_tax",] = order.shipping_tax, order.shipping_cost
    taxes["handling_tax",] = order.handling_tax or Decimal(0), order.handling_cost
    taxes["surcharge_tax",] = order.surcharge_tax or Decimal(0), order.total_surcharge
    for location, (tax, amount) in taxes.items():
        if tax > max(amount, Decimal(0)):
            yield location, f"is {tax:f}, but the amount that contains it is {amount:f}"


def _left_out() -> Any:
    """Default of a field that may be left out but not be null."""
    return None


class OrderPatch(Model):
    """Changes of an order: a JSON Merge Patch (RFC 7396).

    Fields that are left out stay as they are. Null removes a value of `customer_summary`, a date or a reference; no
    other field can be removed. `version` is the version that the change is based on, like the header `If-Match`.

    `paid` is everything that was received, `refunded` what went back of it; both only rise. `payment_status` must agree
    with them; if it is left out, they give it. `payment_status` `paid` alone means that the rest was received, and
    `refunded` alone that everything received went back.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"payment_status": "paid", "paid": "92.26"},
                {"refunded": "12.50"},
                {"shipping_status": "shipped", "version": 1},
                {"customer_summary": {"email": "alice@example.org", "phone": None}},
            ]
        }
    )

    order_status: OrderStatus = Field(default_factory=_left_out)
    payment_status: PaymentStatus = Field(default_factory=_left_out)
    paid: Amount = Field(default_factory=_left_out)
    refunded: Amount = Field(default_factory=_left_out)
    shipping_status: ShippingStatus = Field(default_factory=_left_out)
    customer_summary: NewCustomerSummary | None = None
    delivered_on: Day | None = None
    payment_due: Day | None = None
    purchase_order_number: Line | None = None
    buyer_reference: Line | None = None
    language: LanguageTag | None = None
    version: Annotated[StrictInt, Field(ge=1, lt=2**53)] | None = None

    def applied_to(self, order: Order) -> Order:
        """Returns the order with the changes made. `lifecycle` decides whether they are allowed.

        Raises:
            Invalid: The payment would contradict itself.
        """
        patch = self.model_dump(exclude_unset=True, exclude={"version", "payment_status", "paid", "refunded"})
        patch |= change_payment(order, self.payment_status, self.paid, self.refunded)
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


class RedactRequest(Model):
    """The body of a redaction. It is optional."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"order_id": 1001}]})

    order_id: OrderIdInBody | None = None


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
    usual one. `language` (a BCP 47 tag) is that of the mail and of a new invoice, unless the order has one; by default,
    that of the order's invoice, else the shop's.

    An order has one invoice: it is issued when it is first sent, and sent again later. If the buyer's name, address or
    VAT number changed since, `reissue` cancels it by a credit note and issues another one, and `as_issued` sends it
    unchanged.
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
    reissue: StrictBool | None = None
    as_issued: StrictBool | None = None

    @model_validator(mode="after")
    def _check_choice(self) -> Self:
        if self.reissue and self.as_issued:
            raise violation_error("InvoiceRequest", [(("as_issued",), "must not be true together with reissue")])
        return self
