"""The first steps after `make run`: the main operations over HTTP, with the sample orders."""

import time
from typing import Any

import pytest
from harness import ROOT
from process import Gateway, http

from local.template import Template

pytestmark = pytest.mark.xdist_group("gateway")


def notices_of(api: Gateway, order_id: str, count: int) -> list[Any]:
    """Waits for a number of notices about an order, which come a moment after the event, and returns them."""
    end = time.monotonic() + 60
    while len(found := api.outbox(order_id, "notice")) < count:
        assert time.monotonic() < end, found
        time.sleep(0.1)
    return found


def test_customer_and_admin_comment(api: Gateway) -> None:
    answer = api.post("/orders/1001/comments", {"id": 1001, "content": "Grüße – 你好", "flagged": False})
    assert answer.status == 201
    [comment] = answer.json["comments"]
    assert set(comment) == {"id", "content", "admin_name", "is_visible_to_customer", "is_admin", "created"}
    assert comment["content"] == "Grüße – 你好"

    flagged = api.post("/admin/orders/1001/comments", {"id": "1001", "content": "intern", "flagged": True})
    [comment] = flagged.json["comments"]
    assert (comment["is_visible_to_customer"], comment["is_admin"], comment["admin_name"]) == (False, True, "Ada Admin")


def test_other_customers_order_answers_like_a_missing_order(api: Gateway) -> None:
    others, none = (api.post(f"/orders/{order_id}/comments", {"content": "x"}) for order_id in ("1002", "9999"))
    assert others.status == none.status == 404
    volatile = {"instance": None, "request_id": None}
    assert others.json | volatile == none.json | volatile


@pytest.mark.parametrize(
    "route", ["/admin/orders/1001/comments", "/admin/orders/1001/cancel", "/admin/orders/1001/send-invoice"]
)
def test_customers_cannot_use_admin_routes(api: Gateway, route: str) -> None:
    answer = api.post(route, {"content": "x"} if "comments" in route else None, token="alice")
    assert answer.status == 403
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("route", ["/orders/1001/comments", "/orders/1001/cancel", "/admin/orders/1001/send-invoice"])
@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c"])
def test_invalid_token_is_refused(api: Gateway, route: str, token: str) -> None:
    answer = api.post(route, {"content": "x"}, token=token)
    assert answer.status == 401
    assert answer.json["status"] == 401


def test_cancellations_follow_the_rules(api: Gateway) -> None:
    assert [api.post("/orders/1003/cancel").status, api.post("/orders/1005/cancel").status] == [409, 409]
    assert "shipped" in api.post("/orders/1003/cancel").json["detail"]
    assert api.post("/orders/1004/cancel").status == 409
    assert api.post("/admin/orders/1004/cancel").status == 204
    for _ in range(2):
        answer = api.post("/orders/1001/cancel")
        assert (answer.status, answer.text) == (204, None)
    refused = api.post("/admin/orders/1001/send-invoice")
    assert (refused.status, refused.json["order_status"]) == (409, "cancelled")


def test_customers_are_notified_once(api: Gateway) -> None:
    comments = "/admin/orders/1010/comments"
    order = {
        "order_id": "1010",
        "customer_id": "alice",
        "currency_code": "EUR",
        "paid": "12.50",
        "payment_status": "paid",
        "customer_summary": {"first_name": "Zoë", "email": "zoe@example.com", "country": {"code": "FR"}},
        "order_line_details": [{"item_id": 1, "product_name": "Comté", "quantity": 1, "price": "12.50"}],
    }
    assert api.post("/admin/orders", order).status == 201
    assert api.post(comments, {"content": "Zahlt nie", "flagged": True}).status == 201
    assert api.post(comments, {"content": "Kennt Bob", "is_visible_to_customer": False}).status == 201
    assert api.post("/orders/1010/comments", {"content": "Wann kommt es?"}).status == 201
    assert api.post(comments, {"content": "Am Freitag. Grüße – 你好"}).status == 201
    [comment] = notices_of(api, "1010", 1)
    assert (comment["to"], comment["tags"]["notice"]) == ("zoe@example.com", "comment")
    assert "Am Freitag. Grüße – 你好" in comment["text"]
    assert "Hello Zoë," in comment["html"]
    for _ in range(2):
        assert api.post("/orders/1010/cancel", {"reason": "<Zu spät>"}).status == 204
    _, cancellation = notices_of(api, "1010", 2)
    assert cancellation["subject"].startswith("Your order 1010 at ")
    assert "<Zu spät>" in cancellation["text"]
    assert "&lt;Zu spät&gt;" in cancellation["html"]
    assert "You have paid 12,50\N{NO-BREAK SPACE}€." in cancellation["text"]
    # The stream is read in order: once a later comment is mailed, everything before it was processed.
    assert api.post(comments, {"content": "Schade."}).status == 201
    assert [mail["tags"]["notice"] for mail in notices_of(api, "1010", 3)] == ["comment", "cancellation", "comment"]
    [staff] = api.outbox("1010", "staff")
    assert (staff["to"], staff["tags"]["notice"]) == ("staff@shop.example", "staff_cancellation")
    assert "To be refunded: 12,50\N{NO-BREAK SPACE}€" in staff["text"]


def test_invoice_is_mailed_to_the_orders_address(api: Gateway) -> None:
    body = {
        "order_id": "1002",
        "payment_settings": {"payment_method_options": None},
        "payment_status": "unpaid",
        "notes": "<script>alert('Grüße')</script>",
    }
    answer = api.post("/admin/orders/1002/send-invoice", body)
    assert (answer.status, answer.json) == (200, {"status": "success"})
    [invoice] = api.documents("1002")
    number = invoice["number"]
    assert answer.headers["location"] == f"/admin/orders/1002/invoices/{number}"
    [mail] = api.outbox("1002", "invoice")
    assert mail["to"] == "bob@example.com"
    assert mail["tags"] == {"order_id": "1002", "invoice": number, "mailing": "1"}
    assert "&lt;script&gt;" in mail["html"]
    assert "<script" not in mail["html"]
    assert "<script>alert('Grüße')</script>" in mail["text"]
    assert [api.post(f"/admin/orders/{order_id}/send-invoice").status for order_id in (1006, 1007)] == [409, 409]
    assert api.outbox("1006", "invoice") == api.outbox("1007", "invoice") == []


def test_bounced_invoice_is_recorded_and_blocks_the_next(api: Gateway) -> None:
    sent = api.post("/admin/orders/1008/send-invoice")
    assert sent.status == 200
    invoice = sent.headers["location"]
    number = invoice.rpartition("/")[2]
    [mail] = api.outbox("1008", "invoice")
    [attachment] = mail["attachments"]
    assert (attachment["filename"], attachment["content_type"]) == (f"{number}.pdf", "application/pdf")
    assert [mailing["state"] for mailing in api.call("GET", invoice).json["mailings"]] == ["sent"]
    played = api.post("/_local/ses-events", {"order_id": "1008", "mailing": 1, "event": "hard_bounce"}, token="")
    assert played.json == {"taken_by": ["RecordDeliveryFunction"]}
    assert [mailing["state"] for mailing in api.call("GET", invoice).json["mailings"]] == ["bounced"]
    refused = api.post("/admin/orders/1008/send-invoice", {"notes": "again"})
    assert (refused.status, refused.json["invoice_delivery"]) == (409, "bounced")
    link = api.call("GET", invoice, accept="application/pdf")
    assert link.status == 303
    pdf = http.request("GET", link.headers["location"])
    assert pdf.data.startswith(b"%PDF-")
    assert len(pdf.data) == attachment["size"]


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"order_id": "1008", "event": "burnt"}', '{"event": "send"}'])
def test_invalid_ses_event_is_refused(api: Gateway, body: str) -> None:
    answer = api.post("/_local/ses-events", body, token="")
    assert answer.status == 422


def test_local_pages_are_served(api: Gateway) -> None:
    assert api.post("/admin/orders/1005/send-invoice").status == 200
    assert "alice@example.com" in (api.call("GET", "/_local/outbox", token="", accept="text/html").text or "")
    assert api.call("GET", "/docs", token="").status == 200
    paths = set(api.call("GET", "/openapi.json", token="").json["paths"])
    assert paths == {route.path for route in Template(ROOT / "template.yaml").routes}
