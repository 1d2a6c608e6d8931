"""The invoice as a PDF: its content, typeset by Typst.

A pure function of its arguments: the same invoice always gives the same bytes.
"""

import atexit
import io
import json
import re
import shutil
import tempfile
import unicodedata
from contextlib import suppress
from datetime import datetime
from functools import cache
from importlib import import_module
from pathlib import Path

import segno
import typst

from orders.invoices import Document
from orders.mailing.shop import Shop
from orders.models import Order
from orders.printing import TEMPLATES
from orders.printing.content import Content, invoice_content

EMPTY = TEMPLATES / "empty.typ"
"""An empty document, which `render_pdf` uses to clear Typst's cache."""

FONTS = (
    "fontpkg_tajawal/files",
    "justmytype_western_core/fonts/ofl/inter",
    "justmytype_western_core/fonts/ofl/notosanssymbols2",
    "justmytype_intl_africa/fonts",
    "justmytype_intl_rtl/fonts",
    "justmytype_intl_sea/fonts",
    "justmytype_intl_south_asia/fonts",
    "noto_cjk_sans_jp_regular",
)
"""Font folders of packages. Typst uses only these and `SCRIPTS`, so that an invoice is the same on every machine."""

SCRIPTS = tuple(f"NotoSans{script}[wght].ttf" for script in ("Gujarati", "Gurmukhi", "Kannada", "Malayalam"))
"""Files of the package `manimgx_fonts`. Its other fonts are left out: they would
duplicate some of the fonts above, and replace them where these lack a letter."""

STANDARDS: "list[typst.PDFStandard]" = ["a-2a", "ua-1"]
"""PDF/A-2a for archives and PDF/UA-1 for screen readers. Both forbid characters without a glyph."""

# A pictograph with its colour and joining modifiers.
_EMOJI = re.compile("([\u2300-\u2bff\U0001f000-\U0001faff])[\ufe0f\u200d\U0001f3fb-\U0001f3ff]*")

UNPRINTED = ("credit_note", "issued", "subject", "order_page")
"""Fields of the content that only the mail uses."""

LONGEST_QR_CODE = 600
"""In bytes. A longer link would print too small for a camera."""


def render_document(document: Document, order: Order, shop: Shop) -> bytes:
    """Typesets a document as it was issued.

    Args:
        document: The document.
        order: Its order as it is now, for the lines.
        shop: The seller.
    """
    return render_pdf(invoice_content(document, document.order_as_issued(order), shop))


def render_pdf(content: Content) -> bytes:
    """Typesets an invoice.

    Args:
        content: What it says.

    Returns:
        A PDF that conforms to `STANDARDS`, unless a text is in a script that no font here has: it is printed as
        boxes. Emoji that no font has are replaced by their names.
    """
    printed = {
        **{name: getattr(content, name) for name in Content.__slots__ if name not in UNPRINTED},
        "logo": next((path.name for path in sorted(TEMPLATES.glob("logo.*"))), ""),
        "qr_code": _qr_code(content.pay["link"]) if content.pay else "",
    }
    data = json.dumps(printed, ensure_ascii=False)
    if _fonts.cache_info().currsize:
        # Typst caches layouts for its next ten documents, which takes a gigabyte for invoices of 500 lines. Invoices
        # have little in common, so compiling eleven empty documents clears the cache. The empty document is a file,
        # because Typst never forgets the name of a document and generates one for each document without a file.
        for _ in range(11):
            typst.compile(EMPTY, font_paths=_fonts())
    with suppress(typst.TypstError):
        return _typeset(data, content.issued, STANDARDS)
    data = _in_words(data)
    with suppress(typst.TypstError):
        return _typeset(data, content.issued, STANDARDS)
    return _typeset(data, content.issued, [])


def _typeset(data: str, issued: datetime, standards: "list[typst.PDFStandard]") -> bytes:
    return typst.compile(
        TEMPLATES / "invoice.typ",
        font_paths=_fonts(),
        sys_inputs={"invoice": data},
        timestamp=issued.replace(microsecond=0),
        pdf_standards=standards,
    )


def _in_words(text: str) -> str:
    """Replaces emoji that no font has by their names: `[wrapped present]`."""
    return _EMOJI.sub(
        lambda emoji: emoji[0] if _has_glyph(emoji[1]) else f"[{unicodedata.name(emoji[1], 'symbol').lower()}]", text
    )


@cache
def _has_glyph(letter: str) -> bool:
    document = b'#set document(title: "A letter"); #sys.inputs.letter'
    try:
        typst.compile(document, font_paths=_fonts(), sys_inputs={"letter": letter}, pdf_standards=["ua-1"])
    except typst.TypstError:
        return False
    return True


@cache
def _fonts() -> typst.Fonts:
    places = (path.partition("/") for path in FONTS)
    # `importlib.resources` would take longer to load than the fonts.
    folders = [Path(import_module(package).__path__[0]) / folder for package, _, folder in places]
    return typst.Fonts(include_system_fonts=False, font_paths=[*folders, _folder_of_scripts()])


def _folder_of_scripts() -> Path:
    """Creates a folder of links to `SCRIPTS`, because Typst reads whole folders. It is removed at exit."""
    folder, package = Path(tempfile.mkdtemp(prefix="fonts-")), Path(import_module("manimgx_fonts").__path__[0])
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name in SCRIPTS:
        (folder / name).symlink_to(package / name)
    return folder


def _qr_code(link: str) -> str:
    """Returns a link as an SVG image, or "" if it is empty or too long."""
    if not 0 < len(link.encode()) <= LONGEST_QR_CODE:
        return ""
    image = io.BytesIO()
    segno.make_qr(link, error="m").save(image, kind="svg", border=0, xmldecl=False, dark="#14181f")
    return image.getvalue().decode()
