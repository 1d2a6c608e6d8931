"""An order has one invoice: its number, its content, and what withdraws it."""

from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from harness import ALICE, BOB, ROOT, ProcessCrash, Service, break_at, html_of

from orders import aws
from orders.mailing.shop import get_shop
from orders.models import Order, OrderStatus
from orders.store import OrderStore
from orders.table import get_table

ORDER = "/admin/orders/1002"
SEND = f"{ORDER}/send-invoice"
FIRST, SECOND, THIRD = (f"INV-2026-{n:05}" for n in (1, 2, 3))

REJECTED = ClientError(
    {"Error": {"Code": "MessageRejected"}, "ResponseMetadata": {"HTTPStatusCode": 400}},  # type: ignore[typeddict-item]
    "SendEmail",
)
TIMED_OUT = ReadTimeoutError(endpoint_url="https://email")


def pdfs(mail: EmailMessage) -> dict[str, bytes]:
    """Returns the PDFs that a mail brings, by number."""
    return {(each.get_filename() or "").removesuffix(".pdf"): each.get_content() for each in mail.iter_attachments()}


def numbers(service: Service, order_id: str = "1002") -> list[str]:
    return [document["number"] for document in service.documents(order_id)]


def cancel(service: Service, path: str = ORDER, claims: Any = None) -> None:
    """Cancels an order, and lets the stream tell the customer."""
    service.skip_records()
    assert service.post(f"{path}/cancel", claims=claims).status == 204
    assert service.notify(service.records()) == []


# Numbers --------------------------------------------------------------------------------------------------------------


def test_three_sends_with_three_keys_mail_one_document(service: Service) -> None:
    for key in "abc":
        assert service.post(SEND, {"notes": key}, idempotency_key=key).status == 200
        service.clock.sleep(86_400)
    assert numbers(service) == [FIRST]
    assert [pdfs(mail) for mail in service.mails] == [{FIRST: service.archived()[f"orders/1002/{FIRST}.pdf"]}] * 3
    # What each request says stands in the text of its mail.
    assert [html_of(mail).partition('<div dir="auto">')[2][0] for mail in service.mails] == ["a", "b", "c"]


def test_numbers_are_taken_in_order_of_issue(service: Service) -> None:
    for order_id in ("1002", "1001", "1004"):
        assert service.post(f"/admin/orders/{order_id}/send-invoice").status == 200
    assert [numbers(service, order_id) for order_id in ("1002", "1001", "1004")] == [[FIRST], [SECOND], [THIRD]]


def test_a_corrected_address_gets_the_same_number(service: Service) -> None:
    service.post(SEND)
    service.report("Bounce", "1002", 1, bounceType="Permanent")
    assert service.patch(ORDER, {"customer_summary": {"email": "bob@example.org"}}).status == 200
    assert service.post(SEND, {"notes": "again"}).status == 200
    assert [(mail["To"], *pdfs(mail)) for mail in service.mails] == [
        ("bob@example.com", FIRST),
        ("bob@example.org", FIRST),
    ]


@pytest.mark.parametrize(("zone", "expected"), [("UTC", "INV-2026-00001"), ("Pacific/Auckland", "INV-2027-00001")])
def test_the_year_is_the_shops(service: Service, monkeypatch: pytest.MonkeyPatch, zone: str, expected: str) -> None:
    monkeypatch.setenv("SHOP_TIME_ZONE", zone)
    get_shop.cache_clear()
    service.clock.now = datetime(2026, 12, 31, 12, tzinfo=UTC)
    assert service.post(SEND).status == 200
    assert numbers(service) == [expected]


def test_a_prefix_and_a_year_have_their_own_series(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INVOICE_PREFIX", "RE_")
    service.post("/admin/orders/1001/send-invoice")
    service.clock.now = datetime(2027, 6, 1, tzinfo=UTC)
    service.post("/admin/orders/1002/send-invoice")
    service.post("/admin/orders/1004/send-invoice")
    assert [numbers(service, order_id) for order_id in ("1001", "1002", "1004")] == [
        ["RE_2026-00001"],
        ["RE_2027-00001"],
        ["RE_2027-00002"],
    ]


def test_issue_dates_never_turn_back(service: Service) -> None:
    service.post("/admin/orders/1001/send-invoice")
    # The clock of another process is late.
    service.clock.sleep(-5)
    service.post("/admin/orders/1002/send-invoice")
    first, second = (service.documents(order_id)[0]["issued"] for order_id in ("1001", "1002"))
    assert first == second == "2026-11-23T09:00:00.000000Z"


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", ["TransactWriteItems 1", "PutObject", "SendEmail", "TransactWriteItems 2"])
def test_a_crash_leaves_no_gap(service: Service, step: str, moment: str) -> None:
    repair = break_at(step, moment, ProcessCrash())
    with pytest.raises(ProcessCrash):
        service.post(SEND)
    repair()
    service.clock.sleep(31)
    assert service.post("/admin/orders/1001/send-invoice").status == 200
    assert service.post(SEND, idempotency_key="again").status == 200
    assert sorted(numbers(service) + numbers(service, "1001")) == [FIRST, SECOND]
    assert len({pdfs(mail)[numbers(service)[0]] for mail in service.mails if mail["To"] == "bob@example.com"}) == 1


def test_a_draft_is_not_numbered(service: Service) -> None:
    sample = Order.model_validate_json((ROOT / "tests" / "order.json").read_bytes())
    OrderStore(get_table()).create(sample.model_copy(update={"order_id": "3001", "order_status": OrderStatus.DRAFT}))
    assert service.post("/admin/orders/3001/send-invoice").status == 409
    assert service.post(SEND).status == 200
    assert numbers(service) == [FIRST]


def test_round_trips(service: Service) -> None:
    service.post(SEND)
    # Reading is three calls with the harness's own; sending is three, one to the archive and one mail.
    begin = {"BatchGetItem": 1, "TransactWriteItems": 2, "SendEmail": 1}
    assert service.calls == begin | {"PutObject": 1}
    service.calls.clear()
    service.post(SEND, {"notes": "again"})
    assert service.calls == begin | {"GetObject": 1}


def test_later_mails_bring_the_archived_bytes(service: Service) -> None:
    service.post(SEND)
    # Whatever is archived goes out: nothing is typeset again.
    aws.s3().put_object(Bucket="InvoicesBucket", Key=f"orders/1002/{FIRST}.pdf", Body=b"%PDF-archived")
    service.post(SEND, {"notes": "again"})
    assert pdfs(service.mails[-1]) == {FIRST: b"%PDF-archived"}


# An outdated buyer ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"first_name": "Roberto"},
        {"company_name": "Café Nuevo"},
        {"address_line_1": "Calle Mayor 1"},
        {"post_code": "28006"},
        {"city": "Sevilla"},
        {"country": {"code": "PT"}},
        {"vat_number": "ESB12345678"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_invoice_for_another_buyer_is_not_sent(service: Service, change: dict[str, Any]) -> None:
    service.post(SEND)
    assert service.patch(ORDER, {"customer_summary": change}).status == 200
    for path in (SEND, f"{ORDER}/invoice-preview"):
        refused = service.post(path, {"notes": "again"})
        assert (refused.status, refused.json["type"]) == (409, "urn:problem:orders:invoice-outdated")
        assert refused.json["invoice"] == FIRST
        assert refused.json["changed"] == [f"customer_summary.{name}" for name in change]
    assert len(service.mails) == 1
    # Changed back, it is right again.
    before = {"vat_number": None, "first_name": "Bob", "city": "Madrid"}
    if (name := next(iter(change))) in before:
        assert service.patch(ORDER, {"customer_summary": {name: before[name]}}).status == 200
        assert service.post(SEND, {"notes": "again"}).status == 200


def test_contact_details_may_change(service: Service) -> None:
    service.post(SEND)
    changed = {"email": "bob@example.org", "phone": "1", "billing_email": "b@example.org"}
    assert service.patch(ORDER, {"customer_summary": changed}).status == 200
    assert service.post(SEND, {"notes": "again"}).status == 200


def test_as_issued_sends_the_document_and_its_buyer(service: Service) -> None:
    service.post(SEND)
    service.patch(ORDER, {"customer_summary": {"city": "Sevilla"}})
    assert service.post(SEND, {"as_issued": True}).status == 200
    first, second = service.mails
    assert pdfs(first) == pdfs(second)
    assert "Madrid" in html_of(second)
    assert "Sevilla" not in html_of(second)


def test_reissue_replaces_the_invoice(service: Service) -> None:
    service.post(SEND)
    service.patch(ORDER, {"customer_summary": {"city": "Sevilla"}})
    sent = service.post(SEND, {"reissue": True}, idempotency_key="r")
    assert (sent.status, sent.headers["location"]) == (200, f"{ORDER}/invoices/{THIRD}")
    assert service.post(SEND, {"reissue": True}, idempotency_key="r").headers["location"] == sent.headers["location"]
    assert [
        tuple(document[name] for name in ("number", "type", "corrects", "corrected_by", "archived"))
        for document in service.documents("1002")
    ] == [
        (FIRST, "invoice", None, SECOND, True),
        (SECOND, "credit_note", FIRST, None, True),
        (THIRD, "invoice", None, None, True),
    ]
    mail = service.mails[-1]
    assert pdfs(mail).keys() == {SECOND, THIRD}
    assert f"credit note {SECOND} cancels" in html_of(mail)
    assert "Sevilla" in html_of(mail)
    # Nothing changed since, so the same flag only sends it again.
    assert service.post(SEND, {"reissue": True}, idempotency_key="s").status == 200
    assert pdfs(service.mails[-1]).keys() == {THIRD}


def test_an_invoice_that_never_left_becomes_void_when_it_is_replaced(service: Service) -> None:
    repair = break_at("SendEmail", "before", REJECTED)
    assert service.post(SEND).status == 502
    repair()
    service.patch(ORDER, {"customer_summary": {"city": "Sevilla"}})
    assert service.post(SEND, {"reissue": True}).status == 200
    first, second = service.documents("1002")
    assert (first["number"], bool(first["voided"]), second["number"]) == (FIRST, True, SECOND)
    assert pdfs(service.mails[-1]).keys() == {SECOND}


def test_reissue_and_as_issued_exclude_each_other(service: Service) -> None:
    refused = service.post(SEND, {"reissue": True, "as_issued": True})
    assert [error["field"] for error in refused.json["errors"]] == ["as_issued"]


# Cancelling -----------------------------------------------------------------------------------------------------------


def test_cancelling_an_invoiced_order_mails_a_credit_note(service: Service) -> None:
    service.post(SEND)
    cancel(service)
    invoice, credit_note = service.documents("1002")
    assert (invoice["corrected_by"], invoice["voided"]) == (SECOND, None)
    assert (credit_note["type"], credit_note["corrects"], credit_note["due"]) == ("credit_note", FIRST, "0.00")
    assert credit_note["grand_total"] == invoice["grand_total"]
    assert [(mailing["state"], mailing["recipient"]) for mailing in credit_note["mailings"]] == [
        ("sent", "bob@example.com")
    ]
    mail = service.mails[-1]
    assert "is cancelled" in mail["Subject"]
    assert pdfs(mail) == {SECOND: service.archived()[f"orders/1002/{SECOND}.pdf"]}
    assert f"credit note {SECOND} cancels the invoice {FIRST}" in " ".join(html_of(mail).split())
    service.report("Delivery", "1002", 2)
    assert service.documents("1002")[1]["mailings"][0]["state"] == "delivered"
    assert service.post(SEND).status == 409


def test_cancelling_twice_credits_once(service: Service) -> None:
    service.post(SEND)
    cancel(service)
    cancel(service)
    assert numbers(service) == [FIRST, SECOND]
    assert len(service.notices) == 1


@pytest.mark.parametrize(("error", "left"), [(REJECTED, False), (TIMED_OUT, True)], ids=["refused", "unknown"])
def test_an_invoice_that_never_left_becomes_void(service: Service, error: Exception, left: bool) -> None:
    repair = break_at("SendEmail", "before", error)
    assert service.post(SEND).status in {502, 504}
    repair()
    cancel(service)
    documents = service.documents("1002")
    assert [document["number"] for document in documents] == [FIRST, SECOND][: 1 + left]
    assert bool(documents[0]["voided"]) is not left
    # The number stays taken.
    service.post("/admin/orders/1001/send-invoice")
    assert numbers(service, "1001") == [THIRD if left else SECOND]


def test_a_credit_note_is_mailed_once_though_its_record_is_delivered_again(service: Service) -> None:
    service.post(SEND)
    service.skip_records()
    service.post(f"{ORDER}/cancel")
    records = service.records()
    for _ in range(3):
        assert service.notify(records) == []
    assert len(service.notices) == 1


def test_a_credit_note_that_ses_refuses_is_mailed_later(service: Service) -> None:
    service.post(SEND)
    service.skip_records()
    service.post(f"{ORDER}/cancel")
    records = service.records()
    repair = break_at("SendEmail", "before", REJECTED)
    assert len(service.notify(records)) == 1
    repair()
    assert [mailing["state"] for mailing in service.documents("1002")[1]["mailings"]] == ["failed"]
    assert service.notify(records) == []
    assert [pdfs(mail).keys() for mail in service.notices] == [{SECOND}]
    assert [mailing["state"] for mailing in service.documents("1002")[1]["mailings"]] == ["sent"]


@pytest.mark.parametrize("why", ["notices are off", "no address"])
def test_a_credit_note_that_nobody_is_mailed_is_archived(
    service: Service, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    service.post(SEND)
    if why == "no address":
        service.patch(ORDER, {"customer_summary": {"email": None}})
    else:
        monkeypatch.setenv("NOTIFY_CANCELLATIONS", "no")
    cancel(service)
    _, credit_note = service.documents("1002")
    assert (credit_note["archived"], credit_note["mailings"]) == (True, [])
    assert not service.notices
    assert service.get(f"{ORDER}/invoices/{SECOND}", accept="application/pdf").status == 303


def test_an_order_without_invoice_is_cancelled_in_one_call(service: Service) -> None:
    for path, claims in (("/orders/1001", ALICE), ("/admin/orders/1002", None)):
        service.calls.clear()
        assert service.post(f"{path}/cancel", claims=claims).status == 204
        assert service.calls == {"UpdateItem": 1}


def test_cancelling_an_invoiced_order_takes_three_calls(service: Service) -> None:
    service.post(SEND)
    service.calls.clear()
    assert service.post("/orders/1002/cancel", claims=BOB).status == 204
    assert service.calls == {"UpdateItem": 1, "BatchGetItem": 1, "TransactWriteItems": 1}


@pytest.mark.parametrize("step", ["UpdateItem", "BatchGetItem", "TransactWriteItems"])
def test_a_cancellation_that_fails_changes_nothing_or_everything(service: Service, step: str) -> None:
    service.post(SEND)
    repair = break_at(step, "before", ReadTimeoutError(endpoint_url="https://dynamodb"))
    assert service.post(f"{ORDER}/cancel").status == 503
    repair()
    assert (service.order("1002")["order_status"], numbers(service)) == ("in_progress", [FIRST])
    assert service.post(f"{ORDER}/cancel").status == 204
    assert numbers(service) == [FIRST, SECOND]


# Reading --------------------------------------------------------------------------------------------------------------


def test_customers_read_what_was_mailed(service: Service) -> None:
    mine = "/orders/1002/invoices"
    assert service.get(mine, BOB).json == {"invoices": []}
    repair = break_at("SendEmail", "before", REJECTED)
    service.post(SEND)
    repair()
    assert service.get(mine, BOB).json == {"invoices": []}
    assert service.get(f"{mine}/{FIRST}", BOB).status == 404
    service.post(SEND, {"notes": "again"})
    [invoice] = service.get(mine, BOB).json["invoices"]
    assert invoice.keys() == {
        *("number", "type", "issued", "corrects", "currency_code", "grand_total", "paid", "due", "payment_status"),
        "payment_due",
    }
    assert service.get(f"{mine}/{FIRST}", BOB).json == invoice
    assert service.get(f"{mine}/{FIRST}", BOB, accept="application/pdf").status == 303
    assert f"/1002/{FIRST}.pdf" in service.get(f"{mine}/{FIRST}", BOB, accept="application/pdf").headers["location"]


def test_another_customers_invoices_do_not_exist(service: Service) -> None:
    service.post(SEND)
    for path in ("", f"/{FIRST}"):
        theirs = service.get(f"/orders/1002/invoices{path}", ALICE)
        none = service.get(f"/orders/9999/invoices{path}", ALICE)
        assert theirs.status == none.status == 404
        assert {**theirs.json, "instance": ""} == {**none.json, "instance": ""}


def test_documents_of_orders_that_were_never_invoiced_are_none(service: Service) -> None:
    cancel(service)
    assert service.documents("1002") == []
    assert not service.archived()
    assert [mail["To"] for mail in service.notices] == ["bob@example.com"]
