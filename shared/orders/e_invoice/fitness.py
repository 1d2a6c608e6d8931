"""What keeps a document from being an e-invoice: fields that EN 16931 needs and that are missing or unfit.

An invoice that official validators refuse is worse than none, so each rule that the models do not guarantee is checked
here before a document is issued. The rules, named in comments, are those of CEN 1.3.16 (BR-…), ZUGFeRD 2.4 (BR-FX-…),
XRechnung 3.0.2 (BR-DE-…) and Peppol BIS Billing 3.0, release 2026.5.
https://github.com/ConnectingEurope/eInvoicing-EN16931

Each finding is the path of a field, and `: reason` if it is set but unfit.
"""

from collections.abc import Iterator
from decimal import Decimal
from itertools import islice

from orders.completeness import MOST_LINES, NEEDS_BUYERS_VAT_NUMBER, missing_on_charges, missing_on_lines
from orders.e_invoice.codes import COUNTRIES, CURRENCIES, UNITS, listed, peppol_id_is_valid
from orders.e_invoice.semantic import vat_id
from orders.invoices import Seller, XmlFormat
from orders.mailing.addresses import buyer_name
from orders.models import Order
from orders.money import decimals
from orders.tax import TaxGroup, tax_groups
from orders.terms import TaxCategory
from orders.types import Day

_NEEDS_SELLERS_VAT_ID = {TaxCategory.INTRA_COMMUNITY, TaxCategory.EXPORT}

_STATED = (
    *("sub_total", "total_discount", "total_tax", "grand_total", "paid", "shipping_cost", "shipping_tax"),
    *("handling_cost", "rounding", "handling_tax", "surcharge_tax", "total_surcharge"),
)

NATIONAL_RULES = frozenset({"DK", "GR", "IS", "IT", "NL", "NO", "SE"})
"""Countries of sellers for which Peppol has rules of its own that this service does not know."""


def refuse_e_invoice(order: Order, seller: Seller, payment_due: Day | None, *, settled: bool) -> tuple[str, ...]:
    """Returns what keeps an invoice that is issued for an order now from being an e-invoice; empty if nothing does.

    Args:
        order: The order.
        seller: The shop.
        payment_due: The last day to pay.
        settled: Whether the invoice says that nothing is left to pay.
    """
    groups = tax_groups(order)
    found = (
        *_parties(order, seller, {group.category for group in groups}),
        *missing_on_lines(order),
        *missing_on_charges(order),
        *_lines(order),
        *_taxes(order, groups),
        *_terms(order, seller, payment_due, settled=settled),
    )
    return tuple(dict.fromkeys(found))


def xml_format(order: Order, seller: Seller) -> XmlFormat | None:
    """Returns the format of the XML file that an e-invoice gets beside its PDF.

    Peppol if both parties have a Peppol id. Between German parties its rules are those of XRechnung, which is also for
    buyers that give a reference (their Leitweg-ID) and no Peppol id.
    """
    customer = order.customer_summary
    peppol = bool(seller.peppol_id and customer.peppol_id)
    if _german(order, seller) and (peppol or order.buyer_reference):
        return XmlFormat.XRECHNUNG
    return XmlFormat.PEPPOL if peppol else None


def refuse_xml(order: Order, seller: Seller, xml: XmlFormat) -> tuple[str, ...]:
    """Returns what keeps an e-invoice from having an XML file of a format as well; empty if nothing does."""
    customer = order.customer_summary
    found = []
    for path, peppol_id in (("seller", seller.peppol_id), ("customer_summary", customer.peppol_id)):
        if peppol_id and not peppol_id_is_valid(peppol_id):
            found.append(f"{path}.peppol_id: is no valid Peppol id")
    if xml is XmlFormat.PEPPOL:
        if not (order.buyer_reference or order.purchase_order_number):  # PEPPOL-EN16931-R003
            found.append("buyer_reference")
        if seller.country in NATIONAL_RULES:
            found.append(f"seller.country: Peppol's own rules for sellers in {seller.country} are not supported")
        return tuple(found)
    # BR-DE-2 to BR-DE-9, BR-DE-15; PEPPOL-EN16931-R010 and R020
    ours = ("post_code", "city", "contact_name", "contact_phone", "contact_email")
    found += [f"seller.{name}" for name in ours if not getattr(seller, name)]
    found += [f"customer_summary.{name}" for name in ("post_code", "city") if not getattr(customer, name)]
    if not order.buyer_reference:
        found.append("buyer_reference")
    if not (customer.peppol_id or customer.email):
        found.append("customer_summary.email")
    categories = {line.category for line in order.order_line_details}
    if TaxCategory.OUTSIDE_SCOPE in categories:  # BR-DE-14
        found.append("order_line_details.tax_category: XRechnung asks for a tax rate, which O does not have")
    if TaxCategory.INTRA_COMMUNITY in categories:  # BR-DE-10, BR-DE-11
        found.append("order_line_details.tax_category: is K, but buyer and seller are in Germany")
    return tuple(found)


def _german(order: Order, seller: Seller) -> bool:
    """Whether buyer and seller are in Germany."""
    country = order.customer_summary.country
    return seller.country == "DE" and country is not None and country.code == "DE"


def _parties(order: Order, seller: Seller, categories: set[TaxCategory | None]) -> Iterator[str]:
    customer = order.customer_summary
    if not seller.legal_name.strip():
        yield "seller.legal_name"  # BR-6
    if not listed(seller.country, COUNTRIES):
        yield f"seller.country{': is no country of ISO 3166' if seller.country else ''}"  # BR-9, BR-CL-14
    outside = TaxCategory.OUTSIDE_SCOPE in categories
    if seller.vat_id and not vat_id(seller.vat_id):
        yield "seller.vat_id: must begin with the code of its country"  # BR-CO-9
    elif not seller.vat_id and not outside and (categories & _NEEDS_SELLERS_VAT_ID or not seller.tax_number):
        yield "seller.vat_id"  # BR-S-2, BR-Z-2, BR-E-2, BR-AE-2, BR-G-2, BR-IC-2
    if not seller.register_number and (outside or not seller.vat_id):
        yield "seller.register_number"  # BR-CO-26
    if not buyer_name(customer):
        yield "customer_summary.last_name"  # BR-7
    country = customer.country
    if not country:
        yield "customer_summary.country"  # BR-11
    elif not country.code or not listed(country.code, COUNTRIES):
        yield f"customer_summary.country.code{': is no country of ISO 3166' if country.code else ''}"  # BR-CL-14
    if categories & NEEDS_BUYERS_VAT_NUMBER and not vat_id(customer.vat_number):
        unfit = ": must begin with the code of its country" if customer.vat_number else ""
        yield f"customer_summary.vat_number{unfit}"  # BR-AE-2, BR-IC-2


def _lines(order: Order) -> Iterator[str]:
    # BR-25, BR-CL-23
    yield from islice(
        (
            f"order_line_details.{index}.product_name: must not be blank"
            for index, line in enumerate(order.order_line_details)
            if not line.product_name.strip()
        ),
        MOST_LINES,
    )
    yield from islice(
        (
            f"order_line_details.{index}.unit_code: is no unit of UN/ECE Recommendation 20"
            for index, line in enumerate(order.order_line_details)
            if line.unit_code and not listed(line.unit_code, UNITS)
        ),
        MOST_LINES,
    )
    # BR-DEC-9 to BR-DEC-28
    fine = (path for path, amount in _amounts(order) if amount and decimals(amount) > 2)
    yield from (f"{path}: has more than 2 decimals" for path in islice(fine, MOST_LINES))


def _amounts(order: Order) -> Iterator[tuple[str, Decimal | None]]:
    """Yields the amounts that an e-invoice states. Unit prices may have more decimals."""
    yield from ((name, getattr(order, name)) for name in _STATED)
    for index, line in enumerate(order.order_line_details):
        yield f"order_line_details.{index}.total_amount", line.total_amount
        yield f"order_line_details.{index}.discount", line.discount
        yield f"order_line_details.{index}.tax", line.tax


def _taxes(order: Order, groups: tuple[TaxGroup, ...]) -> Iterator[str]:
    categories = {group.category for group in groups}
    if TaxCategory.EXEMPT in categories and not (order.tax_exemption_reason or "").strip():
        yield "tax_exemption_reason"  # BR-E-10
    if TaxCategory.OUTSIDE_SCOPE in categories and len(categories) > 1:  # BR-O-11 to BR-O-14
        yield "order_line_details.tax_category: O cannot be combined with another category"
    for group in groups:
        if group.rate is None:
            continue
        if group.category is None:
            unclear = "is 0, and the lines do not tell its tax category"
            yield from (f"{kind}_tax_rate: {unclear}" for kind, _ in group.charges)
            continue
        expected = (group.net * group.rate / 100).quantize(Decimal("0.01"))
        # BR-S-9, and BR-CO-17, which takes rates below 0.5 for 0.
        low = group.rate < Decimal("0.5") and group.tax >= Decimal("0.5")
        if abs(group.tax - expected) >= 1 or low or (group.tax and not group.rate):
            yield f"total_tax: the tax at {group.rate.normalize():f} % is {group.tax:f} and must be about {expected:f}"


def _terms(order: Order, seller: Seller, payment_due: Day | None, *, settled: bool) -> Iterator[str]:
    if not listed(order.currency_code, CURRENCIES):
        yield "currency_code: is no currency of ISO 4217"  # BR-CL-4
    if order.due and settled:
        yield "paid: is less than the grand total, but the invoice says that it is settled"
    elif order.due and not payment_due:
        yield "payment_due"  # BR-CO-25
    abroad = any(line.category is TaxCategory.INTRA_COMMUNITY for line in order.order_line_details)
    if (abroad or _german(order, seller)) and not order.delivered_on:
        yield "delivered_on"  # BR-IC-11, BR-FX-EN-04
    if abroad and not order.delivery_country:
        yield "delivery_country"  # BR-IC-12
    if order.delivery_country and not listed(order.delivery_country, COUNTRIES):
        yield "delivery_country: is no country of ISO 3166"  # BR-CL-14
