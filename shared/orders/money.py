"""Money: the decimals of each currency, rounding, and amounts as text."""

from collections.abc import Mapping, Sequence
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Any

_ZERO = Decimal(0)

MINOR_UNITS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW"), 0),
    **dict.fromkeys(("PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}
"""Decimals of the currencies whose minor unit is not a hundredth (ISO 4217). API, mail, PDF and payment link use it."""


def minor_units(currency: str) -> int:
    """Returns how many decimals a payable amount of a currency has."""
    return MINOR_UNITS.get(currency, 2)


def decimals(amount: Decimal) -> int:
    """Counts the decimals of an amount, without trailing zeros."""
    return max(0, -int(amount.normalize().as_tuple().exponent))


def refuse_unpayable(amount: Decimal, currency: str) -> str | None:
    """Returns why an amount cannot be paid, or None: it has more decimals than its currency."""
    most = minor_units(currency)
    if decimals(amount) <= most:
        return None
    return f"is {amount:f}, but amounts in {currency} have {f'at most {most}' if most else 'no'} decimals"


def minor_unit(currency: str) -> Decimal:
    """Returns the smallest payable amount of a currency: `0.01`."""
    return Decimal(1).scaleb(-minor_units(currency))


def payable(amount: Decimal, currency: str) -> Decimal:
    """Rounds an amount half up to the currency's minor unit."""
    return amount.quantize(minor_unit(currency), ROUND_HALF_UP)


def line_total(quantity: Decimal, price: Decimal, currency: str) -> Decimal:
    """Computes the total of a line, rounded half up to the currency's minor unit."""
    return payable(quantity * price, currency)


def split(amount: Decimal, weights: Sequence[Decimal], currency: str) -> list[Decimal]:
    """Splits an amount in proportion to weights, in minor units of the currency, by the largest remainder."""
    weight = sum(weights, _ZERO)
    if not amount or not weight:
        return [amount, *[_ZERO] * (len(weights) - 1)]
    unit = minor_unit(currency)
    exact = [amount * each / weight for each in weights]
    shares = [each.quantize(unit, ROUND_FLOOR) for each in exact]
    places = sorted(range(len(weights)), key=lambda place: shares[place] - exact[place])
    left = amount - sum(shares, _ZERO)
    for place in places:
        step = min(unit, left)
        shares[place] += step
        left -= step
    return shares


def order_totals(order: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> dict[str, Decimal]:
    """Computes the totals of an order from its lines and charges. Missing parts count as zero.

    With `prices_include_tax`, the taxes are already in the prices and charges, so they are not added.
    """

    def sum_lines(part: str) -> Decimal:
        return sum((line.get(part, _ZERO) for line in lines), _ZERO)

    def sum_charges(*parts: str) -> Decimal:
        return sum((order.get(part) or _ZERO for part in parts), _ZERO)

    sub_total, total_tax = sum_lines("total_amount"), sum_lines("tax")
    charged = sum_charges("shipping_tax", "handling_tax", "surcharge_tax")
    added_tax = _ZERO if order.get("prices_include_tax") else total_tax + charged
    return {
        "sub_total": sub_total,
        "total_tax": total_tax,
        "items_total": sum_lines("quantity"),
        "grand_total": sub_total
        - sum_charges("total_discount")
        + added_tax
        + sum_charges("shipping_cost", "handling_cost", "total_surcharge", "rounding"),
    }


def amount_due(total: Decimal, paid: Decimal) -> Decimal:
    """Returns what is left to pay, at least 0."""
    return max(total - paid, _ZERO)


def amount_text(amount: Decimal, currency: str) -> str:
    """Formats an amount with at least the decimals of its currency: `12.50`."""
    return f"{amount:.{max(minor_units(currency), decimals(amount))}f}"


def mismatch_text(given: Decimal, total: Decimal) -> str:
    """Says by how much a given total is wrong."""
    much = "much" if given > total else "little"
    return f"is {given:f} but must be {total:f}: {abs(given - total):f} too {much}"


def quantity_text(quantity: Decimal) -> str:
    """Formats a quantity without trailing zeros: `2`."""
    return f"{quantity.normalize():f}"
