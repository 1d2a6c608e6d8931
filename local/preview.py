"""Renders each kind of mail and PDF in each language with the shop's look, as a page to look at: `make preview`.

Typesets and writes mails as the functions do, from a sample order. Nothing is sent or stored.
"""

import argparse
import base64
import html
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

from notify_customer.notices import Notice, render
from notify_customer.staff import render_for_staff
from orders.identity import Role
from orders.invoices import Document, Mailing
from orders.mailing.shop import Shop
from orders.mailing.words import find_language, languages
from orders.models import (
    DocumentHead,
    DocumentType,
    Order,
    OrderHeader,
    OrderStatus,
    StoredComment,
    Withdrawal,
    WithdrawalRole,
)
from orders.printing.content import invoice_content
from orders.printing.pdf import render_pdf
from orders.requests import NewOrder
from orders.stream import CommentAddition, OrderCancellation, WithdrawalDeclaration
from send_invoice.mail import render_mail

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / ".local/preview"
NOW = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)
SAMPLE = json.loads((ROOT / "local/orders.json").read_text(encoding="utf-8"))[0]
SHOP = Shop(
    name="Bluebell Books",
    sender="invoices@bluebell.example",
    staff_email="staff@bluebell.example",
    street="12 Harbour Lane",
    post_code="BS1 4ND",
    city="Bristol",
    country="GB",
    vat_id="GB123456789",
    iban="GB33BUKB20201555555555",
    payment_days=14,
    support_contact="help@bluebell.example",
    payment_link="https://pay.example/{order_id}",
    order_page="https://shop.example/orders/{order_id}",
)

NOTES = "Thank you!"
COMMENT = "The parcel leaves on Friday.\n\nBest wishes"
REASON = "It is out of stock."
PRODUCT = "Käsebrett"
"""What people typed: it is never translated."""

Rendering = EmailMessage | bytes
"""A mail or a PDF."""


def _order(**more: object) -> Order:
    return Order.model_validate(SAMPLE | more)


def _paid() -> Order:
    return _order(paid=SAMPLE["grand_total"], payment_status="paid")


def _document(order: Order, shop: Shop, **more: object) -> Document:
    fields = {
        "number": "INV-0007",
        "issued": NOW,
        "order_id": order.order_id,
        "order": {},
        "seller": shop.seller(),
        "requested_by": "ada",
        "payment_status": order.payment_status,
        "payment_due": shop.payment_due(order, NOW),
    }
    return Document.model_validate(fields | more)


def _mail(order: Order, shop: Shop, **more: object) -> EmailMessage:
    document = {"document": "INV-0007", "document_issued": NOW, "payment_due": shop.payment_due(order, NOW)}
    mailing = Mailing.next_for(order, NOW, "ada", "alice@example.com", **document | more)
    return render_mail(invoice_content(mailing, order, shop), mailing, shop, {})


def _pdf(order: Order, shop: Shop, **more: object) -> bytes:
    return render_pdf(invoice_content(_document(order, shop, **more), order, shop))


def _comment(shop: Shop, *, by_customer: bool) -> EmailMessage:
    comment = StoredComment(
        id=17,
        content=COMMENT,
        created=NOW,
        flagged=by_customer,
        is_admin=not by_customer,
        is_visible_to_customer=True,
        admin_name=None if by_customer else "Ada",
        author="alice" if by_customer else "ada",
    )
    order = _order()
    event = CommentAddition(order.order_id, comment)
    if by_customer:
        return render_for_staff(Notice("staff_comment", "1", order.order_id, event), order, shop)
    return render(Notice("comment", "1", order.order_id, event), order, shop)


def _cancellation(shop: Shop, role: Role, *, staff: bool = False, paid: bool = True) -> EmailMessage:
    order = _paid() if paid else _order()
    header = OrderHeader.model_validate(order.model_dump(include=set(OrderHeader.model_fields)))
    note = DocumentHead(number="INV-0008", type=DocumentType.CREDIT_NOTE, issued=NOW, corrects="INV-0007")
    cancelled = {"order_status": OrderStatus.CANCELLED, "cancelled_at": NOW, "cancelled_as": role, "credit_note": note}
    event = OrderCancellation(header.model_copy(update=cancelled | {"cancel_reason": REASON}))
    if staff:
        return render_for_staff(Notice("staff_cancellation", "1", order.order_id, event), order, shop)
    return render(Notice("cancellation", "1", order.order_id, event), order, shop)


def _withdrawal(shop: Shop, *, staff: bool = False) -> EmailMessage:
    order = _order()
    withdrawal = Withdrawal(
        declared_at=NOW, declared_as=WithdrawalRole.GUEST, name="Alice Böhm", email="alice@example.com"
    )
    event = WithdrawalDeclaration(order.order_id, "alice", withdrawal)
    if staff:
        return render_for_staff(Notice("staff_withdrawal", "1", order.order_id, event), order, shop)
    return render(Notice("withdrawal", "1", order.order_id, event), order, shop)


def _one_line(terms: Mapping[str, object], **line: object) -> Order:
    """Returns an order of one line, with terms of its own."""
    own = {name: SAMPLE[name] for name in ("order_id", "customer_id", "currency_code", "customer_summary")}
    lines = [{"item_id": 1, "product_name": PRODUCT, "quantity": 2, "price": "20.00", **line}]
    return NewOrder.model_validate({**own, "order_line_details": lines, **terms}).order(NOW)


def _gross() -> Order:
    """Returns an order whose prices include tax."""
    terms = {"prices_include_tax": True, "shipping_cost": "4.90", "shipping_tax": "0.78", "shipping_tax_rate": "19"}
    terms |= {"handling_cost": "2.00", "total_surcharge": "0.50", "rounding": "0.02"}
    return _one_line(terms, tax="5.75", tax_rate="19", discount="4.00", unit_code="DAY")


def _long() -> Order:
    """Returns an order whose lines fill several pages."""
    lines = [{"item_id": n, "product_name": f"{PRODUCT} {n}", "quantity": 1, "price": "1.00"} for n in range(1, 81)]
    return _one_line({"order_line_details": lines})


def _untaxed(category: str) -> Order:
    """Returns an order that is delivered abroad without tax."""
    terms: dict[str, object] = {"delivered_on": str(NOW.date()), "delivery_country": "DE", "buyer_reference": "4711"}
    terms["customer_summary"] = SAMPLE["customer_summary"] | {"vat_number": "DE123456789"}
    return _one_line(terms, tax="0", tax_rate="0", tax_category=category, unit_code="KGM")


KINDS: Mapping[str, Callable[[Shop], Rendering]] = {
    "invoice-mail": lambda shop: _mail(_order(), shop, payment_method_options=("PayPal",), notes=NOTES),
    "invoice-mail-paid": lambda shop: _mail(_paid(), shop),
    "invoice-mail-corrected": lambda shop: _mail(_order(), shop, credit_note="INV-0006"),
    "invoice-mail-gross": lambda shop: _mail(_gross(), shop.model_copy(update={"iban": ""})),
    "comment": lambda shop: _comment(shop, by_customer=False),
    "cancellation-by-shop": lambda shop: _cancellation(shop, Role.ADMIN),
    "cancellation-by-customer": lambda shop: _cancellation(shop, Role.CUSTOMER),
    "cancellation-unpaid": lambda shop: _cancellation(shop, Role.ADMIN, paid=False),
    "withdrawal": _withdrawal,
    "staff-comment": lambda shop: _comment(shop, by_customer=True),
    "staff-cancellation": lambda shop: _cancellation(shop, Role.CUSTOMER, staff=True),
    "staff-withdrawal": lambda shop: _withdrawal(shop, staff=True),
    "invoice": lambda shop: _pdf(_order(), shop, payment_method_options=("PayPal",), notes=NOTES),
    "invoice-paid": lambda shop: _pdf(_paid(), shop),
    "invoice-gross": lambda shop: _pdf(_gross(), shop, payment_method_options=("PayPal",)),
    "invoice-reverse-charge": lambda shop: _pdf(_untaxed("AE"), shop),
    "invoice-intra-community": lambda shop: _pdf(_untaxed("K"), shop),
    "invoice-export": lambda shop: _pdf(_untaxed("G"), shop),
    "invoice-of-several-pages": lambda shop: _pdf(_long(), shop),
    "tax-invoice": lambda shop: _pdf(_order(), shop.model_copy(update={"country": "AU"})),
    "credit-note": lambda shop: _pdf(
        _order(), shop, corrects="INV-0006", type=DocumentType.CREDIT_NOTE, payment_due=None
    ),
}
"""Each kind of mail and PDF, and the function that renders it for a shop."""


def renderings(language: str, kinds: str = "") -> Iterator[tuple[str, Rendering]]:
    """Yields the kinds whose name contains a text, rendered in a language."""
    shop = SHOP.model_copy(update={"language": language})
    yield from ((kind, make(shop)) for kind, make in KINDS.items() if kinds in kind)


def page_of(mail: EmailMessage) -> str:
    """Returns the HTML of a mail with its logo, as a page on its own."""
    part = mail.get_body(("html",))
    page = str(part.get_content()) if part else ""
    for image in (each for each in mail.walk() if each["Content-ID"]):
        data = base64.b64encode(image.get_content()).decode()
        page = page.replace(f'"cid:{image["Content-ID"][1:-1]}"', f'"data:{image.get_content_type()};base64,{data}"')
    return page


def main() -> None:
    """Parses the command line and writes the page."""
    parser = argparse.ArgumentParser(prog="make preview", description=__doc__)
    parser.add_argument("--language", default="", help="a language such as de; all of them by default")
    parser.add_argument("--kind", default="", help=f"a part of one of: {', '.join(KINDS)}")
    arguments = parser.parse_args()
    known = sorted(languages())
    if not any(arguments.kind in kind for kind in KINDS):
        sys.exit(f"KIND={arguments.kind} is unknown. Use one of {', '.join(KINDS)}, or a part of it.")
    if arguments.language and not find_language(arguments.language):
        sys.exit(f"LANGUAGE={arguments.language} has no catalogue. Use one of {', '.join(known)}.")
    OUT.mkdir(parents=True, exist_ok=True)
    start, rows = time.monotonic(), dict[str, str]()
    for language in [arguments.language] if arguments.language else known:
        print(language, end=" ", flush=True)
        for kind, rendered in renderings(language, arguments.kind):
            rows[kind] = rows.get(kind, "") + _figure(kind, language, rendered)
    sections = "".join(f"<h2>{kind}</h2><section>{figures}</section>\n" for kind, figures in rows.items())
    style = "body{font:15px sans-serif}section{display:flex;overflow:auto}iframe{width:680px;height:900px}"
    page = f"<!DOCTYPE html><meta charset=utf-8><title>Mails and PDFs</title><style>{style}</style>\n{sections}"
    (OUT / "index.html").write_text(page, encoding="utf-8")
    print(f"\nRendered in {time.monotonic() - start:.1f} s. Open {(OUT / 'index.html').as_uri()}")


def _figure(kind: str, language: str, rendered: Rendering) -> str:
    """Writes a rendering to a file, and returns the element that shows it."""
    is_pdf = isinstance(rendered, bytes)
    name = f"{kind}.{language}.{'pdf' if is_pdf else 'html'}"
    (OUT / name).write_bytes(rendered if isinstance(rendered, bytes) else page_of(rendered).encode())
    title = "PDF" if isinstance(rendered, bytes) else rendered["Subject"]
    caption = f"<figcaption>{language}: {html.escape(title)}</figcaption>"
    return f'<figure>{caption}<iframe loading="lazy" src="{name}"></iframe></figure>'


if __name__ == "__main__":
    main()
