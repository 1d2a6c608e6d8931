"""The tax of an order by category and rate, as an invoice states it (VAT Directive, Article 226, numbers 8 to 10)."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from orders.models import Order, OrderLine
from orders.money import split
from orders.terms import TaxCategory

_ZERO = Decimal(0)


class ChargeKind(StrEnum):
    """The charges of an order."""

    SHIPPING = "shipping"
    HANDLING = "handling"
    SURCHARGE = "surcharge"


@dataclass(frozen=True, slots=True)
class TaxGroup:
    """The amounts with one tax rate, without the tax: `net` = `items` − `discount` + `charges`.

    Attributes:
        category: The tax category; None if it is not stated.
        rate: In percent; None if it is not stated.
        items: The lines, after their own discounts.
        discount: The share of the discount on the whole order.
        charges: The charges and what they are for, without those that are 0.
        tax: The tax.
    """

    category: TaxCategory | None
    rate: Decimal | None
    items: Decimal
    discount: Decimal
    charges: tuple[tuple[ChargeKind, Decimal], ...]
    tax: Decimal

    @property
    def net(self) -> Decimal:
        """The taxable amount."""
        return self.items - self.discount + sum((amount for _, amount in self.charges), _ZERO)


def tax_groups(order: Order) -> tuple[TaxGroup, ...]:
    """Sums an order by tax category and rate, highest rate first.

    A discount on the whole order is split over the lines' groups in proportion to their amounts; what rounding leaves
    goes to the largest remainders. The sum of all nets and taxes, and the rounding, is the grand total.
    """
    included = order.prices_include_tax
    lines: dict[_Rate, list[OrderLine]] = {}
    for line in order.order_line_details:
        lines.setdefault((line.category, line.tax_rate), []).append(line)
    amounts = {at: sum((line.total_amount - line.discount for line in each), _ZERO) for at, each in lines.items()}
    discount = order.total_discount - sum((line.discount for line in order.order_line_details), _ZERO)
    shares = dict(zip(lines, split(discount, list(amounts.values()), order.currency_code), strict=True))
    charges: dict[_Rate, list[tuple[ChargeKind, Decimal, Decimal]]] = {}
    for kind, amount, tax, rate in _charges(order):
        if amount or tax:
            charges.setdefault((_category(rate, order), rate), []).append((kind, amount, tax))
    found = []
    for at in {**lines, **charges}:
        added = charges.get(at, [])
        tax = sum((line.tax for line in lines.get(at, [])), _ZERO)
        found.append(
            TaxGroup(
                *at,
                items=amounts.get(at, _ZERO) - (tax if included else _ZERO),
                discount=shares.get(at, _ZERO),
                charges=tuple((kind, amount - (tax if included else _ZERO)) for kind, amount, tax in added),
                tax=tax + sum((tax for _, _, tax in added), _ZERO),
            )
        )
    return tuple(sorted(found, key=lambda group: (group.rate is None, -(group.rate or 0), group.category or "")))


def total(groups: tuple[TaxGroup, ...]) -> TaxGroup:
    """Adds up the amounts of all rates."""
    charges: dict[ChargeKind, Decimal] = {}
    for kind, amount in (charge for group in groups for charge in group.charges):
        charges[kind] = charges.get(kind, _ZERO) + amount
    return TaxGroup(
        None,
        None,
        items=sum((group.items for group in groups), _ZERO),
        discount=sum((group.discount for group in groups), _ZERO),
        charges=tuple(charges.items()),
        tax=sum((group.tax for group in groups), _ZERO),
    )


_Rate = tuple[TaxCategory | None, Decimal | None]


def _charges(order: Order) -> Iterator[tuple[ChargeKind, Decimal, Decimal, Decimal | None]]:
    yield ChargeKind.SHIPPING, order.shipping_cost, order.shipping_tax, order.shipping_tax_rate
    yield ChargeKind.HANDLING, order.handling_cost, order.handling_tax or _ZERO, order.handling_tax_rate
    yield ChargeKind.SURCHARGE, order.total_surcharge, order.surcharge_tax or _ZERO, order.surcharge_tax_rate


def _category(rate: Decimal | None, order: Order) -> TaxCategory | None:
    """Returns the category of a charge: at the rate 0, that of the lines with this rate, if they have the same one."""
    if rate:
        return TaxCategory.STANDARD
    same = {line.category for line in order.order_line_details if line.tax_rate == rate}
    return same.pop() if len(same) == 1 else None
