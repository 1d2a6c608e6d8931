"""Maps the CSV file that Shopify exports orders to.

It has one row per line, and fills the columns of the order in the first of them only:
https://help.shopify.com/en/manual/fulfillment/managing-orders/exporting-orders. Three things follow from its figures
because no column has them: whether prices include tax (Total then does not add Taxes), the discount on the goods
(their prices less Subtotal), and the taxes of lines and shipping (docs/decisions/0117-derive-what-shops-leave-out.md).
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from importer.fields import Fields, Unrepresentable
from importer.rates import Tax, apply_rates
from importer.shop import ZERO, add, amounts, country, customer_id, payment, rate, settle, spread_tax, tolerance
from orders.money import amount_text, line_total, payable, split

ID = "Name"
KEYS = frozenset({"Name", "Financial Status", "Currency", "Total", "Lineitem quantity", "Lineitem price"})

_LINE = "Lineitem "

_RECEIVED, _PENDING, _NOTHING = "received", "pending", "nothing"
_FINANCIAL = {
    **dict.fromkeys(("paid", "partially_paid", "partially_refunded", "refunded"), _RECEIVED),
    **dict.fromkeys(("pending", "authorized"), _PENDING),
    **dict.fromkeys(("voided", "expired"), _NOTHING),
}
_SHIPPING = {
    "fulfilled": "shipped",
    "partial": "partial",
    **dict.fromkeys(("", "unfulfilled", "restocked", "on_hold", "scheduled", "open"), "awaiting_shipment"),
}


def join(rows: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Joins the rows of an order: the columns of the order, and those of each line under `Lineitem`."""
    order: dict[str, Any] = {}
    for row in rows:
        order |= {name: cell for name, cell in row.items() if not name.startswith(_LINE) and not order.get(name)}
    lines = [{name.removeprefix(_LINE): cell for name, cell in row.items() if name.startswith(_LINE)} for row in rows]
    return order | {_LINE: lines}


def convert(fields: Fields) -> dict[str, Any]:
    """Returns the body of `POST /admin/orders` for an order.

    Raises:
        Unrepresentable: It has no equivalent here.
    """
    order_id, currency, email = fields.required(ID), fields.required("Currency"), fields.text("Email")
    subtotal, shipping, duties, taxes, total = amounts(
        fields, currency, "Subtotal", "Shipping", "Duties", "Taxes", "Total"
    )
    items = fields.objects(_LINE, _LINE)
    lines = [_line(number, item, currency) for number, item in enumerate(items, 1)]
    included = _includes_tax(total - subtotal - shipping - duties, taxes, currency)
    order = {
        "order_id": order_id,
        "customer_id": customer_id(None, email, order_id),
        "created": _moment("Created at", fields.required("Created at")).isoformat(),
        # The time of the cancellation has no place.
        "order_status": "cancelled" if fields.has("Cancelled at") else "in_progress",
        "shipping_status": fields.one_of("Fulfillment Status", _SHIPPING),
        "currency_code": currency,
        "prices_include_tax": included,
        "shipping_cost": shipping,
        "total_surcharge": duties,
        "total_discount": _discount(fields, lines, subtotal, currency),
        "customer_summary": _customer(fields, email),
        "delivery_country": country(fields.text("Shipping Country")).get("code"),
        "payment_due": _payment_due(fields),
        "order_line_details": lines,
        **_payment(fields, total, currency),
    }
    taxable = [item.text("taxable") != "false" for item in items]
    _add_taxes(order, taxes, taxable, _rates(fields))
    settle(order, ("Taxes", taxes), ("Total", total))
    return order


def _line(number: int, item: Fields, currency: str) -> dict[str, Any]:
    quantity, price = item.amount("quantity"), item.amount("price")
    return {
        "item_id": number,
        "product_name": item.required("name"),
        "sku": item.text("sku"),
        "quantity": quantity,
        "price": price,
        "total_amount": line_total(quantity, price, currency),
        "discount": payable(item.amount("discount"), currency),
        "tax": ZERO,
    }


def _includes_tax(added: Decimal, taxes: Decimal, currency: str) -> bool:
    """Returns whether prices include tax, given what Total adds to Subtotal, Shipping and Duties."""
    if added in {ZERO, taxes}:
        return added != taxes
    raise Unrepresentable(
        f"Total: is {amount_text(added, currency)} more than Subtotal, Shipping and Duties, but Taxes are "
        f"{amount_text(taxes, currency)}. Shopify exports no column for a tip"
    )


def _discount(fields: Fields, lines: Sequence[Mapping[str, Any]], subtotal: Decimal, currency: str) -> Decimal:
    goods = add([line["total_amount"] for line in lines])
    discount = goods - subtotal
    # Discount Amount may also be for the shipping.
    most = fields.amount("Discount Amount") + add([line["discount"] for line in lines])
    if not 0 <= discount <= most:
        raise Unrepresentable(
            f"Subtotal: is {amount_text(subtotal, currency)}, but the lines make {amount_text(goods, currency)} and "
            f"the discounts {amount_text(most, currency)}"
        )
    return discount


def _rates(fields: Fields) -> list[Tax]:
    """Returns the taxes whose names state a rate: `DE VAT 19%`."""
    found = []
    for number in range(1, 6):
        name, amount = fields.text(f"Tax {number} Name") or "", fields.amount(f"Tax {number} Value")
        if amount and (told := re.search(r"([0-9]+(?:[.,][0-9]+)?)\s*%", name)):
            found.append(Tax(Decimal(told[1].replace(",", ".")), amount))
    return found


def _add_taxes(order: dict[str, Any], taxes: Decimal, taxable: Sequence[bool], rates: Sequence[Tax]) -> None:
    """Adds the taxes to lines and shipping, with their rates if these explain them.

    Either all rates apply to each line, as in the USA, or one of them, as in the EU. Otherwise the taxes are spread
    over the taxable lines and no rate is stated.
    """
    lines, currency, included = order["order_line_details"], order["currency_code"], order["prices_include_tax"]
    own = [line["total_amount"] - line["discount"] for line in lines]
    shares = split(order["total_discount"] - add([line["discount"] for line in lines]), own, currency)
    nets = [(net - share) * taxed for net, share, taxed in zip(own, shares, taxable, strict=True)]
    parts = [*nets, order["shipping_cost"]]
    applied: list[Tax | None] | None = None
    if rates and abs(add([tax.amount for tax in rates]) - taxes) <= tolerance(lines, currency):
        whole = Tax(add([tax.percent for tax in rates]), taxes)
        applied = apply_rates(parts, [whole], currency, included=included)
        applied = applied or apply_rates(parts, rates, currency, included=included)
    order["shipping_tax"] = ZERO
    if applied is None:
        order["shipping_tax"] = ZERO if add(nets) else taxes
        spread_tax(lines, taxes - order["shipping_tax"], nets, currency)
        return
    charged = [*lines, order]
    for tax in {tax for tax in applied if tax}:
        places = [place for place, each in enumerate(applied) if each == tax]
        for place, share in zip(places, split(tax.amount, [parts[place] for place in places], currency), strict=True):
            name = "tax" if place < len(lines) else "shipping_tax"
            charged[place] |= {name: share, f"{name}_rate": rate([tax.percent])}


def _payment(fields: Fields, total: Decimal, currency: str) -> dict[str, Any]:
    status, kind = fields.text("Financial Status"), fields.one_of("Financial Status", _FINANCIAL)
    refunded, outstanding = amounts(fields, currency, "Refunded Amount", "Outstanding Balance")
    if status == "partially_paid" and not outstanding:
        raise Unrepresentable("Outstanding Balance: is needed to know how much of a partially paid order was paid")
    paid = ZERO
    if kind == _RECEIVED:
        paid = total - (outstanding if status == "partially_paid" else ZERO)
    return payment(total, paid, refunded, pending=kind == _PENDING)


def _payment_due(fields: Fields) -> str | None:
    text = fields.text("Next Payment Due At")
    return _moment("Next Payment Due At", text).date().isoformat() if text else None


def _moment(name: str, text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S %z")
    except ValueError:
        raise Unrepresentable(
            f"{name}: is {text[:50]!a}, but Shopify writes 2026-11-23 09:00:00 +0100. A spreadsheet may have changed it"
        ) from None


def _customer(fields: Fields, email: str | None) -> dict[str, Any]:
    """Returns the customer: the billing address, or without one the shipping address."""
    kind = "Billing" if fields.has("Billing Name") or fields.has("Billing Address1") else "Shipping"
    first_name, _, last_name = (fields.text(f"{kind} Name") or "").partition(" ")
    # An apostrophe keeps spreadsheets from taking a number for one.
    phone = fields.first(f"{kind} Phone", "Phone") or ""
    post_code = fields.text(f"{kind} Zip") or ""
    return {
        "first_name": first_name or None,
        "last_name": last_name or None,
        "email": email,
        "phone": phone.removeprefix("'") or None,
        "company_name": fields.text(f"{kind} Company"),
        "address_line_1": fields.text(f"{kind} Address1"),
        "address_line_2": fields.text(f"{kind} Address2"),
        "city": fields.text(f"{kind} City"),
        "state": {"name": fields.text(f"{kind} Province Name"), "code": fields.text(f"{kind} Province")},
        "post_code": post_code.removeprefix("'") or None,
        "country": country(fields.text(f"{kind} Country")),
    }
