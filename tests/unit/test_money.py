"""Generated orders: totals add up and are payable; JSON, mail and PDF state the same amounts."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pypdfium2  # type: ignore[import-untyped]
from generated import DECIMALS, orders
from hypothesis import given
from mails import SHOP, Page, spaced

from orders import views
from orders.documents import Series, issue_invoice
from orders.identity import Caller, Role
from orders.money import MINOR_UNITS, amount_text, minor_units
from orders.payments import OPEN
from orders.printing.content import invoice_content
from orders.printing.pdf import render_pdf
from orders.requests import InvoiceRequest, NewOrder
from orders.tax import tax_groups
from send_invoice.mail import render_html, render_mail
from send_invoice.sending import draft_mailing

NOW = datetime(2026, 1, 15, tzinfo=UTC)

# Where each amount of an order's JSON stands on an invoice. Those of 0 are left out.
ADDED = {
    "Subtotal": "sub_total",
    "Discount": "total_discount",
    "Tax": "total_tax",
    "Shipping": "shipping_cost",
    "Shipping tax": "shipping_tax",
    "Handling": "handling_cost",
    "Handling tax": "handling_tax",
    "Surcharge": "total_surcharge",
    "Surcharge tax": "surcharge_tax",
    "Rounding": "rounding",
}
INCLUDED = {
    "Includes tax": "total_tax",
    "Includes shipping tax": "shipping_tax",
    "Includes handling tax": "handling_tax",
    "Includes surcharge tax": "surcharge_tax",
}
ALWAYS = {"Subtotal"}


def digits(text: str) -> str:
    """An amount as printed for the United States, as JSON writes it: `-$1,234.50` is `-1234.50`."""
    return re.sub(r"[^\d.-]", "", text.replace("CLF", "").replace("RSD", ""))


def expected_rows(order: dict[str, Any], *, rates_stated: bool) -> list[tuple[str, str]]:
    """The totals that an invoice must state, from the order's JSON and whether it has any tax rates."""
    gross = order["prices_include_tax"]
    rows = [
        (label, f"-{order[name]}" if label == "Discount" else order[name])
        for label, name in ADDED.items()
        if (label in ALWAYS or Decimal(order[name])) and not (gross and name in INCLUDED.values())
    ]
    if Decimal(order["rounding"]) and rates_stated:
        rows.insert(-1, ("Before rounding", str(Decimal(order["grand_total"]) - Decimal(order["rounding"]))))
    rows.append(("Grand total", order["grand_total"]))
    rows += [(label, order[name]) for label, name in INCLUDED.items() if gross and Decimal(order[name])]
    settled = order["payment_status"] in ("paid", "partially_refunded", "refunded")
    if settled and Decimal(order["due"]):
        return rows
    rows.append(("Paid", order["paid"]))
    rows += [("Refunded", order["refunded"])] if Decimal(order["refunded"]) else []
    overpaid = Decimal(order["paid"]) - Decimal(order["refunded"]) - Decimal(order["grand_total"])
    last = ("Overpaid", f"{overpaid}") if overpaid > 0 else ("Amount due", order["due"])
    return [*rows, last]


@given(orders())
def test_json_mail_and_pdf_state_the_same_amounts(body: dict[str, Any]) -> None:
    body["customer_summary"] = {"email": "alice@example.com", "country": {"code": "US"}}
    for line in body["order_line_details"]:
        line |= {"product_name": "Widget", "sku": None}
    order = NewOrder.model_validate(body).order(NOW)
    draft = draft_mailing(order, Caller(Role.ADMIN, "ada"), InvoiceRequest(), SHOP, NOW)
    own = {"payment_status": draft.payment_status, "seller": SHOP.seller(), "payment_due": SHOP.payment_due(order, NOW)}
    [document] = issue_invoice(Series("INV-2026"), order, "ada", NOW, **own).documents
    mailing = draft.brings(document.head)
    content = invoice_content(mailing, order, SHOP)
    json = views.order_for_staff(order).model_dump(mode="json")
    plain_part = render_mail(content, mailing, SHOP, {}).get_body(("plain",))
    assert plain_part
    plain = plain_part.get_content()
    page = Page(render_html(content))
    pdf = render_pdf(invoice_content(document, document.order_as_issued(order), SHOP))
    paper = " ".join(each.get_textpage().get_text_range() for each in pypdfium2.PdfDocument(pdf))
    # pdfium takes a hyphen at the end of a line for one that only divides a word.
    paper = paper.replace("\ufffe", "-")

    rates = {group.rate for group in tax_groups(order)}
    expected = expected_rows(json, rates_stated=rates != {None})
    _, _, totals = plain.partition("\nTOTALS\n\n")
    printed = [line.split(": ") for line in totals.partition("\n\n")[0].splitlines()]
    assert [(label, digits(amount)) for label, amount in printed] == expected
    rows = [[spaced(cell) for cell in row] for row in page.rows if len(row) == 2]
    assert [(label, digits(amount)) for label, amount in rows[-len(expected) :]] == expected
    assert paper_rows(paper, printed) == expected
    for told in (plain, page.text, paper):
        text = spaced(told)
        # Dates and references: as JSON has them, printed for the United States.
        dates = [json["created"], json["delivered_on"], json["payment_due"] if Decimal(json["due"]) else None]
        for day in (datetime.fromisoformat(date) for date in dates if date):
            assert f"{day:%b} {day.day}, {day.year}" in text
        for said in (mailing.number, json["currency_code"]):
            assert said in text
        # A long id may be on two lines.
        assert "".join(json["order_id"].split()) in "".join(told.split())
    for group in tax_groups(order) if rates != {None} else ():
        for amount in (group.net, group.tax):
            for text in (plain, page.text, paper):
                assert amount_text(abs(amount), order.currency_code) in text.replace(",", "")
    for line in json["order_line_details"]:
        for name in ("price", "total_amount", "tax", "discount"):
            for text in (plain, page.text, paper):
                assert not Decimal(line[name]) or line[name] in text.replace(",", "")
    for text in (plain, page.text, paper):
        assert ("Prices include tax." in spaced(text)) == order.prices_include_tax


def paper_rows(paper: str, printed: list[list[str]]) -> list[tuple[str, str]]:
    """The printed rows that also stand on paper, label before amount."""
    return [
        (label, digits(amount)) for label, amount in printed if f"{spaced(label)} {spaced(amount)}" in spaced(paper)
    ]


LEFT_OUT = {"sub_total", "total_tax", "items_total", "grand_total", "due"}


@given(orders())
def test_totals_add_up_and_are_payable(body: dict[str, Any]) -> None:
    order = NewOrder.model_validate(body).order(NOW)
    given = {name: value for name, value in body.items() if name not in LEFT_OUT}
    given["order_line_details"] = [
        {name: value for name, value in line.items() if name != "total_amount"} for line in body["order_line_details"]
    ]
    # What is left out is computed as it was given.
    assert NewOrder.model_validate(given).order(NOW) == order
    charged = order.total_tax + order.shipping_tax + (order.handling_tax or 0) + (order.surcharge_tax or 0)
    taxes = Decimal(0) if order.prices_include_tax else charged
    charges = order.shipping_cost + order.handling_cost + order.total_surcharge
    assert order.grand_total == order.sub_total - order.total_discount + taxes + charges + order.rounding
    unit = Decimal(1).scaleb(-DECIMALS[order.currency_code])
    payable = [order.grand_total, order.due, order.paid, order.refunded, order.total_tax, order.sub_total]
    assert all(amount % unit == 0 for amount in payable)
    assert order.due == max(Decimal(0), order.grand_total - order.paid)
    assert order.payment_status not in OPEN or order.due > 0


# A second copy on purpose: https://www.six-group.com/en/products-services/financial-information/data-standards.html
ISO_4217 = """
0 BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF
2 EUR USD RSD HUF ALL IRR LBP MGA MMK MRU PKR SYP YER ZZZ
3 BHD IQD JOD KWD LYD OMR TND
4 CLF UYW
"""


def test_decimals_are_those_of_iso_4217() -> None:
    table = {name: int(row[0]) for row in ISO_4217.strip().splitlines() for name in row[2:].split()}
    assert {name: minor_units(name) for name in {*table, *MINOR_UNITS}} == table
