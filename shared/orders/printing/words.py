"""Words and conventions of documents: taxes, units, and what differs between countries."""

from collections.abc import Mapping
from decimal import Decimal

from orders.mailing.formatting import Formats
from orders.mailing.words import Words
from orders.models import PaymentStatus
from orders.tax import ChargeKind, TaxGroup
from orders.terms import TaxCategory

SETTLED = frozenset({PaymentStatus.PAID, PaymentStatus.PARTIALLY_REFUNDED, PaymentStatus.REFUNDED})
"""Statuses with which an invoice never asks for money, whatever the figures say."""

TAX_INVOICE = frozenset({"AU", "IN", "MY", "NZ", "SG", "TH", "ZA"})
"""Countries of the seller whose law asks for the words "Tax invoice"."""

LETTER = frozenset({"BZ", "CA", "CL", "CO", "CR", "GT", "MX", "NI", "PA", "PH", "PR", "SV", "US", "VE"})
"""Countries whose paper is Letter (Unicode CLDR, `paperSize`). All others print on A4."""

_UNITS = {
    "GRM": "g",
    "HUR": "h",
    "KGM": "kg",
    "KMT": "km",
    "LTR": "l",
    "MIN": "min",
    "MLT": "ml",
    "MTK": "m²",
    "MTQ": "m³",
    "MTR": "m",
    "TNE": "t",
    "KWH": "kWh",
}
"""Symbols of units (UN/ECE Recommendation 20), the same in all languages. Others are printed as their code."""


def charge_names(words: Words) -> Mapping[ChargeKind, str]:
    """Returns the names of the charges of an order."""
    return {
        ChargeKind.SHIPPING: words.gettext("Shipping"),
        ChargeKind.HANDLING: words.gettext("Handling"),
        ChargeKind.SURCHARGE: words.gettext("Surcharge"),
    }


def rate_text(group: TaxGroup, formats: Formats) -> str:
    """Returns a tax rate, and why it is 0."""
    words = formats.words
    if group.rate is None:
        return words.gettext("Rate not stated")
    rate = formats.percent(group.rate)
    return {
        TaxCategory.ZERO: words.gettext("%(rate)s (zero-rated)", rate=rate),
        TaxCategory.EXEMPT: words.gettext("%(rate)s (exempt)", rate=rate),
        TaxCategory.REVERSE_CHARGE: words.gettext("%(rate)s (reverse charge)", rate=rate),
        TaxCategory.INTRA_COMMUNITY: words.gettext("%(rate)s (intra-Community supply)", rate=rate),
        TaxCategory.EXPORT: words.gettext("%(rate)s (export)", rate=rate),
        TaxCategory.OUTSIDE_SCOPE: words.gettext("%(rate)s (not taxable)", rate=rate),
    }.get(group.category or TaxCategory.STANDARD, rate)


def legal_notes(words: Words) -> Mapping[TaxCategory, str]:
    """Returns what an invoice must say about a supply without tax (VAT Directive, Article 226, numbers 11 and 11a)."""
    return {
        # Translators: the directive itself says "Reverse charge" in each language. Use its words.
        TaxCategory.REVERSE_CHARGE: words.gettext(
            "Reverse charge: the customer accounts for the VAT (Directive 2006/112/EC, Article 196)."
        ),
        TaxCategory.INTRA_COMMUNITY: words.gettext(
            "Exempt intra-Community supply (Directive 2006/112/EC, Article 138)."
        ),
        TaxCategory.EXPORT: words.gettext("Exempt export (Directive 2006/112/EC, Article 146)."),
    }


def quantity_text(quantity: Decimal, unit: str | None, formats: Formats) -> str:
    """Returns a quantity with its unit. Pieces (C62, H87) have none."""
    words, number = formats.words, formats.quantity(quantity)
    # Languages differ in the form after a fraction. That of larger numbers is at least understood.
    count = int(quantity) if quantity == int(quantity) else int(quantity) + 2
    match unit:
        case None | "C62" | "H87":
            return number
        case "DAY":
            return words.ngettext("%(number)s day", "%(number)s days", count, number=number)
        case "MON":
            return words.ngettext("%(number)s month", "%(number)s months", count, number=number)
        case "ANN":
            return words.ngettext("%(number)s year", "%(number)s years", count, number=number)
    return f"{number} {_UNITS.get(unit, unit)}"


def paper_labels(words: Words) -> dict[str, str]:
    """Returns the words of `invoice.typ`. It fills in what is in braces."""
    return {
        "amount": words.gettext("Amount"),
        "attachment": words.gettext("The same invoice for software (EN 16931)"),
        "bank_transfer": words.gettext("Bank transfer"),
        "billed_to": words.gettext("Billed to"),
        "carried_forward": words.gettext("Carried forward"),
        "details": words.gettext("Details"),
        "item": words.gettext("Item"),
        "net_amount": words.gettext("Net amount"),
        "notes": words.gettext("Notes"),
        "nothing_to_pay": words.gettext("There is nothing to pay."),
        "page": words.gettext("Page %(page)s of %(pages)s", page="{page}", pages="{pages}"),
        "payable_by": words.gettext("Payable by %(date)s", date="{date}"),
        "pay_online": words.gettext("Pay online"),
        "price": words.gettext("Price"),
        "qr_code": words.gettext("QR code of the page to pay on"),
        "quantity": words.gettext("Quantity"),
        "questions": words.gettext("Questions about this invoice? %(contact)s", contact="{contact}"),
        "sku": words.gettext("SKU %(sku)s", sku="{sku}"),
        "tax": words.gettext("Tax"),
        "tax_rate": words.gettext("Tax rate"),
        "ways_to_pay": words.gettext("Ways to pay"),
    }
