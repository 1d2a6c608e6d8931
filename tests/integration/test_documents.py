"""An order has one invoice: its number, its frozen content, and what happens when the buyer changes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from documents import NO_ANSWER, REFUSED, create, paper, pdfs, send, summary, text_of
from harness import ALICE, BOB, ProcessCrash, Service, break_at, html_of
from mails import Page

from orders import aws

# Numbers ------------------------------------------------------------------------------------------------------------


def test_three_requests_send_one_document(service: Service) -> None:
    path = create(service)
    for n, notes in enumerate(("first", "second", "third")):
        service.clock.sleep(86400)
        answer = service.post(f"{path}/send-invoice", {"notes": notes}, idempotency_key=f"key {n}")
        assert answer.headers["location"] == f"{path}/invoices/INV-2026-00001"
    [invoice] = service.documents("A")
    assert (invoice["number"], invoice["issued"]) == ("INV-2026-00001", "2026-11-24T09:00:00.000000Z")
    [archived] = service.archived().values()
    assert [pdfs(mail) for mail in service.mails] == [{"INV-2026-00001.pdf": archived}] * 3
    # The document is what was issued first; the mails say what each request asked for.
    assert "first" in paper(archived)
    assert ["second" in text_of(mail) for mail in service.mails] == [False, True, False]


def test_bounced_invoice_keeps_its_number_at_the_corrected_address(service: Service) -> None:
    path = create(service)
    send(service, path)
    service.report("Bounce", "A", 1, bounceType="Permanent")
    assert service.post(f"{path}/send-invoice", {"notes": "again"}).status == 409
    assert service.patch(path, {"customer_summary": {"email": "alice@example.org"}}).status == 200
    assert send(service, path) == "INV-2026-00001"
    assert summary(service) == ["INV-2026-00001: bounced, sent"]
    first, second = service.mails
    assert (first["To"], second["To"]) == ("alice@example.com", "alice@example.org")
    assert pdfs(first) == pdfs(second)


def test_draft_is_refused_and_takes_no_number(service: Service) -> None:
    draft, placed = create(service, "A", order_status="draft"), create(service, "B")
    answer = service.post(f"{draft}/send-invoice")
    assert (answer.status, answer.json["order_status"]) == (409, "draft")
    assert (service.mails, service.documents("A")) == ([], [])
    assert send(service, placed) == "INV-2026-00001"
    # Placed later, it is invoiced later.
    assert service.patch(draft, {"order_status": "in_progress"}).status == 200
    assert send(service, draft) == "INV-2026-00002"


def test_orders_share_one_series(service: Service) -> None:
    a, b, c = (create(service, order_id) for order_id in "ABC")
    sent = [send(service, path) for path in (b, a, b, c, a)]
    assert [number[-5:] for number in sent] == ["00001", "00002", "00001", "00003", "00002"]


@pytest.mark.parametrize(
    ("zone", "before", "after"),
    [
        ("UTC", "2026-12-31T23:59:00", "2027-01-01T00:00:00"),
        ("Pacific/Auckland", "2026-12-31T10:59:00", "2026-12-31T11:00:00"),
        ("America/Los_Angeles", "2027-01-01T07:59:00", "2027-01-01T08:00:00"),
    ],
)
def test_each_year_of_the_shop_has_its_own_series(
    service: Service, monkeypatch: pytest.MonkeyPatch, zone: str, before: str, after: str
) -> None:
    monkeypatch.setenv("SHOP_TIME_ZONE", zone)
    a, b, c = (create(service, order_id) for order_id in "ABC")

    def send_at(time: str, path: str) -> str:
        service.clock.now = datetime.fromisoformat(time).replace(tzinfo=UTC) - timedelta(seconds=31)
        return send(service, path)

    assert [send_at(before, a), send_at(before, b)] == ["INV-2026-00001", "INV-2026-00002"]
    assert [send_at(after, c), send_at(after, a)] == ["INV-2027-00001", "INV-2026-00001"]
    # The credit note belongs to the year in which it is issued.
    assert service.post(f"{a}/cancel").status == 204
    assert [each["number"] for each in service.documents("A")] == ["INV-2026-00001", "INV-2027-00002"]
    # The printed date is of the same year as the number.
    assert "Date: 1 Jan 2027" in text_of(service.mails[2])


@pytest.mark.parametrize("prefix", ["RE", "shop-2_", "2026-"])
def test_prefix_begins_the_number(service: Service, monkeypatch: pytest.MonkeyPatch, prefix: str) -> None:
    monkeypatch.setenv("INVOICE_PREFIX", prefix)
    path = create(service)
    number = send(service, path)
    assert number == f"{prefix}2026-00001"
    assert list(pdfs(service.mails[0])) == [f"{number}.pdf"]
    assert service.get(f"{path}/invoices/{number}").json["number"] == number
    assert service.get(f"{path}/invoices/{number}", accept="application/pdf").status == 303
    service.report("Delivery", "A", 1)
    assert summary(service) == [f"{number}: delivered"]


def test_issue_dates_never_turn_back(service: Service) -> None:
    a, b, c = (create(service, order_id) for order_id in "ABC")
    send(service, a)
    first = service.clock.now
    # The clock of another process is slow.
    service.clock.now -= timedelta(hours=1)
    assert send(service, b) == "INV-2026-00002"
    service.clock.now = first + timedelta(minutes=1)
    assert send(service, c) == "INV-2026-00003"
    issued = [datetime.fromisoformat(service.documents(order_id)[0]["issued"]) for order_id in "ABC"]
    assert issued == [first, first, service.clock.now]


# Failures -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("fault", "status", "state"), [(REFUSED, 502, "failed"), (NO_ANSWER, 504, "unknown")])
def test_invoice_whose_mail_failed_keeps_its_number(
    service: Service, fault: Exception, status: int, state: str
) -> None:
    a, b = create(service, "A"), create(service, "B")
    repair = break_at("SendEmail", "before", fault)
    assert service.post(f"{a}/send-invoice", {"notes": "first"}).status == status
    repair()
    assert send(service, b) == "INV-2026-00002"
    assert send(service, a, notes="second") == "INV-2026-00001"
    assert summary(service) == [f"INV-2026-00001: {state}, sent"]
    # It was typeset once, for the request that issued it.
    assert "first" in paper(pdfs(service.mails[1])["INV-2026-00001.pdf"])


def test_invoice_that_could_not_be_archived_is_typeset_by_the_next_send(service: Service) -> None:
    path = create(service)
    repair = break_at("PutObject", "before", EndpointConnectionError(endpoint_url="https://s3"))
    assert service.post(f"{path}/send-invoice", {"notes": "first"}).status == 503
    repair()
    [invoice] = service.documents("A")
    assert (invoice["archived"], service.archived(), service.mails) == (False, {}, [])
    service.clock.sleep(86400)
    assert send(service, path, notes="second") == "INV-2026-00001"
    [pdf] = pdfs(service.mails[0]).values()
    assert service.archived() == {"orders/A/INV-2026-00001.pdf": pdf}
    # As it was issued.
    assert "23 Nov 2026" in paper(pdf)
    assert "first" in paper(pdf)
    assert "second" not in paper(pdf)
    assert service.documents("A")[0]["archived"]


STEPS = ["BatchGetItem", "TransactWriteItems 1", "PutObject", "SendEmail", "TransactWriteItems 2"]


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_process_crash_leaves_no_gap_and_no_second_number(service: Service, step: str, moment: str) -> None:
    a, b = create(service, "A"), create(service, "B")
    repair = break_at(step, moment, ProcessCrash())
    with pytest.raises(ProcessCrash):
        service.post(f"{a}/send-invoice")
    repair()
    issued = (step, moment) not in {("BatchGetItem", "before"), ("BatchGetItem", "after"), (STEPS[1], "before")}
    sent = {"B": send(service, b), "A": send(service, a, notes="again")}
    first, second = ("A", "B") if issued else ("B", "A")
    assert sent == {first: "INV-2026-00001", second: "INV-2026-00002"}
    assert [len(service.documents(order_id)) for order_id in "AB"] == [1, 1]
    assert len({pdf for mail in service.mails for name, pdf in pdfs(mail).items() if name == f"{sent['A']}.pdf"}) == 1


@pytest.mark.parametrize("step", ["SendEmail", "TransactWriteItems 2"])
def test_pdf_of_a_mail_that_left_before_a_crash_can_be_read(service: Service, step: str) -> None:
    path = create(service)
    repair = break_at(step, "after" if step == "SendEmail" else "before", ProcessCrash())
    with pytest.raises(ProcessCrash):
        service.post(f"{path}/send-invoice")
    repair()
    service.report("Delivery", "A", 1)
    assert service.documents("A")[0]["archived"]
    for prefix in ("/admin", ""):
        answer = service.get(f"{prefix}/orders/A/invoices/INV-2026-00001", accept="application/pdf")
        assert answer.status == 303


def test_another_order_takes_the_number_first(service: Service) -> None:
    a, b = create(service, "A"), create(service, "B")
    other: list[str] = []

    def send_another(**_: object) -> None:
        aws.dynamodb().meta.events.unregister("before-call.dynamodb.TransactWriteItems", send_another)
        other.append(service.post(f"{b}/send-invoice").headers["location"])

    aws.dynamodb().meta.events.register("before-call.dynamodb.TransactWriteItems", send_another)
    assert send(service, a) == "INV-2026-00002"
    assert other == [f"{b}/invoices/INV-2026-00001"]
    assert list(pdfs(service.mails[1])) == ["INV-2026-00002.pdf"]


# A buyer who changed ------------------------------------------------------------------------------------------------

MOVED: dict[str, Any] = {
    "first_name": "Alicia",
    "last_name": "Bergen",
    "company_name": "Geitost AS",
    "address_line_1": "Lillegata 2",
    "address_line_2": "3. etasje",
    "city": "Bergen",
    "post_code": "5003",
    "state": {"name": "Vestland", "code": "46"},
    "country": {"name": "Sverige", "code": "SE"},
    "vat_number": "NO999999999MVA",
}


@pytest.mark.parametrize("field", MOVED)
def test_changed_buyer_makes_the_invoice_outdated(service: Service, field: str) -> None:
    path = create(service)
    send(service, path)
    assert service.patch(path, {"customer_summary": {field: MOVED[field]}}).status == 200
    service.clock.sleep(31)
    before = service.items("A")
    answer = service.post(f"{path}/send-invoice")
    assert (answer.status, answer.json["type"]) == (409, "urn:problem:orders:invoice-outdated")
    assert answer.json["invoice"] == "INV-2026-00001"
    assert answer.json["changed"] == [f"customer_summary.{field}"]
    assert not [text for text in ("Lillegata", "Bergen", "Alicia") if text in (answer.text or "")]
    assert len(service.mails) == 1
    assert service.items("A") == before
    assert service.post(f"{path}/invoice-preview").json["type"] == "urn:problem:orders:invoice-outdated"
    # Changed back, it is up to date.
    original = {"address_line_2": None, "state": None, "vat_number": None} | dict(_BUYER)
    assert service.patch(path, {"customer_summary": {field: original[field]}}).status == 200
    assert send(service, path) == "INV-2026-00001"


_BUYER = {
    "first_name": "Alice",
    "last_name": "Ålesund",
    "company_name": "Ost AS",
    "address_line_1": "Storgata 1",
    "post_code": "0155",
    "city": "Oslo",
    "country": {"name": "Norge", "code": "NO"},
}


def test_every_changed_field_is_named(service: Service) -> None:
    path = create(service)
    send(service, path)
    service.patch(path, {"customer_summary": {"city": "Bergen", "post_code": "5003", "company_name": None}})
    answer = service.post(f"{path}/send-invoice", {"notes": "x"})
    names = {"customer_summary.city", "customer_summary.post_code", "customer_summary.company_name"}
    assert set(answer.json["changed"]) == names


@pytest.mark.parametrize(
    "change",
    [
        {"customer_summary": {"email": "alice@example.org"}},
        {"customer_summary": {"phone": "+47 2"}},
        {"customer_summary": {"billing_email": "bills@example.com"}},
        {"paid": "100.00", "payment_status": "paid"},
        {"shipping_status": "shipped"},
    ],
)
def test_other_changes_do_not_make_it_outdated(service: Service, change: Any) -> None:
    path = create(service)
    send(service, path)
    assert service.patch(path, change).status == 200
    assert send(service, path) == "INV-2026-00001"


@pytest.fixture
def moved(service: Service) -> Service:
    """The service, after the buyer of an invoiced order moved."""
    path = create(service)
    send(service, path, notes="first")
    assert service.patch(path, {"customer_summary": {"city": "Bergen"}}).status == 200
    return service


PATH = "/admin/orders/A"


def test_invoice_is_sent_as_issued(moved: Service) -> None:
    assert send(moved, PATH, as_issued=True) == "INV-2026-00001"
    first, second = moved.mails
    assert pdfs(first) == pdfs(second)
    # The text says the same as the PDF.
    assert "0155 Oslo" in text_of(second)
    assert "Bergen" not in second.as_string()
    assert summary(moved) == ["INV-2026-00001: sent, sent"]
    page = moved.post(f"{PATH}/invoice-preview", {"as_issued": True}).text or ""
    assert ("Oslo" in page, "Bergen" in page) == (True, False)


def test_reissue_replaces_the_invoice_by_a_credit_note_and_another_one(moved: Service) -> None:
    moved.calls.clear()
    body = {"reissue": True, "notes": "second"}
    answer = moved.post(f"{PATH}/send-invoice", body, idempotency_key="k")
    assert (answer.status, answer.headers["location"]) == (200, f"{PATH}/invoices/INV-2026-00003")
    # Both in the transaction that begins the mailing.
    assert moved.calls["TransactWriteItems"] == 2
    # The same request again replaces nothing.
    assert (
        moved.post(f"{PATH}/send-invoice", body, idempotency_key="k").headers["location"] == answer.headers["location"]
    )
    assert summary(moved) == [
        "INV-2026-00001: credited by INV-2026-00002: sent",
        "INV-2026-00002: credits INV-2026-00001: sent",
        "INV-2026-00003: sent",
    ]
    mail = moved.mails[1]
    assert set(pdfs(mail)) == {"INV-2026-00003.pdf", "INV-2026-00002.pdf"}
    assert "INV-2026-00003" in mail["Subject"]
    assert all(
        "which the attached credit note INV-2026-00002 cancels" in " ".join(text.split())
        for text in (text_of(mail), Page(html_of(mail)).text)
    )
    assert moved.archived() == pdfs_in_archive(moved)
    credit_note, invoice = (paper(pdfs(mail)[f"INV-2026-0000{n}.pdf"]) for n in (2, 3))
    # The credit note names the invoice and the buyer of that invoice.
    assert all(text in credit_note for text in ("Credit note", "INV-2026-00002", "INV-2026-00001", "0155 Oslo"))
    assert "Bergen" not in credit_note
    assert "Bergen" in invoice
    assert "Oslo" not in invoice
    assert [("first" in text, "second" in text) for text in (credit_note, invoice)] == [(False, False), (False, True)]
    [_, record, _] = moved.documents("A")
    assert (record["type"], record["corrects"], record["due"]) == ("credit_note", "INV-2026-00001", "0.00")
    assert record["grand_total"] == "100.00"


def pdfs_in_archive(service: Service) -> dict[str, bytes]:
    """Returns what the archive must hold: each PDF that was mailed."""
    return {f"orders/A/{name}": pdf for mail in service.mails for name, pdf in pdfs(mail).items()}


def test_new_invoice_is_the_valid_one_from_then_on(moved: Service) -> None:
    send(moved, PATH, reissue=True)
    assert send(moved, PATH) == "INV-2026-00003"
    # A buyer who moves back gets a third invoice, not the first one.
    moved.patch(PATH, {"customer_summary": {"city": "Oslo"}})
    assert moved.post(f"{PATH}/send-invoice", {"notes": "x"}).json["invoice"] == "INV-2026-00003"
    assert send(moved, PATH, reissue=True) == "INV-2026-00005"
    assert [line.partition(":")[2][:30] for line in summary(moved)[2:4]] == [
        " credited by INV-2026-00004: s",
        " credits INV-2026-00003: sent",
    ]
    assert moved.post(f"{PATH}/cancel").status == 204
    assert moved.documents("A")[-1]["corrects"] == "INV-2026-00005"


@pytest.mark.parametrize("moment", ["before", "after"])
def test_reissue_happens_as_a_whole_or_not_at_all(moved: Service, moment: str) -> None:
    repair = break_at("TransactWriteItems 1", moment, ProcessCrash())
    with pytest.raises(ProcessCrash):
        moved.post(f"{PATH}/send-invoice", {"reissue": True})
    repair()
    issued = [each["number"][-5:] for each in moved.documents("A")]
    assert issued == (["00001"] if moment == "before" else ["00001", "00002", "00003"])
    assert send(moved, PATH, reissue=True) == "INV-2026-00003"
    assert len(moved.documents("A")) == 3


@pytest.mark.slow
@pytest.mark.parametrize("fault", [REFUSED, NO_ANSWER, None])
def test_credit_note_comes_with_every_mail_of_the_invoice_that_replaces(
    moved: Service, fault: Exception | None
) -> None:
    """Nothing else mails it: a customer whose first mail failed or bounced would never get it."""
    repair = break_at("SendEmail", "before", fault) if fault else lambda: None
    moved.post(f"{PATH}/send-invoice", {"reissue": True})
    repair()
    assert send(moved, PATH) == "INV-2026-00003"
    assert set(pdfs(moved.mails[-1])) == {"INV-2026-00003.pdf", "INV-2026-00002.pdf"}
    assert "which the attached credit note INV-2026-00002 cancels" in " ".join(text_of(moved.mails[-1]).split())
    assert moved.archived() == pdfs_in_archive(moved)
    assert [line.count("sent") for line in summary(moved)] == [1] + [2 if fault is None else 1] * 2


def test_credit_note_of_a_void_invoice_comes_with_the_next_one(moved: Service) -> None:
    """No mail of the second invoice left, so the customer does not have the credit note for the first one."""
    repair = break_at("SendEmail", "before", REFUSED)
    assert moved.post(f"{PATH}/send-invoice", {"reissue": True}).status == 502
    repair()
    moved.patch(PATH, {"customer_summary": {"city": "Tromsø"}})
    assert send(moved, PATH, reissue=True) == "INV-2026-00004"
    assert summary(moved) == [
        "INV-2026-00001: credited by INV-2026-00002: sent",
        "INV-2026-00002: credits INV-2026-00001: failed, sent",
        "INV-2026-00003: void: failed",
        "INV-2026-00004: sent",
    ]
    assert set(pdfs(moved.mails[-1])) == {"INV-2026-00002.pdf", "INV-2026-00004.pdf"}


@pytest.mark.parametrize("changed", [False, True])
def test_reissue_without_a_changed_buyer_is_a_plain_resend(service: Service, changed: bool) -> None:
    path = create(service)
    send(service, path)
    if changed:
        service.patch(path, {"customer_summary": {"phone": "+47 2", "email": "alice@example.org"}})
    assert send(service, path, reissue=True) == "INV-2026-00001"
    assert summary(service) == ["INV-2026-00001: sent, sent"]
    assert list(pdfs(service.mails[1])) == ["INV-2026-00001.pdf"]


def test_first_send_takes_the_flags_too(service: Service) -> None:
    assert send(service, create(service, "A"), reissue=True) == "INV-2026-00001"
    assert send(service, create(service, "B"), as_issued=True) == "INV-2026-00002"


def test_both_flags_contradict_each_other(moved: Service) -> None:
    answer = moved.post(f"{PATH}/send-invoice", {"reissue": True, "as_issued": True})
    assert (answer.status, [each["field"] for each in answer.json["errors"]]) == (422, ["as_issued"])
    assert len(moved.mails) == 1


def test_invoice_that_never_left_becomes_void_when_it_is_replaced(service: Service) -> None:
    path = create(service)
    repair = break_at("SendEmail", "before", REFUSED)
    assert service.post(f"{path}/send-invoice").status == 502
    repair()
    service.patch(path, {"customer_summary": {"city": "Bergen"}})
    assert send(service, path, reissue=True) == "INV-2026-00002"
    assert summary(service) == ["INV-2026-00001: void: failed", "INV-2026-00002: sent"]
    assert list(pdfs(service.mails[0])) == ["INV-2026-00002.pdf"]
    assert "credit note" not in text_of(service.mails[0]).lower()


def test_invoice_that_may_have_left_is_credited_when_it_is_replaced(service: Service) -> None:
    path = create(service)
    repair = break_at("SendEmail", "before", NO_ANSWER)
    assert service.post(f"{path}/send-invoice").status == 504
    repair()
    service.patch(path, {"customer_summary": {"city": "Bergen"}})
    assert send(service, path, reissue=True) == "INV-2026-00003"
    assert summary(service)[0] == "INV-2026-00001: credited by INV-2026-00002: unknown"


def test_preview_shows_what_a_reissue_would_mail(moved: Service) -> None:
    before = moved.items("A")
    page = moved.post(f"{PATH}/invoice-preview", {"reissue": True})
    assert page.status == 200
    assert "Invoice DRAFT" in (page.text or "")
    assert "Bergen" in (page.text or "")
    assert moved.items("A") == before


# Round trips --------------------------------------------------------------------------------------------------------


def test_first_send_and_resend_take_five_calls(service: Service) -> None:
    path = create(service)
    service.calls.clear()
    send(service, path)
    assert service.calls == {"BatchGetItem": 1, "TransactWriteItems": 2, "PutObject": 1, "SendEmail": 1}
    service.calls.clear()
    send(service, path)
    assert service.calls == {"BatchGetItem": 1, "TransactWriteItems": 2, "GetObject": 1, "SendEmail": 1}


def test_resend_mails_the_archived_bytes_and_typesets_nothing(service: Service) -> None:
    path = create(service)
    send(service, path)
    # No typesetting gives these bytes.
    altered = service.archived()["orders/A/INV-2026-00001.pdf"] + b"% altered"
    aws.s3().put_object(Bucket="InvoicesBucket", Key="orders/A/INV-2026-00001.pdf", Body=altered)
    send(service, path)
    assert pdfs(service.mails[1]) == {"INV-2026-00001.pdf": altered}
    assert service.archived() == {"orders/A/INV-2026-00001.pdf": altered}


# Reading ------------------------------------------------------------------------------------------------------------


def test_customer_reads_what_was_mailed(service: Service) -> None:
    path = create(service)
    assert service.get("/orders/A/invoices").json == {"invoices": []}
    send(service, path, notes="Grüße")
    record = {
        "number": "INV-2026-00001",
        "type": "invoice",
        "issued": "2026-11-23T09:00:31.000000Z",
        "corrects": None,
        "currency_code": "EUR",
        "grand_total": "100.00",
        "paid": "0.00",
        "due": "100.00",
        "payment_status": "unpaid",
        "payment_due": "2026-12-07",
        "language": "en",
        "e_invoice": None,
        "xml": None,
    }
    answer = service.get("/orders/A/invoices")
    # Exactly these members: nothing of the staff's, and no mailings.
    assert answer.json == {"invoices": [record]}
    one = service.get("/orders/A/invoices/INV-2026-00001")
    assert one.json == record
    link = service.get("/orders/A/invoices/INV-2026-00001", accept="application/pdf")
    assert (link.status, link.headers["cache-control"]) == (303, "no-store")
    assert "INV-2026-00001.pdf" in link.headers["location"]
    assert "ada" not in f"{answer.text}{one.text}".lower()


@pytest.mark.parametrize(
    ("fault", "report", "visible"),
    [(REFUSED, None, 0), (NO_ANSWER, None, 0), (NO_ANSWER, "Send", 1), (None, "Reject", 0), (None, "Bounce", 1)],
)
def test_customer_sees_only_documents_that_left(
    service: Service, fault: Exception | None, report: str | None, visible: int
) -> None:
    path = create(service)
    repair = break_at("SendEmail", "before", fault) if fault else lambda: None
    service.post(f"{path}/send-invoice")
    repair()
    if report:
        more = {"bounceType": "Transient"} if report == "Bounce" else {}
        service.report(report, "A", 1, **more)
    assert len(service.documents("A")) == 1
    assert len(service.get("/orders/A/invoices").json["invoices"]) == visible
    one = service.get("/orders/A/invoices/INV-2026-00001")
    pdf = service.get("/orders/A/invoices/INV-2026-00001", accept="application/pdf")
    assert (one.status, pdf.status) == ((200, 303) if visible else (404, 404))
    if not visible:
        # The same body as for a number that was never taken.
        missing = service.get("/orders/A/invoices/INV-2026-00009")
        assert one.json | {"instance": ""} == missing.json | {"instance": ""} == pdf.json | {"instance": ""}


@pytest.mark.parametrize("route", ["invoices", "invoices/INV-2026-00001"])
@pytest.mark.parametrize("accept", ["application/json", "application/pdf"])
def test_invoices_of_another_customer_look_like_a_missing_order(service: Service, route: str, accept: str) -> None:
    send(service, create(service))
    others = service.get(f"/orders/A/{route}", BOB, accept=accept)
    missing = service.get(f"/orders/Z/{route}", BOB, accept=accept)
    assert (others.status, others.json["type"]) == (404, "urn:problem:orders:order-not-found")
    assert others.headers == missing.headers
    assert others.json | {"instance": ""} == missing.json | {"instance": ""}
    assert service.get(f"/orders/A/{route}", ALICE).status == 200


def test_invoice_of_another_order_is_not_found(service: Service) -> None:
    send(service, create(service, "A"))
    create(service, "B")
    for prefix in ("", "/admin"):
        answer = service.get(f"{prefix}/orders/B/invoices/INV-2026-00001")
        assert (answer.status, answer.json["type"]) == (404, "urn:problem:orders:invoice-not-found")
