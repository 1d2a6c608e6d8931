"""Mails to the staff about what customers do: from a request to the mail, each once, whatever else fails."""

import io
from email.utils import parseaddr
from typing import Any

import pytest
from harness import BOB, ProcessCrash, Service, break_at, html_of
from ses_endpoint import Ses

from orders import aws, telemetry

FLAGGED = {"content": "Grüße – 你好\r\n<b>bitte</b> & {{ rasch }}", "flagged": True}


def text_of(mail: Any) -> str:
    """Returns the plain text of a mail, with normalised line ends and spaces."""
    return str(mail.get_body(("plain",)).get_content()).replace("\r\n", "\n").replace("\N{NO-BREAK SPACE}", " ")


def flag(service: Service, order_id: str = "1002", claims: Any = BOB) -> list[dict[str, Any]]:
    """Flags a comment as the customer, and returns the records that this wrote to the table's stream."""
    service.skip_records()
    # Later than a double click.
    service.clock.sleep(31)
    assert service.post(f"/orders/{order_id}/comments", FLAGGED, claims).status == 201
    return service.records()


def cancel(service: Service, order_id: str = "1001", **body: Any) -> list[dict[str, Any]]:
    """Cancels as the customer, and returns the records that this wrote to the table's stream."""
    service.skip_records()
    assert service.post(f"/orders/{order_id}/cancel", body or None).status == 204
    return service.records()


def test_flagged_comment_reaches_the_staff(service: Service) -> None:
    assert service.notify(flag(service)) == []
    [mail] = service.staff_mails
    assert (service.mails, mail["To"], mail["Cc"]) == ([], "staff@shop.example", None)
    assert mail["Subject"] == "Order 1002: a customer flagged a comment"
    assert parseaddr(mail["From"])[1] == "invoices@shop.example"
    assert mail["Reply-To"] == "bob@example.com"
    # So that no vacation notice goes to the customer (RFC 3834).
    assert mail["Auto-Submitted"] == "auto-generated"
    plain, html = text_of(mail), html_of(mail)
    assert "Bob Núñez Ibáñez flagged this comment on order 1002 for the staff on 23 Nov 2026:" in plain
    assert "\n  Grüße – 你好\n  <b>bitte</b> & {{ rasch }}\n" in plain
    assert "Replies to this mail go to the customer, bob@example.com." in plain
    assert "&lt;b&gt;bitte&lt;/b&gt; &amp; {{ rasch }}" in html
    # Neither the customer's page nor the support contact is for the staff.
    for text in (plain, html):
        assert "http" not in text
        assert "help@shop.example" not in text


def test_redacted_comment_does_not_reach_the_staff(service: Service) -> None:
    records = flag(service)
    [comment] = service.comments("1002")
    assert service.post(f"/admin/orders/1002/comments/{comment['id']}/redact").status == 204
    assert service.notify(records + service.records()) == []
    assert service.staff_mails == []


@pytest.mark.parametrize(
    ("order_id", "paid", "money"),
    [
        ("1001", None, "No payment is recorded."),
        ("1001", {"payment_status": "pending"}, "No payment is recorded, but one is on its way."),
        (
            "1001",
            {"paid": "20", "refunded": "5"},
            "Paid: 20,00 €\nTo be refunded: 15,00 €\nThe refund is not made automatically.",
        ),
    ],
)
def test_customers_cancellation_reaches_the_staff(service: Service, order_id: str, paid: Any, money: str) -> None:
    if paid:
        service.patch(f"/admin/orders/{order_id}", paid)
    assert service.notify(cancel(service, order_id, reason="zu spät\n<i>leider</i>", reason_code="customer")) == []
    [mail] = service.staff_mails
    assert mail["Subject"] == f"Order {order_id}: cancelled by the customer"
    assert mail["Reply-To"] == "alice@example.com"
    plain, html = text_of(mail), html_of(mail)
    assert f"cancelled order {order_id} on 23 Nov 2026. Do not ship it." in plain
    assert "\nREASON\n  zu spät\n  <i>leider</i>\nCode: customer\n" in plain
    assert f"\nMONEY\n{money}\n" in plain
    assert "&lt;i&gt;leider&lt;/i&gt;" in html
    # The customer is told as before.
    assert [mail["To"] for mail in service.notices] == ["alice@example.com"]


def test_staff_is_told_even_if_the_customer_cannot_be(service: Service) -> None:
    assert service.notify(cancel(service, "1007")) == []
    [mail] = service.staff_mails
    assert service.notices == []
    assert mail["Reply-To"] == "office@shop.example"
    assert "The order has no e-mail address that a reply could go to." in text_of(mail)


def test_staff_hears_of_a_credit_note(service: Service) -> None:
    service.post("/admin/orders/1001/send-invoice")
    assert service.notify(cancel(service)) == []
    assert "Credit note INV-2026-00002 cancels invoice INV-2026-00001." in text_of(service.staff_mails[0])
    assert list(service.staff_mails[0].iter_attachments()) == []


def test_without_an_address_of_the_staff_nothing_is_read_or_mailed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STAFF_EMAIL")
    records = flag(service)
    service.calls.clear()
    assert service.notify(records) == []
    assert service.calls == {}
    assert (service.staff_mails, service.items("1002", "NOTICE#")) == ([], [])


def test_redelivered_records_mail_the_staff_once(service: Service) -> None:
    records = [*flag(service), *cancel(service)]
    for _ in range(3):
        assert service.notify(records) == []
    assert len(service.staff_mails) == 2
    assert len(service.notices) == 1


def test_each_mail_fails_on_its_own(service: Service, ses: Ses) -> None:
    records = cancel(service)

    def refuse(request: Any, **_: Any) -> None:
        ses.behaviour = "400" if refused in request.body else "ok"

    aws.ses().meta.events.register("before-send.sesv2.SendEmail", refuse)
    refused = b"alice@"
    # The customer's mail fails and the staff's goes out. Then the customer's goes out, and the staff's is not repeated.
    assert len(service.notify(records)) == 1
    assert ses.accepted == 1
    refused = b"nobody@"
    assert service.notify(records) == []
    assert ses.accepted == 2
    records = flag(service)
    refused = b"staff@"
    assert len(service.notify(records)) == 1
    assert ses.accepted == 2
    refused = b"nobody@"
    assert service.notify(records) == []
    assert ses.accepted == 3


def test_crash_never_mails_the_staff_twice(service: Service) -> None:
    for moment, step, mails in (("before", "PutItem", 1), ("after", "PutItem", 0), ("after", "SendEmail", 1)):
        records, before = flag(service), len(service.staff_mails)
        repair = break_at(step, moment, ProcessCrash())
        with pytest.raises(ProcessCrash):
            service.notify(records)
        repair()
        for _ in range(2):
            assert service.notify(records) == []
            assert len(service.staff_mails) - before == mails, (moment, step)


def test_staff_mails_do_not_touch_the_request(service: Service) -> None:
    service.calls.clear()
    service.post("/orders/1002/comments", FLAGGED, BOB)
    service.post("/orders/1001/cancel")
    assert service.calls == {"GetItem": 1, "TransactWriteItems": 1, "UpdateItem": 1}


def test_personal_texts_are_not_logged(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    for handler in telemetry.logger.handlers:
        monkeypatch.setattr(handler, "stream", log)
    service.notify([*flag(service), *cancel(service, reason="Geheim")])
    logged = log.getvalue()
    assert logged.count('"what":"NoticesSent"') == 3
    assert '"notice":"STAFF#CANCELLED"' in logged
    for word in ("Geheim", "Grüße", "Gr\\u00fc", "你好", "Alice", "Bob", "Núñez", "example.com", "staff@"):
        assert word not in logged
