"""The page of docs/withdrawal.md, with which a guest withdraws from a contract, in a real browser."""

import re
import time
from collections.abc import Callable

import pytest
from harness import ROOT
from playwright.sync_api import BrowserContext, Page, expect
from process import Gateway

pytestmark = pytest.mark.browser


def test_documented_page_takes_two_steps(
    local: Gateway, context: BrowserContext, open_page: Callable[..., Page]
) -> None:
    text = (ROOT / "docs" / "withdrawal.md").read_text(encoding="utf-8")
    [html] = re.findall(r"^```html\n(.*?)^```$", text, re.M | re.S)
    html = f"<!DOCTYPE html><meta charset=utf-8><title>Shop</title>{html}".replace(
        "https://api.shop.example", local.url
    )
    context.route(f"{local.url}/shop", lambda route: route.fulfill(body=html, content_type="text/html"))
    page = open_page("/shop")
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
    confirm.click()
    expect(page.get_by_role("status")).to_contain_text("the shop has received the withdrawal")
    expect(confirm).to_be_hidden()
    assert local.call("GET", "/admin/orders/1004").json["withdrawal"]["name"] == "Alice Böhm 高橋"
    end = time.monotonic() + 30
    while not (mails := local.outbox("1004", "notice")):
        assert time.monotonic() < end
        time.sleep(0.1)
    assert "Alice Böhm 高橋" in mails[0]["text"]
