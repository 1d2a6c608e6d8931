"""Maps the orders of WooCommerce's REST API, version 3: `GET /wp-json/wc/v3/orders`.

Properties: https://woocommerce.github.io/woocommerce-rest-api-docs/#order-properties. Statuses:
https://woocommerce.com/document/managing-orders/order-statuses/. Amounts of lines are net, whether or not prices were
entered with tax; if they were, an order here gets the gross prices that the customer saw.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from importer.fields import Fields
from importer.shop import ZERO, add, amounts, country, customer_id, payment, rate, settle, spread_tax, unit_price

ID = "number"
KEYS = frozenset({"number", "status", "line_items", "billing", "date_created_gmt"})

_STATUSES = {
    "pending": "in_progress",
    "processing": "in_progress",
    "on-hold": "paused",
    "failed": "paused",
    "completed": "completed",
    "refunded": "completed",
    "cancelled": "cancelled",
    **dict.fromkeys(("checkout-draft", "auto-draft", "draft"), "draft"),
}

_VAT_NUMBERS = ("_billing_vat_number", "_vat_number")
"""Where WooCommerce's extension EU VAT Number keeps the customer's number, in its newer and older versions.
See https://woocommerce.com/document/eu-vat-number-2/. Without it, an order has none."""


def convert(fields: Fields) -> dict[str, Any]:
    """Returns the body of `POST /admin/orders` for an order.

    Raises:
        Unrepresentable: It has no equivalent here.
    """
    order_id, currency, status = fields.required(ID), fields.required("currency"), fields.text("status")
    included = fields.flag("prices_include_tax")
    rates = {tax.text("rate_id"): tax.amount("rate_percent") for tax in fields.objects("tax_lines")}
    lines = [_line(item, rates, currency, included=included) for item in fields.lines("line_items")]
    total, tax = amounts(fields, currency, "total", "total_tax")
    billing = fields.object("billing")
    order: dict[str, Any] = {
        "order_id": order_id,
        "customer_id": customer_id(fields.text("customer_id"), billing.text("email"), order_id),
        "created": f"{fields.required('date_created_gmt')}Z",
        "order_status": fields.one_of("status", _STATUSES),
        # WooCommerce itself does not record shipments. A completed order is fulfilled.
        "shipping_status": "shipped" if status == "completed" else "awaiting_shipment",
        "currency_code": currency,
        "prices_include_tax": included,
        "customer_summary": _customer(billing, fields.pairs("meta_data")),
        "delivery_country": country(fields.object("shipping").text("country")).get("code"),
        "order_line_details": lines,
    }
    _add_charges(order, fields, rates)
    settle(order, ("total_tax", tax), ("total", total))
    refunded = -add([refund.amount("total") for refund in fields.objects("refunds")])
    # The time of the payment has no place.
    paid = total if fields.has("date_paid_gmt") or refunded else ZERO
    return order | payment(total, paid, refunded, pending=status == "on-hold")


_Rates = Mapping[str | None, Decimal]
"""Tax rates in percent, by the id of a rate."""


def _line(item: Fields, rates: _Rates, currency: str, *, included: bool) -> dict[str, Any]:
    quantity = item.amount("quantity")
    before, before_tax, after, tax = amounts(item, currency, "subtotal", "subtotal_tax", "total", "total_tax")
    if included:
        before, after = before + before_tax, after + tax
    # The shop's staff may have raised the price of a line: that is no discount.
    before = max(before, after)
    return {
        "item_id": item.integer("id"),
        "product_name": item.required("name"),
        "product_id": item.integer("product_id"),
        "sku": item.text("sku"),
        "quantity": quantity,
        "price": unit_price(before, quantity, currency),
        "total_amount": before,
        "discount": before - after,
        "tax": tax,
        "tax_rate": _rate([item], rates),
    }


def _add_charges(order: dict[str, Any], fields: Fields, rates: _Rates) -> None:
    """Adds shipping and fees. A fee below 0 is a discount, whose tax is taken off the lines."""
    currency, included, lines = order["currency_code"], order["prices_include_tax"], order["order_line_details"]

    def charge(kind: Sequence[Fields], cost: str, tax: str, percent: str) -> None:
        found = [amounts(each, currency, "total", "total_tax") for each in kind]
        order[tax] = add([taxed for _, taxed in found])
        order[cost] = add([net for net, _ in found]) + (order[tax] if included else ZERO)
        order[percent] = _rate(kind, rates)

    fees = fields.objects("fee_lines")
    reductions = [fee for fee in fees if fee.amount("total") < 0]
    charge(fields.objects("shipping_lines"), "shipping_cost", "shipping_tax", "shipping_tax_rate")
    charge([fee for fee in fees if fee not in reductions], "total_surcharge", "surcharge_tax", "surcharge_tax_rate")
    for reduction in reductions:
        net, tax = amounts(reduction, currency, "total", "total_tax")
        discounts = order.setdefault("total_discount", add([line["discount"] for line in lines]))
        order["total_discount"] = discounts - net - (tax if included else ZERO)
        spread_tax(lines, tax, [line["tax"] for line in lines], currency)


def _rate(taxed: Sequence[Fields], rates: _Rates) -> Decimal | None:
    """Returns the rate of lines that have one tax, all the same."""
    found = [[tax for tax in each.objects("taxes") if tax.amount("total")] for each in taxed]
    ids = [taxes[0].text("id") if len(taxes) == 1 else None for taxes in found]
    return rate([rates.get(each, ZERO) for each in ids])


def _customer(billing: Fields, meta: Fields) -> dict[str, Any]:
    return {
        "first_name": billing.text("first_name"),
        "last_name": billing.text("last_name"),
        "email": billing.text("email"),
        "phone": billing.text("phone"),
        "company_name": billing.text("company"),
        "address_line_1": billing.text("address_1"),
        "address_line_2": billing.text("address_2"),
        "city": billing.text("city"),
        "state": {"code": billing.text("state")},
        "post_code": billing.text("postcode"),
        "country": country(billing.text("country")),
        "vat_number": meta.first(*_VAT_NUMBERS),
    }
