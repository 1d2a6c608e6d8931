"""Words and conventions of documents: statuses, taxes, units, and what differs between countries."""

from orders.models import PaymentStatus
from orders.terms import TaxCategory

STATUS = {
    PaymentStatus.UNPAID: "Unpaid",
    PaymentStatus.PENDING: "Payment pending",
    PaymentStatus.PARTIAL: "Partly paid",
    PaymentStatus.PAID: "Paid",
    PaymentStatus.PARTIALLY_REFUNDED: "Partly refunded",
    PaymentStatus.REFUNDED: "Refunded",
}
SETTLED = frozenset({PaymentStatus.PAID, PaymentStatus.PARTIALLY_REFUNDED, PaymentStatus.REFUNDED})
"""Statuses with which an invoice never asks for money, whatever the figures say."""

CATEGORIES = {
    TaxCategory.ZERO: "(zero-rated)",
    TaxCategory.EXEMPT: "(exempt)",
    TaxCategory.REVERSE_CHARGE: "(reverse charge)",
    TaxCategory.INTRA_COMMUNITY: "(intra-Community supply)",
    TaxCategory.EXPORT: "(export)",
    TaxCategory.OUTSIDE_SCOPE: "(not taxable)",
}
"""What the table of taxes says of a rate that is 0."""

NOTES = {
    TaxCategory.REVERSE_CHARGE: (
        "Reverse charge: the customer accounts for the VAT (Directive 2006/112/EC, Article 196)."
    ),
    TaxCategory.INTRA_COMMUNITY: "Exempt intra-Community supply (Directive 2006/112/EC, Article 138).",
    TaxCategory.EXPORT: "Exempt export (Directive 2006/112/EC, Article 146).",
}
"""What an invoice must say about a supply without tax (VAT Directive, Article 226, numbers 11 and 11a)."""

TAX_INVOICE = frozenset({"AU", "IN", "MY", "NZ", "SG", "TH", "ZA"})
"""Countries of the seller whose law asks for the words "Tax invoice"."""

UNITS = {
    "C62": "",
    "H87": "",
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
    "DAY": "days",
    "MON": "months",
    "ANN": "years",
    "KWH": "kWh",
}
"""Units as they are printed (UN/ECE Recommendation 20). Others are printed as their code, pieces without any."""

LETTER = frozenset({"BZ", "CA", "CL", "CO", "CR", "GT", "MX", "NI", "PA", "PH", "PR", "SV", "US", "VE"})
"""Countries whose paper is Letter (Unicode CLDR, `paperSize`). All others print on A4."""
