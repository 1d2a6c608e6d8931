"""The archive of invoices, delivery reports by SES, and what admins read of both."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from botocore.parsers import ResponseParserError
from harness import ALICE, Service, html_of, invoke, load
from hypothesis import given
from hypothesis import strategies as st
from moto.core.models import botocore_stubber

from orders import aws

SEND = "/admin/orders/1002/send-invoice"
LIST = "/admin/orders/1002/invoices"
NUMBER = "INV-2026-00001"
ONE = f"{LIST}/{NUMBER}"


@pytest.fixture
def sent(service: Service) -> Service:
    """The service, after sending one invoice."""
    assert service.post(SEND, {"notes": "Grüße", "payment_settings": {"payment_method_options": "Karte"}}).status == 200
    return service


def test_archive_holds_the_mailed_bytes(sent: Service) -> None:
    # The XML for Peppol beside it is not mailed.
    [attachment] = sent.mails[0].iter_attachments()
    assert attachment.get_filename() == f"{NUMBER}.pdf"
    assert attachment.get_content_type() == "application/pdf"
    pdf = attachment.get_content()
    assert pdf.startswith(b"%PDF-")
    archived = sent.archived()
    assert archived.keys() == {f"orders/1002/{NUMBER}.pdf", f"orders/1002/{NUMBER}.xml"}
    assert archived[f"orders/1002/{NUMBER}.pdf"] == pdf


FAULTS = [
    EndpointConnectionError(endpoint_url="https://s3"),
    ReadTimeoutError(endpoint_url="https://s3"),
    ResponseParserError("not XML"),
    ClientError({"Error": {"Code": "SlowDown"}, "ResponseMetadata": {"HTTPStatusCode": 503}}, "PutObject"),  # type: ignore[typeddict-item]
    ClientError({"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}, "PutObject"),  # type: ignore[typeddict-item]
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_invoice_that_cannot_be_archived_is_not_mailed(service: Service, fault: Exception) -> None:
    def fail(**_: object) -> None:
        raise fault

    aws.s3().meta.events.register("before-call.s3.PutObject", fail)
    answer = service.post(SEND, idempotency_key="k")
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) > 0
    assert not service.mails
    [invoice] = service.get(LIST).json["invoices"]
    assert not invoice["archived"]
    assert [(mailing["state"], mailing["sent_at"]) for mailing in invoice["mailings"]] == [("failed", None)]
    assert service.get(ONE, accept="application/pdf").status == 404

    aws.s3().meta.events.unregister("before-call.s3.PutObject", fail)
    assert service.post(SEND, idempotency_key="k").status == 200
    # The number stays, and the PDF is archived now.
    assert [mail["Subject"].split(" ")[1] for mail in service.mails] == [NUMBER]
    assert service.get(ONE, accept="application/pdf").status == 303


def test_admin_reads_sent_invoices(sent: Service) -> None:
    mailing = {
        "state": "sent",
        "started": "2026-11-23T09:00:00.000000Z",
        "sent_at": "2026-11-23T09:00:00.000000Z",
        "recipient": "bob@example.com",
        "requested_by": "ada",
        "paid": "0.00",
        "due": "199.11",
        "payment_status": "unpaid",
        "payment_method_options": ["Karte"],
        "notes": "Grüße",
        "cc": [],
        "subject": None,
        "language": "en",
        "reason": None,
        "events": [],
    }
    record = {
        "number": NUMBER,
        "type": "invoice",
        "issued": "2026-11-23T09:00:00.000000Z",
        "corrects": None,
        "corrected_by": None,
        "voided": None,
        "requested_by": "ada",
        "currency_code": "EUR",
        "grand_total": "199.11",
        "paid": "0.00",
        "due": "199.11",
        "payment_status": "unpaid",
        "payment_due": "2026-12-07",
        "language": "en",
        "archived": True,
        "e_invoice": "EN 16931",
        "xml": "Peppol BIS Billing 3.0",
        "missing": [],
        "mailings": [mailing],
    }
    assert sent.get(LIST).json == {"invoices": [record]}
    assert sent.get(ONE).json == record
    sent.post(SEND, {"notes": "Mahnung"})
    assert sent.get(ONE).json == record | {
        "mailings": [mailing, mailing | {"notes": "Mahnung", "payment_method_options": []}]
    }


def test_pdf_link_is_valid_for_five_minutes(sent: Service) -> None:
    answer = sent.get(ONE, accept="application/pdf")
    assert answer.status == 303
    link = answer.headers["location"]
    assert "X-Amz-Expires=300" in link
    assert answer.headers["cache-control"] == "no-store"
    # The answer of moto to a request that botocore did not make.
    answered = botocore_stubber.process_prepared_request(requests.Request("GET", link).prepare())
    assert answered is not None
    _, headers, content = answered
    assert headers["content-type"] == "application/pdf"
    assert content == sent.archived()[f"orders/1002/{NUMBER}.pdf"]


@pytest.mark.parametrize(
    ("path", "slug"),
    [
        ("/admin/orders/9999/invoices", "order-not-found"),
        ("/admin/orders/9999/invoices/INV-2026-00001", "order-not-found"),
        (f"{LIST}/INV-2026-00002", "invoice-not-found"),
        (f"{LIST}/INV-1002-1", "invoice-not-found"),
        (f"{LIST}/1", "invoice-not-found"),
    ],
)
def test_missing_invoice_is_a_404(sent: Service, path: str, slug: str) -> None:
    answer = sent.get(path)
    assert answer.status == 404
    assert answer.json["type"] == f"urn:problem:orders:{slug}"


def test_order_without_invoices_lists_none(service: Service) -> None:
    assert service.get(LIST).json == {"invoices": []}


def test_body_of_a_get_is_ignored(sent: Service) -> None:
    event = sent.event("GET", LIST, content_type="text/plain") | {"body": "x"}
    assert sent.send(event).status == 200


@pytest.mark.parametrize("path", [LIST, ONE])
def test_customers_cannot_read_invoices(sent: Service, path: str) -> None:
    assert sent.get(path, ALICE).status == 403


def test_reading_takes_three_round_trips(sent: Service) -> None:
    for path in (LIST, ONE):
        sent.calls.clear()
        sent.get(path)
        assert sent.calls == {"GetItem": 1, "Query": 2}


def test_preview_shows_the_mail_without_side_effects(service: Service) -> None:
    body = {"order_id": "1002", "notes": "<b>Vorschau</b>"}
    before = service.items("1002")
    page = service.post("/admin/orders/1002/invoice-preview", body)
    assert page.status == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    # The number is only taken when the invoice is issued.
    assert "Invoice DRAFT" in (page.text or "")
    assert "&lt;b&gt;Vorschau&lt;/b&gt;" in (page.text or "")
    pdf = service.post("/admin/orders/1002/invoice-preview", body, accept="application/pdf")
    assert pdf.headers["content-type"] == "application/pdf"
    assert (pdf.raw or b"").startswith(b"%PDF-")
    assert service.items("1002") == before
    assert not service.mails
    assert not service.archived()
    # The mail that follows has the same page, with the number.
    service.post("/admin/orders/1002/send-invoice", body)
    assert html_of(service.mails[0]).split() == (page.text or "").replace("DRAFT", NUMBER).split()


def test_preview_of_an_issued_invoice_is_the_document(sent: Service) -> None:
    sent.clock.sleep(86400)
    before = sent.items("1002")
    page = sent.post("/admin/orders/1002/invoice-preview", {"notes": "Mahnung"})
    assert f"Invoice {NUMBER}" in (page.text or "")
    assert "Mahnung" in (page.text or "")
    # As it was issued, with the notes of then.
    pdf = sent.post("/admin/orders/1002/invoice-preview", {"notes": "Mahnung"}, accept="application/pdf")
    assert pdf.raw == sent.archived()[f"orders/1002/{NUMBER}.pdf"]
    assert sent.items("1002") == before


@pytest.mark.parametrize(
    ("order_id", "body", "status"),
    [
        ("1006", None, 409),
        ("1007", None, 409),
        ("9999", None, 404),
        ("1002", {"order_id": 1}, 422),
        ("1002", {"x": 1}, 422),
    ],
)
def test_preview_is_refused_when_sending_would_be(service: Service, order_id: str, body: Any, status: int) -> None:
    assert service.post(f"/admin/orders/{order_id}/invoice-preview", body).status == status


def state(service: Service, order_id: str = "1002") -> str:
    [invoice] = service.get(f"/admin/orders/{order_id}/invoices").json["invoices"]
    return str(invoice["mailings"][-1]["state"])


def test_reports_are_recorded(sent: Service) -> None:
    sent.report("Send", "1002", 1, "2026-11-23T09:00:01.000Z")
    sent.report("DeliveryDelay", "1002", 1, "2026-11-23T09:01:00.000Z")
    sent.report("Delivery", "1002", 1, "2026-11-23T09:02:00.123Z")
    [record] = sent.get(ONE).json["mailings"]
    assert record["state"] == "delivered"
    assert record["events"] == [
        {"event": "send", "at": "2026-11-23T09:00:01.000000Z"},
        {"event": "delay", "at": "2026-11-23T09:01:00.000000Z"},
        {"event": "delivery", "at": "2026-11-23T09:02:00.123000Z"},
    ]


REPORTS: list[tuple[str, dict[str, str]]] = [
    ("Send", {}),
    ("Delivery", {}),
    ("Bounce", {"bounceType": "Permanent"}),
    ("Bounce", {"bounceType": "Transient"}),
    ("Complaint", {}),
    ("DeliveryDelay", {}),
]


@pytest.fixture
def unreported(sent: Service) -> Any:
    """Returns the item of an invoice without SES reports."""
    key = {"pk": {"S": "ORDER#1002"}, "sk": {"S": "INVOICE#000001"}}
    return aws.dynamodb().get_item(TableName="OrdersTable", Key=key)["Item"]


@given(
    st.lists(st.tuples(st.sampled_from(REPORTS), st.integers(0, 3)), min_size=1, max_size=6).flatmap(
        lambda reports: st.tuples(st.just(reports), st.permutations(reports + reports[:2]))
    )
)
def test_order_and_number_of_reports_do_not_change_the_record(sent: Service, unreported: Any, both: Any) -> None:
    records = []
    for reports in both:
        # The same invoice each time: sending another one would take far longer than reporting.
        aws.dynamodb().put_item(TableName="OrdersTable", Item=unreported)
        for (kind, more), minute in reports:
            sent.report(kind, "1002", 1, f"2026-11-23T10:{minute:02}:00.000Z", **more)
        [record] = sent.get(ONE).json["mailings"]
        records.append((record["state"], sorted(map(str, record["events"]))))
    assert records[0] == records[1]


def test_events_of_other_mails_are_dropped(sent: Service) -> None:
    before = sent.items("1002")
    sent.report("Delivery", "1002", 7)
    sent.report("Delivery", "9999", 1)
    sent.report("Delivery", "1002", "of-another-sender")
    sent.report("Open", "1002", 1)
    assert sent.items("1002") == before
    assert sent.items("9999") == []


def test_event_that_cannot_be_recorded_is_an_error_so_lambda_retries(sent: Service) -> None:
    def fail(**_: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://dynamodb")

    aws.dynamodb().meta.events.register("before-call.dynamodb.UpdateItem", fail)
    with pytest.raises(Exception, match="AWS is throttling"):
        sent.report("Delivery", "1002", 1)


@pytest.mark.parametrize("name", ["ses-delivery", "ses-bounce"])
def test_event_files_work(sent: Service, name: str) -> None:
    invoke("RecordDeliveryFunction", load(name))
    assert state(sent) in {"delivered", "bounced"}


@pytest.fixture
def unknown(service: Service) -> Service:
    """The service, after an invoice whose mail may or may not have left."""

    def fail(**_: object) -> None:
        raise ReadTimeoutError(endpoint_url="https://email")

    aws.ses().meta.events.register("before-call.sesv2.SendEmail", fail)
    assert service.post(SEND, idempotency_key="k").status == 504
    aws.ses().meta.events.unregister("before-call.sesv2.SendEmail", fail)
    return service


def test_ses_report_settles_an_unknown_mail(unknown: Service) -> None:
    assert state(unknown) == "unknown"
    unknown.report("Send", "1002", 1)
    assert state(unknown) == "sent"
    assert unknown.get(ONE).json["mailings"][0]["sent_at"] == "2026-11-23T09:00:05.000000Z"
    # The same key now reports it, and nothing is sent again.
    assert unknown.post(SEND, idempotency_key="k").status == 200
    assert len(unknown.invoices("1002")) == 1


def test_mails_unsettled_for_15_minutes_are_counted(unknown: Service, capsys: pytest.CaptureFixture[str]) -> None:
    def counted() -> bool:
        capsys.readouterr()
        invoke("WatchInvoicesFunction", load("watch-invoices-schedule"))
        return '"InvoicesUnsettled":[1.0]' in capsys.readouterr().out

    unknown.post("/admin/orders/1001/send-invoice")
    assert not counted()
    unknown.clock.sleep(timedelta(minutes=16).total_seconds())
    assert counted()
    unknown.report("Delivery", "1002", 1)
    assert not counted()


@pytest.mark.parametrize(
    ("kind", "more", "expected"),
    [("Bounce", {"bounceType": "Permanent"}, "bounced"), ("Complaint", {}, "complained")],
)
def test_sending_to_a_failing_address_is_refused(sent: Service, kind: str, more: Any, expected: str) -> None:
    sent.report(kind, "1002", 1, **more)
    assert state(sent) == expected
    refused = sent.post(SEND, {"notes": "again"})
    assert refused.status == 409
    assert refused.json["invoice_delivery"] == expected
    assert "bob@" not in (refused.text or "")
    assert sent.post(SEND, {"notes": "again", "resend": False}).status == 409
    assert sent.post(SEND, {"notes": "again", "resend": True}).status == 200
    # A corrected address is accepted.
    new = {"email": {"S": "bob@example.org"}}
    key = {"pk": {"S": "ORDER#1002"}, "sk": {"S": "ORDER#DETAIL"}}
    aws.dynamodb().update_item(
        TableName="OrdersTable",
        Key=key,
        UpdateExpression="SET customer_summary.email = :email",
        ExpressionAttributeValues={":email": new["email"]},
    )
    assert sent.post(SEND, {"notes": "to the new address"}).status == 200


@pytest.mark.parametrize("kind", ["Delivery", "Send", "DeliveryDelay", "Reject"])
def test_other_reports_do_not_mark_the_address_as_failing(sent: Service, kind: str) -> None:
    sent.report(kind, "1002", 1)
    assert sent.post(SEND, {"notes": "again"}).status == 200


def test_full_mailbox_does_not_mark_the_address_as_failing(sent: Service) -> None:
    sent.report("Bounce", "1002", 1, bounceType="Transient")
    assert state(sent) == "bounced"
    assert sent.post(SEND, {"notes": "again"}).status == 200


def test_first_report_of_a_kind_counts(sent: Service) -> None:
    for minute in (3, 1, 2):
        sent.report("Delivery", "1002", 1, f"2026-11-23T09:0{minute}:00.000Z")
    [event] = sent.get(ONE).json["mailings"][0]["events"]
    assert datetime.fromisoformat(event["at"]) == datetime(2026, 11, 23, 9, 1, tzinfo=UTC)
