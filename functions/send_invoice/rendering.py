"""What an invoice says, and the mail that says it.

Pure functions of their arguments: the same invoice always gives the same mail. The words are English; amounts and
dates follow the shop's language and the customer's country.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, ModuleLoader, StrictUndefined, select_autoescape

from orders.models import Country, CustomerSummary, Invoice, Order, PaymentStatus, State
from send_invoice.formatting import Formats
from send_invoice.shop import Shop

STATUS = {
    PaymentStatus.UNPAID: "Unpaid",
    PaymentStatus.PENDING: "Payment pending",
    PaymentStatus.PARTIAL: "Partly paid",
    PaymentStatus.PAID: "Paid",
    PaymentStatus.REFUNDED: "Refunded",
}
SETTLED = frozenset({PaymentStatus.PAID, PaymentStatus.REFUNDED})
"""Whoever reads one of these is not asked for money, whatever the figures say."""

_WEB_PAGE = re.compile(r"https?://[^\s/]\S*", re.IGNORECASE)

# Lines of quoted-printable may have 76 characters (RFC 2045), two fewer than what the library allows by itself.
POLICY = SMTP.clone(max_line_length=76)

TEMPLATES = Path(__file__).parent / "templates"

_templates = Environment(
    # The build compiles them: to do so takes as long as to load Jinja2.
    loader=ChoiceLoader([ModuleLoader(TEMPLATES / "compiled"), FileSystemLoader(TEMPLATES)]),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_templates.filters["lines"] = lambda text: re.split(r"\r\n|\r|\n", text)
_html = _templates.get_template("invoice.html")
_text = _templates.get_template("invoice.txt")


def render(invoice: Invoice, order: Order, shop: Shop) -> EmailMessage:
    """Writes the mail that brings an invoice: plain text, and the same as HTML.

    Args:
        invoice: What this mailing shows: its number and date, the payment status, the ways to pay, the notes.
        order: What was ordered, at which prices.
        shop: Who sends it.

    Returns:
        The mail, to the invoice's recipient alone. It is plain ASCII once serialised.
    """
    printed = contents(invoice, order, shop)
    shop_name = printed["shop"]["name"]
    message = EmailMessage(policy=POLICY)
    message["From"] = Address(shop_name, addr_spec=shop.sender)
    message["To"] = invoice.recipient
    if shop.reply_to:
        message["Reply-To"] = _one_line(shop.reply_to)
    message["Subject"] = f"Invoice {invoice.number} for your order {order.order_id} at {shop_name}"
    message["Date"] = invoice.started
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_text.render(printed), cte="quoted-printable")
    message.add_alternative(_html.render(printed), subtype="html", cte="quoted-printable")
    message["Content-Language"] = "en"
    # Given, because the library draws lots; and no quoted-printable or base64 text has this one in it.
    message.set_boundary("=_alternative")
    return message


def formats_for(order: Order, shop: Shop) -> Formats:
    """How an order's invoice writes what is not words."""
    country = order.customer_summary.country
    return Formats(shop.language, country.code if country else None, order.currency_code)


def contents(invoice: Invoice, order: Order, shop: Shop) -> dict[str, Any]:
    """Everything an invoice says, as text ready to print in any form: nothing is left to compute or to format.

    Returns:
        Text, and lists and dictionaries of text. `pay` is None when the invoice asks for no money.
    """
    formats = formats_for(order, shop)
    settled = invoice.payment_status in SETTLED
    headline, pay = _row("Total", formats.money(order.grand_total)), None
    if order.due > 0 and not settled:
        headline = _row("Amount due", formats.money(order.due))
        pay = {
            "amount": formats.money(order.due),
            "link": _payment_link(shop.payment_link, invoice, order, formats),
            "ways": [_one_line(way) for way in invoice.payment_method_options],
        }
    return {
        "number": invoice.number,
        "order_id": order.order_id,
        "date": formats.date(invoice.started),
        "currency": order.currency_code,
        "status": STATUS[invoice.payment_status],
        "settled": settled,
        "headline": headline,
        "pay": pay,
        "notes": (invoice.notes or "").strip("\r\n"),
        "customer": _customer_lines(order.customer_summary, formats),
        "items": [
            {
                "name": _one_line(line.product_name),
                "sku": _one_line(line.sku),
                "quantity": formats.quantity(line.quantity),
                "price": formats.money(line.price),
                "total": formats.money(line.total_amount),
                "extras": _rows({"Discount": -line.discount, "Tax": line.tax}, formats),
            }
            for line in order.order_line_details
        ],
        "totals": [
            _row("Subtotal", formats.money(order.sub_total)),
            *_rows(
                {
                    "Discount": -order.total_discount,
                    "Tax": order.total_tax,
                    "Shipping": order.shipping_cost,
                    "Shipping tax": order.shipping_tax,
                    "Handling": order.handling_cost,
                    "Surcharge": order.total_surcharge,
                },
                formats,
            ),
        ],
        "grand_total": _row("Grand total", formats.money(order.grand_total)),
        "balance": _balance(order, settled, formats),
        "shop": {
            "name": _one_line(shop.name),
            "address": [_one_line(line) for line in shop.address_lines()],
            "tax_id": _one_line(shop.tax_id),
            "support_contact": _one_line(shop.support_contact),
        },
    }


def _balance(order: Order, settled: bool, formats: Formats) -> list[dict[str, str]]:
    """What is paid and what is left. Nothing where the figures have not caught up with a status that says settled."""
    if order.due > 0 and settled:
        return []
    label = "Overpaid" if order.due < 0 else "Amount due"
    return [_row("Paid", formats.money(order.paid)), _row(label, formats.money(abs(order.due)))]


def _customer_lines(customer: CustomerSummary, formats: Formats) -> list[str]:
    """Name, company and address, as on an envelope."""
    state, country = customer.state or State(), customer.country or Country()
    place: tuple[str | None, ...]
    match country.code:
        case "AU" | "CA" | "US":
            place = (_joined(", ", customer.city, _joined(" ", state.code or state.name, customer.post_code)),)
        case "GB" | "IE" | "NZ":
            place = (customer.city, customer.post_code)
        case _:
            place = (_joined(" ", customer.post_code, customer.city), state.name or state.code)
    lines = (
        _joined(" ", customer.first_name, customer.last_name),
        customer.company_name,
        customer.address_line_1,
        customer.address_line_2,
        *place,
        country.name or (formats.country(country.code) if country.code else None),
    )
    return [line for line in map(_one_line, lines) if line]


def _payment_link(template: str, invoice: Invoice, order: Order, formats: Formats) -> str:
    """Where to pay what is due, or "" without such a page. Only the web: no `javascript:` and the like."""
    link = template.strip()
    values = {
        "order_id": order.order_id,
        "invoice": invoice.number,
        "amount": formats.plain_amount(order.due),
        "currency": order.currency_code,
    }
    for name, value in values.items():
        link = link.replace(f"{{{name}}}", quote(value, safe=""))
    return link if _WEB_PAGE.fullmatch(link) else ""


def _rows(amounts: Mapping[str, Decimal], formats: Formats) -> list[dict[str, str]]:
    return [_row(label, formats.money(amount)) for label, amount in amounts.items() if amount]


def _row(label: str, amount: str) -> dict[str, str]:
    return {"label": label, "amount": amount}


def _joined(separator: str, *parts: str | None) -> str:
    return separator.join(filter(None, map(_one_line, parts)))


def _one_line(text: str | None) -> str:
    """Text without line ends, so that in a header or in plain text nobody can make up a line of their own."""
    return " ".join((text or "").split())
