"""A table that version 0.1 wrote: there, each mailing was an invoice of its own, numbered `INV-<order>-<n>`.

`version-0.1.json` has its items. The name of each order says what happened to it.
"""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from documents import REFUSED, create, paper, pdfs, send, summary, text_of
from harness import BOB, ROOT, Service, break_at, invoke
from lists import flatten, pages

from importer import backfill
from orders import aws

pytestmark = pytest.mark.slow

ITEMS: list[dict[str, Any]] = json.loads((ROOT / "tests" / "version-0.1.json").read_text(encoding="utf-8"))["items"]
MAILINGS = [item for item in ITEMS if item["sk"]["S"].startswith("INVOICE#")]

LISTED = {
    "new": [],
    "sent": ["INV-sent-1: delivered"],
    "thrice": ["INV-thrice-1: sent", "INV-thrice-2: sent", "INV-thrice-3: sent"],
    "failed": ["INV-failed-1: failed"],
    "unknown": ["INV-unknown-1: unknown"],
    "crashed": ["INV-crashed-1: sending"],
    "bounced": ["INV-bounced-1: bounced"],
    "cancelled": ["INV-cancelled-1: sent"],
}
"""What the staff reads of each order."""

LEFT = {"sent", "thrice", "bounced", "cancelled"}
"""Orders with an invoice that certainly left."""


def pdf_of(number: str) -> bytes:
    """Returns what version 0.1 archived. Nothing here reads it, so it need not be a whole PDF."""
    return f"%PDF-1.7 {number}".encode()


@pytest.fixture
def old(service: Service) -> Service:
    """The service on the table and the archive of version 0.1, two days later."""
    for item in ITEMS:
        aws.dynamodb().put_item(TableName="OrdersTable", Item=item)
    for mailing in MAILINGS:
        order_id, n = mailing["order_id"]["S"], mailing["n"]["N"]
        number = f"INV-{order_id}-{n}"
        aws.s3().put_object(Bucket="InvoicesBucket", Key=f"orders/{order_id}/{number}.pdf", Body=pdf_of(number))
    service.clock.now = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
    service.skip_records()
    return service


# Reading ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order_id", LISTED)
def test_orders_and_invoices_are_read_as_they_were(old: Service, order_id: str) -> None:
    before = old.items(order_id)
    order = old.get(f"/admin/orders/{order_id}")
    assert (order.status, order.json["grand_total"]) == (200, "100.00")
    assert old.get(f"/orders/{order_id}").json["order_id"] == order_id
    assert summary(old, order_id) == LISTED[order_id]
    own = old.get(f"/orders/{order_id}/invoices").json["invoices"]
    assert [each["number"] for each in own] == [each["number"] for each in old.documents(order_id) if order_id in LEFT]
    timeline = old.get(f"/admin/orders/{order_id}/timeline?limit=100").json["timeline"]
    assert [each["invoice"] for each in timeline if each["event"] == "invoice_begun"] == [
        line.partition(":")[0] for line in LISTED[order_id]
    ]
    # Version 0.1 recorded no issue that could be shown.
    assert not [each for each in timeline if each["event"] == "invoice_issued"]
    # Nothing was written.
    assert old.items(order_id) == before


def test_orders_are_listed(old: Service) -> None:
    listed = old.get("/admin/orders?limit=100").json["orders"]
    assert {each["order_id"] for each in listed} >= set(LISTED)


def test_invoice_says_what_was_recorded(old: Service) -> None:
    record = old.get("/admin/orders/sent/invoices/INV-sent-1").json
    [mailing] = record.pop("mailings")
    assert record == {
        "number": "INV-sent-1",
        "type": "invoice",
        "issued": "2026-11-23T09:01:00.000000Z",
        "corrects": None,
        "corrected_by": None,
        "voided": None,
        "requested_by": "ada",
        "currency_code": "EUR",
        "grand_total": "100.00",
        "paid": "0.00",
        "due": "100.00",
        "payment_status": "unpaid",
        "payment_due": None,
        "language": None,
        "archived": True,
        "e_invoice": None,
        "missing": [],
        "xml": None,
    }
    assert (mailing["state"], mailing["notes"], mailing["payment_method_options"]) == (
        "delivered",
        "Thank you",
        ["Vipps"],
    )


@pytest.mark.parametrize("number", ["INV-thrice-1", "INV-thrice-2", "INV-thrice-3"])
def test_pdf_of_every_invoice_can_be_read(old: Service, number: str) -> None:
    for path in ("/admin/orders/thrice", "/orders/thrice"):
        answer = old.get(f"{path}/invoices/{number}", accept="application/pdf")
        assert answer.status == 303
        assert f"/orders/thrice/{number}.pdf" in answer.headers["location"]


def test_invoices_of_another_customer_stay_hidden(old: Service) -> None:
    for path in ("invoices", "invoices/INV-sent-1"):
        others, missing = (old.get(f"/orders/{order_id}/{path}", BOB) for order_id in ("sent", "Z"))
        assert (others.status, others.json | {"instance": ""}) == (404, missing.json | {"instance": ""})


# Lists -------------------------------------------------------------------------------------------------------------


def listed(service: Service, query: str, path: str = "/admin/orders") -> set[str]:
    """Returns the orders of version 0.1 in a list."""
    found = [order["order_id"] for order in flatten(pages(service, f"{path}?limit=3&{query}"))]
    assert len(found) == len(set(found))
    return set(found) & set(LISTED)


EMAIL, EVER = "email=alice@example.com", "updated_from=2020-01-01T00:00:00Z"


def test_old_orders_are_found_by_customer_and_status_at_once(old: Service) -> None:
    assert listed(old, "", "/orders") == set(LISTED)
    assert listed(old, "customer_id=alice&shipping_status=awaiting_shipment") == set(LISTED)
    assert listed(old, "order_status=cancelled") == listed(old, "order_status=cancelled", "/orders") == {"cancelled"}
    # When they last changed was not kept: as far as it is known.
    assert old.get("/orders/new").json["updated"] == old.get("/orders/new").json["created"]
    cancelled = old.get("/orders/cancelled").json
    assert cancelled["updated"] == cancelled["cancelled_at"]


def test_old_orders_are_found_by_address_and_change_once_they_change(old: Service) -> None:
    assert listed(old, EMAIL) == listed(old, EVER) == set()
    assert old.patch("/admin/orders/new", {"customer_summary": {"phone": "1"}}).status == 200
    assert old.post("/orders/sent/cancel").status == 204
    assert listed(old, EMAIL) == {"new"}
    assert listed(old, EVER) == {"new", "sent"}


def test_backfill_lists_all_old_orders_and_can_be_repeated(old: Service, capsys: pytest.CaptureFixture[str]) -> None:
    # One of them changed after the upgrade, and one lost its address.
    assert old.post("/orders/sent/cancel").status == 204
    assert old.patch("/admin/orders/thrice", {"customer_summary": {"email": None}}).status == 200
    before = {order_id: old.get(f"/admin/orders/{order_id}").json for order_id in LISTED}
    assert backfill.main(["--table", "OrdersTable"]) == 0
    assert f"{len(LISTED)} listed" in capsys.readouterr().out
    assert listed(old, EVER) == set(LISTED)
    assert listed(old, EMAIL) == set(LISTED) - {"thrice"}
    assert {order_id: old.get(f"/admin/orders/{order_id}").json for order_id in LISTED} == before
    assert listed(old, "updated_from=2026-11-25T00:00:00Z") == {"sent", "thrice"}
    items = {order_id: old.items(order_id) for order_id in LISTED}
    assert backfill.main(["--table", "OrdersTable"]) == 0
    assert "0 listed" in capsys.readouterr().out
    assert {order_id: old.items(order_id) for order_id in LISTED} == items


def test_backfill_says_what_went_wrong(old: Service, capsys: pytest.CaptureFixture[str]) -> None:
    assert backfill.main(["--table", "Nowhere"]) == 1
    assert "Run the same command again" in capsys.readouterr().err


# Sending again -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order_id", "number"),
    [
        ("sent", "INV-sent-1"),
        ("thrice", "INV-thrice-3"),
        ("unknown", "INV-unknown-1"),
        # Its archived PDF was not recorded.
        ("crashed", "INV-crashed-1"),
    ],
)
def test_invoice_is_mailed_again_under_its_number(old: Service, order_id: str, number: str) -> None:
    for again in range(2):
        assert send(old, f"/admin/orders/{order_id}", notes=f"Reminder {again}") == number
    assert [pdfs(mail) for mail in old.mails] == [{f"{number}.pdf": pdf_of(number)}] * 2
    assert all(number in f"{mail['Subject']}{text_of(mail)}" for mail in old.mails)
    assert old.archived()[f"orders/{order_id}/{number}.pdf"] == pdf_of(number)
    assert summary(old, order_id) == [*LISTED[order_id][:-1], f"{LISTED[order_id][-1]}, sent, sent"]
    # It keeps its date, and no number of the series is taken.
    [*_, issued] = [item["started"]["S"] for item in MAILINGS if item["order_id"]["S"] == order_id]
    assert old.documents(order_id)[-1]["issued"] == issued
    assert send(old, create(old)) == "INV-2026-00001"


def test_other_systems_are_not_told_that_an_old_invoice_is_new(old: Service) -> None:
    send(old, "/admin/orders/sent")
    events = invoke("PublishEventsFunction", old.records())
    assert {event["type"] for event in events} == {"InvoiceStatusChanged"}
    assert {event["number"] for event in events} == {"INV-sent-1"}


def test_only_the_first_send_reads_the_old_invoices(old: Service) -> None:
    usual = {"BatchGetItem": 1, "TransactWriteItems": 2, "GetObject": 1, "SendEmail": 1}
    for more in ({"Query": 1}, {}):
        old.calls.clear()
        send(old, "/admin/orders/thrice")
        assert old.calls == usual | more


@pytest.mark.parametrize("order_id", ["new", "failed"])
def test_order_without_an_invoice_that_may_have_left_gets_a_number(old: Service, order_id: str) -> None:
    assert send(old, f"/admin/orders/{order_id}") == "INV-2026-00001"
    assert summary(old, order_id) == [*LISTED[order_id], "INV-2026-00001: sent"]
    assert len(old.get(f"/orders/{order_id}/invoices").json["invoices"]) == 1


def test_bounced_invoice_is_sent_to_a_corrected_address(old: Service) -> None:
    path = "/admin/orders/bounced"
    assert old.post(f"{path}/send-invoice").json["invoice_delivery"] == "bounced"
    assert old.patch(path, {"customer_summary": {"email": "alice@example.org"}}).status == 200
    assert send(old, path) == "INV-bounced-1"


def test_refused_mail_keeps_the_old_number(old: Service) -> None:
    repair = break_at("SendEmail", "before", REFUSED)
    assert old.post("/admin/orders/sent/send-invoice").status == 502
    repair()
    assert send(old, "/admin/orders/sent") == "INV-sent-1"
    assert summary(old, "sent") == ["INV-sent-1: delivered, failed, sent"]


def test_refused_mail_does_not_make_an_old_invoice_void(old: Service) -> None:
    repair = break_at("SendEmail", "before", REFUSED)
    assert old.post("/admin/orders/sent/send-invoice").status == 502
    repair()
    cancel(old, "sent")
    assert summary(old, "sent")[0] == "INV-sent-1: credited by INV-2026-00001: delivered, failed"


def test_request_that_was_made_before_the_upgrade_is_recognised(old: Service) -> None:
    old.clock.now = datetime(2026, 11, 23, 9, 1, 10, tzinfo=UTC)
    body = {"notes": "Thank you", "payment_settings": {"payment_method_options": ["Vipps"]}}
    answer = old.post("/admin/orders/sent/send-invoice", body)
    assert (answer.status, answer.headers["location"]) == (200, "/admin/orders/sent/invoices/INV-sent-1")
    assert old.mails == []


def test_buyer_who_moves_later_gets_a_credit_note_for_the_old_number(old: Service) -> None:
    path = "/admin/orders/sent"
    send(old, path)
    old.patch(path, {"customer_summary": {"city": "Bergen"}})
    answer = old.post(f"{path}/send-invoice", {"notes": "x"})
    assert (answer.status, answer.json["invoice"]) == (409, "INV-sent-1")
    assert send(old, path, reissue=True) == "INV-2026-00002"
    assert summary(old, "sent") == [
        "INV-sent-1: credited by INV-2026-00001: delivered, sent",
        "INV-2026-00001: credits INV-sent-1: sent",
        "INV-2026-00002: sent",
    ]


def test_preview_shows_the_old_number_and_writes_nothing(old: Service) -> None:
    before = old.items("thrice")
    page = old.post("/admin/orders/thrice/invoice-preview")
    assert (page.status, "INV-thrice-3" in (page.text or "")) == (200, True)
    assert old.items("thrice") == before


# Cancelling ----------------------------------------------------------------------------------------------------------


def cancel(service: Service, order_id: str) -> None:
    """Cancels an order as its customer, and mails what follows."""
    service.skip_records()
    assert service.post(f"/orders/{order_id}/cancel", claims=BOB).status == 404
    assert service.post(f"/orders/{order_id}/cancel").status == 204
    assert service.notify(service.records()) == []


@pytest.mark.parametrize("again", [False, True], ids=["at once", "after another mail"])
@pytest.mark.parametrize(
    ("order_id", "number"),
    [
        ("sent", "INV-sent-1"),
        ("thrice", "INV-thrice-3"),
        ("unknown", "INV-unknown-1"),
        ("crashed", "INV-crashed-1"),
    ],
)
def test_cancelling_issues_a_credit_note_for_the_old_number(
    old: Service, order_id: str, number: str, again: bool
) -> None:
    if again:
        send(old, f"/admin/orders/{order_id}")
    cancel(old, order_id)
    *others, invoice, credit_note = summary(old, order_id)
    assert others == LISTED[order_id][:-1]
    assert invoice.startswith(f"{number}: credited by INV-2026-00001: ")
    assert credit_note == f"INV-2026-00001: credits {number}: sent"
    mail = old.mails[-1]
    assert list(pdfs(mail)) == ["INV-2026-00001.pdf"]
    text = paper(pdfs(mail)["INV-2026-00001.pdf"])
    assert all(each in text for each in ("Credit note", number, "0155 Oslo", "100"))
    assert number in text_of(mail)
    # The old PDF can still be read, unless its process crashed and no report of SES said that it was mailed.
    answer = old.get(f"/admin/orders/{order_id}/invoices/{number}", accept="application/pdf")
    assert answer.status == (404 if order_id == "crashed" and not again else 303)
    # Once.
    assert old.post(f"/orders/{order_id}/cancel").status == 204
    assert len(old.documents(order_id)) == len(LISTED[order_id]) + 1


@pytest.mark.parametrize("order_id", ["new", "failed"])
def test_cancelling_without_an_invoice_that_may_have_left_issues_nothing(old: Service, order_id: str) -> None:
    cancel(old, order_id)
    assert summary(old, order_id) == LISTED[order_id]
    [mail] = old.mails
    assert pdfs(mail) == {}


def test_order_cancelled_by_version_0_1_stays_as_it_is(old: Service) -> None:
    before = old.items("cancelled")
    assert old.post("/orders/cancelled/cancel").status == 204
    assert old.post("/admin/orders/cancelled/send-invoice").status == 409
    assert old.items("cancelled") == before
    # Money that arrives can still be recorded.
    assert old.patch("/admin/orders/cancelled", {"paid": "100.00", "payment_status": "paid"}).status == 200


# Reports by SES ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order_id", "number", "kind", "listed"),
    [
        ("thrice", "INV-thrice-2", "Delivery", ["INV-thrice-1: sent", "INV-thrice-2: delivered", "INV-thrice-3: sent"]),
        ("unknown", "INV-unknown-1", "Send", ["INV-unknown-1: sent"]),
        ("crashed", "INV-crashed-1", "Delivery", ["INV-crashed-1: delivered"]),
        ("cancelled", "INV-cancelled-1", "Complaint", ["INV-cancelled-1: complained"]),
    ],
)
def test_report_about_an_old_mail_is_recorded(
    old: Service, order_id: str, number: str, kind: str, listed: list[str]
) -> None:
    """Version 0.1 tagged a mail with its number alone."""
    old.report(kind, order_id, number)
    assert summary(old, order_id) == listed
    assert old.get(f"/orders/{order_id}/invoices/{number}").status == 200
    assert old.get(f"/orders/{order_id}/invoices/{number}", accept="application/pdf").status == 303
    [event] = invoke("PublishEventsFunction", old.records())
    assert (event["type"], event["number"]) == ("InvoiceStatusChanged", number)


def test_report_about_an_old_mail_is_recorded_after_the_invoice_was_sent_again(old: Service) -> None:
    send(old, "/admin/orders/thrice")
    old.report("Delivery", "thrice", "INV-thrice-3")
    old.report("Complaint", "thrice", 4)
    assert summary(old, "thrice")[-1] == "INV-thrice-3: delivered, complained"
