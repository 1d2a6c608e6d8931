"""Mails in a real browser: nothing is cut off on the narrowest screen, in any language."""

from email.message import EmailMessage
from typing import Any

import pytest
from playwright.sync_api import BrowserContext

from local import preview
from orders.mailing.words import languages, words_in

pytestmark = pytest.mark.browser

NARROW = 320
"""CSS pixels: the width at which WCAG 2.2 asks for content without scrolling sideways (1.4.10)."""

OUTSIDE = """() => {
    const texts = [...document.querySelectorAll('body *')].filter(
        element => [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim())
    )
    const outside = texts.filter(element => {
        const range = document.createRange()
        range.selectNodeContents(element)
        return [...range.getClientRects()].some(box => box.left < -0.5 || box.right > innerWidth + 0.5)
    }).map(element => element.textContent.trim())
    return {outside, scrolls: document.documentElement.scrollWidth > innerWidth}
}"""


def cut(context: BrowserContext, rendered: EmailMessage) -> Any:
    """Returns the texts of a mail that reach beyond the screen, and whether it scrolls sideways."""
    page = context.pages[0]
    page.set_viewport_size({"width": NARROW, "height": 800})
    page.set_content(preview.page_of(rendered))
    return page.evaluate(OUTSIDE)


@pytest.mark.parametrize("language", sorted(languages()))
def test_nothing_is_cut_off_at_320_pixels(context: BrowserContext, language: str) -> None:
    mails = {kind: mail for kind, mail in preview.renderings(language) if isinstance(mail, EmailMessage)}
    assert len(mails) > 10
    found = {kind: cut(context, mail) for kind, mail in mails.items()}
    assert {kind: each for kind, each in found.items() if each["outside"] or each["scrolls"]} == {}
    direction = context.pages[0].evaluate("getComputedStyle(document.querySelector('h1')).direction")
    assert direction == words_in(language).direction


def test_a_text_that_is_cut_off_is_found(context: BrowserContext) -> None:
    mail = EmailMessage()
    mail.set_content(
        '<p style="white-space:nowrap">Donaudampfschifffahrtsgesellschaftskapitän auf Rente</p>', subtype="html"
    )
    assert cut(context, mail)["scrolls"]
