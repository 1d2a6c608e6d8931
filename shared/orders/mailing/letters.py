"""What all mails to customers have in common: their headers, their layout, their words and formats."""

import re
import textwrap
from collections.abc import Mapping, Sequence
from datetime import datetime
from email.header import Header
from email.headerregistry import Address, AddressHeader, BaseHeader, HeaderRegistry
from email.message import EmailMessage
from email.policy import SMTP, Policy
from pathlib import Path
from typing import Any, TypedDict
from urllib.parse import quote

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, ModuleLoader, StrictUndefined, select_autoescape

from orders.mailing.addresses import one_line
from orders.mailing.formatting import Formats
from orders.mailing.shop import Shop
from orders.mailing.style import FOLDER, colours, footer
from orders.mailing.words import Words, choose_language
from orders.models import Order
from orders.types import email_problem

LINE_LENGTH = 76
"""The longest line with an encoded word (RFC 2047) or in quoted-printable (RFC 2045)."""


class _FoldedHeader(BaseHeader):
    """A header that `email.header` encodes.

    The newer code of `email.headerregistry` makes encoded words as long as the longest allowed line, encodes long words
    that are plain ASCII, and loses spaces where it splits a name.
    """

    def fold(self, *, policy: Policy) -> str:
        if self.isascii():
            # Between words only: an address or a tag may be longer than a line.
            lines = textwrap.wrap(
                self,
                LINE_LENGTH,
                initial_indent=f"{self.name}: ",
                subsequent_indent=" ",
                break_long_words=False,
                break_on_hyphens=False,
            )
            return "".join(line + policy.linesep for line in lines or (f"{self.name}:",))
        header = Header(header_name=self.name, maxlinelen=LINE_LENGTH)
        for text in _words_to_encode(self):
            header.append(text)
        return f"{self.name}: {header.encode(linesep=policy.linesep)}{policy.linesep}"


def _words_to_encode(header: BaseHeader) -> list[str]:
    """Splits a header's text, so that no part of an address is within an encoded word (RFC 2047, section 5)."""
    if not isinstance(header, AddressHeader):
        return [header]
    return [part for address in header.addresses for part in (address.display_name, f"<{address.addr_spec}>")]


POLICY = SMTP.clone(max_line_length=LINE_LENGTH, header_factory=HeaderRegistry(_FoldedHeader))


def templates(folder: Path) -> Environment:
    """The templates in a function's folder, and `layout.html`, which they extend. The shop's own replace them."""
    environment = Environment(
        # The build compiles them: to do so takes as long as to load Jinja2.
        loader=ChoiceLoader(
            [
                ModuleLoader(folder / "compiled"),
                FileSystemLoader([FOLDER / "templates", folder, Path(__file__).parent / "templates"]),
            ]
        ),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters["lines"] = lambda text: re.split(r"\r\n|\r|\n", text)
    environment.globals.update(colours())
    return environment


def render_bodies(environment: Environment, name: str, words: Words, values: Mapping[str, Any]) -> tuple[str, str]:
    """Renders the templates of a mail: its plain text and its HTML.

    Args:
        environment: The templates.
        name: Their name without suffix.
        words: The words of the mail's language.
        values: The other variables.
    """
    text, html = (environment.get_template(f"{name}.{suffix}") for suffix in ("txt", "html"))
    return text.render(values, **_variables(words)), html.render(values, **_variables(words.for_html()))


def _variables(words: Words) -> dict[str, Any]:
    """Returns what templates know of the language. `start` and `end` are the sides of a line."""
    start, end = ("left", "right") if words.direction == "ltr" else ("right", "left")
    functions = {name: getattr(words, name) for name in ("gettext", "pgettext", "labelled")}
    sides = {"start": start, "end": end}
    return {**functions, **sides, "lang": words.language, "direction": words.direction, "space": words.space}


def letter(
    shop: Shop,
    recipient: str,
    subject: str,
    date: datetime,
    *,
    language: str,
    text: str,
    html: str,
    cc: Sequence[str] = (),
    reply_to: str | None = None,
    logo: bytes | None = None,
) -> EmailMessage:
    """Returns a mail from the shop, as plain text and as HTML.

    Args:
        shop: The sender.
        recipient: The address that it goes to.
        subject: One line.
        date: When it was written. The same arguments always give the same mail.
        language: The language of the text (BCP 47).
        text: The plain text.
        html: The same as HTML.
        cc: Addresses that get a copy.
        reply_to: Address for replies, by default the shop's.
        logo: The PNG image that the HTML shows as `cid:logo`.

    Returns:
        The mail. It is plain ASCII once serialised.
    """
    message = EmailMessage(policy=POLICY)
    message["From"] = Address(one_line(shop.name), addr_spec=shop.sender)
    message["To"] = recipient
    if cc:
        message["Cc"] = ", ".join(cc)
    if replies := reply_to or shop.reply_to:
        message["Reply-To"] = one_line(replies)
    message["Subject"] = one_line(subject)
    message["Date"] = date
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text, cte="quoted-printable")
    message.add_alternative(html, subtype="html", cte="quoted-printable")
    message["Content-Language"] = language
    # Fixed, because the library would choose it at random. It cannot occur in quoted-printable or Base64 text.
    message.set_boundary("=_alternative")
    if logo and (page := message.get_body(("html",))):
        # Within the mail, because mail programs load nothing from the web unless they are told to.
        page.add_related(logo, "image", "png", cid="<logo>", disposition="inline", filename="logo.png")
        page.set_boundary("=_related")
    return message


def formats_for(order: Order, shop: Shop, language: str | None = None) -> Formats:
    """Returns words and formats of a mail or document.

    Args:
        order: Its currency, and the country of its customer.
        shop: Its time zone, and the language if the other one has no catalogue.
        language: The wanted language.
    """
    country = order.customer_summary.country
    language = choose_language(language, shop.language)
    return Formats(language, country.code if country else None, order.currency_code, shop.time_zone)


def web_link(template: str, values: Mapping[str, str]) -> str:
    """Fills values into the URL of a page, or returns "" if it is no page of the web, such as `javascript:`."""
    link = template.strip()
    for name, value in values.items():
        link = link.replace(f"{{{name}}}", quote(value, safe=""))
    return link if re.fullmatch(r"https?://[^\s/]\S*", link, re.IGNORECASE) else ""


def order_page(shop: Shop, order_id: str) -> str:
    """The page where a customer sees an order, or "" if the shop has none."""
    return web_link(shop.order_page, {"order_id": order_id})


class Imprint(TypedDict):
    """What mails and invoices say about the shop: the variable `shop` of `layout.html`.

    `support_link` is where a click on `support_contact` leads, "" if nowhere. `footer` is the shop's own text, line by
    line.
    """

    name: str
    address: list[str]
    tax_id: str
    support_contact: str
    support_link: str
    footer: list[str]


def imprint(shop: Shop, language: str) -> Imprint:
    """Returns the shop's details, each on one line, in a language."""
    return Imprint(
        name=one_line(shop.name),
        address=[one_line(line) for line in shop.address_lines()],
        tax_id=one_line(shop.tax_id),
        support_contact=one_line(shop.support_contact),
        support_link=_support_link(one_line(shop.support_contact)),
        footer=footer(language),
    )


def _support_link(contact: str) -> str:
    if email_problem(contact) is None:
        return f"mailto:{quote(contact, safe='@')}"
    if re.fullmatch(r"\+?[0-9(][0-9 ()./-]{3,}", contact):
        # A zero in brackets is dialled only without the country's number: +44 (0)20 …
        return "tel:" + re.sub(r"[^+0-9]", "", contact.replace("(0)", "") if contact.startswith("+") else contact)
    return web_link(contact, {})
