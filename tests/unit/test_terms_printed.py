"""What the law asks an invoice to say stands in mail and PDF alike."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pypdfium2  # type: ignore[import-untyped]
import pytest
from e_invoices import NOW, SHOP, issue
from mails import Page

from orders.documents import Series, withdraw_invoice
from orders.invoices import Document, Mailing
from orders.mailing.shop import Shop
from orders.models import Order
from orders.printing.content import invoice_content
from orders.printing.pdf import render_pdf
from orders.requests import NewOrder
from send_invoice.mail import render_html, render_mail

BUYER = {
    "last_name": "Núñez",
    "address_line_1": "Calle de las Peñuelas 12",
    "city": "Madrid",
    "country": {"code": "US"},
    "vat_number": "ESB12345678",
}


def an_order(*lines: dict[str, Any], **more: Any) -> Order:
    fields = [{"item_id": 1, "product_name": "Mug", "quantity": 1, **line} for line in lines]
    body = {"order_id": "1002", "customer_id": "a", "currency_code": "EUR", "customer_summary": BUYER, **more}
    return NewOrder.model_validate({**body, "order_line_details": fields}).order(datetime(2026, 11, 20, tzinfo=UTC))


def readings(document: Document, order: Order, shop: Shop = SHOP) -> dict[str, str]:
    """Returns what a reader sees in the PDF, and in the plain text and the page of the mail."""
    content = invoice_content(document, document.order_as_issued(order), shop)
    mailing = Mailing.next_for(order, NOW, "ada", "a@example.com").brings(document.head)
    mail = render_mail(invoice_content(mailing, order, shop), mailing, shop, {})
    plain = mail.get_body(("plain",))
    assert plain
    paper = [page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(render_pdf(content))]
    texts = {"PDF": " ".join(paper), "plain": plain.get_content(), "page": Page(render_html(content)).text}
    return {name: " ".join(text.replace("\N{NO-BREAK SPACE}", " ").split()) for name, text in texts.items()}


def test_two_rates_dates_references_and_the_account() -> None:
    order = an_order(
        {"price": "100", "quantity": 2, "discount": "20", "tax": "12.60", "tax_rate": 7, "unit_code": "KGM"},
        {"price": "50", "tax": "9.50", "tax_rate": 19},
        shipping_cost="10",
        shipping_tax="1.90",
        shipping_tax_rate=19,
        delivered_on="2026-11-22",
        purchase_order_number="PO-77",
        buyer_reference="Küche",
    )
    document = issue(order)
    assert document.missing == ()
    for name, text in readings(document, order).items():
        for said in (
            *("INV-2026-00017", "Nov 24, 2026", "Nov 22, 2026", "Dec 8, 2026", "Nov 20, 2026", "PO-77", "Küche"),
            *("ESB12345678", "DE02 1203 0000 0000 2020 51", "BYLADEM1001", "2 kg", "€180.00", "€60.00", "€11.40"),
        ):
            assert said in text, f"{name} does not say {said}"
        assert "Amounts are quantity × price, before discount and tax." in text, name
    paper = readings(document, order)["PDF"]
    for said in (
        "Käsekönig & Töchter GmbH",
        "VAT ID DE123456789",
        "Tax number 127/123/12345",
        "Registration HRB 12345",
    ):
        assert said in paper


@pytest.mark.parametrize(
    ("category", "said"),
    [
        ("AE", "Reverse charge: the customer accounts for the VAT"),
        ("K", "Exempt intra-Community supply"),
        ("G", "Exempt export"),
        ("E", "Exempt under article 5"),
    ],
)
def test_why_there_is_no_tax(category: str, said: str) -> None:
    reason = {"tax_exemption_reason": "Exempt under article 5"} if category == "E" else {}
    order = an_order({"price": "90", "tax_rate": 0, "tax_category": category}, **reason)
    for name, text in readings(issue(order), order).items():
        assert said in text, name


def test_gross_prices_are_said() -> None:
    order = an_order({"price": "119", "tax": "19", "tax_rate": 19}, prices_include_tax=True)
    for name, text in readings(issue(order), order).items():
        assert "Prices include tax." in text, name
        assert "Amounts are" not in text, name
        assert "€100.00" in text, name


def test_the_orders_own_due_day_counts_and_a_paid_invoice_asks_for_nothing() -> None:
    order = an_order({"price": "10"}, payment_due="2027-01-31")
    assert all("Jan 31, 2027" in text for text in readings(issue(order), order).values())
    paid = an_order({"price": "10"}, paid="10")
    for name, text in readings(issue(paid), paid).items():
        assert "IBAN" not in text, name
        assert "Payment due" not in text, name


def test_sellers_in_some_countries_write_tax_invoices() -> None:
    order = an_order({"price": "10", "tax_rate": 10, "tax": "1"})
    shop = SHOP.model_copy(update={"country": "AU"})
    for name, text in readings(issue(order, shop), order, shop).items():
        assert "tax invoice inv-2026-00017" in text.lower(), name


def test_a_document_keeps_its_seller() -> None:
    order = an_order({"price": "10"})
    document = issue(order)
    moved = SHOP.model_copy(update={"street": "Neue Straße 1", "vat_id": "DE999999999"})
    paper = readings(document, order, moved)["PDF"]
    assert "Marktplatz 7" in paper
    assert "Neue Straße 1" not in paper


def test_a_credit_note_repeats_its_invoice_and_asks_for_nothing() -> None:
    order = an_order({"price": "100", "tax": "19", "tax_rate": 19})
    invoice = issue(order)
    [credit_note] = withdraw_invoice(Series("INV-2026", 17), invoice, "ada", NOW, may_have_left=True).documents
    content = invoice_content(credit_note, credit_note.order_as_issued(order), SHOP)
    assert content.pay is None
    assert content.grand_total["amount"] == invoice_content(invoice, order, SHOP).grand_total["amount"]
    paper = readings(credit_note, order)["PDF"]
    assert "Credit note INV-2026-00018" in paper
    assert "Cancels INV-2026-00017" in paper
    assert order.due == Decimal(119)
