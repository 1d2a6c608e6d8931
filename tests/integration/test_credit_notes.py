"""Cancelling an invoiced order: a credit note, or a void invoice, exactly once, and what the customer is told."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from documents import NO_ANSWER, REFUSED, create, paper, pdfs, send, summary, text_of
from harness import BOB, DYNAMODB_LOCAL, ProcessCrash, Service, break_at, html_of, invoke
from mails import Page
from traffic import traffic

from orders import aws

pytestmark = pytest.mark.slow

PATH, OWN = "/admin/orders/A", "/orders/A"


@pytest.fixture
def sent(service: Service) -> Service:
    """The service, after the invoice of an order was mailed."""
    send(service, create(service), notes="Pay by Friday", payment_settings={"payment_method_options": ["Vipps"]})
    service.skip_records()
    return service


def cancel(service: Service, path: str = PATH, **body: Any) -> list[dict[str, Any]]:
    """Cancels an order and returns the records that this wrote to the table's stream."""
    service.skip_records()
    answer = service.post(f"{path}/cancel", body)
    assert answer.status == 204, answer.text
    return service.records()


CREDITED = ["INV-2026-00001: credited by INV-2026-00002: sent", "INV-2026-00002: credits INV-2026-00001"]
MAILED = [CREDITED[0], f"{CREDITED[1]}: sent"]

# What is issued ------------------------------------------------------------------------------------------------------


def test_cancelling_an_invoiced_order_mails_a_credit_note(sent: Service) -> None:
    sent.clock.sleep(3600)
    records = cancel(sent, OWN, reason="zu spät")
    assert summary(sent) == CREDITED
    assert sent.notify(records) == []
    assert summary(sent) == MAILED
    [_, mail] = sent.mails
    assert mail["To"] == "alice@example.com"
    assert "cancelled" in mail["Subject"]
    for text in (text_of(mail), Page(html_of(mail)).text):
        assert "attached credit note INV-2026-00002 cancels invoice INV-2026-00001" in " ".join(text.split())
    [(name, pdf)] = pdfs(mail).items()
    assert name == "INV-2026-00002.pdf"
    assert sent.archived()["orders/A/INV-2026-00002.pdf"] == pdf
    text = paper(pdf)
    assert all(each in text for each in ("Credit note", "INV-2026-00002", "INV-2026-00001", "0155 Oslo", "100,00"))
    # It asks for nothing.
    assert not [each for each in ("Pay by Friday", "Vipps", "pay.shop", "Amount due") if each in text]
    invoice, credit_note = sent.documents("A")
    assert credit_note == invoice | {
        "number": "INV-2026-00002",
        "type": "credit_note",
        "issued": "2026-11-23T10:00:31.000000Z",
        "corrects": "INV-2026-00001",
        "corrected_by": None,
        "requested_by": "alice",
        "due": "0.00",
        "payment_due": None,
        "missing": [],
        "archived": True,
        "mailings": credit_note["mailings"],
    }
    [mailing] = credit_note["mailings"]
    assert (mailing["state"], mailing["recipient"], mailing["due"]) == ("sent", "alice@example.com", "0.00")


def test_customer_reads_both_documents(sent: Service) -> None:
    sent.notify(cancel(sent, OWN))
    listed = sent.get(f"{OWN}/invoices").json["invoices"]
    assert [(each["number"], each["type"], each["corrects"], each["due"]) for each in listed] == [
        ("INV-2026-00001", "invoice", None, "100.00"),
        ("INV-2026-00002", "credit_note", "INV-2026-00001", "0.00"),
    ]
    assert sent.get(f"{OWN}/invoices/INV-2026-00002", accept="application/pdf").status == 303
    assert sent.get(f"{OWN}/invoices/INV-2026-00002", BOB).status == 404


def test_credit_note_is_of_the_buyer_and_language_of_the_invoice(service: Service) -> None:
    path = create(service)
    send(service, path, language="ja")
    service.patch(path, {"customer_summary": {"city": "Bergen"}, "paid": "40.00", "payment_status": "partial"})
    service.notify(cancel(service))
    text = paper(pdfs(service.mails[1])["INV-2026-00002.pdf"])
    assert "0155 Oslo" in text
    assert "Bergen" not in text
    assert "100.00" in text


def test_order_that_was_never_invoiced_is_cancelled_in_one_small_write(service: Service) -> None:
    create(service)
    service.calls.clear()
    with traffic() as exchanges:
        records = cancel(service)
    assert {name: n for name, n in service.calls.items() if "Record" not in name and "Shard" not in name} == {
        "UpdateItem": 1
    }
    [update] = [each for each in exchanges if each.operation == "UpdateItem"]
    # Moto does not compute capacity.
    assert not DYNAMODB_LOCAL or update.capacity <= 3
    service.notify(records)
    [mail] = service.mails
    assert (pdfs(mail), service.documents("A"), service.archived()) == ({}, [], {})
    assert "credit note" not in text_of(mail)


def test_cancelling_an_invoiced_order_takes_three_calls(sent: Service) -> None:
    sent.calls.clear()
    assert sent.post(f"{PATH}/cancel").status == 204
    assert sent.calls == {"UpdateItem": 1, "BatchGetItem": 1, "TransactWriteItems": 1}


@pytest.mark.parametrize(
    ("step", "fault", "documents"),
    [
        ("SendEmail", REFUSED, ["INV-2026-00001: void: failed"]),
        ("PutObject", ReadTimeoutError(endpoint_url="https://s3"), ["INV-2026-00001: void: failed"]),
        ("SendEmail", NO_ANSWER, ["INV-2026-00001: credited by INV-2026-00002: unknown", CREDITED[1]]),
        ("SendEmail", ProcessCrash(), ["INV-2026-00001: credited by INV-2026-00002: sending", CREDITED[1]]),
        ("TransactWriteItems 1", ProcessCrash(), []),
    ],
    ids=["refused", "not archived", "unknown", "crashed", "crashed before"],
)
def test_invoice_is_credited_unless_no_mail_can_have_left(
    service: Service, step: str, fault: BaseException, documents: list[str]
) -> None:
    path = create(service)
    repair = break_at(step, "before", fault)
    if isinstance(fault, ProcessCrash):
        with pytest.raises(ProcessCrash):
            service.post(f"{path}/send-invoice")
    else:
        assert service.post(f"{path}/send-invoice").status >= 500
    repair()
    service.clock.sleep(31)
    records = cancel(service)
    assert summary(service) == documents
    assert service.notify(records) == []
    [mail] = service.mails
    assert list(pdfs(mail)) == (["INV-2026-00002.pdf"] if len(documents) > 1 else [])
    # The next invoice leaves no gap.
    assert send(service, create(service, "B")) == f"INV-2026-0000{len(documents) + 1}"


def test_void_invoice_keeps_its_number_and_says_when(service: Service) -> None:
    path = create(service)
    repair = break_at("SendEmail", "before", REFUSED)
    service.post(f"{path}/send-invoice")
    repair()
    service.clock.sleep(60)
    cancel(service)
    [invoice] = service.documents("A")
    assert (invoice["number"], invoice["voided"]) == ("INV-2026-00001", "2026-11-23T09:01:00.000000Z")
    assert service.get(f"{OWN}/invoices").json == {"invoices": []}
    timeline = [each["event"] for each in service.get(f"{PATH}/timeline?limit=100").json["timeline"]]
    assert "invoice_voided" in timeline
    assert "credit_note_issued" not in timeline


def test_one_mail_that_may_have_left_is_enough(service: Service) -> None:
    path = create(service)
    repair = break_at("SendEmail", "before", NO_ANSWER)
    service.post(f"{path}/send-invoice", {"notes": "1"})
    repair()
    repair = break_at("SendEmail", "before", REFUSED)
    service.post(f"{path}/send-invoice", {"notes": "2"})
    repair()
    cancel(service)
    assert summary(service)[0] == "INV-2026-00001: credited by INV-2026-00002: unknown, failed"


def test_credit_note_of_a_void_invoice_comes_with_the_cancellation(sent: Service) -> None:
    """No mail of the second invoice left, so the customer does not have the credit note for the first one."""
    sent.patch(PATH, {"customer_summary": {"city": "Bergen"}})
    repair = break_at("SendEmail", "before", REFUSED)
    assert sent.post(f"{PATH}/send-invoice", {"reissue": True}).status == 502
    repair()
    sent.notify(cancel(sent))
    assert summary(sent) == [MAILED[0], f"{CREDITED[1]}: failed, sent", "INV-2026-00003: void: failed"]
    assert list(pdfs(sent.mails[-1])) == ["INV-2026-00002.pdf"]
    assert "credit note INV-2026-00002 cancels invoice INV-2026-00001" in " ".join(text_of(sent.mails[-1]).split())


# Exactly once --------------------------------------------------------------------------------------------------------


def test_cancelling_twice_issues_one_credit_note(sent: Service) -> None:
    cancel(sent)
    sent.clock.sleep(60)
    assert cancel(sent, OWN) == []
    assert summary(sent) == CREDITED


@pytest.mark.parametrize("operation", ["UpdateItem", "BatchGetItem", "TransactWriteItems"])
def test_concurrent_cancellations_issue_one_credit_note(sent: Service, operation: str) -> None:
    answers: list[int] = []
    events = aws.dynamodb().meta.events

    def cancel_meanwhile(**_: object) -> None:
        events.unregister(f"before-call.dynamodb.{operation}", cancel_meanwhile)
        answers.append(sent.post(f"{PATH}/cancel").status)

    events.register(f"before-call.dynamodb.{operation}", cancel_meanwhile)
    answers.append(sent.post(f"{OWN}/cancel").status)
    assert answers == [204, 204]
    assert summary(sent) == CREDITED
    assert sent.notify(sent.records()) == []
    assert (summary(sent), len(sent.mails)) == (MAILED, 2)


@pytest.mark.parametrize(
    ("step", "moment", "cancelled"),
    [("BatchGetItem", "after", False), ("TransactWriteItems", "before", False), ("TransactWriteItems", "after", True)],
)
def test_process_crash_while_cancelling(sent: Service, step: str, moment: str, cancelled: bool) -> None:
    repair = break_at(step, moment, ProcessCrash())
    with pytest.raises(ProcessCrash):
        sent.post(f"{PATH}/cancel")
    repair()
    # Both or neither: an order is never cancelled without its credit note.
    assert (sent.order("A")["order_status"] == "cancelled") == cancelled
    assert (len(sent.documents("A")) == 2) == cancelled
    assert sent.post(f"{PATH}/cancel").status == 204
    assert summary(sent) == CREDITED


@pytest.mark.parametrize("step", ["UpdateItem", "BatchGetItem", "TransactWriteItems"])
def test_cancellation_without_dynamodb_changes_nothing(sent: Service, step: str) -> None:
    repair = break_at(step, "before", ReadTimeoutError(endpoint_url="https://dynamodb"))
    answer = sent.post(f"{PATH}/cancel")
    assert (answer.status, int(answer.headers["retry-after"]) > 0) == (503, True)
    repair()
    assert (sent.order("A")["order_status"], summary(sent)) == ("in_progress", ["INV-2026-00001: sent"])
    assert sent.post(f"{PATH}/cancel").status == 204
    assert summary(sent) == CREDITED


def test_another_order_takes_the_number_of_the_credit_note(sent: Service) -> None:
    other = create(sent, "B")
    events = aws.dynamodb().meta.events

    def send_another(**_: object) -> None:
        events.unregister("before-call.dynamodb.TransactWriteItems", send_another)
        assert sent.post(f"{other}/send-invoice").headers["location"].endswith("INV-2026-00002")

    events.register("before-call.dynamodb.TransactWriteItems", send_another)
    assert sent.post(f"{PATH}/cancel").status == 204
    assert summary(sent)[1] == "INV-2026-00003: credits INV-2026-00001"


def test_invoice_is_mailed_again_while_the_order_is_cancelled(sent: Service) -> None:
    events = aws.dynamodb().meta.events

    def send_again(**_: object) -> None:
        events.unregister("before-call.dynamodb.TransactWriteItems", send_again)
        assert sent.post(f"{PATH}/send-invoice", {"notes": "again"}).status == 200

    events.register("before-call.dynamodb.TransactWriteItems", send_again)
    assert sent.post(f"{PATH}/cancel").status == 204
    assert summary(sent)[0] == "INV-2026-00001: credited by INV-2026-00002: sent, sent"


def test_cancellation_waits_for_the_mail_that_decides(service: Service) -> None:
    """A mail is in progress when the cancellation begins, and SES then refuses it."""
    path = create(service)
    repair = break_at("SendEmail", "before", ProcessCrash())
    with pytest.raises(ProcessCrash):
        service.post(f"{path}/send-invoice")
    repair()
    events = aws.dynamodb().meta.events

    def refuse(**_: object) -> None:
        """What the process of the mail writes then."""
        events.unregister("after-call.dynamodb.UpdateItem", refuse)
        end_as_failed()

    events.register("after-call.dynamodb.UpdateItem", refuse)
    assert service.post(f"{path}/cancel").status == 204
    assert summary(service) == ["INV-2026-00001: void: failed"]


def end_as_failed() -> None:
    """Records that the mail of order A failed, as its own process would."""
    from orders.invoices import Outcome  # noqa: PLC0415
    from orders.ledger import Ledger, read_mailings  # noqa: PLC0415
    from orders.table import get_table  # noqa: PLC0415

    [mailing] = read_mailings(get_table(), "A")
    Ledger(get_table()).end(mailing.model_copy(update={"outcome": Outcome.FAILED}))


# The customer's mail -------------------------------------------------------------------------------------------------


def without_email(service: Service, _: pytest.MonkeyPatch) -> None:
    service.patch(PATH, {"customer_summary": {"email": None}})


def with_notices_off(_: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_CANCELLATIONS", "no")


def with_a_bounced_address(service: Service, _: pytest.MonkeyPatch) -> None:
    service.report("Bounce", "A", 1, bounceType="Permanent")


@pytest.mark.parametrize("change", [without_email, with_notices_off, with_a_bounced_address])
def test_credit_note_is_archived_even_if_nobody_is_told(
    sent: Service, monkeypatch: pytest.MonkeyPatch, change: Callable[[Service, pytest.MonkeyPatch], None]
) -> None:
    change(sent, monkeypatch)
    assert sent.notify(cancel(sent)) == []
    assert len(sent.mails) == 1
    credit_note = sent.documents("A")[1]
    assert (credit_note["number"], credit_note["archived"], credit_note["mailings"]) == ("INV-2026-00002", True, [])
    assert "INV-2026-00001" in paper(sent.archived()["orders/A/INV-2026-00002.pdf"])
    assert sent.get(f"{PATH}/invoices/INV-2026-00002", accept="application/pdf").status == 303


def test_redelivered_record_mails_once(sent: Service) -> None:
    records = cancel(sent)
    for _ in range(3):
        assert sent.notify(records) == []
    assert (summary(sent), len(sent.mails)) == (MAILED, 2)


def test_refused_mail_is_redelivered_with_the_same_pdf(sent: Service) -> None:
    records = cancel(sent)
    repair = break_at("SendEmail", "before", REFUSED)
    assert len(sent.notify(records)) == 1
    repair()
    assert summary(sent) == [CREDITED[0], f"{CREDITED[1]}: failed"]
    [archived] = [pdf for key, pdf in sent.archived().items() if key.endswith("00002.pdf")]
    sent.clock.sleep(60)
    assert sent.notify(records) == []
    assert summary(sent) == MAILED
    assert pdfs(sent.mails[1]) == {"INV-2026-00002.pdf": archived}


@pytest.mark.parametrize("step", ["GetItem", "PutObject", "PutItem", "SendEmail", "TransactWriteItems"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_process_crash_while_mailing_never_mails_twice(sent: Service, step: str, moment: str) -> None:
    records = cancel(sent)
    repair = break_at(step, moment, ProcessCrash())
    with pytest.raises(ProcessCrash):
        sent.notify(records)
    repair()
    assert sent.notify(records) == []
    begun = step in {"SendEmail", "TransactWriteItems"} or (step, moment) == ("PutItem", "after")
    left = step == "TransactWriteItems" or (step, moment) == ("SendEmail", "after") or not begun
    assert len(sent.mails) == 1 + left
    # Mailed or not, the PDF can be read.
    assert sent.documents("A")[1]["archived"]
    assert sent.get(f"{PATH}/invoices/INV-2026-00002", accept="application/pdf").status == 303


def test_report_about_a_credit_note_is_recorded(sent: Service) -> None:
    sent.notify(cancel(sent))
    assert sent.mails[1]["X-SES-MESSAGE-TAGS"].endswith("notice=cancellation, invoice=INV-2026-00002, mailing=2")
    sent.report("Delivery", "A", 2)
    assert summary(sent)[1] == f"{CREDITED[1]}: delivered"
    # The invoice's own mailing is another one.
    sent.report("Complaint", "A", 1)
    assert summary(sent)[0] == "INV-2026-00001: credited by INV-2026-00002: complained"


# Who may, and what others hear ---------------------------------------------------------------------------------------


def test_another_customer_cannot_cancel_an_invoiced_order(sent: Service) -> None:
    before = sent.items("A")
    others, missing = sent.post(f"{OWN}/cancel", claims=BOB), sent.post("/orders/Z/cancel", claims=BOB)
    assert (others.status, others.json | {"instance": ""}) == (404, missing.json | {"instance": ""})
    assert sent.items("A") == before


@pytest.mark.parametrize("change", [{"shipping_status": "shipped"}, {"order_status": "completed"}])
def test_refused_cancellation_issues_nothing(sent: Service, change: dict[str, str]) -> None:
    sent.patch(PATH, change)
    assert sent.post(f"{PATH}/cancel").status == 409
    assert summary(sent) == ["INV-2026-00001: sent"]
    assert send(sent, create(sent, "B")) == "INV-2026-00002"


def test_cancelled_order_sends_no_invoice(sent: Service) -> None:
    cancel(sent)
    sent.clock.sleep(31)
    for body in ({}, {"as_issued": True}, {"reissue": True}, {"resend": True}):
        answer = sent.post(f"{PATH}/send-invoice", body)
        assert (answer.status, answer.json["order_status"]) == (409, "cancelled")
    assert (summary(sent), len(sent.mails)) == (CREDITED, 1)


def test_other_systems_hear_of_each_document(service: Service) -> None:
    path = create(service)
    service.skip_records()
    send(service, path)
    service.patch(path, {"customer_summary": {"city": "Bergen"}})
    send(service, path, reissue=True)
    send(service, path)
    service.post(f"{OWN}/cancel")
    events = invoke("PublishEventsFunction", service.records())
    issued = [event for event in events if event["type"] in {"InvoiceIssued", "CreditNoteIssued"}]
    assert [(event["type"], event["number"], event.get("corrects"), event["order_version"]) for event in issued] == [
        ("InvoiceIssued", "INV-2026-00001", None, 1),
        ("CreditNoteIssued", "INV-2026-00002", "INV-2026-00001", 1),
        ("InvoiceIssued", "INV-2026-00003", None, 2),
        ("CreditNoteIssued", "INV-2026-00004", "INV-2026-00003", 2),
    ]
    assert {event["grand_total"] for event in issued} == {"100.00"}
    assert len({event["id"] for event in events}) == len(events)
    told = str(events)
    assert not [text for text in ("Oslo", "Bergen", "Ålesund", "alice@") if text in told]
