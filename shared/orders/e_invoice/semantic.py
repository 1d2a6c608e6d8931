"""What an e-invoice says: the parts of EN 16931's semantic model that an order fills. Comments name its business terms.

`cii.py` and `ubl.py` only write it down. Amounts are those of the order, with at most 2 decimals: nothing is computed
that the order or its table of taxes (`orders.tax`) does not state.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from orders.e_invoice.codes import COUNTRIES, listed
from orders.invoices import Document, Seller, XmlFormat
from orders.mailing.addresses import buyer_name, one_line, person_name, state_text
from orders.models import CustomerSummary, Order, OrderLine
from orders.tax import ChargeKind, TaxGroup, total
from orders.terms import TaxCategory

PROFILE = "EN 16931"
"""The profile of the XML in a document's PDF: Factur-X 1.0 and ZUGFeRD 2 share it."""

VAT_EXEMPTION_CODES = {
    TaxCategory.REVERSE_CHARGE: "VATEX-EU-AE",
    TaxCategory.INTRA_COMMUNITY: "VATEX-EU-IC",
    TaxCategory.EXPORT: "VATEX-EU-G",
    TaxCategory.OUTSIDE_SCOPE: "VATEX-EU-O",
}
"""Why there is no tax (BT-121). An exemption (E) has many reasons: its text says which."""


class Address(NamedTuple):
    """A postal address (BG-5, BG-8). Only the country (ISO 3166-1 alpha-2) is never empty."""

    line_1: str
    line_2: str
    city: str
    post_code: str
    state: str
    country: str


class Contact(NamedTuple):
    """Whom to ask (BG-6, BG-9)."""

    name: str
    phone: str
    email: str


class Party(NamedTuple):
    """The seller (BG-4) or the buyer (BG-7).

    Attributes:
        name: The legal name (BT-27, BT-44).
        trading_name: The name that it trades under, "" if it is the same (BT-28).
        register_number: BT-30.
        vat_id: BT-31, BT-48.
        tax_number: BT-32.
        endpoint: The electronic address: its scheme (EAS) and value; None without one (BT-34, BT-49).
    """

    name: str
    trading_name: str
    register_number: str
    vat_id: str
    tax_number: str
    address: Address
    contact: Contact | None
    endpoint: tuple[str, str] | None


class Tax(NamedTuple):
    """The tax of a line, an allowance or a charge. The category O has no rate."""

    category: TaxCategory
    rate: Decimal

    @property
    def stated_rate(self) -> Decimal | None:
        """The rate, None where EN 16931 forbids to state one (BR-O-05)."""
        return None if self.category is TaxCategory.OUTSIDE_SCOPE else self.rate


class Allowance(NamedTuple):
    """A discount or a charge, of a line (BG-27) or of the whole document (BG-20, BG-21).

    Attributes:
        is_charge: True for a charge.
        amount: Without tax.
        code: Its reason: UNCL 5189 for a discount, UNCL 7161 for a charge, "" if that list has none.
        reason: The same in words.
        tax: None within a line, whose tax it has.
    """

    is_charge: bool
    amount: Decimal
    code: str
    reason: str
    tax: Tax | None = None


class Line(NamedTuple):
    """A line (BG-25).

    Attributes:
        n: 1, 2, …
        name: BT-153.
        sku: BT-155.
        quantity: BT-129.
        unit: UN/ECE Recommendation 20 (BT-130).
        price: The price of `per` units, without tax (BT-146).
        per: BT-149; 1 if the price is that of one unit.
        discount: None without one.
        net: BT-131.
        tax: BG-30.
    """

    n: int
    name: str
    sku: str
    quantity: Decimal
    unit: str
    price: Decimal
    per: Decimal
    discount: Allowance | None
    net: Decimal
    tax: Tax


class Breakdown(NamedTuple):
    """The amounts with one category and rate (BG-23): taxable amount, tax, and why there is none."""

    tax: Tax
    net: Decimal
    amount: Decimal
    reason: str
    reason_code: str


class Account(NamedTuple):
    """The bank account to pay to (BG-17), and the reference to give (BT-83)."""

    iban: str
    bic: str
    holder: str


class Sums(NamedTuple):
    """The totals (BG-22): BT-106 to BT-110, BT-112 to BT-115. Parts that are 0 are left out."""

    lines: Decimal
    allowances: Decimal
    charges: Decimal
    net: Decimal
    tax: Decimal
    gross: Decimal
    paid: Decimal
    rounding: Decimal
    due: Decimal


@dataclass(frozen=True, slots=True)
class EInvoice:
    """An invoice (UNCL 1001: 380) or a credit note (381).

    Attributes:
        number: BT-1.
        issued: BT-2, a day of the shop.
        corrects: The number of the invoice that a credit note cancels (BT-25); None for an invoice.
        currency: BT-5.
        buyer_reference: BT-10.
        purchase_order: BT-13.
        order_id: BT-14.
        terms: BT-20.
        note: BT-22.
        payment_due: BT-9.
        delivered: BT-72.
        deliver_to: The country that it is delivered to (BT-80).
        account: None if there is nothing to pay, or no account to pay to.
        allowances: Of the whole document.
        xml: The format of the file beside the PDF, None without one.
    """

    number: str
    issued: date
    corrects: str | None
    currency: str
    buyer_reference: str
    purchase_order: str
    order_id: str
    terms: str
    note: str
    payment_due: date | None
    delivered: date | None
    deliver_to: str
    account: Account | None
    seller: Party
    buyer: Party
    lines: tuple[Line, ...]
    allowances: tuple[Allowance, ...]
    taxes: tuple[Breakdown, ...]
    sums: Sums
    xml: XmlFormat | None

    @property
    def means(self) -> str:
        """How to pay (BT-81, UNCL 4461): a SEPA credit transfer, or any other one."""
        return "58" if self.currency == "EUR" else "30"


CHARGE_CODES = {ChargeKind.SHIPPING: "FC", ChargeKind.HANDLING: "HD", ChargeKind.SURCHARGE: ""}
"""Reasons of charges (UNCL 7161): freight and handling. A surcharge has none of its own."""


def e_invoice(
    document: Document,
    order: Order,
    seller: Seller,
    groups: tuple[TaxGroup, ...],
    *,
    issued: date,
    terms: str,
    reasons: Mapping[TaxCategory, str],
    discount: str,
    charges: Mapping[ChargeKind, str],
) -> EInvoice:
    """Returns what the e-invoice of a document says. `fitness.refuse_e_invoice` must have found nothing against it.

    Args:
        document: An invoice or credit note.
        order: Its order, as issued.
        seller: The shop, as issued.
        groups: The taxes of the order.
        issued: The day of issue, in the shop's time zone.
        terms: What it says about paying, if anything.
        reasons: Why there is no tax, by category.
        discount: What a discount is called.
        charges: What the charges are called.
    """
    every = total(groups)
    credited = bool(document.corrects)
    due = order.grand_total if credited else order.due
    return EInvoice(
        number=document.number,
        issued=issued,
        corrects=document.corrects,
        currency=order.currency_code,
        buyer_reference=one_line(order.buyer_reference),
        purchase_order=one_line(order.purchase_order_number),
        order_id=order.order_id,
        terms=terms,
        note=(document.notes or "").strip(),
        payment_due=document.payment_due if due and not credited else None,
        delivered=order.delivered_on,
        deliver_to=order.delivery_country or "",
        account=Account(seller.iban, seller.bic, seller.legal_name) if seller.iban and due and not credited else None,
        seller=_seller(seller, groups, document.xml),
        buyer=_buyer(order.customer_summary, groups, document.xml),
        lines=tuple(_line(n, line, order, discount) for n, line in enumerate(order.order_line_details, 1)),
        allowances=tuple(_allowances(groups, discount, charges)),
        taxes=tuple(_breakdown(group, reasons) for group in groups),
        sums=Sums(
            lines=every.items,
            allowances=every.discount,
            charges=every.net - every.items + every.discount,
            net=every.net,
            tax=every.tax,
            gross=every.net + every.tax,
            paid=order.grand_total - due,
            rounding=order.rounding,
            due=due,
        ),
        xml=document.xml,
    )


def vat_id(text: str | None) -> str:
    """Returns a VAT number without spaces, or "" if it does not begin with a country's code (BR-CO-9)."""
    found = "".join((text or "").split())
    return found if listed(found[:2], COUNTRIES) or found.startswith("EL") else ""


def _seller(seller: Seller, groups: tuple[TaxGroup, ...], xml: XmlFormat | None) -> Party:
    contact = Contact(seller.contact_name, seller.contact_phone, seller.contact_email)
    return Party(
        name=seller.legal_name,
        trading_name=seller.name if seller.name != seller.legal_name else "",
        register_number=seller.register_number,
        vat_id="" if _outside_scope(groups) else vat_id(seller.vat_id),
        tax_number=seller.tax_number,
        address=Address(seller.street, "", seller.city, seller.post_code, "", seller.country),
        contact=contact if any(contact) else None,
        endpoint=_endpoint(seller.peppol_id, seller.contact_email, xml),
    )


def _buyer(customer: CustomerSummary, groups: tuple[TaxGroup, ...], xml: XmlFormat | None) -> Party:
    name, person = buyer_name(customer), person_name(customer)
    country = customer.country
    return Party(
        name=name,
        trading_name="",
        register_number="",
        vat_id="" if _outside_scope(groups) else vat_id(customer.vat_number),
        tax_number="",
        address=Address(
            line_1=one_line(customer.address_line_1),
            line_2=one_line(customer.address_line_2),
            city=one_line(customer.city),
            post_code=one_line(customer.post_code),
            state=state_text(customer),
            country=(country and country.code) or "",
        ),
        contact=Contact(person, "", "") if person and person != name else None,
        endpoint=_endpoint(customer.peppol_id, customer.email, xml),
    )


def _endpoint(peppol_id: str | None, email: str | None, xml: XmlFormat | None) -> tuple[str, str] | None:
    """Returns the electronic address. XRechnung asks for one also where there is no Peppol id."""
    if peppol_id:
        scheme, _, value = peppol_id.partition(":")
        return scheme, value
    return ("EM", email) if email and xml is XmlFormat.XRECHNUNG else None


def _outside_scope(groups: tuple[TaxGroup, ...]) -> bool:
    """Whether the invoice is outside the scope of VAT: then it must not name VAT numbers (BR-O-02)."""
    return any(group.category is TaxCategory.OUTSIDE_SCOPE for group in groups)


def _line(n: int, line: OrderLine, order: Order, discount_name: str) -> Line:
    """Returns a line. A price that includes tax has no exact price without it, so the line's own net amount is it."""
    net = line.total_amount - line.discount
    price, per, discount = line.price, Decimal(1), None
    if order.prices_include_tax:
        net -= line.tax
        price, per = net, line.quantity
    elif line.discount:
        discount = Allowance(False, line.discount, "95", discount_name)
    return Line(
        n=n,
        name=one_line(line.product_name),
        sku=one_line(line.sku),
        quantity=line.quantity,
        unit=line.unit_code or "C62",
        price=price,
        per=per,
        discount=discount,
        net=net,
        tax=_tax(line.category, line.tax_rate),
    )


def _allowances(groups: tuple[TaxGroup, ...], discount: str, names: Mapping[ChargeKind, str]) -> Iterator[Allowance]:
    for group in groups:
        tax = _tax(group.category, group.rate)
        if group.discount:
            yield Allowance(False, group.discount, "95", discount, tax)
        for kind, amount in group.charges:
            yield Allowance(True, amount, CHARGE_CODES[kind], names[kind], tax)


def _breakdown(group: TaxGroup, reasons: Mapping[TaxCategory, str]) -> Breakdown:
    tax = _tax(group.category, group.rate)
    return Breakdown(
        tax, group.net, group.tax, reasons.get(tax.category, ""), VAT_EXEMPTION_CODES.get(tax.category, "")
    )


def _tax(category: TaxCategory | None, rate: Decimal | None) -> Tax:
    if category is None or rate is None:
        raise ValueError("an e-invoice states each tax rate and category")
    return Tax(category, rate)
