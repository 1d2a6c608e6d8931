"""The gateway's pages in a real browser: as readers see and use them."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect
from process import Gateway

pytestmark = [pytest.mark.browser, pytest.mark.gateway, pytest.mark.slow]

PAGES = ("/", "/docs", "/_local/outbox")

OpenPage = Callable[..., Page]


def wait_for_mails(page: Page, count: int) -> None:
    """Waits until the outbox shows so many mails, each at its full height."""
    expect(page.locator("article.mail")).to_have_count(count)
    expect(page.locator("iframe.body[data-fitted]")).to_have_count(count)


def cut_off(page: Page) -> list[str]:
    """The subjects of the mails that are taller than their frame."""
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll("article.mail")].filter(mail => {
            const frame = mail.querySelector("iframe.body");
            return frame.contentDocument.documentElement.scrollHeight > frame.clientHeight;
        }).map(mail => mail.querySelector("h2").textContent)"""
    )
    return found


@pytest.mark.usefixtures("five_mails")
def test_outbox_loads_30_times_without_an_error_or_a_cut_off_mail(open_page: OpenPage) -> None:
    page = open_page("/_local/outbox")
    for _ in range(30):
        page.reload()
        wait_for_mails(page, 5)
        assert cut_off(page) == []


@pytest.mark.usefixtures("five_mails")
def test_outbox_shows_new_mail_and_keeps_the_place_of_the_reader(open_page: OpenPage, local: Gateway) -> None:
    page = open_page("/_local/outbox")
    wait_for_mails(page, 5)
    page.locator("summary", has_text="Plain text").last.click()
    last = page.locator("article.mail").last
    last.locator("h2").scroll_into_view_if_needed()
    before = last.locator("h2").bounding_box()
    local.send_invoice("1002", notes="One more.")
    wait_for_mails(page, 6)
    assert last.locator("h2").bounding_box() == before
    expect(last.locator("pre")).to_be_visible()
    expect(page.locator("h1")).to_have_text("Outbox 6")


@pytest.mark.usefixtures("five_mails")
def test_outbox_is_emptied_by_its_button(open_page: OpenPage, local: Gateway) -> None:
    page = open_page("/_local/outbox")
    page.get_by_role("button", name="Delete all").click()
    expect(page.get_by_text("No mail yet.")).to_be_visible()
    expect(page.locator("article.mail")).to_have_count(0)
    assert local.call("GET", "/_local/outbox", token="", accept="application/json").json == []
    for order_id in ("1001", "1002"):
        local.send_invoice(order_id, notes="Sent after the outbox was emptied.")
    wait_for_mails(page, 2)
    expect(page.get_by_role("button", name="Delete all")).to_be_visible()


@pytest.mark.usefixtures("five_mails")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("path", PAGES)
def test_page_fits_a_phone(open_page: OpenPage, path: str, dark: bool) -> None:
    page = open_page(path, width=375, dark=dark)
    page.wait_for_load_state("networkidle")
    if path == "/docs":
        expect(page.locator(".opblock").first).to_be_visible()
        expect(page.locator("html.dark-mode")).to_have_count(int(dark))
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(18, 22, 28)" if dark else "rgb(244, 246, 249)")


def try_out(page: Page, operation: str) -> Locator:
    """Opens an operation on the API page."""
    block = page.locator(f"#{operation}")
    block.locator(".opblock-summary-control").click()
    return block


def test_docs_first_try_of_get_order_answers_200(open_page: OpenPage) -> None:
    page = open_page("/docs")
    block = try_out(page, "operations-Customer-getOwnOrder")
    block.get_by_role("button", name="Execute").click()
    expect(block.locator(".live-responses-table .response-col_status").last).to_have_text("200")


def test_docs_fill_in_no_example_of_an_optional_parameter(open_page: OpenPage) -> None:
    page = open_page("/docs")
    block = try_out(page, "operations-Admin-listOrders")
    dates = block.locator("tr[data-param-name^=created_]")
    expect(dates).to_have_count(2)
    for at in range(2):
        expect(dates.nth(at).locator("input")).to_have_value("")
        expect(dates.nth(at)).to_contain_text("Example: 2026-")
