"""The official validators accept our e-invoices, and refuse broken ones: no check passes because it checks nothing."""

import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import pytest
from e_invoices import Issued, corpus, generated, in_all_scripts
from pypdf import PdfReader
from validators.check import CHECKS, VALIDATORS, Report, check

from orders.e_invoice.cii import FILE_NAME, cii
from orders.e_invoice.ubl import ubl
from orders.invoices import XmlFormat
from orders.printing import pdf
from orders.printing.content import Content, invoice_content

pytestmark = [
    pytest.mark.validators,
    pytest.mark.skipif(not VALIDATORS, reason="needs the validators of e-invoices: make validate"),
]

EXAMPLES = int(os.environ.get("EXAMPLES") or 20)
"""How many orders to generate."""

PDF = ("mustang", "3a", "ua1")
CII = ("cen-cii", "zugferd")
UBL = {XmlFormat.PEPPOL: ("cen-ubl", "peppol"), XmlFormat.XRECHNUNG: ("cen-ubl", "xrechnung-ubl")}


def content_of(each: Issued) -> Content:
    return invoice_content(each.document, each.document.order_as_issued(each.order), each.shop)


def check_all(folder: Path, documents: Iterable[Issued]) -> Report:
    """Checks the PDF of each document, the XML in it, and the XML file beside it if it has one."""
    wanted: dict[str, tuple[str, ...]] = {}

    def add(name: str, data: bytes, checks: tuple[str, ...]) -> None:
        (folder / name).write_bytes(data)
        wanted[name] = checks

    for each in documents:
        content = content_of(each)
        assert content.e_invoice, (each.name, each.document.missing)
        printed = pdf.render_pdf(content)
        add(f"{each.name}.pdf", printed, PDF)
        add(f"{each.name}.cii.xml", PdfReader(io.BytesIO(printed)).attachments[FILE_NAME][0], CII)
        if each.document.xml:
            add(f"{each.name}.ubl.xml", ubl(content.e_invoice).encode(), UBL[each.document.xml])
    return check(folder, wanted)


def test_all_kinds_of_documents_are_valid(tmp_path: Path) -> None:
    report = check_all(tmp_path, [*corpus(), in_all_scripts()])
    print(report)  # noqa: T201 - shown with -rP
    assert report.findings == []
    assert report.files.keys() == CHECKS.keys()


def test_generated_documents_are_valid(tmp_path: Path) -> None:
    report = check_all(tmp_path, generated(EXAMPLES))
    print(report)  # noqa: T201 - shown with -rP
    assert report.findings == []
    assert report.files["mustang"] >= EXAMPLES


# Broken documents ----------------------------------------------------------------------------------------------------


class Broken(NamedTuple):
    """A document of the corpus, changed so that it breaks a rule.

    Attributes:
        check: What the changed document must fail.
        name: The document.
        rule: The id of the rule that it breaks.
        old: A text that occurs once: for `mustang`, `cen-cii` and `zugferd` in the XML that the PDF embeds.
        new: What replaces it; in a PDF, of the same length, because its table of objects must stay true.
    """

    check: str
    name: str
    rule: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.check} {self.name} {self.rule}"

    @property
    def file(self) -> str:
        return f"{self}.{'pdf' if self.check in PDF else 'xml'}".replace(" ", "-")

    def write(self, each: Issued, folder: Path) -> None:
        """Writes the file."""
        content = content_of(each)
        assert content.e_invoice
        if self.old.startswith(("/", "<pdf", "<fx:")):
            made = self._change(pdf.render_pdf(content))
        elif "cbc:" in self.old:
            made = self._change(ubl(content.e_invoice).encode())
        else:
            made = self._change(cii(content.e_invoice).encode())
            if self.check == "mustang":
                with patch.object(pdf, "cii", lambda _: made.decode()):
                    made = pdf.render_pdf(content)
        (folder / self.file).write_bytes(made)

    def _change(self, data: bytes) -> bytes:
        assert data.count(self.old.encode()) == 1
        return data.replace(self.old.encode(), self.new.encode())


CII_SUM = "MonetarySummation><ram:LineTotalAmount>210.00", "MonetarySummation><ram:LineTotalAmount>211.00"
UBL_SUM = tuple(f'<cac:LegalMonetaryTotal><cbc:LineExtensionAmount currencyID="EUR">{n}' for n in (210, 211))
NO_BUYER = '<cbc:EndpointID schemeID="0208">0403019261</cbc:EndpointID>', ""
NO_REFERENCE = "<cbc:BuyerReference>04011000-12345-03</cbc:BuyerReference>", ""
NOT_IN_THE_SCHEMA = "</ram:ApplicableHeaderTradeDelivery>", "<ram:Kind/></ram:ApplicableHeaderTradeDelivery>"
NO_TERMS = "<ram:SpecifiedTradePaymentTerms>", ""
NO_RELATIONSHIP = "/AFRelationship/", "/AFRelationshiq/"

BROKEN = (
    Broken("3a", "standard", "6.8-3", *NO_RELATIONSHIP),
    Broken("3a", "standard", "6.6.4-2", "<pdfaid:part>3<", "<pdfaid:part>2<"),
    Broken("ua1", "standard", "5-2", "<pdfuaid:part>1<", "<pdfuaid:part>2<"),
    Broken("ua1", "standard", "7.1-10", "/DisplayDocTitle true", "/DisplayDocTitle null"),
    Broken("mustang", "standard", "status", *NO_RELATIONSHIP),
    Broken("mustang", "standard", "error-19", "<fx:DocumentFileName>factur-x", "<fx:DocumentFileName>faktur-x"),
    *(
        broken
        for name in ("two-rates", "two-rates-credit-note")
        for broken in (
            Broken("mustang", name, "error-4", *CII_SUM),
            Broken("cen-cii", name, "BR-CO-10", *CII_SUM),
            Broken("zugferd", name, "FX-SCH-A-000120", *CII_SUM),
            Broken("cen-cii", name, "xsd", *NOT_IN_THE_SCHEMA),
        )
    ),
    *(
        broken
        for kind in ("", "-credit-note")
        for broken in (
            Broken("cen-ubl", f"peppol{kind}", "BR-CO-10", *UBL_SUM),
            Broken("peppol", f"peppol{kind}", "PEPPOL-EN16931-R010", *NO_BUYER),
            Broken("xrechnung-ubl", f"xrechnung{kind}", "BR-DE-15", *NO_REFERENCE),
        )
    ),
)


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """What the validators find in the broken documents."""
    folder, documents = tmp_path_factory.mktemp("broken"), {each.name: each for each in corpus()}
    for broken in BROKEN:
        broken.write(documents[broken.name], folder)
    return check(folder, {broken.file: [broken.check] for broken in BROKEN})


@pytest.mark.parametrize("broken", BROKEN, ids=str)
def test_a_broken_document_is_refused(refused: Report, broken: Broken) -> None:
    assert broken.rule in refused.rules(broken.file, broken.check)


def test_every_check_refuses_something() -> None:
    assert {broken.check for broken in BROKEN} == CHECKS.keys()
