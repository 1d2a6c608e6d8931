"""A storefront on another origin uses the API in a real browser. A page of a foreign origin cannot."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from harness import ROOT
from playwright.sync_api import BrowserContext, Page, expect
from process import Gateway

pytestmark = [pytest.mark.browser, pytest.mark.gateway, pytest.mark.slow]

STOREFRONT = "http://localhost:8000"
"""One of the origins in `samconfig.toml`."""

FOREIGN = "http://evil.example"

CALL = """async ([url, token, method, headers, body]) => {
    try {
        const response = await fetch(url, {
            method, body, headers: {...headers, Authorization: `Bearer ${token}`}
        });
        const bytes = new Uint8Array(await response.arrayBuffer());
        return {
            status: response.status,
            headers: Object.fromEntries(response.headers),
            text: new TextDecoder().decode(bytes),
        };
    } catch (error) {
        return {refused: String(error)};
    }
}"""

Call = Callable[..., dict[str, Any]]


class _Shop(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Shop</title>")

    def log_message(self, *_: object) -> None:
        """Keeps the tests' output readable."""


@pytest.fixture
def visit(start_browser: Callable[..., BrowserContext]) -> Iterator[Callable[[str], Page]]:
    """Opens a page of an origin."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Shop) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        place = f"127.0.0.1:{server.server_address[1]}"
        # Not with Playwright's routes: with them, it answers preflights itself.
        context = start_browser(f"--host-resolver-rules=MAP localhost:8000 {place}, MAP evil.example:80 {place}")

        def visit(origin: str) -> Page:
            page = context.new_page()
            page.goto(f"{origin}/")
            assert page.evaluate("location.origin") == origin
            return page

        yield visit
        server.shutdown()


def caller(page: Page, local: Gateway, who: str) -> Call:
    """Returns a function that calls the API from a page."""

    def call(method: str, path: str, body: str | None = None, **headers: str) -> dict[str, Any]:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent |= {"Content-Type": "application/json"} if body else {}
        found: dict[str, Any] = page.evaluate(CALL, [local.url + path, local.tokens[who], method, sent, body])
        return found

    return call


def test_storefront_comments_reads_an_invoice_and_cancels(visit: Callable[[str], Page], local: Gateway) -> None:
    local.send_invoice("1002")
    number = local.documents("1002")[0]["number"]
    call = caller(visit(STOREFRONT), local, "bob")
    comment = call("POST", "/orders/1002/comments", '{"content": "Grüße"}', Idempotency_Key="k")
    assert comment["status"] == 201
    assert "Grüße" in comment["text"]
    order = call("GET", "/orders/1002")
    assert (order["status"], order["headers"]["etag"]) == (200, '"1"')
    assert call("GET", "/orders/1002", If_None_Match='"1"')["status"] == 304

    invoice = call("GET", f"/orders/1002/invoices/{number}")
    assert (invoice["status"], number in invoice["text"]) == (200, True)
    # The browser follows the redirect to the archive.
    pdf = call("GET", f"/orders/1002/invoices/{number}", Accept="application/pdf")
    assert pdf["status"] == 200, pdf
    assert pdf["text"].startswith("%PDF-")

    assert call("POST", "/orders/1002/cancel", '{"reason": "Zu spät"}')["status"] == 204
    assert local.call("GET", "/orders/1002", token="bob").json["order_status"] == "cancelled"


def test_back_office_reads_the_headers_that_it_needs(visit: Callable[[str], Page], local: Gateway) -> None:
    call = caller(visit(STOREFRONT), local, "admin")
    preview = call("POST", "/admin/orders/1001/invoice-preview", "{}")
    assert preview["status"] == 200
    assert "e-invoice" in preview["headers"]
    sent = call("POST", "/admin/orders/1001/send-invoice", "{}")
    assert sent["headers"]["location"].startswith("/admin/orders/1001/invoices/")
    changed = call("PATCH", "/admin/orders/1001", '{"customer_summary": {"city": "Łódź"}}', If_Match='"1"')
    assert (changed["status"], changed["headers"]["etag"]) == (200, '"2"')


def test_documented_page_withdraws_in_two_steps(visit: Callable[[str], Page], local: Gateway) -> None:
    text = (ROOT / "docs" / "withdrawal.md").read_text(encoding="utf-8")
    [html] = re.findall(r"^```html\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    page = visit(STOREFRONT)
    page.set_content(html.replace("https://api.shop.example", local.url))
    page.get_by_label("Order number").fill("1004")
    page.get_by_label("Name").fill("Alice Böhm 高橋")
    page.get_by_label("E-mail address").fill("alice@example.com")
    confirm = page.get_by_role("button", name="Confirm withdrawal", exact=True)
    expect(confirm).to_be_hidden()
    page.get_by_role("button", name="Withdraw from contract here", exact=True).click()
    expect(page.locator("#statement")).to_have_text(
        "I withdraw from the contract for order 1004. Alice Böhm 高橋, alice@example.com"
    )
    assert local.call("GET", "/admin/orders/1004").json["withdrawal"] is None
    # What is typed after the statement was shown is not confirmed.
    page.get_by_label("Name").fill("Eve")
    confirm.click()
    expect(page.get_by_role("status")).to_contain_text("the shop has received the withdrawal")
    expect(confirm).to_be_hidden()
    assert local.call("GET", "/admin/orders/1004").json["withdrawal"]["name"] == "Alice Böhm 高橋"
    end = time.monotonic() + 30
    while not (mails := local.outbox("1004", "notice")):
        assert time.monotonic() < end
        time.sleep(0.1)
    assert "Alice Böhm 高橋" in mails[0]["text"]


def test_foreign_origin_is_refused_by_the_browser(visit: Callable[[str], Page], local: Gateway) -> None:
    call = caller(visit(FOREIGN), local, "alice")
    before = local.call("GET", "/orders/1001/comments").json
    for answer in (
        call("GET", "/orders/1001"),
        call("POST", "/orders/1001/comments", '{"content": "x"}'),
        call("POST", "/orders/1001/cancel"),
    ):
        assert "refused" in answer, answer
    assert local.call("GET", "/orders/1001/comments").json == before
    assert local.call("GET", "/orders/1001").json["order_status"] == "in_progress"
