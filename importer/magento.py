"""Maps the orders of Magento 2 and Adobe Commerce as their REST API finds them: `GET /V1/orders?searchCriteria=all`.

Fields: https://developer.adobe.com/commerce/webapi/rest/quick-reference/ (salesOrderRepositoryV1). States:
https://experienceleague.adobe.com/en/docs/commerce-admin/stores-sales/order-management/orders/order-status. Amounts
without `base_` are in the customer's currency, `order_currency_code`. Times are UTC.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from importer.fields import Fields, Unrepresentable
from importer.shop import add, amounts, country, customer_id, payment, rate, settle, unit_price
from orders.money import amount_text, payable

ID = "increment_id"
KEYS = frozenset({"increment_id", "state", "order_currency_code", "items"})

_STATES = {
    **dict.fromkeys(("new", "pending_payment", "processing"), "in_progress"),
    **dict.fromkeys(("holded", "payment_review"), "paused"),
    **dict.fromkeys(("complete", "closed"), "completed"),
    "canceled": "cancelled",
}
_PENDING = {"pending_payment", "payment_review"}

_PREPAID = ("gift_cards_amount", "customer_balance_amount", "reward_currency_amount")
"""What Adobe Commerce takes off the total because it was paid before: gift cards, store credit, reward points."""


def convert(fields: Fields) -> dict[str, Any]:
    """Returns the body of `POST /admin/orders` for an order.

    Raises:
        Unrepresentable: It has no equivalent here.
    """
    order_id, currency, state = fields.required(ID), fields.required("order_currency_code"), fields.text("state")
    items = _items(fields)
    more = fields.object("extension_attributes")
    billing, email = fields.object("billing_address"), fields.text("customer_email")
    grand_total, paid, refunded, cancelled, tax = amounts(
        fields, currency, "grand_total", "total_paid", "total_refunded", "total_canceled", "tax_amount"
    )
    if cancelled and state != "canceled":
        raise Unrepresentable(
            f"total_canceled: is {amount_text(cancelled, currency)}, but here an order is cancelled as a whole"
        )
    prepaid = add(amounts(more, currency, *_PREPAID))
    order = {
        "order_id": order_id,
        "customer_id": customer_id(fields.text("customer_id"), email, order_id),
        "created": f"{fields.required('created_at')}Z",
        "order_status": fields.one_of("state", _STATES),
        "shipping_status": _shipping_status(items, state),
        "currency_code": currency,
        "customer_summary": _customer(billing, email or billing.text("email"), fields),
        "delivery_country": _delivery_country(more),
        "purchase_order_number": fields.object("payment").text("po_number"),
        "shipping_tax_rate": _shipping_rate(more),
        **payment(grand_total + prepaid, paid + prepaid, refunded, pending=state in _PENDING),
    }
    return order | _figures(fields, items, currency, tax, grand_total + prepaid)


_Item = tuple[Fields, Sequence[Fields]]
"""A line, and the parts that it consists of if it is a bundle or a variant of a configurable product."""


def _items(fields: Fields) -> list[_Item]:
    found = fields.lines("items")
    parents = {item.text("item_id"): item for item in found}
    parts: dict[str, list[Fields]] = {}
    whole = []
    for item in found:
        parent = item.text("parent_item_id")
        if parent and parent in parents:
            item.collapse("items[] with a parent_item_id")
            parts.setdefault(parent, []).append(item)
        else:
            whole.append(item)
    return [(item, parts.get(item.text("item_id") or "", [])) for item in whole]


def _sum(item: _Item, name: str) -> Decimal:
    """Returns an amount of a line. Some amounts of a bundle are in its parts only."""
    whole, parts = item
    below = [part.amount(name) for part in parts]
    return whole.amount(name) or add(below)


def _figures(fields: Fields, items: Sequence[_Item], currency: str, tax: Decimal, total: Decimal) -> dict[str, Any]:
    """Returns lines and charges, net or gross: an order does not say how the shop states its prices.

    A discount on gross prices shows in `discount_tax_compensation_amount`. Otherwise that of both is taken which adds
    up, preferably the one that the catalogue's prices are.
    """
    listed = [
        item.amount("original_price") == item.amount("price_incl_tax") or not _sum((item, parts), "tax_amount")
        for item, parts in items
    ]
    compensation = fields.amount("discount_tax_compensation_amount")
    gross = tax > 0 and (compensation != 0 or all(listed))
    try:
        return _try(fields, items, currency, tax, total, included=gross)
    except Unrepresentable as error:
        try:
            return _try(fields, items, currency, tax, total, included=not gross)
        except Unrepresentable:
            raise error from None


def _try(
    fields: Fields, items: Sequence[_Item], currency: str, tax: Decimal, total: Decimal, *, included: bool
) -> dict[str, Any]:
    net, gross, shipping_tax, discount = amounts(
        fields, currency, "shipping_amount", "shipping_incl_tax", "shipping_tax_amount", "discount_amount"
    )
    figures = {
        "currency_code": currency,
        "prices_include_tax": included,
        "shipping_cost": gross if included else net,
        "shipping_tax": shipping_tax,
        "total_discount": -discount,
        "order_line_details": [_line(item, currency, included=included) for item in items],
    }
    settle(figures, ("tax_amount", tax), ("grand_total", total))
    return figures


def _line(item: _Item, currency: str, *, included: bool) -> dict[str, Any]:
    whole, parts = item
    quantity = whole.amount("qty_ordered")
    net, gross = amounts(whole, currency, "row_total", "row_total_incl_tax")
    prices = whole.amount("price"), whole.amount("price_incl_tax")
    total = gross if included else net
    percents = [whole.amount("tax_percent")]
    return {
        "item_id": whole.integer("item_id"),
        "product_name": whole.required("name"),
        "product_id": whole.integer("product_id"),
        "sku": whole.text("sku"),
        "quantity": quantity,
        "price": unit_price(total, quantity, currency, prices[included]),
        "total_amount": total,
        "discount": payable(_sum(item, "discount_amount"), currency),
        "tax": payable(_sum(item, "tax_amount"), currency),
        "tax_rate": rate(percents if any(percents) else [part.amount("tax_percent") for part in parts]),
    }


def _shipping_status(items: Sequence[_Item], state: str | None) -> str:
    """Returns how far the goods are shipped. What was refunded or cancelled need not be shipped."""
    goods = [item for item in items if not item[0].flag("is_virtual")]
    shipped = [_sum(item, "qty_shipped") for item in goods]
    settled = [_sum(item, "qty_refunded") + _sum(item, "qty_canceled") for item in goods]
    ordered = [item[0].amount("qty_ordered") for item in goods]
    left = [had - sent - back > 0 for had, sent, back in zip(ordered, shipped, settled, strict=True)]
    if state == "complete" or (any(shipped) and not any(left)):
        return "shipped"
    return "partial" if any(shipped) else "awaiting_shipment"


def _shipping_rate(more: Fields) -> Decimal | None:
    taxes = [
        tax.amount("percent")
        for each in more.objects("item_applied_taxes")
        if each.text("type") == "shipping"
        for tax in each.objects("applied_taxes")
    ]
    return rate(taxes) if len(taxes) == 1 else None


def _delivery_country(more: Fields) -> str | None:
    addresses = [each.object("shipping").object("address") for each in more.objects("shipping_assignments")]
    codes = {country(address.text("country_id")).get("code") for address in addresses}
    return codes.pop() if len(codes) == 1 else None


def _customer(billing: Fields, email: str | None, order: Fields) -> dict[str, Any]:
    street = billing.texts("street")
    return {
        "first_name": billing.text("firstname"),
        "last_name": billing.text("lastname"),
        "email": email,
        "phone": billing.text("telephone"),
        "company_name": billing.text("company"),
        "address_line_1": next(iter(street), None),
        "address_line_2": ", ".join(street[1:]) or None,
        "city": billing.text("city"),
        "state": {"name": billing.text("region"), "code": billing.text("region_code")},
        "post_code": billing.text("postcode"),
        "country": country(billing.text("country_id")),
        "vat_number": billing.text("vat_id") or order.text("customer_taxvat"),
    }
