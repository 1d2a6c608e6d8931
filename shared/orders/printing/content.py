"""What an invoice says: computed and formatted here, once. The mail (`mail.py`) and the PDF (`pdf.py`) only print it.

Pure functions of their arguments: the same invoice always has the same content. The words are English; amounts and
dates follow the shop's language and the customer's country.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import accumulate
from typing import TypedDict

from orders.e_invoice.semantic import EInvoice, e_invoice
from orders.invoices import Document, Mailing, Seller
from orders.mailing.addresses import customer_lines, one_line
from orders.mailing.formatting import Formats
from orders.mailing.letters import Imprint, formats_for, imprint, order_page, web_link
from orders.mailing.shop import Shop
from orders.models import Order, OrderLine
from orders.printing.words import CATEGORIES, LETTER, NOTES, SETTLED, STATUS, TAX_INVOICE, UNITS
from orders.tax import TaxGroup, tax_groups, total
from orders.terms import TaxCategory

_ZERO = Decimal(0)


class Row(TypedDict):
    """An amount and what it is."""

    label: str
    amount: str


class TaxRow(TypedDict):
    """The amounts with one tax rate, or of all rates. `parts` make up the net amount, if it is not only items."""

    label: str
    parts: list[Row]
    net: str
    tax: str


class Item(TypedDict):
    """One line of the order. `extras` are its discount, rate and tax, where it has them. `unit` is "" for pieces."""

    name: str
    sku: str
    quantity: str
    unit: str
    price: str
    total: str
    extras: list[Row]


class Payment(TypedDict):
    """How to pay what is due. `link` is empty where the shop has no page to pay on, `bank` without a bank account."""

    amount: str
    due: str
    link: str
    ways: list[str]
    bank: list[Row]


@dataclass(frozen=True, slots=True)
class Content:
    """Everything a document says, as text ready to print: nothing is left to compute or to format.

    Attributes:
        title: What kind of document it is.
        number: Its number.
        corrects: The number of the invoice that a credit note cancels, "" for an invoice.
        credit_note: The number of the credit note that the mail brings as well, "" without one.
        issued: When it was issued, in UTC: the date of the file.
        date: The same, as the customer reads it.
        subject: The mail's usual subject.
        settled: True when the status alone says that nothing is left to pay.
        headline: What is due, else the total.
        pay: How to pay; None when the invoice asks for no money.
        details: The dates and references of the document.
        notes: What the shop adds, line by line.
        seller: The shop's legal name and address and its ids, line by line.
        customer: Name and address, line by line.
        carried: What the lines come to so far, after each of them.
        taxes: The amounts by tax rate, if rates are stated, and their sums, if there are several.
        legal_notes: Why there is no tax, where the law asks to say so.
        included: The taxes that the grand total contains, if prices include tax.
        balance: What is paid and what is left.
        tax_note: What prices and amounts contain.
        paper: Typst's name of the paper that the customer's country prints on.
        order_page: Where the customer sees the order, "" if nowhere.
        e_invoice: The same for software; None if the document is no e-invoice, and for a mail.
    """

    title: str
    number: str
    corrects: str
    credit_note: str
    order_id: str
    issued: datetime
    date: str
    subject: str
    currency: str
    status: str
    settled: bool
    headline: Row
    pay: Payment | None
    details: list[Row]
    notes: list[str]
    seller: list[str]
    customer: list[str]
    items: list[Item]
    carried: list[str]
    totals: list[Row]
    grand_total: Row
    taxes: list[TaxRow]
    legal_notes: list[str]
    included: list[Row]
    balance: list[Row]
    tax_note: str
    paper: str
    order_page: str
    shop: Imprint
    e_invoice: EInvoice | None


def invoice_content(invoice: Document | Mailing, order: Order, shop: Shop) -> Content:
    """Computes what a document says, or the mail that brings an invoice.

    Args:
        invoice: Its number and date, the payment status, the ways to pay, the notes: those of the document, or those
            of a later mailing.
        order: What was ordered, at which prices, and what was paid.
        shop: The seller.
    """
    corrects = invoice.corrects if isinstance(invoice, Document) else None
    formats = formats_for(order, shop, invoice.language)
    settled = bool(corrects) or invoice.payment_status in SETTLED
    charged = {
        "Tax": order.total_tax,
        "Shipping tax": order.shipping_tax,
        "Handling tax": order.handling_tax or _ZERO,
        "Surcharge tax": order.surcharge_tax or _ZERO,
    }
    added = dict.fromkeys(charged, _ZERO) if order.prices_include_tax else charged
    seller = (isinstance(invoice, Document) and invoice.seller) or shop.seller()
    groups = tax_groups(order)
    categories = dict.fromkeys(group.category for group in groups if group.category)
    reasons = {category: NOTES[category] for category in categories if category in NOTES}
    rates_stated = any(group.rate is not None for group in groups)
    country = order.customer_summary.country
    headline, pay = _row("Amount credited" if corrects else "Total", formats.money(order.grand_total)), None
    if order.due > 0 and not settled:
        headline = _row("Amount due", formats.money(order.due))
        pay = Payment(
            amount=formats.money(order.due),
            due=formats.day(invoice.payment_due) if invoice.payment_due else "",
            link=_payment_link(shop.payment_link, invoice, order, formats),
            ways=[one_line(way) for way in invoice.payment_method_options],
            bank=_bank(seller, invoice.number),
        )
    return Content(
        number=invoice.number,
        order_id=order.order_id,
        title="Credit note" if corrects else "Tax invoice" if seller.country in TAX_INVOICE else "Invoice",
        corrects=corrects or "",
        credit_note=(isinstance(invoice, Mailing) and invoice.credit_note) or "",
        issued=invoice.issued,
        date=formats.date(invoice.issued),
        subject=f"Invoice {invoice.number} for your order {order.order_id} at {one_line(shop.name)}",
        currency=order.currency_code,
        status="Credited" if corrects else STATUS[invoice.payment_status],
        settled=settled,
        headline=headline,
        pay=pay,
        details=_details(invoice, order, formats),
        notes=_lines(invoice.notes or ""),
        seller=_seller_lines(seller),
        customer=customer_lines(order.customer_summary, formats, seller.country),
        items=[
            Item(
                name=one_line(line.product_name),
                sku=one_line(line.sku),
                quantity=formats.quantity(line.quantity),
                unit="" if line.unit_code is None else UNITS.get(line.unit_code, line.unit_code),
                price=formats.money(line.price),
                total=formats.money(line.total_amount),
                extras=_extras(line, order.prices_include_tax, formats),
            )
            for line in order.order_line_details
        ],
        carried=[formats.money(total) for total in accumulate(line.total_amount for line in order.order_line_details)],
        totals=[
            _row("Subtotal", formats.money(order.sub_total)),
            *_rows(
                {
                    "Discount": -order.total_discount,
                    "Tax": added["Tax"],
                    "Shipping": order.shipping_cost,
                    "Shipping tax": added["Shipping tax"],
                    "Handling": order.handling_cost,
                    "Handling tax": added["Handling tax"],
                    "Surcharge": order.total_surcharge,
                    "Surcharge tax": added["Surcharge tax"],
                    "Before rounding": order.grand_total - order.rounding if order.rounding and rates_stated else _ZERO,
                    "Rounding": order.rounding,
                },
                formats,
            ),
        ],
        grand_total=_row("Grand total", formats.money(order.grand_total)),
        taxes=_taxes(groups, formats) if rates_stated else [],
        legal_notes=list(dict.fromkeys((*reasons.values(), *_lines(order.tax_exemption_reason or "")))),
        included=_rows(
            {f"Includes {name.lower()}": tax for name, tax in charged.items() if order.prices_include_tax}, formats
        ),
        balance=[] if corrects else _balance(order, settled, formats),
        paper="us-letter" if country and country.code in LETTER else "a4",
        tax_note=_amount_note(order),
        order_page=order_page(shop, order.order_id),
        shop=imprint(shop),
        e_invoice=e_invoice(
            invoice,
            order,
            seller,
            groups,
            issued=formats.local_day(invoice.issued),
            terms=f"Cancels {corrects}" if corrects else "",
            reasons=reasons | {TaxCategory.EXEMPT: one_line(order.tax_exemption_reason)},
        )
        if isinstance(invoice, Document) and invoice.e_invoice
        else None,
    )


def _details(invoice: Document | Mailing, order: Order, formats: Formats) -> list[Row]:
    """Dates and references. Those that are not set are left out."""
    due = invoice.payment_due if order.due > 0 else None
    corrects = invoice.corrects if isinstance(invoice, Document) else None
    rows = {
        "Credit note" if corrects else "Invoice": invoice.number,
        "Cancels": corrects or "",
        "Date": formats.date(invoice.issued),
        "Date of supply": formats.day(order.delivered_on) if order.delivered_on else "",
        "Delivered to": formats.country(order.delivery_country) if order.delivery_country else "",
        "Payment due": formats.day(due) if due else "",
        "Order": order.order_id,
        "Order date": formats.date(order.created),
        "Purchase order": one_line(order.purchase_order_number),
        "Your reference": one_line(order.buyer_reference),
        "Your VAT number": one_line(order.customer_summary.vat_number),
        "Currency": order.currency_code,
    }
    return [_row(label, text) for label, text in rows.items() if text]


def _seller_lines(seller: Seller) -> list[str]:
    """The shop's legal name and address, and its ids with what they are."""
    lines = (
        seller.legal_name,
        *seller.address,
        seller.vat_id and f"VAT ID {seller.vat_id}",
        seller.tax_number and f"Tax number {seller.tax_number}",
        seller.register_number and f"Registration {seller.register_number}",
        seller.tax_id,
        ", ".join(filter(None, (seller.contact_name, seller.contact_phone))),
        seller.contact_email,
    )
    return [line for line in map(one_line, lines) if line]


def _amount_note(order: Order) -> str:
    """Says what the amount of a line is, where that is not plain: with gross prices, discounts or taxes."""
    after = [
        *(["discount"] if any(line.discount for line in order.order_line_details) else []),
        *(["tax"] if not order.prices_include_tax and any(line.tax for line in order.order_line_details) else []),
    ]
    amounts = f"Amounts are quantity × price, before {' and '.join(after)}." if after else ""
    return " ".join(filter(None, ("Prices include tax." if order.prices_include_tax else "", amounts)))


def _bank(seller: Seller, number: str) -> list[Row]:
    """The account to pay to, and the reference to give."""
    if not seller.iban:
        return []
    rows = {
        "Account holder": one_line(seller.legal_name or seller.name),
        "IBAN": " ".join(re.findall(".{1,4}", seller.iban)),
        "BIC": seller.bic,
        "Reference": number,
    }
    return [_row(label, text) for label, text in rows.items() if text]


def _extras(line: OrderLine, gross: bool, formats: Formats) -> list[Row]:
    """The discount, rate and tax of a line, its amount after the discount, and that without a tax that it includes."""
    rows, left = _rows({"Discount": -line.discount}, formats), line.total_amount - line.discount
    if line.tax_rate is not None:
        if line.discount:
            rows.append(_row("After discount", formats.money(left)))
        rows.append(_row("Tax rate", formats.percent(line.tax_rate)))
    rows += _rows({"Incl. tax" if gross else "Tax": line.tax}, formats)
    if gross and line.tax and line.tax_rate is not None:
        rows.append(_row("Without tax", formats.money(left - line.tax)))
    return rows


def _tax_label(group: TaxGroup, formats: Formats) -> str:
    if group.rate is None:
        return "Rate not stated"
    kind = CATEGORIES.get(group.category) if group.category else None
    return f"{formats.percent(group.rate)} {kind}" if kind else formats.percent(group.rate)


def _taxes(groups: tuple[TaxGroup, ...], formats: Formats) -> list[TaxRow]:
    """Returns the amounts by tax rate, and their sums if there are several."""
    every = total(groups)
    labelled = [(_tax_label(group, formats), group) for group in groups]
    if len(groups) > 1:
        labelled.append(("Total", every))
    return [
        TaxRow(
            label=label,
            parts=_parts(group, every, formats) if every.discount or every.charges else [],
            net=formats.money(group.net),
            tax=formats.money(group.tax),
        )
        for label, group in labelled
    ]


def _parts(group: TaxGroup, every: TaxGroup, formats: Formats) -> list[Row]:
    """Returns what makes up a taxable amount: the same rows for each group, those that `every` has."""
    charges = dict(group.charges)
    amounts = {"Items": group.items, **({"Discount": -group.discount} if every.discount else {})}
    amounts |= {kind.value: charges.get(kind, _ZERO) for kind, _ in every.charges}
    if len(every.charges) > 1:
        amounts["Charges"] = sum(charges.values(), _ZERO)
    return [_row(label, formats.money(amount)) for label, amount in amounts.items()]


def _lines(text: str) -> list[str]:
    text = text.strip("\r\n")
    return re.split(r"\r\n|\r|\n", text) if text else []


def _balance(order: Order, settled: bool, formats: Formats) -> list[Row]:
    """What is paid and what is left. Nothing where the figures have not caught up with a status that says settled."""
    if order.due > 0 and settled:
        return []
    overpaid = order.paid - order.refunded - order.grand_total
    last = {"Overpaid": overpaid} if overpaid > 0 else {"Amount due": order.due}
    return [
        _row("Paid", formats.money(order.paid)),
        *_rows({"Refunded": order.refunded}, formats),
        *(_row(label, formats.money(amount)) for label, amount in last.items()),
    ]


def _payment_link(template: str, invoice: Document | Mailing, order: Order, formats: Formats) -> str:
    """Where to pay what is due, or "" without such a page."""
    values = {
        "order_id": order.order_id,
        "invoice": invoice.number,
        "amount": formats.plain_amount(order.due),
        "currency": order.currency_code,
    }
    return web_link(template, values)


def _rows(amounts: Mapping[str, Decimal], formats: Formats) -> list[Row]:
    return [_row(label, formats.money(amount)) for label, amount in amounts.items() if amount]


def _row(label: str, amount: str) -> Row:
    return Row(label=label, amount=amount)


def _joined(separator: str, *parts: str | None) -> str:
    return separator.join(filter(None, map(one_line, parts)))
