"""The invoice's mail, as its recipient reads it."""

import email
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from email.message import EmailMessage
from email.policy import SMTP, default
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from mails import NASTY, SHOP, TYPED, Page, a_line, an_order, harmless, parts, spaced

from local.outbox import read_raw
from orders.invoices import Mailing, Outcome
from orders.mailing import style
from orders.mailing.formatting import Formats
from orders.mailing.letters import web_link
from orders.mailing.shop import Shop
from orders.models import CustomerSummary, Order, OrderLine, PaymentStatus
from orders.printing.content import invoice_content
from send_invoice import mail
from send_invoice.mail import render_mail


def an_invoice(order: Order, **more: Any) -> Mailing:
    fields: dict[str, Any] = {
        "order_id": order.order_id,
        "n": 1,
        "outcome": Outcome.SENDING,
        "started": datetime(2026, 1, 15, 23, 30, tzinfo=UTC),
        "requested_by": "ada",
        "recipient": "alice@example.com",
        "version": order.version,
        "currency_code": order.currency_code,
        "grand_total": order.grand_total,
        "paid": order.paid,
        "payment_status": order.payment_status,
    }
    return Mailing(**fields | more)


def render(invoice: Mailing, order: Order, shop: Shop) -> EmailMessage:
    return render_mail(invoice_content(invoice, order, shop), invoice, shop, {})


def read(order: Order, shop: Shop = SHOP, **invoice: Any) -> tuple[str, Page]:
    """Returns the plain text, with plain spaces, and the page of an order's invoice."""
    plain, html = parts(render(an_invoice(order, **invoice), order, shop))
    return re.sub(r"[^\S\n]", " ", plain), Page(html)


# The envelope ---------------------------------------------------------------------------------------------------------


def test_headers() -> None:
    order = an_order()
    message = render(an_invoice(order), order, SHOP)

    assert message["From"] == "Bluebell Books <invoices@bluebell.example>"
    assert message["To"] == "alice@example.com"
    assert message["Reply-To"] == "hello@bluebell.example"
    assert message["Subject"] == "Invoice INV-1001-1 for your order 1001 at Bluebell Books"
    assert message["Date"].datetime == datetime(2026, 1, 15, 23, 30, tzinfo=UTC)
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Content-Language"] == "en"
    assert message["Cc"] is message["Bcc"] is None


def test_replies_go_to_the_sender_without_reply_to() -> None:
    order = an_order()

    assert render(an_invoice(order), order, SHOP.model_copy(update={"reply_to": ""}))["Reply-To"] is None


@pytest.mark.parametrize(
    "recipient",
    [
        "a!#$%&'*+/=^_`{|}~-@example.com",
        ".dots..everywhere.@example.com",
        f"{'a' * 64}@{'.'.join(['b' * 60] * 3)}.example",
    ],
)
def test_unusual_address_is_the_only_recipient(recipient: str) -> None:
    order = an_order()
    message = render(an_invoice(order, recipient=recipient), order, SHOP)

    assert message["To"] == recipient
    assert f"\r\nTo: {recipient}\r\n".encode() in message.as_bytes(policy=SMTP)


@pytest.mark.parametrize(
    "name",
    [
        "Müller, Söhne & Co.",
        'The "Best" <Shop>',
        "书店" * 30,
        "Книжный магазин «Лучшие книги мира» 😀",
        "x@y.example",
        "(a)",
    ],
)
def test_any_shop_name_makes_one_sender(name: str) -> None:
    order = an_order()
    arrived = email.message_from_bytes(
        render(an_invoice(order), order, SHOP.model_copy(update={"name": name})).as_bytes(policy=SMTP), policy=default
    )

    assert [address.addr_spec for address in arrived["From"].addresses] == [SHOP.sender]
    assert arrived["Subject"].endswith(name)
    # Spaces aside: Python loses or adds them when it reads a long name that is not ASCII.
    assert "".join(arrived["From"].addresses[0].display_name.split()) == "".join(name.split())


@pytest.mark.parametrize("field", ["name", "reply_to", "tax_id", "support_contact"])
def test_line_ends_in_shop_details_cannot_add_headers(field: str) -> None:
    order = an_order(a_line("Mug\r\nBcc: eve@evil.example"))
    shop = SHOP.model_copy(update={field: "a@b.example\r\nBcc: eve@evil.example\n\n<p>hi"})
    invoice = an_invoice(order, notes="x\r\nBcc: eve@evil.example\r\n\r\nbody", payment_method_options=("y\nBcc: z",))
    arrived = email.message_from_bytes(render(invoice, order, shop).as_bytes(policy=SMTP), policy=default)

    assert arrived["Bcc"] is None
    assert arrived["To"] == "alice@example.com"
    assert [part.get_content_type() for part in arrived.walk()] == ["multipart/alternative", "text/plain", "text/html"]


def test_rendering_is_deterministic(monkeypatch: pytest.MonkeyPatch) -> None:
    order = an_order(a_line(price="1234.5"))
    before = render(an_invoice(order), order, SHOP).as_bytes(policy=SMTP)
    for name in ("LANG", "LC_ALL", "LANGUAGE", "LC_MONETARY"):
        monkeypatch.setenv(name, "de_DE.UTF-8")
    monkeypatch.setenv("TZ", "Pacific/Auckland")

    assert render(an_invoice(order), order, SHOP).as_bytes(policy=SMTP) == before


# Content --------------------------------------------------------------------------------------------------------------


def test_both_parts_have_the_same_content() -> None:
    order = an_order(
        a_line("Reading lamp", "2", "1249.5", sku="LMP-12", tax="474.81", discount="50"),
        a_line("Bookmark", "3", "4"),
        shipping_cost="6.9",
        shipping_tax="1.31",
        handling_cost="2",
        total_surcharge="0.75",
        paid="1000",
    )
    plain, page = read(
        order,
        payment_status=PaymentStatus.PARTIAL,
        notes="Thank you.",
        payment_method_options=("Bank transfer", "PayPal"),
    )

    for text in (plain, spaced(page.text)):
        for word in (
            *("Bluebell Books", "12 Harbour Lane", "Bristol BS1 4ND", "VAT GB123456789", "+44 117 496 0123"),
            *("INV-1001-1", "1001", "15 Jan 2026", "EUR", "Partly paid"),
            *("Alice Martin", "Martin & Söhne", "Lindenstraße 14", "10969 Berlin", "Germany"),
            *("Reading lamp", "LMP-12", "1.249,50 €", "2.499,00 €", "-50,00 €", "474,81 €", "Bookmark", "4,00 €"),
            *("Bank transfer", "PayPal", "Thank you."),
        ):
            assert word in text
    sums = {
        "Subtotal": "2.511,00 €",
        "Discount": "-50,00 €",
        "Tax": "474,81 €",
        "Shipping": "6,90 €",
        "Shipping tax": "1,31 €",
        "Handling": "2,00 €",
        "Surcharge": "0,75 €",
        "Grand total": "2.946,77 €",
        "Paid": "1.000,00 €",
        "Amount due": "1.946,77 €",
    }
    assert [[spaced(cell) for cell in row] for row in page.rows][-len(sums) - 1 : -1] == [
        list(row) for row in sums.items()
    ]
    assert "".join(f"{label}: {amount}\n" for label, amount in sums.items()) in plain
    assert page.row("Reading lamp2 × 1.249,50 € · SKU LMP-12Discount -50,00 € · Tax 474,81 €") == "2.499,00 €"
    assert (
        "Reading lamp\n  SKU LMP-12\n  Quantity: 2\n  Price: 1.249,50 €\n  Total: 2.499,00 €\n"
        "  Discount: -50,00 €\n  Tax: 474,81 €\n"
    ) in plain


def test_zero_and_missing_values_are_left_out() -> None:
    plain, page = read(
        an_order(customer={}), SHOP.model_copy(update={"tax_id": "", "address": "", "support_contact": ""})
    )

    for text in (plain, page.text):
        for word in (
            *("Discount", "Tax", "Shipping", "Handling", "Surcharge", "SKU", "None"),
            *("Ways to pay", "Notes", "NOTES", "Billed to", "BILLED TO", "Questions"),
        ):
            assert word not in text
    assert page.row("Subtotal") == page.row("Grand total") == page.row("Amount due") == "€10.00"
    assert page.row("Paid") == "€0.00"
    assert "\n\n\n" not in plain


@pytest.mark.parametrize(
    ("language", "country", "currency", "amount", "printed"),
    [
        ("en", "US", "USD", "12.5", "$12.50"),
        ("en", "US", "CAD", "12.5", "CA$12.50"),
        ("en", "CA", "USD", "12.5", "US$12.50"),
        ("en", "CA", "CAD", "12.5", "$12.50"),
        ("en", "US", "EUR", "1234567.8", "€1,234,567.80"),
        ("en", "DE", "EUR", "1234.5", "1.234,50 €"),
        ("de", "DE", "EUR", "1234.5", "1.234,50 €"),
        ("de", "CH", "CHF", "1234.5", "CHF 1’234.50"),
        ("de", "CH", "EUR", "-1234.5", "EUR-1’234.50"),
        ("en", "US", "JPY", "1500", "¥1,500"),
        ("de", "DE", "JPY", "1500", "1.500 ¥"),
        ("en", "US", "KWD", "12.5", "KWD 12.500"),
        # By ISO 4217, where CLDR has other decimals.
        ("de", "RS", "RSD", "150.5", "150,50 RSD"),
        ("en", "US", "ISK", "1500", "ISK 1,500"),
        ("en", "US", "CLF", "1.5", "CLF 1.5000"),
        ("en", "US", "HUF", "1500", "HUF 1,500.00"),
        ("en", "US", "KWD", "-1000", "-KWD 1,000.000"),
        ("de", "DE", "KWD", "1234.567", "1.234,567 KWD"),
        ("en", "US", "EUR", "1E+3", "€1,000.00"),
        ("en", "US", "EUR", "12.5000", "€12.50"),
        ("en", "US", "EUR", "0.0125", "€0.0125"),
        ("en", "XX", "EUR", "1234.5", "€1,234.50"),
        ("de", "JP", "EUR", "1234.5", "1.234,50 €"),
        ("de", None, "EUR", "1234.5", "1.234,50 €"),
        ("en-GB", None, "GBP", "1234.5", "£1,234.50"),
        ("de_CH", None, "CHF", "1234.5", "CHF 1’234.50"),
        # Without a catalogue, words and formats are English.
        ("sr-Latn", "BA", "BAM", "1234.5", "1,234.50 BAM"),
        ("zh", "TW", "TWD", "1234.5", "$1,234.50"),
        ("tlh", "DE", "EUR", "1234.5", "1.234,50 €"),
        ("../../etc", "DE", "EUR", "1234.5", "1.234,50 €"),
        ("", None, "ZZZ", "12.5", "ZZZ 12.50"),
    ],
)
def test_amounts(language: str, country: str | None, currency: str, amount: str, printed: str) -> None:
    assert Formats(language, country, currency).money(Decimal(amount)).replace("\N{NO-BREAK SPACE}", " ") == printed


@pytest.mark.parametrize(
    ("language", "country", "day"),
    [
        ("en", None, "Nov 5, 2026"),
        ("en", "US", "Nov 5, 2026"),
        ("en", "GR", "5 Nov 2026"),
        ("en", "RS", "5 Nov 2026"),
        ("en", "JP", "5 Nov 2026"),
        ("de", "GR", "05.11.2026"),
        ("es", "JM", "5 nov 2026"),
        ("pt", "BR", "5 de nov. de 2026"),
        ("pt", "ES", "05/11/2026"),
    ],
)
def test_days_are_written_as_in_the_region_of_the_country(language: str, country: str | None, day: str) -> None:
    assert Formats(language, country, "EUR").day(date(2026, 11, 5)) == day


@pytest.mark.parametrize(
    ("country", "currency", "due", "price", "machine"),
    [
        ("DE", "EUR", "1.234,50 €", "1234.5", "1234.50"),
        ("US", "JPY", "¥1,500", "1500", "1500"),
        ("US", "KWD", "KWD 12.500", "12.5", "12.500"),
        ("RS", "RSD", "150.50 RSD", "150.5", "150.50"),
    ],
)
def test_mail_amounts_have_the_decimals_of_their_currency(
    country: str, currency: str, due: str, price: str, machine: str
) -> None:
    order = an_order(a_line(price=price), customer={"country": {"code": country}}, currency_code=currency)
    plain, page = read(order)

    assert f"Amount due: {due}\n" in plain
    assert page.row("Amount due") == page.row(f"Mug1 × {due}") == due
    assert page.links == [f"https://pay.example/1001?invoice=INV-1001-1&amount={machine}&currency={currency}"]


@pytest.mark.parametrize(
    ("number", "printed"), [("2", "2"), ("2.500", "2.5"), ("0.125", "0.125"), ("1E+3", "1,000"), ("0.0625", "0.0625")]
)
def test_quantities_have_no_trailing_zeros(number: str, printed: str) -> None:
    assert Formats("en", "US", "EUR").quantity(Decimal(number)) == printed


@pytest.mark.parametrize(
    ("language", "country", "printed"),
    [
        ("en", "US", "Jan 15, 2026"),
        ("en", "GB", "15 Jan 2026"),
        ("de", "CH", "15.01.2026"),
        ("fr", "FR", "15 janv. 2026"),
    ],
)
def test_dates(language: str, country: str, printed: str) -> None:
    late = datetime.fromisoformat("2026-01-16T00:30:00+02:00")

    assert Formats(language, country, "EUR").date(late) == printed


@pytest.mark.parametrize(
    ("time_zone", "printed"),
    [("Europe/Berlin", "16 Jan 2026"), ("UTC", "15 Jan 2026"), ("America/Los_Angeles", "15 Jan 2026")],
)
def test_an_invoice_is_dated_the_shops_day_and_its_mail_the_instant(time_zone: str, printed: str) -> None:
    # 00:36 on the next day in Germany.
    started = datetime(2026, 1, 15, 23, 36, tzinfo=UTC)
    shop = SHOP.model_copy(update={"time_zone": ZoneInfo(time_zone)})
    order = an_order()
    plain, page = read(order, shop, started=started)

    assert f"\nDate: {printed}\n" in plain
    assert page.row("Date") == printed
    assert render(an_invoice(order, started=started), order, shop)["Date"].datetime == started


@pytest.mark.parametrize(
    ("customer", "lines"),
    [
        (
            {"first_name": "Bob", "address_line_1": "500 Market St", "city": "San Francisco", "post_code": "94103"}
            | {"state": {"name": "California", "code": "CA"}, "country": {"code": "US"}},
            ["Bob", "500 Market St", "SAN FRANCISCO, CA 94103", "United States"],
        ),
        (
            {"last_name": "Rossi", "address_line_2": "Scala B", "city": "Milano", "post_code": "20121"}
            | {"state": {"name": "Lombardia"}, "country": {"name": "Italia", "code": "IT"}},
            ["Rossi", "Scala B", "20121 MILANO LOMBARDIA", "Italy"],
        ),
        (
            {"city": "Cardiff", "post_code": "CF10 2BY", "state": {"code": "WLS"}, "country": {"code": "GB"}},
            ["CARDIFF", "WLS", "CF10 2BY", "United Kingdom"],
        ),
        ({"city": "Paris"}, ["Paris"]),
        ({"post_code": "1010", "country": {"code": "ZZ"}}, ["1010", "Unknown Region"]),
    ],
)
def test_customers_address_is_formatted_as_on_an_envelope(customer: dict[str, Any], lines: list[str]) -> None:
    plain, page = read(an_order(customer=customer))

    assert "BILLED TO\n{}\n\n".format("\n".join(lines)) in plain
    assert " ".join(["Billed to", *lines, "Details"]) in spaced(page.text)


# Payment requests -------------------------------------------------------------------------------------------------


WORDS = {
    "unpaid": "Unpaid",
    "pending": "Payment pending",
    "partial": "Partly paid",
    "paid": "Paid",
    "partially_refunded": "Partly refunded",
    "refunded": "Refunded",
}


@pytest.mark.parametrize("status", PaymentStatus)
def test_payment_status_is_shown_in_words(status: PaymentStatus) -> None:
    plain, page = read(an_order(payment_status=PaymentStatus.PENDING), payment_status=status)

    assert f"\nPayment status: {WORDS[status]}\n" in plain
    assert page.row("Bluebell Books") == WORDS[status]


@pytest.mark.parametrize("paid", ["0", "4", "10"])
@pytest.mark.parametrize("status", [PaymentStatus.PAID, PaymentStatus.PARTIALLY_REFUNDED, PaymentStatus.REFUNDED])
def test_settled_order_asks_for_no_money(status: PaymentStatus, paid: str) -> None:
    plain, page = read(an_order(paid=paid), payment_status=status, payment_method_options=("Bank transfer",))

    for text in (plain, page.text):
        assert "There is nothing to pay." in text
        for word in ("pay.example", "Bank transfer", "How to pay", "HOW TO PAY", "Ways to pay", "Pay "):
            assert word not in text
    assert page.links == []
    assert page.row("Amount due") == ("0,00 €" if paid == "10" else None)
    assert page.row("Paid") == ("10,00 €" if paid == "10" else None)
    assert "Total: 10,00 €\n" in plain


@pytest.mark.parametrize("status", [PaymentStatus.UNPAID, PaymentStatus.PENDING, PaymentStatus.PARTIAL])
def test_unsettled_order_asks_for_the_amount_due(status: PaymentStatus) -> None:
    plain, page = read(an_order(paid="2.5"), payment_status=status, payment_method_options=("Bank transfer", "PayPal"))

    link = "https://pay.example/1001?invoice=INV-1001-1&amount=7.50&currency=EUR"
    assert page.links == [link]
    assert f"\n- Bank transfer\n- PayPal\nPay 7,50 €\n{link}\n" in plain
    for text in (plain, page.text):
        assert "nothing to pay" not in text
        assert "Pay 7,50 €" in spaced(text)


@pytest.mark.parametrize(("paid", "label", "left"), [("10", "Amount due", "0,00 €"), ("12.5", "Overpaid", "2,50 €")])
def test_nothing_due_asks_for_no_money_in_any_status(paid: str, label: str, left: str) -> None:
    plain, page = read(
        an_order(paid=paid), payment_status=PaymentStatus.UNPAID, payment_method_options=("Bank transfer",)
    )

    assert page.links == []
    assert page.row(label) == left
    for text in (plain, page.text):
        assert "There is nothing to pay." in text
        assert "Bank transfer" not in text
        assert "-2,50" not in text


@pytest.mark.parametrize(
    ("template", "link"),
    [
        ("https://pay.example/{invoice}", "https://pay.example/INV-a_b-1-1"),
        (" HTTP://pay.example/{order_id}#{unknown} ", "HTTP://pay.example/a_b-1#{unknown}"),
        ('https://pay.example/"><script>', 'https://pay.example/"><script>'),
        ("javascript:alert({invoice})", None),
        ("data:text/html,{invoice}", None),
        ("//pay.example/{invoice}", None),
        ("https:///{invoice}", None),
        ("https://pay.example/a b", None),
        ("https://pay.example/\r\nx", None),
        ("", None),
    ],
)
def test_only_web_pages_are_linked(template: str, link: str | None) -> None:
    plain, page = read(an_order(order_id="a_b-1"), SHOP.model_copy(update={"payment_link": template}))

    assert page.links == ([link] if link else [])
    assert ("HOW TO PAY" in plain) == bool(link)


# Personal texts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", NASTY)
def test_personal_texts_stay_text_everywhere(text: str) -> None:
    customer = dict.fromkeys(("first_name", "company_name", "address_line_1", "city", "post_code"), text)
    order = an_order(a_line(text, sku=text), customer=customer | {"state": {"name": text}, "country": {"name": text}})
    shop = SHOP.model_copy(update={"name": text, "tax_id": text, "support_contact": text, "address": text})
    plain, page = read(order, shop, notes=text, payment_method_options=(text,))

    harmless(page)
    assert spaced(page.text).count(spaced(text)) == 16
    assert spaced(plain).count(spaced(text)) == 16
    assert len(page.links) == 1


def test_personal_texts_cannot_add_lines_to_the_plain_text() -> None:
    customer = {"first_name": "A\N{LINE SEPARATOR}Amount due: 1", "address_line_1": "B\x85Amount due: 2"}
    order = an_order(a_line("Mug\nAmount due: 3"), customer=customer)
    plain, _ = read(order, notes="Hello\r\nAmount due: 4\rAmount due: 5", payment_method_options=("C\nAmount due: 6",))

    assert re.findall(r"^Amount due.*", plain, re.MULTILINE) == ["Amount due: €10.00"] * 2


def test_notes_keep_their_lines_and_spaces() -> None:
    notes = "  Dear Alice,\n\n    IBAN  DE89\r\n\tBIC\rشكرا"
    plain, html = parts(render(an_invoice(an_order(), notes=f"\n{notes}\n"), an_order(), SHOP))

    assert "NOTES\n    Dear Alice,\n  \n      IBAN  DE89\n  \tBIC\n  شكرا\n" in plain
    lines = ("  Dear Alice,", "<br>", "    IBAN  DE89", "\tBIC", "شكرا")
    assert 'white-space:pre-wrap">' + "".join(f'<div dir="auto">{line}</div>' for line in lines) + "</div>" in html


@given(name=TYPED, sku=TYPED, notes=TYPED, person=TYPED, way=TYPED, shop_name=TYPED)
def test_any_text_arrives_unchanged(name: str, sku: str, notes: str, person: str, way: str, shop_name: str) -> None:
    order = an_order(OrderLine.model_construct(**a_line().model_dump() | {"product_name": name, "sku": sku}))
    order = order.model_copy(update={"customer_summary": CustomerSummary.model_construct(first_name=person)})
    message = render(
        an_invoice(order, notes=notes, payment_method_options=(way,)),
        order,
        SHOP.model_copy(update={"name": shop_name}),
    )
    raw = message.as_bytes(policy=SMTP)
    plain, html = parts(message)
    page = Page(html)

    harmless(page)
    for typed in (name, sku, notes, person, way, shop_name):
        assert spaced(typed) in spaced(page.text)
        assert spaced(typed) in spaced(plain)
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 78
    arrived = email.message_from_bytes(raw, policy=default)
    assert arrived.keys() == message.keys()
    assert arrived["To"] == "alice@example.com"
    assert not arrived.defects


# How it is built ------------------------------------------------------------------------------------------------------


def many_lines(count: int) -> Iterable[OrderLine]:
    names = (
        "Café crème, grand format, 250 g",
        "كتاب الطبخ العربي للمبتدئين",
        "北京故事集 – 精装本",
        "Книга о вкусной и здоровой пище",
    )
    for n in range(count):
        yield a_line(f"{names[n % 4]} {n}.", str(n % 7 + 1), f"{n}.25", sku=f"SKU-{n:05}", tax="1.9", discount="0.5")


def test_gmail_shows_60_lines_unclipped() -> None:
    order = an_order(*many_lines(60))
    _, html = parts(render(an_invoice(order, notes="x" * 2000), order, SHOP))

    assert len(html.encode()) < 102_000


def test_500_lines_are_complete() -> None:
    order = an_order(*many_lines(500))
    message = render(an_invoice(order), order, SHOP)
    plain, page = parts(message)[0], Page(parts(message)[1])

    for line in order.order_line_details:
        assert f"\n{line.product_name}\n  SKU {line.sku}\n" in plain
        assert f"\n{line.product_name}\n" in page.text
    assert max(map(len, message.as_bytes(policy=SMTP).split(b"\r\n"))) <= 78


def test_page_supports_small_screens_dark_mode_and_screen_readers() -> None:
    _, html = parts(render(an_invoice(an_order(), notes="x"), an_order(), SHOP))
    page = Page(html)
    tables = [attributes.get("role") for tag, attributes in page.elements if tag == "table"]

    assert page.elements[0] == ("html", {"lang": "en", "dir": "ltr"})
    assert ("meta", {"name": "color-scheme", "content": "light dark"}) in page.elements
    assert "@media (prefers-color-scheme: dark)" in html
    assert "@media (max-width: 520px)" in html
    # Details, lines and totals are tables; all others only hold things in place.
    assert tables.count(None) == 3
    assert set(tables) == {None, "presentation"}
    assert {attributes.get("scope") for tag, attributes in page.elements if tag == "th"} == {"row", "col"}
    assert [tag for tag, _ in page.elements if tag.startswith("h1")] == ["h1"]


def test_page_loads_nothing_from_other_servers() -> None:
    _, html = parts(render(an_invoice(an_order()), an_order(), SHOP))

    assert re.findall(r"https?://[^\"/]*", html) == ["https://pay.example"]
    assert not re.search(r"<img|<link|url\(|@import|@font-face|src=|background=", html)


def test_preview_text_summarises_the_invoice() -> None:
    _, page = read(an_order())

    assert spaced(page.text).startswith(
        "Amount due: 10,00 € · Unpaid · Invoice INV-1001-1 of 15 Jan 2026 for order 1001 "
    )


# Links ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("contact", "contacts", "pages"),
    [
        ("help@shop.example", ["mailto:help@shop.example"], []),
        ("a%b&c@shop.example", ["mailto:a%25b%26c@shop.example"], []),
        ("+44 117 496 0123", ["tel:+441174960123"], []),
        ("+44 (0)117 496-0123", ["tel:+441174960123"], []),
        ("(0831) 555 0117", ["tel:08315550117"], []),
        ("https://shop.example/help?a=1&b=2", [], ["https://shop.example/help?a=1&b=2"]),
        ("javascript:alert(1)", [], []),
        ("help@shop.example, or +44 117 496 0123", [], []),
        ("Ask at the till", [], []),
    ],
)
def test_the_support_contact_is_a_link_where_it_can_be(contact: str, contacts: list[str], pages: list[str]) -> None:
    plain, page = read(an_order(), SHOP.model_copy(update={"support_contact": contact, "payment_link": ""}))

    assert f"Questions? {contact}\n" in plain
    assert f"Questions? {contact}" in spaced(page.text)
    assert (page.contacts, page.links) == (contacts, pages)


@pytest.mark.parametrize(
    ("template", "link"),
    [
        ("https://shop.example/orders/{order_id}", "https://shop.example/orders/1001"),
        ("https://shop.example/?a=1&order={order_id}", "https://shop.example/?a=1&order=1001"),
        ("javascript:alert({order_id})", None),
        ("/orders/{order_id}", None),
        ("", None),
    ],
)
def test_a_mail_links_the_page_of_the_order(template: str, link: str | None) -> None:
    plain, page = read(an_order(), SHOP.model_copy(update={"order_page": template, "payment_link": ""}))

    assert (f"\nView your order\n{link}\n" in plain) == bool(link)
    assert ("View your order" in plain) == ("View your order" in page.text) == bool(link)
    assert page.links == ([link] if link else [])


def test_what_stands_in_a_link_is_quoted() -> None:
    link = web_link("https://shop.example/{order_id}", {"order_id": '../a b?c#"&<'})

    assert link == "https://shop.example/..%2Fa%20b%3Fc%23%22%26%3C"


# The logo -------------------------------------------------------------------------------------------------------------

PNG = b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")


def test_a_logo_comes_with_the_mail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "logo.svg").write_bytes(b"<svg/>")
    (tmp_path / "logo.png").write_bytes(PNG)
    monkeypatch.setattr(style, "FOLDER", tmp_path)
    order = an_order()
    invoice = an_invoice(order)
    message = render_mail(invoice_content(invoice, order, SHOP), invoice, SHOP, {"INV-1001-1": b"%PDF-"})
    raw = message.as_bytes()
    arrived = email.message_from_bytes(raw, policy=default)

    assert [part.get_content_type() for part in arrived.walk()] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
        "application/pdf",
    ]
    [image] = [part for part in arrived.walk() if part["Content-ID"]]
    assert (image["Content-ID"], image.get_content_disposition(), image.get_content()) == ("<logo>", "inline", PNG)
    html = arrived.get_body(("html",))
    assert isinstance(html, EmailMessage)
    images = [attributes for tag, attributes in Page(html.get_content()).elements if tag == "img"]
    assert [(each["src"], each["alt"]) for each in images] == [("cid:logo", "Bluebell Books")]
    # As the outbox shows it, and as a preview does.
    shown = read_raw(raw.decode(), ["alice@example.com"])
    data = f'<img src="data:image/png;base64,{b64encode(PNG).decode()}" alt="Bluebell Books"'
    assert data in (shown.html or "")
    assert data in mail.render_html(invoice_content(an_invoice(order), order, SHOP))
    assert [file.filename for file in shown.attachments] == ["INV-1001-1.pdf"]


def test_an_svg_alone_stays_out_of_the_mail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "logo.svg").write_bytes(b"<svg/>")
    monkeypatch.setattr(style, "FOLDER", tmp_path)
    _, page = read(an_order())

    assert page.row("Bluebell Books") == "Unpaid"
    assert [tag for tag, _ in page.elements if tag == "img"] == []
