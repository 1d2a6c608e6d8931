"""Helpers to build orders and to read mails as their recipients see them."""

import email
from datetime import UTC, datetime
from decimal import Decimal
from email.message import EmailMessage
from email.policy import SMTP, default
from html.parser import HTMLParser
from typing import Any

from hypothesis import strategies as st

from orders.mailing.shop import Shop
from orders.models import CustomerSummary, Order, OrderLine

SHOP = Shop(
    name="Bluebell Books",
    sender="invoices@bluebell.example",
    reply_to="hello@bluebell.example",
    address="12 Harbour Lane, Bristol BS1 4ND, United Kingdom",
    tax_id="VAT GB123456789",
    support_contact="+44 117 496 0123",
    payment_link="https://pay.example/{order_id}?invoice={invoice}&amount={amount}&currency={currency}",
)
ALICE = {
    "first_name": "Alice",
    "last_name": "Martin",
    "company_name": "Martin & Söhne",
    "address_line_1": "Lindenstraße 14",
    "post_code": "10969",
    "city": "Berlin",
    "country": {"name": "Germany", "code": "DE"},
}
NASTY = (
    "<script>alert(1)</script>",
    "</td></table><h1>Paid",
    "{{7*7}} {% raw %} {# #}",
    "&lt;b&gt; &amp;copy; &#65;",
    "\" onclick='x' style=\"",
    "=cmd|' /C calc'!A0",
    "%(x)s {0} {name} ${x}",
    "\N{RIGHT-TO-LEFT OVERRIDE}desrever",
    "Ünïcödé 👩‍👩‍👧 café",
    "كتاب الطبخ",
    "北京故事集",
    "]]> --> <!-- <![CDATA[",
    "two  spaces\tand a tab",
    "Bcc: eve@evil.example",
)


def a_line(name: str = "Mug", quantity: str = "1", price: str = "10", **more: Any) -> OrderLine:
    amounts = {field: Decimal(more.pop(field, "0")) for field in ("tax", "discount")}
    total = Decimal(quantity) * Decimal(price)
    return OrderLine(
        item_id=1,
        product_name=name,
        quantity=Decimal(quantity),
        price=Decimal(price),
        total_amount=total,
        **amounts,
        **more,
    )


AMOUNTS = {"shipping_cost", "shipping_tax", "handling_cost", "total_surcharge", "total_discount", "paid"}
AMOUNTS |= {"rounding", "refunded"}


def an_order(*lines: OrderLine, customer: dict[str, Any] | None = None, **more: Any) -> Order:
    """An order that adds up. Amounts that are given as text become numbers."""
    lines = lines or (a_line(),)
    fields = {name: Decimal(value) if name in AMOUNTS else value for name, value in more.items()}
    sums = {"sub_total": "total_amount", "total_tax": "tax", "total_discount": "discount", "items_total": "quantity"}
    fields = {total: sum((getattr(line, part) for line in lines), Decimal(0)) for total, part in sums.items()} | fields
    plus = ["sub_total", "shipping_cost", "handling_cost", "total_surcharge", "rounding"]
    plus += [] if fields.get("prices_include_tax") else ["total_tax", "shipping_tax"]
    total = sum((fields.get(name, Decimal(0)) for name in plus), Decimal(0)) - fields["total_discount"]
    defaults = {"order_id": "1001", "customer_id": "alice", "currency_code": "EUR", "grand_total": total}
    return Order(
        **defaults | fields,
        created=datetime(2026, 1, 2, tzinfo=UTC),
        customer_summary=CustomerSummary.model_validate(ALICE if customer is None else customer),
        order_line_details=lines,
    )


class Page(HTMLParser):
    """HTML as a browser shows it: visible text, table rows, elements, links to pages and links to contacts."""

    HIDDEN = ("style", "title")
    INLINE = ("bdi", "span", "strong", "a")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.rows, self.links = "", list[list[str]](), list[str]()
        self.contacts = list[str]()
        self.elements = list[tuple[str, dict[str, str | None]]]()
        self._open, self._open_rows = list[str](), list[list[str]]()
        self.feed(html)
        self.close()
        assert not self._open, "an element is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.INLINE:
            self.text += "\n"
        if tag not in ("meta", "br", "img"):
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
            self._open_rows.append(self.rows[-1])
        if tag in ("th", "td"):
            self._open_rows[-1].append("")
        if tag == "a":
            href = dict(attrs)["href"] or ""
            (self.contacts if href.startswith(("mailto:", "tel:")) else self.links).append(href)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        if tag == "tr":
            self._open_rows.pop()
        if tag not in self.INLINE:
            self.text += "\n"

    def handle_data(self, data: str) -> None:
        if not set(self.HIDDEN) & set(self._open):
            self.text += data
            if self._open_rows and self._open_rows[-1]:
                self._open_rows[-1][-1] += data

    def row(self, label: str) -> str | None:
        """Returns the amount beside a label."""
        return next((spaced(row[1]) for row in self.rows if len(row) == 2 and spaced(row[0]) == label), None)


def spaced(text: str) -> str:
    """Returns text with each run of white space, including no-break spaces, as one space."""
    return " ".join(text.split())


def parts(message: EmailMessage) -> tuple[str, str]:
    """Returns the plain text and the HTML of a mail as it arrives, with normalised line ends."""
    raw = message.as_bytes(policy=SMTP)
    arrived = email.message_from_bytes(raw, policy=default)
    assert [part.get_content_type() for part in arrived.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    plain, html = arrived.get_body(("plain",)), arrived.get_body(("html",))
    assert isinstance(plain, EmailMessage)
    assert isinstance(html, EmailMessage)
    return plain.get_content().replace("\r\n", "\n"), html.get_content().replace("\r\n", "\n")


ELEMENTS = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "div",
    "table",
    "tr",
    "td",
    "th",
    "h1",
    "h2",
    "p",
    "ul",
    "li",
}
ELEMENTS |= {"a", "br", "bdi", "span", "strong"}
ATTRIBUTES = {
    "lang",
    "dir",
    "charset",
    "name",
    "content",
    "class",
    "style",
    "role",
    "scope",
    "align",
    "valign",
    "width",
}
ATTRIBUTES |= {"cellpadding", "cellspacing", "border", "href"}


def harmless(page: Page) -> None:
    """Checks that a page has only the elements and attributes of the template."""
    assert {tag for tag, _ in page.elements} <= ELEMENTS
    assert {name for _, attributes in page.elements for name in attributes} <= ATTRIBUTES


# All text that the models accept: no C0 controls except tab and line ends, no DEL, no lone surrogates.
TYPED = st.text(
    st.characters(codec="utf-8", exclude_characters=[chr(c) for c in range(32) if chr(c) not in "\t\n\r"] + ["\x7f"]),
    min_size=1,
)
