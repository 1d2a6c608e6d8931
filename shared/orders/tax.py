"""The tax of an order by category and rate, as an invoice states it (VAT Directive, Article 226, numbers 8 to 10)."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

from orders.models import Order
from orders.money import minor_units
from orders.terms import TaxCategory

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class TaxGroup:
    """The amounts with one tax rate.

    Attributes:
        category: The tax category; None if it is not stated.
        rate: In percent; None if it is not stated.
        net: The taxable amount, without the tax.
        tax: The tax.
    """

    category: TaxCategory | None
    rate: Decimal | None
    net: Decimal
    tax: Decimal


def tax_groups(order: Order) -> tuple[TaxGroup, ...]:
    """Sums an order by tax category and rate, highest rate first.

    A discount on the whole order is split over the lines' groups in proportion to their amounts; what rounding leaves
    goes to the largest remainders. The sum of all nets and taxes, and the rounding, is the grand total.
    """
    amounts: dict[tuple[TaxCategory | None, Decimal | None], list[Decimal]] = {}
    for line in order.order_line_details:
        group = amounts.setdefault((line.category, line.tax_rate), [_ZERO, _ZERO])
        group[0] += line.total_amount - line.discount
        group[1] += line.tax
    discount = order.total_discount - sum((line.discount for line in order.order_line_details), _ZERO)
    for group, share in zip(
        amounts.values(), _split(discount, order, [amount for amount, _ in amounts.values()]), strict=True
    ):
        group[0] -= share
    for amount, tax, rate in _charges(order):
        if amount or tax:
            group = amounts.setdefault((_category(rate, order), rate), [_ZERO, _ZERO])
            group[0] += amount
            group[1] += tax
    found = [
        TaxGroup(category, rate, amount - tax if order.prices_include_tax else amount, tax)
        for (category, rate), (amount, tax) in amounts.items()
    ]
    return tuple(sorted(found, key=lambda group: (group.rate is None, -(group.rate or 0), group.category or "")))


def _charges(order: Order) -> Iterator[tuple[Decimal, Decimal, Decimal | None]]:
    yield order.shipping_cost, order.shipping_tax, order.shipping_tax_rate
    yield order.handling_cost, order.handling_tax or _ZERO, order.handling_tax_rate
    yield order.total_surcharge, order.surcharge_tax or _ZERO, order.surcharge_tax_rate


def _category(rate: Decimal | None, order: Order) -> TaxCategory | None:
    """Returns the category of a charge: at the rate 0, that of the lines with this rate, if they have the same one."""
    if rate:
        return TaxCategory.STANDARD
    same = {line.category for line in order.order_line_details if line.tax_rate == rate}
    return same.pop() if len(same) == 1 else None


def _split(total: Decimal, order: Order, weights: list[Decimal]) -> list[Decimal]:
    """Splits an amount in proportion to weights, in units of the currency, by the largest remainder."""
    weight = sum(weights, _ZERO)
    if not total or not weight:
        return [total, *[_ZERO] * (len(weights) - 1)]
    unit = Decimal(1).scaleb(-minor_units(order.currency_code))
    exact = [total * each / weight for each in weights]
    shares = [each.quantize(unit, ROUND_FLOOR) for each in exact]
    places = sorted(range(len(weights)), key=lambda place: shares[place] - exact[place])
    left = total - sum(shares, _ZERO)
    for place in places:
        step = min(unit, left)
        shares[place] += step
        left -= step
    return shares
