"""E-invoices through the API: in the mailed PDF, beside it, and why there is none."""

from typing import Any

import pytest
from documents import REFUSED, create, pdfs, send
from e_invoices import BELGIAN, GERMAN, line
from harness import Service, break_at
from unit.test_e_invoice import embedded

KAESE = {"item_id": 1, "product_name": "Käse", "quantity": 1}
COMPLETE: dict[str, Any] = {
    "delivered_on": "2026-11-22",
    "customer_summary": GERMAN,
    "order_line_details": [KAESE | line(19)],
}
PEPPOL: dict[str, Any] = COMPLETE | {"customer_summary": BELGIAN, "purchase_order_number": "PO-77"}
PDF, XML = "application/pdf", "application/xml"


def record(service: Service, order_id: str = "A") -> dict[str, Any]:
    [document] = service.documents(order_id)
    return {name: document[name] for name in ("e_invoice", "xml", "missing")}


def test_mailed_pdf_contains_the_e_invoice(service: Service) -> None:
    path = create(service, **COMPLETE)
    preview = service.post(f"{path}/invoice-preview")
    assert preview.headers["e-invoice"] == "EN 16931"
    assert "invoice-missing" not in preview.headers
    number = send(service, path)
    [pdf] = pdfs(service.mails[0]).values()
    assert f"<ram:ID>{number}</ram:ID>".encode() in embedded(pdf)["factur-x.xml"]
    assert record(service) == {"e_invoice": "EN 16931", "xml": None, "missing": []}
    assert service.archived() == {f"orders/A/{number}.pdf": pdf}
    own = service.get(f"/orders/A/invoices/{number}", accept=XML)
    assert (own.status, own.json["type"]) == (404, "urn:problem:orders:invoice-not-found")
    assert "Its PDF may contain an e-invoice" in own.json["detail"]


def test_preview_of_a_draft_contains_no_e_invoice(service: Service) -> None:
    # A file with the number DRAFT must not be taken for an invoice.
    preview = service.post(f"{create(service, **COMPLETE)}/invoice-preview", accept=PDF)
    assert preview.raw
    assert embedded(preview.raw) == {}
    assert preview.headers["e-invoice"] == "EN 16931"


def test_order_without_the_data_gets_a_plain_pdf_that_says_what_is_missing(service: Service) -> None:
    path = create(service)
    preview = service.post(f"{path}/invoice-preview")
    assert preview.headers["e-invoice"] == "none"
    assert "order_line_details.0.tax_rate" in preview.headers["invoice-missing"]
    send(service, path)
    [pdf] = pdfs(service.mails[0]).values()
    assert embedded(pdf) == {}
    assert record(service) == {"e_invoice": None, "xml": None, "missing": ["order_line_details.0.tax_rate"]}
    # What is added later does not change the document.
    assert service.post(f"{path}/invoice-preview").headers["e-invoice"] == "none"


def test_required_e_invoice_that_cannot_be_made_is_refused(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("E_INVOICE", "required")
    path = create(service)
    for route in ("send-invoice", "invoice-preview"):
        answer = service.post(f"{path}/{route}")
        assert (answer.status, answer.json["type"]) == (409, "urn:problem:orders:e-invoice-incomplete")
        assert answer.json["errors"] == [{"field": "order_line_details.0.tax_rate", "message": "is missing"}]
    assert service.mails == []
    assert service.documents("A") == []
    # No number is lost.
    assert send(service, create(service, "B", **COMPLETE)) == "INV-2026-00001"


def test_shop_may_send_no_e_invoices(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("E_INVOICE", "off")
    send(service, create(service, **PEPPOL))
    [pdf] = pdfs(service.mails[0]).values()
    assert embedded(pdf) == {}
    assert record(service) == {"e_invoice": None, "xml": None, "missing": []}
    assert len(service.archived()) == 1


def test_peppol_file_is_archived_beside_the_pdf(service: Service) -> None:
    path = create(service, **PEPPOL)
    number = send(service, path)
    assert record(service) == {"e_invoice": "EN 16931", "xml": "Peppol BIS Billing 3.0", "missing": []}
    archived = service.archived()
    assert archived.keys() == {f"orders/A/{number}.pdf", f"orders/A/{number}.xml"}
    assert f"<cbc:ID>{number}</cbc:ID>".encode() in archived[f"orders/A/{number}.xml"]
    for claims, prefix in ((None, "/admin"), ({"sub": "alice"}, "")):
        link = service.get(f"{prefix}/orders/A/invoices/{number}", claims, accept=XML)
        assert (link.status, link.headers["cache-control"]) == (303, "no-store")
        assert f"orders/A/{number}.xml" in link.headers["location"]
        assert "response-content-type=application%2Fxml" in link.headers["location"]
    # Only the PDF is mailed: the file is for the network.
    assert list(pdfs(service.mails[0])) == [f"{number}.pdf"]


def test_credit_note_is_an_e_invoice_like_its_invoice(service: Service) -> None:
    path = create(service, **PEPPOL)
    invoice = send(service, path)
    service.skip_records()
    assert service.post(f"{path}/cancel").status == 204
    assert service.notify(service.records()) == []
    _, note = service.documents("A")
    assert (note["e_invoice"], note["xml"]) == ("EN 16931", "Peppol BIS Billing 3.0")
    archived = service.archived()
    xml = archived[f"orders/A/{note['number']}.xml"]
    assert b"<CreditNote " in xml
    assert f"<cbc:ID>{invoice}</cbc:ID>".encode() in xml
    assert b"TypeCode>381<" in embedded(archived[f"orders/A/{note['number']}.pdf"])["factur-x.xml"]


@pytest.mark.parametrize("step", ["PutObject", "SendEmail"])
def test_repeated_send_after_a_fault_brings_the_same_files(service: Service, step: str) -> None:
    path = create(service, **PEPPOL)
    repair = break_at(step, "before", REFUSED)
    assert service.post(f"{path}/send-invoice").status >= 500
    before = service.archived()
    repair()
    number = send(service, path)
    archived = service.archived()
    assert archived.keys() == {f"orders/A/{number}.pdf", f"orders/A/{number}.xml"}
    assert before.items() <= archived.items()
    assert pdfs(service.mails[-1]) == {f"{number}.pdf": archived[f"orders/A/{number}.pdf"]}


def test_resend_archives_and_typesets_nothing(service: Service) -> None:
    path = create(service, **PEPPOL)
    send(service, path)
    service.calls.clear()
    send(service, path)
    assert service.calls["PutObject"] == 0
    assert service.calls["GetObject"] == 1


def test_text_that_xml_cannot_have_is_refused(service: Service) -> None:
    order = COMPLETE | {"order_id": "A", "customer_id": "alice", "currency_code": "EUR", "buyer_reference": "a\uffff"}
    answer = service.post("/admin/orders", order)
    assert answer.status == 422
    assert [each["field"] for each in answer.json["errors"]] == ["buyer_reference"]
