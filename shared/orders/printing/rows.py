"""The rows of an invoice: labels and amounts, as text ready to print."""

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import TypedDict

from orders.invoices import Document, Mailing, Seller
from orders.mailing.addresses import one_line
from orders.mailing.formatting import Formats
from orders.mailing.words import Words
from orders.models import Order, OrderLine
from orders.printing.words import charge_names, quantity_text, rate_text
from orders.tax import TaxGroup, total

_ZERO = Decimal(0)


class Row(TypedDict):
    """An amount and what it is."""

    label: str
    amount: str


class Extra(Row):
    """An amount that only some lines have. `key` is the same in all languages."""

    key: str


class TaxRow(TypedDict):
    """The amounts with one tax rate, or of all rates. `parts` make up the net amount, if it is not only items."""

    label: str
    parts: list[Row]
    net: str
    tax: str


class Item(TypedDict):
    """One line of the order. `extras` are its discount, rate and tax, where it has them."""

    name: str
    sku: str
    quantity: str
    price: str
    total: str
    extras: list[Extra]


def row(label: str, amount: str) -> Row:
    """Returns a row."""
    return Row(label=label, amount=amount)


def filled(rows: Iterable[tuple[str, str]]) -> list[Row]:
    """Returns rows without those that are empty."""
    return [row(label, text) for label, text in rows if text]


def amounts(rows: Iterable[tuple[str, Decimal]], formats: Formats) -> list[Row]:
    """Returns rows of amounts without those that are 0."""
    return [row(label, formats.money(amount)) for label, amount in rows if amount]


def details(invoice: Document | Mailing, order: Order, formats: Formats) -> list[Row]:
    """Returns dates and references. Those that are not set are left out."""
    due = invoice.payment_due if order.due > 0 else None
    corrects = invoice.corrects if isinstance(invoice, Document) else None
    _ = formats.words.gettext
    return filled(
        (
            (_("Credit note") if corrects else _("Invoice"), invoice.number),
            (_("Cancels"), corrects or ""),
            (_("Date"), formats.date(invoice.issued)),
            (_("Date of supply"), formats.day(order.delivered_on) if order.delivered_on else ""),
            (_("Delivered to"), formats.country(order.delivery_country) if order.delivery_country else ""),
            (_("Payment due"), formats.day(due) if due else ""),
            (_("Order"), order.order_id),
            (_("Order date"), formats.date(order.created)),
            (_("Purchase order"), one_line(order.purchase_order_number)),
            (_("Your reference"), one_line(order.buyer_reference)),
            (_("Your VAT number"), one_line(order.customer_summary.vat_number)),
            (_("Currency"), order.currency_code),
        )
    )


def seller_lines(seller: Seller, words: Words) -> list[str]:
    """Returns the shop's legal name and address, and its ids with what they are."""
    _ = words.gettext
    lines = (
        seller.legal_name,
        *seller.address,
        seller.vat_id and _("VAT ID %(id)s", id=seller.vat_id),
        seller.tax_number and _("Tax number %(number)s", number=seller.tax_number),
        seller.register_number and _("Registration %(number)s", number=seller.register_number),
        seller.tax_id,
        ", ".join(filter(None, (seller.contact_name, seller.contact_phone))),
        seller.contact_email,
    )
    return [line for line in map(one_line, lines) if line]


def bank_rows(seller: Seller, number: str, words: Words) -> list[Row]:
    """Returns the account to pay to, and the reference to give."""
    if not seller.iban:
        return []
    return filled(
        (
            (words.gettext("Account holder"), one_line(seller.legal_name or seller.name)),
            ("IBAN", " ".join(re.findall(".{1,4}", seller.iban))),
            ("BIC", seller.bic),
            (words.gettext("Reference"), number),
        )
    )


def item(line: OrderLine, formats: Formats, *, gross: bool) -> Item:
    """Returns a line of the order. `gross` tells whether its price includes tax."""
    return Item(
        name=one_line(line.product_name),
        sku=one_line(line.sku),
        quantity=quantity_text(line.quantity, line.unit_code, formats),
        price=formats.money(line.price),
        total=formats.money(line.total_amount),
        extras=_extras(line, formats, gross=gross),
    )


def _extras(line: OrderLine, formats: Formats, *, gross: bool) -> list[Extra]:
    """Returns the discount, rate and tax of a line, its amount after the discount, and that without an included tax."""
    _, rate, left = formats.words.gettext, line.tax_rate, line.total_amount - line.discount
    rows = (
        ("discount", _("Discount"), formats.money(-line.discount) if line.discount else ""),
        ("left", _("After discount"), formats.money(left) if line.discount and rate is not None else ""),
        ("rate", _("Tax rate"), "" if rate is None else formats.percent(rate)),
        ("tax", _("Incl. tax") if gross else _("Tax"), formats.money(line.tax) if line.tax else ""),
        ("net", _("Without tax"), formats.money(left - line.tax) if gross and line.tax and rate is not None else ""),
    )
    return [Extra(key=key, label=label, amount=text) for key, label, text in rows if text]


def tax_rows(groups: tuple[TaxGroup, ...], formats: Formats) -> list[TaxRow]:
    """Returns the amounts by tax rate, and their sums if there are several."""
    every = total(groups)
    labelled = [(rate_text(group, formats), group) for group in groups]
    if len(groups) > 1:
        labelled.append((formats.words.gettext("Total"), every))
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
    charges, names, _ = dict(group.charges), charge_names(formats.words), formats.words.gettext
    rows = [(_("Items"), group.items)]
    if every.discount:
        rows.append((_("Discount"), -group.discount))
    rows += [(names[kind], charges.get(kind, _ZERO)) for kind, _amount in every.charges]
    if len(every.charges) > 1:
        rows.append((_("Charges"), sum(charges.values(), _ZERO)))
    return [row(label, formats.money(amount)) for label, amount in rows]


def total_rows(order: Order, formats: Formats, *, rates_stated: bool) -> list[Row]:
    """Returns what makes up the grand total."""
    _, names = formats.words.gettext, charge_names(formats.words)
    shipping, handling, surcharge = names.values()
    added = not order.prices_include_tax
    rows = (
        (_("Discount"), -order.total_discount),
        (_("Tax"), order.total_tax if added else _ZERO),
        (shipping, order.shipping_cost),
        (_("Shipping tax"), order.shipping_tax if added else _ZERO),
        (handling, order.handling_cost),
        (_("Handling tax"), (order.handling_tax or _ZERO) if added else _ZERO),
        (surcharge, order.total_surcharge),
        (_("Surcharge tax"), (order.surcharge_tax or _ZERO) if added else _ZERO),
        (_("Before rounding"), order.grand_total - order.rounding if order.rounding and rates_stated else _ZERO),
        (_("Rounding"), order.rounding),
    )
    return [row(_("Subtotal"), formats.money(order.sub_total)), *amounts(rows, formats)]


def included_rows(order: Order, formats: Formats) -> list[Row]:
    """Returns the taxes that the grand total contains, if prices include tax."""
    _ = formats.words.gettext
    rows = (
        (_("Includes tax"), order.total_tax),
        (_("Includes shipping tax"), order.shipping_tax),
        (_("Includes handling tax"), order.handling_tax or _ZERO),
        (_("Includes surcharge tax"), order.surcharge_tax or _ZERO),
    )
    return amounts(rows, formats) if order.prices_include_tax else []


def balance_rows(order: Order, formats: Formats, *, settled: bool) -> list[Row]:
    """Returns what is paid and left. Nothing if the figures have not caught up with a status that says settled."""
    if order.due > 0 and settled:
        return []
    _ = formats.words.gettext
    overpaid = order.paid - order.refunded - order.grand_total
    last = (_("Overpaid"), overpaid) if overpaid > 0 else (_("Amount due"), order.due)
    return [
        row(_("Paid"), formats.money(order.paid)),
        *amounts([(_("Refunded"), order.refunded)], formats),
        row(last[0], formats.money(last[1])),
    ]


def amount_note(order: Order, words: Words) -> str:
    """Says what the amount of a line is, where that is not plain: with gross prices, discounts or taxes."""
    _, gross = words.gettext, order.prices_include_tax
    discounts = any(line.discount for line in order.order_line_details)
    taxes = not gross and any(line.tax for line in order.order_line_details)
    if discounts and taxes:
        meaning = _("Amounts are quantity × price, before discount and tax.")
    elif discounts:
        meaning = _("Amounts are quantity × price, before discount.")
    elif taxes:
        meaning = _("Amounts are quantity × price, before tax.")
    else:
        meaning = ""
    return words.space.join(filter(None, (_("Prices include tax.") if gross else "", meaning)))
