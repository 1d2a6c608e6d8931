"""Tax and terms of an order: what an invoice states besides lines and amounts. All of it is optional.

Names of categories and codes are those of EN 16931: UNCL 5305 for tax, UN/ECE Recommendation 20 for units.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StrictStr, StringConstraints

from orders.types import (
    Amount,
    CountryCode,
    Day,
    LanguageTag,
    Line,
    Model,
    TaxRate,
    Text,
    Violation,
    described,
    matching,
)


class TaxCategory(StrEnum):
    """The kind of a tax (UNCL 5305)."""

    STANDARD = "S"
    ZERO = "Z"
    EXEMPT = "E"
    REVERSE_CHARGE = "AE"
    INTRA_COMMUNITY = "K"
    EXPORT = "G"
    OUTSIDE_SCOPE = "O"


class LineTerms(Model):
    """Tax and unit of one line. A rate above 0 means the category S; at the rate 0, the category says why."""

    tax_rate: TaxRate | None = None
    tax_category: TaxCategory | None = None
    unit_code: (
        Annotated[
            StrictStr,
            matching(
                "[A-Z0-9]{2,3}", "must be a unit code of two or three capital letters or digits, such as C62 or KGM"
            ),
            described("^[A-Z0-9]{2,3}$"),
            Field(examples=["C62", "KGM", "HUR"]),
        ]
        | None
    ) = None

    @property
    def category(self) -> TaxCategory | None:
        """The tax category, given or implied; None if it is not stated."""
        return self.tax_category or (TaxCategory.STANDARD if self.tax_rate else None)


class OrderTerms(Model):
    """Tax of the charges, dates, references and language of an order.

    `delivered_on` is the date of supply, `payment_due` the last day to pay. `buyer_reference` is what the buyer asks to
    be quoted (BT-10), `purchase_order_number` the number of the buyer's own order (BT-13). The shop writes to the
    customer in `language`.
    """

    shipping_tax_rate: TaxRate | None = None
    handling_tax: Amount | None = None
    handling_tax_rate: TaxRate | None = None
    surcharge_tax: Amount | None = None
    surcharge_tax_rate: TaxRate | None = None
    tax_exemption_reason: Annotated[Text, StringConstraints(max_length=500)] | None = None
    delivered_on: Day | None = None
    delivery_country: CountryCode | None = None
    payment_due: Day | None = None
    purchase_order_number: Line | None = None
    buyer_reference: Line | None = None
    language: LanguageTag | None = None


def term_violations(index: int, line: LineTerms) -> Iterator[Violation]:
    """Yields how the tax category of a line contradicts its rate."""
    if line.tax_category is None:
        return
    location = ("order_line_details", index, "tax_category")
    if line.tax_rate is None:
        yield location, "needs a tax_rate"
    elif line.tax_rate and line.tax_category is not TaxCategory.STANDARD:
        yield location, f"is {line.tax_category}, but with a rate above 0 it must be S"
    elif not line.tax_rate and line.tax_category is TaxCategory.STANDARD:
        yield location, "is S, but the rate is 0: give Z, E, AE, K, G or O"
