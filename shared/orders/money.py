"""Money: the decimals of each currency, rounding, and amounts as text."""

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

_ZERO = Decimal(0)

MINOR_UNITS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW"), 0),
    **dict.fromkeys(("PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
"""Decimals of the currencies whose minor unit is not a hundredth (ISO 4217)."""


def minor_units(currency: str) -> int:
    """Returns how many decimals a payable amount of a currency has."""
    return MINOR_UNITS.get(currency, 2)


def line_total(quantity: Decimal, price: Decimal, currency: str) -> Decimal:
    """Computes the total of a line, rounded half up to the currency's minor unit."""
    return (quantity * price).quantize(Decimal(1).scaleb(-minor_units(currency)), ROUND_HALF_UP)


def order_totals(order: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> dict[str, Decimal]:
    """Computes the totals of an order from its lines and charges. Missing parts count as zero."""

    def sum_lines(part: str) -> Decimal:
        return sum((line.get(part, _ZERO) for line in lines), _ZERO)

    def sum_charges(*parts: str) -> Decimal:
        return sum((order.get(part, _ZERO) for part in parts), _ZERO)

    sub_total, total_tax = sum_lines("total_amount"), sum_lines("tax")
    return {
        "sub_total": sub_total,
        "total_tax": total_tax,
        "items_total": sum_lines("quantity"),
        "grand_total": sub_total
        - sum_charges("total_discount")
        + total_tax
        + sum_charges("shipping_cost", "shipping_tax", "handling_cost", "total_surcharge"),
    }


def amount_text(amount: Decimal, currency: str) -> str:
    """Formats an amount with at least the decimals of its currency: `12.50`."""
    return f"{amount:.{max(minor_units(currency), -int(amount.normalize().as_tuple().exponent))}f}"


def quantity_text(quantity: Decimal) -> str:
    """Formats a quantity without trailing zeros: `2`."""
    return f"{quantity.normalize():f}"
