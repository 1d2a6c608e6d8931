"""The language of mails and documents: the order's, else the request's, else the invoice's, else the shop's."""

from email.message import EmailMessage
from typing import Any

import pytest
from documents import create, paper, pdfs, send, text_of
from harness import ALICE, Service, html_of


@pytest.fixture
def german(service: Service) -> str:
    """An order whose customer is written to in German. The shop's language is English."""
    return create(service, language="de")


def language_of(mail: EmailMessage) -> tuple[str, str]:
    """Returns the language that a mail declares, and that of its page."""
    # With an attachment, it is a header of the part with the texts.
    [declared] = {part["Content-Language"] for part in mail.walk() if part["Content-Language"]}
    return declared, html_of(mail).partition('lang="')[2].partition('"')[0]


def pdf_of(mail: EmailMessage) -> str:
    [pdf] = pdfs(mail).values()
    return paper(pdf)


def test_invoice_speaks_the_language_of_the_order(service: Service, german: str) -> None:
    # The request's language is for customers whose order names none.
    send(service, german, language="fr")
    [mail] = service.mails
    assert mail["Subject"] == "Rechnung INV-2026-00001 zu Ihrer Bestellung A bei Käsekönig & Töchter"
    assert language_of(mail) == ("de", "de")
    assert "Zu zahlen: 100,00\N{NO-BREAK SPACE}€" in text_of(mail)
    assert "Rechnung INV-2026-00001" in pdf_of(mail)
    assert "Invoice" not in pdf_of(mail) + text_of(mail) + html_of(mail)
    [document] = service.documents("A")
    assert (document["language"], document["mailings"][0]["language"]) == ("de", "de")


@pytest.mark.parametrize(
    ("order", "request_", "language", "title"),
    [
        (None, "fr", "fr", "Facture"),
        (None, None, "en", "Invoice"),
        ("pt-BR", None, "pt", "Fatura"),
        ("zh", None, "zh-Hans", "发票"),
        # Words and formats of a language without a catalogue are left out together.
        ("fi", "fr", "fr", "Facture"),
        ("fi", None, "en", "Invoice"),
        ("zh-TW", None, "en", "Invoice"),
    ],
)
def test_language_without_a_catalogue_is_skipped(
    service: Service, order: str | None, request_: str | None, language: str, title: str
) -> None:
    path = create(service, language=order) if order else create(service)
    send(service, path, **({"language": request_} if request_ else {}))
    [mail] = service.mails
    assert language_of(mail) == (language, language)
    assert title in pdf_of(mail)


def test_document_keeps_the_language_that_it_was_issued_in(service: Service) -> None:
    path = create(service)
    send(service, path, language="fr")
    # Without another wish, the mail follows the document.
    send(service, path)
    service.patch(path, {"language": "de"})
    send(service, path)
    assert [language_of(mail)[0] for mail in service.mails] == ["fr", "fr", "de"]
    assert len({pdf for mail in service.mails for pdf in pdfs(mail).values()}) == 1
    assert [each["language"] for each in service.documents("A")] == ["fr"]
    preview = service.post(f"{path}/invoice-preview", accept="application/pdf")
    assert "Facture" in paper(preview.raw or b"")


def test_credit_note_has_the_language_of_its_invoice(service: Service) -> None:
    path = create(service)
    send(service, path, language="nl")
    service.skip_records()
    service.post("/orders/A/cancel", claims=ALICE)
    service.notify(service.records())
    mail = service.mails[-1]
    assert "geannuleerd" in mail["Subject"]
    assert "Creditnota" in pdf_of(mail)


def test_notices_speak_the_language_of_the_order(service: Service, german: str) -> None:
    service.skip_records()
    service.post(f"{german}/comments", {"content": "Grüße", "is_visible_to_customer": True})
    service.post("/orders/A/cancel", claims=ALICE)
    service.notify(service.records())
    comment, cancellation = service.notices
    assert comment["Subject"] == "Eine Nachricht zu Ihrer Bestellung A bei Käsekönig & Töchter"
    assert cancellation["Subject"] == "Ihre Bestellung A bei Käsekönig & Töchter ist storniert"
    assert [language_of(mail) for mail in service.notices] == [("de", "de")] * 2
    # The staff reads the shop's language.
    assert [(mail["Subject"], language_of(mail)[0]) for mail in service.staff_mails] == [
        ("Order A: cancelled by the customer", "en")
    ]


@pytest.mark.parametrize("wrong", ["", "german", "de_DE", "d", 1, ["de"]])
def test_wrong_language_is_refused(service: Service, wrong: Any) -> None:
    path = create(service)
    answer = service.patch(path, {"language": wrong})
    assert (answer.status, [error["field"] for error in answer.json["errors"]]) == (422, ["language"])
    assert service.get(path).json["language"] is None


def test_language_of_an_order_can_be_changed_and_removed(service: Service, german: str) -> None:
    assert service.get("/orders/A", ALICE).json["language"] == "de"
    for language in ("ar-EG", None):
        assert service.patch(german, {"language": language}).status == 200
        assert service.get("/orders/A", ALICE).json["language"] == language
