"""What all mails to customers have in common: their headers, their look, and how they write what is not words."""

import re
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import TypedDict

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, ModuleLoader, StrictUndefined, select_autoescape

from orders.mailing.formatting import Formats
from orders.mailing.shop import Shop
from orders.models import Order

# Lines of quoted-printable may have 76 characters (RFC 2045), two fewer than what the library allows by itself.
POLICY = SMTP.clone(max_line_length=76)


def templates(folder: Path) -> Environment:
    """The templates in a function's folder, and `layout.html`, which they extend."""
    environment = Environment(
        # The build compiles them: to do so takes as long as to load Jinja2.
        loader=ChoiceLoader(
            [ModuleLoader(folder / "compiled"), FileSystemLoader([folder, Path(__file__).parent / "templates"])]
        ),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters["lines"] = lambda text: re.split(r"\r\n|\r|\n", text)
    return environment


def letter(shop: Shop, recipient: str, subject: str, date: datetime, *, text: str, html: str) -> EmailMessage:
    """A mail of the shop's: plain text, and the same as HTML.

    Args:
        shop: Who sends it.
        recipient: The one address that it goes to.
        subject: One line.
        date: When it was written. The same arguments always give the same mail.
        text: What it says.
        html: The same, with a look.

    Returns:
        The mail. It is plain ASCII once serialised.
    """
    message = EmailMessage(policy=POLICY)
    message["From"] = Address(one_line(shop.name), addr_spec=shop.sender)
    message["To"] = recipient
    if shop.reply_to:
        message["Reply-To"] = one_line(shop.reply_to)
    message["Subject"] = subject
    message["Date"] = date
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text, cte="quoted-printable")
    message.add_alternative(html, subtype="html", cte="quoted-printable")
    message["Content-Language"] = "en"
    # Given, because the library draws lots; and no quoted-printable or base64 text has this one in it.
    message.set_boundary("=_alternative")
    return message


def formats_for(order: Order, shop: Shop) -> Formats:
    """How a mail about an order writes what is not words."""
    country = order.customer_summary.country
    return Formats(shop.language, country.code if country else None, order.currency_code, shop.time_zone)


class Imprint(TypedDict):
    """What mails and invoices say about the shop: the variable `shop` of `layout.html`."""

    name: str
    address: list[str]
    tax_id: str
    support_contact: str


def imprint(shop: Shop) -> Imprint:
    """The shop's details, each on one line."""
    return Imprint(
        name=one_line(shop.name),
        address=[one_line(line) for line in shop.address_lines()],
        tax_id=one_line(shop.tax_id),
        support_contact=one_line(shop.support_contact),
    )


def one_line(text: str | None) -> str:
    """Text without line ends, so that in a header or in plain text nobody can make up a line of their own."""
    return " ".join((text or "").split())
