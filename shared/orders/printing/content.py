"""What an invoice says: computed and formatted here, once. The mail (`mail.py`) and the PDF (`pdf.py`) only print it.

Pure functions of their arguments: the same invoice always has the same content. Words, amounts and dates are in the
language of the document, formatted for the customer's country.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import TypedDict

from orders.e_invoice.semantic import EInvoice, e_invoice
from orders.invoices import Document, Mailing, Seller
from orders.mailing.addresses import customer_lines, one_line
from orders.mailing.formatting import Formats
from orders.mailing.letters import Imprint, formats_for, imprint, order_page, web_link
from orders.mailing.shop import Shop
from orders.mailing.statuses import payment_text
from orders.mailing.words import Words
from orders.models import Order
from orders.printing.rows import (
    Item,
    Row,
    TaxRow,
    amount_note,
    balance_rows,
    bank_rows,
    details,
    included_rows,
    item,
    row,
    seller_lines,
    tax_rows,
    total_rows,
)
from orders.printing.words import LETTER, SETTLED, TAX_INVOICE, charge_names, legal_notes
from orders.tax import tax_groups
from orders.terms import TaxCategory


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
        words: The words of its language.
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

    words: Words
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
    words = formats.words
    _ = words.gettext
    settled = bool(corrects) or invoice.payment_status in SETTLED
    seller = (isinstance(invoice, Document) and invoice.seller) or shop.seller()
    groups = tax_groups(order)
    categories = dict.fromkeys(group.category for group in groups if group.category)
    notes = legal_notes(words)
    reasons = {category: notes[category] for category in categories if category in notes}
    rates_stated = any(group.rate is not None for group in groups)
    country = order.customer_summary.country
    headline, pay = row(_("Amount credited") if corrects else _("Total"), formats.money(order.grand_total)), None
    if order.due > 0 and not settled:
        headline = row(_("Amount due"), formats.money(order.due))
        pay = Payment(
            amount=formats.money(order.due),
            due=formats.day(invoice.payment_due) if invoice.payment_due else "",
            link=_payment_link(shop.payment_link, invoice, order, formats),
            ways=[one_line(way) for way in invoice.payment_method_options],
            bank=bank_rows(seller, invoice.number, words),
        )
    own = {"number": invoice.number, "order": order.order_id, "shop": one_line(shop.name)}
    return Content(
        words=words,
        number=invoice.number,
        order_id=order.order_id,
        title=_title(seller, words, corrects=bool(corrects)),
        corrects=corrects or "",
        credit_note=(isinstance(invoice, Mailing) and invoice.credit_note) or "",
        issued=invoice.issued,
        date=formats.date(invoice.issued),
        subject=_("Invoice %(number)s for your order %(order)s at %(shop)s", **own),
        currency=order.currency_code,
        status=words.pgettext("payment status", "Credited")
        if corrects
        else payment_text(invoice.payment_status, words),
        settled=settled,
        headline=headline,
        pay=pay,
        details=details(invoice, order, formats),
        notes=_lines(invoice.notes or ""),
        seller=seller_lines(seller, words),
        customer=customer_lines(order.customer_summary, formats, seller.country),
        items=[item(line, formats, gross=order.prices_include_tax) for line in order.order_line_details],
        carried=[formats.money(total) for total in accumulate(line.total_amount for line in order.order_line_details)],
        totals=total_rows(order, formats, rates_stated=rates_stated),
        grand_total=row(_("Grand total"), formats.money(order.grand_total)),
        taxes=tax_rows(groups, formats) if rates_stated else [],
        legal_notes=list(dict.fromkeys((*reasons.values(), *_lines(order.tax_exemption_reason or "")))),
        included=included_rows(order, formats),
        balance=[] if corrects else balance_rows(order, formats, settled=settled),
        paper="us-letter" if country and country.code in LETTER else "a4",
        tax_note=amount_note(order, words),
        order_page=order_page(shop, order.order_id),
        shop=imprint(shop, words.language),
        e_invoice=e_invoice(
            invoice,
            order,
            seller,
            groups,
            issued=formats.local_day(invoice.issued),
            terms=f"{_('Cancels')} {corrects}" if corrects else "",
            reasons=reasons | {TaxCategory.EXEMPT: one_line(order.tax_exemption_reason)},
            discount=_("Discount"),
            charges=charge_names(words),
        )
        if isinstance(invoice, Document) and invoice.e_invoice
        else None,
    )


def _title(seller: Seller, words: Words, *, corrects: bool) -> str:
    if corrects:
        return words.gettext("Credit note")
    return words.gettext("Tax invoice") if seller.country in TAX_INVOICE else words.gettext("Invoice")


def _lines(text: str) -> list[str]:
    text = text.strip("\r\n")
    return re.split(r"\r\n|\r|\n", text) if text else []


def _payment_link(template: str, invoice: Document | Mailing, order: Order, formats: Formats) -> str:
    """Returns where to pay what is due, or "" without such a page."""
    values = {
        "order_id": order.order_id,
        "invoice": invoice.number,
        "amount": formats.plain_amount(order.due),
        "currency": order.currency_code,
    }
    return web_link(template, values)
