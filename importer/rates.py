"""Finds which tax rate applies to which part of an order, where a shop states only the tax of each rate."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import product
from math import prod
from typing import NamedTuple

from importer.shop import ZERO, add
from orders.money import minor_unit

_MOST = 4096
"""Combinations that are tried: two rates for 11 lines and the shipping."""


class Tax(NamedTuple):
    """A tax rate in percent, and the tax of an order at this rate."""

    percent: Decimal
    amount: Decimal


def apply_rates(
    parts: Sequence[Decimal], taxes: Sequence[Tax], currency: str, *, included: bool
) -> list[Tax | None] | None:
    """Returns the tax of each part, as the sums of each rate tell it.

    Args:
        parts: The amounts of the lines after discounts, 0 if a line is not taxed, and at the end of the shipping, which
            may be taxed or not.
        taxes: The taxes.
        currency: Their currency.
        included: Whether the amounts include the taxes.

    Returns:
        For each part its tax. None if no combination gives the sums, or several do equally well.
    """
    everything = [*taxes, None]
    choices = [[*taxes] if amount else [None] for amount in parts[:-1]] + [everything if parts[-1] else [None]]
    if prod(map(len, choices)) > _MOST:
        return None
    fitting = []
    for choice in product(*choices):
        errors = [_error(tax, parts, choice, currency, included=included) for tax in taxes]
        if None not in errors:
            fitting.append((add([error for error in errors if error is not None]), choice))
    fitting.sort(key=lambda found: found[0])
    if not fitting or (len(fitting) > 1 and fitting[0][0] == fitting[1][0]):
        return None
    return list(fitting[0][1])


def _error(
    tax: Tax, parts: Sequence[Decimal], choice: Sequence[Tax | None], currency: str, *, included: bool
) -> Decimal | None:
    """Returns by how much a tax differs from the sum of its parts; None if rounding does not explain it."""
    taxed = [part for part, chosen in zip(parts, choice, strict=True) if chosen == tax]
    error = abs(add(taxed) * tax.percent / (100 + (tax.percent if included else ZERO)) - tax.amount)
    return error if error <= minor_unit(currency) * (len(taxed) + 1) / 2 else None
