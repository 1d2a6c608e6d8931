"""E-invoices: the XML says what the PDF prints, and a document that cannot be one says why.

Official validators check the XML itself (`make validate`).
"""

import io
import re
import unicodedata
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any
from xml.etree import ElementTree as ET

import pypdfium2  # type: ignore[import-untyped]
import pytest
from e_invoices import AMERICAN, BELGIAN, GERMAN, SHOP, SPANISH, Issued, an_order, corpus, generated, issue, line
from pypdf import PdfReader

from orders.e_invoice.cii import FILE_NAME, NAMESPACES, cii
from orders.e_invoice.codes import peppol_id_is_valid
from orders.e_invoice.ubl import ubl
from orders.errors import EInvoiceIncomplete
from orders.invoices import XmlFormat
from orders.mailing.letters import formats_for
from orders.mailing.shop import EInvoices
from orders.models import PaymentStatus
from orders.printing.content import invoice_content
from orders.printing.hybrid import mark_as_facturx
from orders.printing.pdf import render_pdf
from orders.terms import TaxCategory

CORPUS = {each.name: each for each in corpus()}

CODES = {
    *("TypeCode", "CategoryCode", "ReasonCode", "ExemptionReasonCode", "CountryID", "Indicator"),
    *("InvoiceTypeCode", "CreditNoteTypeCode", "PaymentMeansCode", "AllowanceChargeReasonCode", "ChargeIndicator"),
    *("TaxExemptionReasonCode", "IdentificationCode", "CustomizationID", "ProfileID", "LineID"),
}
"""Elements whose codes are for software. What they mean is printed in words."""

FOR_SOFTWARE = {
    *("GuidelineSpecifiedDocumentContextParameter", "URIUniversalCommunication", "TaxScheme"),
    *("TaxCategory", "ClassifiedTaxCategory"),
}
"""Elements that contain nothing but codes and rates."""

RATES = {"RateApplicablePercent", "Percent"}
QUANTITIES = {"BilledQuantity", "BasisQuantity", "InvoicedQuantity", "CreditedQuantity", "BaseQuantity"}
DATES = {"DateTimeString", "IssueDate", "DueDate", "ActualDeliveryDate"}


@cache
def rendered(name: str) -> bytes:
    return render(CORPUS[name])


def render(each: Issued) -> bytes:
    return render_pdf(invoice_content(each.document, each.document.order_as_issued(each.order), each.shop))


def embedded(pdf: bytes) -> dict[str, bytes]:
    return {name: files[0] for name, files in PdfReader(io.BytesIO(pdf)).attachments.items()}


def leaves(xml: bytes | str) -> Iterator[tuple[str, str, str]]:
    """Yields the parent, name and text of each element with text."""
    for parent in ET.fromstring(xml).iter():
        for child in parent:
            if child.text and child.text.strip():
                yield parent.tag.partition("}")[2], child.tag.partition("}")[2], child.text


def squeezed(text: str) -> str:
    """Returns text without spaces, hyphens of line breaks and the order of right-to-left words."""
    return re.sub(r"[\s\ufffe\u200e\u200f\u2066-\u2069]", "", text)


def unprinted(xml: bytes | str, each: Issued, pdf: bytes) -> list[tuple[str, str, str]]:
    """Returns what the XML says and the PDF does not print."""
    formats = formats_for(each.order, each.shop, each.document.language)
    # Pdfium puts the words of a Latin name on a page from right to left into the order of their places.
    paper = squeezed(
        " ".join(page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(pdf))
        if formats.words.direction == "ltr"
        else " ".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)
    )

    def says(parent: str, name: str, text: str) -> bool:
        if name in CODES or (parent in FOR_SOFTWARE and name not in {*RATES, "TaxExemptionReason"}):
            return True
        if name in DATES:
            day = date.fromisoformat(text if "-" in text else f"{text[:4]}-{text[4:6]}-{text[6:]}")
            return squeezed(formats.day(day)) in paper
        if name in RATES:
            return squeezed(formats.percent(Decimal(text))) in paper
        if name in QUANTITIES:
            return squeezed(formats.quantity(Decimal(text))) in paper
        if "Amount" in name:
            amount = Decimal(text)
            nothing_due = not amount and name in {"DuePayableAmount", "PayableAmount"}
            # A discount is printed as a negative amount, and some languages have the sign within it.
            printed = any(squeezed(formats.money(each)) in paper for each in (amount, -amount))
            return printed or (nothing_due and squeezed(formats.words.gettext("There is nothing to pay.")) in paper)
        if parent in {"PostalAddress", "PostalTradeAddress"}:
            # Some countries write cities in capitals.
            return squeezed(text) in paper or squeezed(text).upper() in paper
        if parent == "Contact" or not any(unicodedata.bidirectional(letter) == "AL" for letter in text):
            return squeezed(text).replace("\N{WRAPPED PRESENT}", "[wrappedpresent]") in paper
        return set(squeezed(text)) <= set(paper)

    return [found for found in leaves(xml) if not says(*found)]


# The XML and the PDF say the same ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name.startswith("in-") else ()) for name in CORPUS]
)
def test_everything_in_the_xml_is_printed(name: str) -> None:
    each, pdf = CORPUS[name], rendered(name)
    [xml] = embedded(pdf).values()
    assert len(list(leaves(xml))) > 20
    assert unprinted(xml, each, pdf) == []


@pytest.mark.parametrize("name", [name for name, each in CORPUS.items() if each.document.xml])
def test_everything_in_the_file_beside_the_pdf_is_printed(name: str) -> None:
    each = CORPUS[name]
    content = invoice_content(each.document, each.document.order_as_issued(each.order), each.shop).e_invoice
    assert content
    found = [
        (parent, tag, text)
        for parent, tag, text in unprinted(ubl(content), each, rendered(name))
        if tag != "EndpointID"
    ]
    assert found == []


@pytest.mark.parametrize("each", [pytest.param(each, id=each.name) for each in generated(12)])
def test_everything_in_the_xml_of_generated_orders_is_printed(each: Issued) -> None:
    check_generated(each)


@pytest.mark.slow
def test_everything_in_the_xml_of_200_generated_orders_is_printed() -> None:
    for each in generated(200):
        check_generated(each)


def check_generated(each: Issued) -> None:
    assert each.document.e_invoice, each.document.missing
    pdf = render(each)
    [xml] = embedded(pdf).values()
    assert unprinted(xml, each, pdf) == [], each.name


def test_an_amount_that_is_not_printed_is_found() -> None:
    each, pdf = CORPUS["two-rates"], rendered("two-rates")
    [xml] = embedded(pdf).values()
    wrong = xml.replace(b">160.00<", b">160.01<")
    assert {text for _, _, text in unprinted(wrong, each, pdf)} == {"160.01"}
    assert unprinted(xml.replace(b"20261124", b"20261125"), each, pdf)
    assert unprinted(xml.replace("Böhm".encode(), b"Bohm"), each, pdf)
    assert unprinted(xml.replace(b"Percent>7<", b"Percent>8<"), each, pdf)


# The XML -------------------------------------------------------------------------------------------------------------


def values(name: str, path: str) -> list[str]:
    """Returns the texts of elements of an invoice's XML, by a path of `ram:` elements."""
    [xml] = embedded(rendered(name)).values()
    steps = "/".join(f"{{{NAMESPACES['ram']}}}{step}" for step in path.split("/"))
    return [node.text or "" for node in ET.fromstring(xml).iterfind(f".//{steps}")]


def test_the_figures_of_an_invoice_with_two_rates() -> None:
    summation = "SpecifiedTradeSettlementHeaderMonetarySummation"
    assert values("two-rates", f"{summation}/LineTotalAmount") == ["210.00"]
    assert values("two-rates", f"{summation}/ChargeTotalAmount") == ["5.90"]
    assert values("two-rates", f"{summation}/TaxBasisTotalAmount") == ["215.90"]
    assert values("two-rates", f"{summation}/TaxTotalAmount") == ["21.82"]
    assert values("two-rates", f"{summation}/GrandTotalAmount") == ["237.72"]
    assert values("two-rates", f"{summation}/DuePayableAmount") == ["237.72"]
    header = "ApplicableHeaderTradeSettlement/ApplicableTradeTax"
    assert values("two-rates", f"{header}/BasisAmount") == ["55.90", "160.00"]
    assert values("two-rates", f"{header}/CalculatedAmount") == ["10.62", "11.20"]


def test_a_discount_on_the_whole_order_is_an_allowance_for_each_rate() -> None:
    header = "ApplicableHeaderTradeSettlement/SpecifiedTradeAllowanceCharge"
    # 13.00 over 80.00 and 50.00, highest rate first.
    assert values("discount-over-rates", f"{header}/ActualAmount") == ["5.00", "8.00"]


def test_gross_prices_become_net_amounts_of_lines() -> None:
    # 3 × 9.99 contain 4.79: a price without tax has no exact value for one piece, but one for three.
    assert values("gross", "NetPriceProductTradePrice/ChargeAmount") == ["25.18"]
    assert values("gross", "NetPriceProductTradePrice/BasisQuantity") == ["3"]
    assert values("gross", "SpecifiedTradeSettlementLineMonetarySummation/LineTotalAmount") == ["25.18"]


def test_rounding_paid_and_due() -> None:
    summation = "SpecifiedTradeSettlementHeaderMonetarySummation"
    assert values("rounded-down", f"{summation}/GrandTotalAmount") == ["119.00"]
    assert values("rounded-down", f"{summation}/RoundingAmount") == ["-0.04"]
    assert values("rounded-down", f"{summation}/TotalPrepaidAmount") == ["50.00"]
    assert values("rounded-down", f"{summation}/DuePayableAmount") == ["68.96"]
    # What was paid too much was not paid for this invoice.
    assert values("overpaid", f"{summation}/TotalPrepaidAmount") == ["119.00"]
    assert values("overpaid", f"{summation}/DuePayableAmount") == ["0.00"]


def test_dates_are_the_shops_days() -> None:
    [xml] = embedded(rendered("references")).values()
    dates = [text for _, name, text in leaves(xml) if name == "DateTimeString"]
    assert dates == ["20261124", "20261122", "20261208"]


def test_a_credit_note_names_its_invoice_and_asks_for_no_transfer() -> None:
    name = "two-rates-credit-note"
    assert values(name, "InvoiceReferencedDocument/IssuerAssignedID") == ["INV-2026-00017"]
    assert values(name, "SpecifiedTradeSettlementPaymentMeans/TypeCode") == []
    assert values(name, "SpecifiedTradeSettlementHeaderMonetarySummation/DuePayableAmount") == ["237.72"]
    [xml] = embedded(rendered(name)).values()
    assert ("ExchangedDocument", "TypeCode", "381") in list(leaves(xml))


def test_outside_the_scope_of_vat_there_is_no_vat_number_and_no_rate() -> None:
    assert values("outside-scope", "SpecifiedTaxRegistration/ID") == ["127/123/12345"]
    assert values("outside-scope", "ApplicableTradeTax/RateApplicablePercent") == []
    assert values("outside-scope", "ApplicableTradeTax/ExemptionReasonCode") == ["VATEX-EU-O"]


def test_text_that_a_person_wrote_is_never_markup() -> None:
    assert "Сыр & <масло> ]]>" in values("names", "SpecifiedTradeProduct/Name")


def test_characters_that_xml_cannot_have_are_replaced() -> None:
    # Orders that were stored before the API refused them.
    order = an_order(line(19)).model_copy(update={"buyer_reference": "Tor\ufffe 7"})
    content = invoice_content(issue(order), order, SHOP).e_invoice
    assert content
    assert "Tor\ufffd 7" in [text for _, _, text in leaves(cii(content))]


# The PDF -------------------------------------------------------------------------------------------------------------


def test_the_pdf_embeds_the_xml_as_facturx_asks() -> None:
    pdf = rendered("standard")
    reader = PdfReader(io.BytesIO(pdf))
    root: Any = reader.trailer["/Root"]
    [file] = [each.get_object() for each in root["/AF"]]
    assert (file["/UF"], file["/AFRelationship"]) == (FILE_NAME, "/Alternative")
    assert file["/EF"]["/F"].get_object()["/Subtype"] == "/text/xml"
    assert embedded(pdf)[FILE_NAME].startswith(b"<?xml")
    metadata = root["/Metadata"].get_data().decode()
    for name, value in {
        "DocumentType": "INVOICE",
        "DocumentFileName": "factur-x.xml",
        "Version": "1.0",
        "ConformanceLevel": "EN 16931",
    }.items():
        assert f"<fx:{name}>{value}</fx:{name}>" in metadata
    assert "urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#" in metadata
    assert "<pdfaid:part>3</pdfaid:part>" in metadata


def test_the_same_e_invoice_has_the_same_bytes() -> None:
    assert render(CORPUS["two-rates"]) == rendered("two-rates")


def test_a_document_that_is_no_e_invoice_has_no_attachment() -> None:
    order = an_order(line(19))
    document = issue(order, SHOP.model_copy(update={"e_invoices": EInvoices.OFF}))
    assert document.e_invoice is None
    pdf = render(Issued("off", document, order, SHOP))
    assert embedded(pdf) == {}
    assert b"factur-x" not in pdf


@pytest.mark.parametrize(
    ("found", "instead"),
    [
        (b"/Subtype/XML>>\nstream\n", b"/Subtype/XML/Filter/FlateDecode>>\nstream\n"),
        (b"</rdf:Bag></pdfaExtension:schemas>", b"</rdf:Bag><x/></pdfaExtension:schemas>"),
        (b"</rdf:RDF>", b"</rdf:RDX>"),
        (b"\nxref\n", b"\nxreg\n"),
        (b"%%EOF", b"%%EOX"),
        (b"\nendstream", b"\n\nendstream"),
    ],
)
def test_unexpected_output_of_typst_is_an_error(found: bytes, instead: bytes) -> None:
    order = an_order(line(19))
    plain = render(Issued("off", issue(order, SHOP.model_copy(update={"e_invoices": EInvoices.OFF})), order, SHOP))
    assert found in plain
    with pytest.raises(ValueError, match=r"metadata|table|end"):
        mark_as_facturx(plain.replace(found, instead))


# What keeps a document from being an e-invoice -----------------------------------------------------------------------

NO_VAT = {"vat_id": "", "tax_number": ""}


@pytest.mark.parametrize(
    ("lines", "more", "shop", "lacks"),
    [
        ([{"price": "1"}], {}, {}, "order_line_details.0.tax_rate"),
        ([{"price": "1", "tax_rate": 0}], {}, {}, "order_line_details.0.tax_category"),
        ([line(19)], {"shipping_cost": "5"}, {}, "shipping_tax_rate"),
        (
            [line(19)],
            {"shipping_cost": "5", "shipping_tax_rate": 0},
            {},
            "shipping_tax_rate: is 0, and the lines do not tell its tax category",
        ),
        ([line(19)], {"payment_due": None}, {"payment_days": None}, "payment_due"),
        ([line(19)], {}, {"legal_name": ""}, "seller.legal_name"),
        ([line(19)], {}, {"country": ""}, "seller.country"),
        ([line(19)], {}, {"country": "UK"}, "seller.country: is no country of ISO 3166"),
        ([line(19)], {}, NO_VAT, "seller.vat_id"),
        ([line(19)], {}, {"vat_id": "123456789"}, "seller.vat_id: must begin with the code of its country"),
        ([line(19)], {}, {"vat_id": "", "register_number": ""}, "seller.register_number"),
        ([line(19)], {"customer_summary": GERMAN | {"country": None}}, {}, "customer_summary.country"),
        (
            [line(19)],
            {"customer_summary": GERMAN | {"country": {"name": "España"}}},
            {},
            "customer_summary.country.code",
        ),
        (
            [line(19)],
            {"customer_summary": GERMAN | {"country": {"code": "XX"}}},
            {},
            "customer_summary.country.code: is no country of ISO 3166",
        ),
        (
            [line(19)],
            {"customer_summary": GERMAN | {"first_name": None, "last_name": " "}},
            {},
            "customer_summary.last_name",
        ),
        ([{"price": "1", "tax_rate": 0, "tax_category": "AE"}], {}, {}, "customer_summary.vat_number"),
        (
            [{"price": "1", "tax_rate": 0, "tax_category": "AE"}],
            {"customer_summary": GERMAN | {"vat_number": "12345"}},
            {},
            "customer_summary.vat_number: must begin with the code of its country",
        ),
        ([{"price": "1", "tax_rate": 0, "tax_category": "E"}], {}, {}, "tax_exemption_reason"),
        (
            [{"price": "1", "tax_rate": 0, "tax_category": "K"}],
            {"customer_summary": SPANISH, "delivery_country": "ES", "delivered_on": None},
            {},
            "delivered_on",
        ),
        ([line(19)], {"delivered_on": None}, {}, "delivered_on"),
        (
            [{"price": "1", "tax_rate": 0, "tax_category": "K"}],
            {"customer_summary": SPANISH, "delivered_on": "2026-11-20"},
            {},
            "delivery_country",
        ),
        (
            [{"price": "1", "tax_rate": 0, "tax_category": "G"}],
            {"customer_summary": AMERICAN},
            {"vat_id": ""},
            "seller.vat_id",
        ),
        (
            [line(19), {"price": "1", "tax_rate": 0, "tax_category": "O"}],
            {},
            {},
            "order_line_details.tax_category: O cannot be combined with another category",
        ),
        (
            [line(19, product_name="\N{NO-BREAK SPACE}")],
            {},
            {},
            "order_line_details.0.product_name: must not be blank",
        ),
        (
            [line(19, unit_code="QQ")],
            {},
            {},
            "order_line_details.0.unit_code: is no unit of UN/ECE Recommendation 20",
        ),
        ([line(19)], {"currency_code": "ABC"}, {}, "currency_code: is no currency of ISO 4217"),
        ([line(19)], {"delivery_country": "XX"}, {}, "delivery_country: is no country of ISO 3166"),
        (
            [{"price": "10.005", "tax_rate": 19, "tax": "1.901"}],
            {"currency_code": "KWD"},
            {},
            "order_line_details.0.tax: has more than 2 decimals",
        ),
        (
            [{"price": "100", "tax_rate": 0, "tax_category": "Z", "tax": "0.5"}],
            {},
            {},
            "total_tax: the tax at 0 % is 0.5 and must be about 0.00",
        ),
    ],
)
def test_what_keeps_a_document_from_being_an_e_invoice(
    lines: list[dict[str, Any]], more: dict[str, Any], shop: dict[str, Any], lacks: str
) -> None:
    order, seller = an_order(*lines, **more), SHOP.model_copy(update=shop)
    document = issue(order, seller)
    assert document.e_invoice is None
    assert document.xml is None
    assert lacks in document.missing
    assert embedded(render(Issued("plain", document, order, seller))) == {}
    field, _, reason = lacks.partition(": ")
    with pytest.raises(EInvoiceIncomplete) as refused:
        issue(order, seller.model_copy(update={"e_invoices": EInvoices.REQUIRED}))
    assert {"field": field, "message": reason or "is missing"} in refused.value.facts["errors"]


def test_500_lines_rounded_one_by_one_are_no_e_invoice_if_the_tax_is_off_by_one_or_more() -> None:
    # 500 × 1.07 with a tax of 0.0749, rounded to 0.07: 2.45 less than 7 % of the whole.
    order = an_order(*[{"price": "1.07", "tax_rate": 7, "tax": "0.07"}] * 500)
    document = issue(order)
    assert document.e_invoice is None
    assert document.missing == ("total_tax: the tax at 7 % is 35.00 and must be about 37.45",)
    # Off by 0.99, it is one.
    within = an_order(
        *[{"price": "1.07", "tax_rate": 7, "tax": "0.07"}] * 499, {"price": "1.07", "tax_rate": 7, "tax": "1.53"}
    )
    assert issue(within).e_invoice == "EN 16931"


def test_a_settled_invoice_whose_figures_are_behind_is_no_e_invoice() -> None:
    # Orders of version 0.1: their status says paid, their figures do not.
    order = an_order(line(19)).model_copy(update={"payment_status": PaymentStatus.PAID})
    document = issue(order)
    assert document.e_invoice is None
    assert document.missing == ("paid: is less than the grand total, but the invoice says that it is settled",)


@pytest.mark.parametrize(
    ("more", "shop", "xml", "lacks"),
    [
        ({"customer_summary": BELGIAN, "purchase_order_number": "1"}, {}, XmlFormat.PEPPOL, ()),
        ({"customer_summary": BELGIAN}, {}, None, ("buyer_reference",)),
        ({"customer_summary": SPANISH, "purchase_order_number": "1"}, {}, None, ()),
        (
            {"customer_summary": BELGIAN | {"peppol_id": "0208:0403019262"}, "buyer_reference": "1"},
            {},
            None,
            ("customer_summary.peppol_id: is no valid Peppol id",),
        ),
        (
            {"customer_summary": BELGIAN, "buyer_reference": "1"},
            {"country": "NL", "peppol_id": "0106:12345678"},
            None,
            ("seller.country: Peppol's own rules for sellers in NL are not supported",),
        ),
        ({"buyer_reference": "1"}, {}, XmlFormat.XRECHNUNG, ()),
        ({}, {}, None, ()),
        (
            {"buyer_reference": "1"},
            {"contact_phone": "", "contact_name": ""},
            None,
            ("seller.contact_name", "seller.contact_phone"),
        ),
        (
            {"customer_summary": GERMAN | {"peppol_id": "0088:7300010000001"}},
            {},
            None,
            ("buyer_reference",),
        ),
    ],
)
def test_which_documents_have_an_xml_file(
    more: dict[str, Any], shop: dict[str, Any], xml: XmlFormat | None, lacks: tuple[str, ...]
) -> None:
    document = issue(an_order(line(19), **more), SHOP.model_copy(update=shop))
    assert (document.e_invoice, document.xml, document.missing) == ("EN 16931", xml, lacks)


@pytest.mark.parametrize(
    ("peppol_id", "valid"),
    [
        ("0088:7300010000001", True),
        ("0088:7300010000002", False),
        ("0192:974760673", True),
        ("0192:974760674", False),
        ("0208:0403019261", True),
        ("0208:0403019260", False),
        ("0007:5561234567", True),
        ("0007:5561234568", False),
        ("0151:51824753556", True),
        ("0151:51824753557", False),
        ("0184:DK12345678", True),
        ("0184:1234567", False),
        ("9930:DE123456789", True),
        ("1234:x", False),
        ("0088:", False),
        ("", False),
    ],
)
def test_peppol_ids(peppol_id: str, valid: bool) -> None:
    assert peppol_id_is_valid(peppol_id) == valid


def test_an_untaxed_category_says_why_in_words() -> None:
    assert values("exempt", "ApplicableTradeTax/ExemptionReason") == ["Steuerfrei nach § 4 Nr. 21 UStG"]
    [reason] = values("reverse-charge", "ApplicableTradeTax/ExemptionReason")
    assert reason.startswith("Reverse charge")
    assert values("reverse-charge", "ApplicableTradeTax/ExemptionReasonCode") == ["VATEX-EU-AE"]
    assert values("zero-rated", "ApplicableTradeTax/ExemptionReason") == []
    assert {each.order.order_line_details[0].category for each in CORPUS.values()} == set(TaxCategory)
