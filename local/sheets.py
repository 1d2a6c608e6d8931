"""Renders the sheets in docs/sheets: each kind of mail and PDF in all languages, side by side. Needs Chromium.

`make sheets`, after a change of how mails or PDFs look.
"""

import base64
import html
import io
import shutil
import sys

import pypdfium2  # type: ignore[import-untyped]
from playwright.sync_api import Page, sync_playwright

from local.preview import KINDS, ROOT, Rendering, page_of, renderings
from orders.mailing.words import languages

OUT = ROOT / "docs/sheets"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
COLUMNS = 4
NAMES = {
    "ar": "Arabic",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "it": "Italian",
    "ja": "Japanese",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
    "sv": "Swedish",
    "zh-Hans": "Chinese",
}


def find_browser() -> str | None:
    """Returns the path of the installed browser; None without one."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def main() -> None:
    """Writes one image for each kind, and the page that shows them."""
    browser_path = find_browser()
    if browser_path is None:
        sys.exit(f"No browser is installed. Install Chromium, so that one of {', '.join(BROWSERS)} is on the PATH.")
    OUT.mkdir(exist_ok=True)
    rendered = {language: dict(renderings(language)) for language in sorted(languages())}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 640, "height": 800})
        for kind in KINDS:
            print(kind, flush=True)
            images = {language: _image(page, kinds[kind]) for language, kinds in rendered.items()}
            _write_sheet(page, kind, images)
        browser.close()
    links = "\n".join(f"## {kind}\n\n![{kind}]({kind}.webp)\n" for kind in KINDS)
    text = f"# Mails and PDFs in all languages\n\nRendered by `make sheets` from sample orders.\n\n{links}"
    (OUT / "README.md").write_text(text, encoding="utf-8")


def _image(page: Page, rendering: Rendering) -> str:
    """Returns the picture of a mail or of a PDF's first page, as a data URL."""
    if isinstance(rendering, bytes):
        picture = io.BytesIO()
        pypdfium2.PdfDocument(rendering)[0].render(scale=1.1).to_pil().save(picture, "png")
        shot = picture.getvalue()
    else:
        page.set_viewport_size({"width": 640, "height": 400})
        page.set_content(page_of(rendering))
        shot = page.screenshot(full_page=True)
    return f"data:image/png;base64,{base64.b64encode(shot).decode()}"


def _write_sheet(page: Page, kind: str, images: dict[str, str]) -> None:
    cells = "".join(
        f"<figure><figcaption>{html.escape(NAMES.get(language, language))}</figcaption><img src='{image}'></figure>"
        for language, image in images.items()
    )
    style = (
        f"body{{display:grid;grid-template-columns:repeat({COLUMNS},1fr);gap:8px;background:#ddd;font:13px sans-serif}}"
    )
    style += "figure{margin:0}img{width:100%}"
    page.set_viewport_size({"width": 1640, "height": 400})
    page.set_content(f"<!DOCTYPE html><meta charset=utf-8><style>{style}</style>{cells}")
    session = page.context.new_cdp_session(page)
    size = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
    clip = {"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1}
    shot = session.send(
        "Page.captureScreenshot", {"format": "webp", "quality": 55, "captureBeyondViewport": True, "clip": clip}
    )
    (OUT / f"{kind}.webp").write_bytes(base64.b64decode(shot["data"]))


if __name__ == "__main__":
    main()
