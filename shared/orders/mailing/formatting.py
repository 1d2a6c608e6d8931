"""Formats amounts, quantities and dates for the customer, by language and country."""

import copy
import re
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from functools import cache

from babel.core import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime
from babel.numbers import NumberPattern, format_decimal, format_percent

from orders.mailing.words import choose_language, words_in
from orders.money import amount_text, minor_units
from orders.types import Day

# CLDR has a space between a currency code and the number ("KWD 12.500", but "$12.50"), which Babel leaves out.
_CODE_MEETS_NUMBER = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")


class Formats:
    """Formats the amounts, quantities and dates of one order, and has the words of the same language.

    Digits are 0 to 9 in every language: amounts are compared with those of banks and e-invoices.

    Nothing is rounded: a price of a tenth of a cent is printed as such, so that printed amounts always add up.

    Args:
        language: A tag such as `de` or `en-GB`. Without a catalogue for it, words and formats are English.
        country: The customer's country (ISO 3166-1), which decides the format within the language.
        currency: The currency of all amounts (ISO 4217).
        time_zone: The time zone whose days the dates are.
    """

    def __init__(self, language: str, country: str | None, currency: str, time_zone: tzinfo = UTC) -> None:
        language = choose_language(language)
        self.words = words_in(language)
        self._locale = _locale(language, self.words.language, country)
        self._currency = currency
        self._time_zone = time_zone

    def money(self, amount: Decimal) -> str:
        """Formats an amount with its currency, with at least the currency's decimals."""
        # CLDR has decimals of its own: none for RSD, although dinars have hundredths.
        pattern: NumberPattern = copy.copy(self._locale.currency_formats["standard"])
        pattern.frac_prec = (minor_units(self._currency),) * 2
        text = pattern.apply(
            amount, self._locale, currency=self._currency, currency_digits=False, decimal_quantization=False
        )
        return _CODE_MEETS_NUMBER.sub("\N{NO-BREAK SPACE}", text)

    def plain_amount(self, amount: Decimal) -> str:
        """Formats an amount for machines: `1234.50`."""
        return amount_text(amount, self._currency)

    def quantity(self, number: Decimal) -> str:
        """Formats a number without trailing zeros."""
        return format_decimal(number, locale=self._locale, decimal_quantization=False)

    def local_day(self, moment: datetime) -> Day:
        """Returns the day in the time zone."""
        return moment.astimezone(self._time_zone).date()

    def date(self, moment: datetime) -> str:
        """Formats the day in the time zone, with the month as a word where the locale does so."""
        return self.day(self.local_day(moment))

    def date_and_time(self, moment: datetime) -> str:
        """Formats the day and the time in the time zone, to the second and with the zone's difference from UTC."""
        local = moment.astimezone(self._time_zone)
        # Not the zone's name: names of zones in all languages would double Babel's data.
        return (
            f"{format_datetime(local, 'medium', locale=self._locale)} (UTC{local.isoformat(timespec='seconds')[19:]})"
        )

    def day(self, day: Day) -> str:
        """Formats a day as `date` does."""
        return format_date(day, "medium", locale=self._locale)

    def percent(self, rate: Decimal) -> str:
        """Formats a rate in percent, without trailing zeros."""
        return format_percent(rate / 100, locale=self._locale, decimal_quantization=False)

    def country(self, code: str) -> str:
        """Returns the name of a country."""
        return str(self._locale.territories.get(code, code))


_EUROPE = frozenset(
    re.findall(
        r"\w+",
        "AD AL AT AX BA BE BG BY CH CY CZ DE DK EE ES FI FO FR GB GG GI GR HR HU IE IM IS IT JE LI LT LU LV MC MD ME MK"
        " MT NL NO PL PT RO RS RU SE SI SJ SK SM UA VA XK",
    )
)
"""The countries of the region 150 in Unicode's territory containment, which Babel does not have."""


@cache
def _locale(language: str, catalogue: str, country: str | None) -> Locale:
    """Returns the locale of language and country; that of the catalogue for a tag that Unicode does not have.

    If Unicode has none, returns that of the region, which is where locales of the region inherit from: English is not
    written as in the US in Greece or Japan, nor Portuguese as in Brazil in Spain.
    https://www.unicode.org/reports/tr35/#Parent_Locales
    """
    try:
        shop = Locale.parse(language.replace("_", "-"), sep="-")
    except (ValueError, UnknownLocaleError):
        shop = Locale.parse(catalogue, sep="-")
    if not country:
        return shop
    regions = {"en": ("150", "001") if country in _EUROPE else ("001",), "es": ("ES",), "pt": ("PT",)}
    for region in (country, *regions.get(shop.language, ())):
        try:
            return Locale.parse("_".join(filter(None, (shop.language, shop.script, region))))
        except (ValueError, UnknownLocaleError):
            continue
    return shop
