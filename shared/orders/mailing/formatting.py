"""Amounts, quantities and dates, written as the customer of a shop reads them."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache

from babel.core import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.numbers import format_currency, format_decimal, get_currency_precision

# CLDR has a space between a code and its number ("KWD 12.500", but "$12.50"), which Babel leaves out.
_CODE_MEETS_NUMBER = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")


class Formats:
    """How one invoice writes what is not words.

    Nothing is rounded: a price of a tenth of a cent is printed as that, so that what is printed always adds up.

    Args:
        language: The shop's language, a tag such as `de` or `en-GB`.
        country: The customer's country (ISO 3166-1), which decides how its language writes numbers and dates.
        currency: The currency of all amounts (ISO 4217).
    """

    def __init__(self, language: str, country: str | None, currency: str) -> None:
        self._locale = _locale(language, country)
        self._currency = currency

    def money(self, amount: Decimal) -> str:
        """An amount with its currency, in at least the currency's own number of decimals."""
        text = format_currency(amount, self._currency, locale=self._locale, decimal_quantization=False)
        return _CODE_MEETS_NUMBER.sub("\N{NO-BREAK SPACE}", text)

    def plain_amount(self, amount: Decimal) -> str:
        """An amount for machines: `1234.50`."""
        decimals = -int(amount.normalize().as_tuple().exponent)
        return f"{amount:.{max(decimals, get_currency_precision(self._currency))}f}"

    def quantity(self, number: Decimal) -> str:
        """A number without trailing zeros."""
        return format_decimal(number, locale=self._locale, decimal_quantization=False)

    def date(self, moment: datetime) -> str:
        """The day in UTC. The month stands as a word where the locale has it so."""
        return format_date(moment.astimezone(UTC), "medium", locale=self._locale)

    def country(self, code: str) -> str:
        """The name of a country, in the shop's language."""
        return str(self._locale.territories.get(code, code))


@cache
def _locale(language: str, country: str | None) -> Locale:
    """The shop's language as written in the customer's country; the language alone if Unicode knows no such pair."""
    try:
        shop = Locale.parse(language.replace("_", "-"), sep="-")
    except (ValueError, UnknownLocaleError):
        shop = Locale("en")
    if not country:
        return shop
    try:
        return Locale.parse("_".join(filter(None, (shop.language, shop.script, country))))
    except (ValueError, UnknownLocaleError):
        return shop
