"""A real browser for the tests of the local pages."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, Playwright, expect, sync_playwright
from process import Gateway, gateway

from local.sheets import BROWSERS, find_browser

PATIENCE = 30_000
"""Milliseconds that a busy machine may take for a step."""

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def executable() -> str:
    """The path of the installed browser."""
    found = find_browser()
    if found is None:
        pytest.skip(f"no browser is installed: none of {', '.join(BROWSERS)} is on the PATH")
    return found


@pytest.fixture(scope="session")
def playwright(executable: str) -> Iterator[Playwright]:
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture
def start_browser(playwright: Playwright, executable: str, tmp_path: Path) -> Iterator[Callable[..., BrowserContext]]:
    """Starts a browser with an empty profile, perhaps with more arguments."""
    with ExitStack() as running:

        def start_browser(*arguments: str) -> BrowserContext:
            context = playwright.chromium.launch_persistent_context(
                tmp_path / "profile", executable_path=executable, headless=True, args=[*ARGUMENTS, *arguments]
            )
            running.callback(context.close)
            context.set_default_timeout(PATIENCE)
            return context

        yield start_browser


@pytest.fixture
def context(start_browser: Callable[..., BrowserContext]) -> BrowserContext:
    """A browser with an empty profile."""
    return start_browser()


@pytest.fixture
def open_page(context: BrowserContext, local: Gateway) -> Iterator[Callable[..., Page]]:
    """Opens one of the gateway's pages. The test fails if any page logs an error."""
    errors: list[str] = []

    def open_page(path: str, width: int = 1280, dark: bool = False) -> Page:
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(f"{path}: {error}"))
        page.on(
            "console", lambda message: errors.append(f"{path}: {message.text}") if message.type == "error" else None
        )
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme="dark" if dark else "light")
        page.goto(local.url + path)
        return page

    yield open_page
    assert errors == []


@pytest.fixture(scope="module")
def local(executable: str) -> Iterator[Gateway]:
    """A running local gateway."""
    with gateway() as local:
        yield local


@pytest.fixture
def five_mails(local: Gateway) -> None:
    """Leaves five mails of different lengths in the outbox."""
    local.call("DELETE", "/_local/outbox", token="")
    for order_id, words in (("1001", 1), ("1002", 2), ("1004", 4), ("1008", 8), ("1001", 300)):
        # A mail that was sent a moment ago is not sent again.
        local.send_invoice(order_id, notes=f"{uuid.uuid4()} {'ring ' * words}")
