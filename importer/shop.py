"""What the formats of all shops share: amounts that add up by the rules of `orders.money`, customers and countries."""

import re
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from importer.fields import Fields, Unrepresentable
from orders.money import amount_text, decimals, line_total, minor_unit, order_totals, payable, split

ZERO = Decimal(0)

_CHARGE_TAXES = ("shipping_tax", "surcharge_tax")


def amounts(fields: Fields, currency: str, *names: str) -> list[Decimal]:
    """Returns fields as amounts of a currency, rounded to what is payable."""
    return [payable(fields.amount(name), currency) for name in names]


def add(values: Sequence[Decimal]) -> Decimal:
    """Returns the sum of amounts."""
    return sum(values, ZERO)


def unit_price(total: Decimal, quantity: Decimal, currency: str, listed: Decimal | None = None) -> Decimal:
    """Returns a unit price that makes the total of a line: the listed one if it does, else the quotient.

    Raises:
        Unrepresentable: No price with 4 decimals makes this total.
    """
    if quantity <= 0:
        raise Unrepresentable(f"a line has the quantity {quantity:f}, but it must be greater than 0")
    for price in (listed, (total / quantity).quantize(Decimal("0.0001"), ROUND_HALF_UP)):
        if price is not None and decimals(price) <= 4 and line_total(quantity, price, currency) == total:
            return price
    raise Unrepresentable(
        f"a line of {quantity:f} costs {amount_text(total, currency)}, which no unit price with 4 decimals makes"
    )


def spread_tax(lines: Sequence[dict[str, Any]], tax: Decimal, weights: Sequence[Decimal], currency: str) -> None:
    """Adds a tax to the taxes of lines, in proportion to weights."""
    for line, share in zip(lines, split(tax, weights, currency), strict=True):
        line["tax"] += share


def tolerance(lines: Sequence[Any], currency: str) -> Decimal:
    """Returns how much rounding can explain: half a minor unit for each line, for the charges and for the total."""
    return minor_unit(currency) * (len(lines) + 2) / 2


def settle(order: dict[str, Any], tax: tuple[str, Decimal], total: tuple[str, Decimal]) -> None:
    """Makes an order add up to the shop's tax and total, as far as rounding explains the difference.

    The tax is corrected in the line with the largest one. The total is corrected by `rounding`, which states what a
    shop rounded in a sum instead of in its parts.

    Args:
        order: The order, changed in place. Its amounts are payable, and its lines have `tax` and `discount`.
        tax: The shop's name and amount of the tax on lines and charges.
        total: The shop's name and amount of the total.

    Raises:
        Unrepresentable: More than rounding is missing.
    """
    currency, lines = order["currency_code"], order["order_line_details"]
    order.setdefault("total_discount", add([line["discount"] for line in lines]))
    taxes = add([line["tax"] for line in lines]) + add([order.get(name, ZERO) for name in _CHARGE_TAXES])
    if missing := _difference(tax, taxes, "the taxes of its lines and charges", lines, currency):
        most = max(lines, key=lambda line: line["tax"])
        most["tax"] = max(most["tax"] + missing, ZERO)
    made = order_totals(order, lines)["grand_total"]
    if missing := _difference(total, made, "its lines and charges", lines, currency):
        order["rounding"] = missing


def _difference(given: tuple[str, Decimal], made: Decimal, parts: str, lines: Sequence[Any], currency: str) -> Decimal:
    name, amount = given
    missing = amount - made
    if abs(missing) > tolerance(lines, currency):
        texts = amount_text(amount, currency), amount_text(made, currency), amount_text(abs(missing), currency)
        raise Unrepresentable(f"{name}: is {texts[0]}, but {parts} make {texts[1]}: {texts[2]} is not explained")
    return missing


def payment(total: Decimal, paid: Decimal, refunded: Decimal, *, pending: bool) -> dict[str, Any]:
    """Returns the payment of an order. Its status follows from the figures unless a payment is pending."""
    status = "pending" if pending and paid < total and not refunded else None
    return {"payment_status": status, "paid": paid, "refunded": refunded}


def customer_id(registered: str | None, email: str | None, order_id: str) -> str:
    """Returns the id of a customer: the shop's, or for a guest one that no token has.

    See docs/decisions/0115-give-guests-ids-that-no-token-has.md.
    """
    if registered and registered != "0":
        return registered
    return f"guest:{email or order_id}"[:128]


def country(text: str | None) -> Mapping[str, str | None]:
    """Returns a country from its code or its name."""
    return {"code": text} if text and re.fullmatch("[A-Z]{2}", text) else {"name": text}


def rate(rates: Sequence[Decimal]) -> Decimal | None:
    """Returns the only tax rate, if it is above 0 and has at most 2 decimals.

    At the rate 0 an invoice also has to say why. No shop does.
    """
    found = set(rates)
    only = found.pop() if len(found) == 1 else ZERO
    return only if only > 0 and decimals(only) <= 2 else None
