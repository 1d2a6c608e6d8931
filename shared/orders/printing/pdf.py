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
from datetime import datetime
from functools import cache
from importlib import import_module
from pathlib import Path

import segno
import typst

from orders.e_invoice.cii import cii
from orders.mailing.style import colours, logo_for_paper
from orders.printing import TEMPLATES
from orders.printing.content import Content
from orders.printing.hybrid import mark_as_facturx
from orders.printing.words import paper_labels
from orders.telemetry import logger

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
"""Font folders of packages. Typst uses only these and `SCRIPTS`, so that an invoice is the same on every machine. A
package that was built without `FONTS=all` has not all of them (see bundle/build.py)."""

SCRIPTS = tuple(
    f"NotoSans{script}[wght].ttf"
    for script in ("Armenian", "Georgian", "Gujarati", "Gurmukhi", "Kannada", "Malayalam", "Oriya", "Sinhala")
)
"""Files of the package `manimgx_fonts`. Its other fonts are left out: they would
duplicate some of the fonts above, and replace them where these lack a letter."""

STANDARDS: "list[typst.PDFStandard]" = ["a-3a", "ua-1"]
"""PDF/A-3a for archives, which allows to embed an XML file, and PDF/UA-1 for screen readers. Both forbid characters
without a glyph."""

# A pictograph with its colour and joining modifiers.
_EMOJI = re.compile("([\u2300-\u2bff\U0001f000-\U0001faff])[\ufe0f\u200d\U0001f3fb-\U0001f3ff]*")

# Characters that some font here may lack.
_UNUSUAL = re.compile("[^\x00-\u024f]")

BOX = "\N{WHITE SQUARE}"
"""Stands for a letter that no font has."""

UNPRINTED = ("words", "credit_note", "issued", "subject", "order_page", "e_invoice")
"""Fields of the content that are not printed."""

LONGEST_QR_CODE = 600
"""In bytes. A longer link would print too small for a camera."""


def render_pdf(content: Content) -> bytes:
    """Typesets an invoice.

    Args:
        content: What it says.

    Returns:
        A PDF that conforms to `STANDARDS`; if the document is an e-invoice, with its XML (Factur-X). Emoji that no font
        here has are replaced by their names, other letters by boxes.
    """
    printed = {
        **{name: getattr(content, name) for name in Content.__slots__ if name not in UNPRINTED},
        "words": paper_labels(content.words),
        "direction": content.words.direction,
        **_language(content.words.language),
        "colours": colours()["light"],
        "logo": str(logo_for_paper() or ""),
        "qr_code": _qr_code(content.pay["link"]) if content.pay else "",
    }
    data = json.dumps(printed, ensure_ascii=False)
    if _fonts.cache_info().currsize:
        # Typst caches layouts for its next ten documents, which takes a gigabyte for invoices of 500 lines. Invoices
        # have little in common, so compiling eleven empty documents clears the cache. The empty document is a file,
        # because Typst never forgets the name of a document and generates one for each document without a file.
        for _ in range(11):
            typst.compile(EMPTY, font_paths=_fonts())
    xml = cii(content.e_invoice) if content.e_invoice else ""
    try:
        pdf = _typeset(data, xml, content.issued)
    except typst.TypstError:
        pdf = _typeset(_with_glyphs(data, content.order_id), xml, content.issued)
    return mark_as_facturx(pdf) if xml else pdf


def _language(tag: str) -> dict[str, str | None]:
    """Returns a language as Typst has it: with regions instead of scripts."""
    language, _, script = tag.partition("-")
    return {"lang": language, "region": {"Hans": "CN", "Hant": "TW"}.get(script)}


def _typeset(data: str, xml: str, issued: datetime) -> bytes:
    return typst.compile(
        TEMPLATES / "invoice.typ",
        # The logo is outside the folder of the template.
        root=Path(TEMPLATES.anchor),
        font_paths=_fonts(),
        sys_inputs={"invoice": data, "xml": xml},
        timestamp=issued.replace(microsecond=0),
        pdf_standards=STANDARDS,
    )


def _with_glyphs(text: str, order_id: str) -> str:
    """Replaces characters that no font has: emoji by their names, as in `[wrapped present]`, other ones by boxes.

    The log tells how many there are and their scripts, but not which: they may be those of a name.
    """
    text = _EMOJI.sub(
        lambda emoji: emoji[0] if _has_glyph(emoji[1]) else f"[{unicodedata.name(emoji[1], 'symbol').lower()}]", text
    )
    missing = [letter for letter in _UNUSUAL.findall(text) if not _has_glyph(letter)]
    if missing:
        # Unicode's name of a letter begins with its script: TIBETAN LETTER KA.
        scripts = {unicodedata.name(letter, "UNNAMED").split()[0].partition("-")[0] for letter in missing}
        logger.warning("letters without a glyph", order_id=order_id, letters=len(missing), scripts=sorted(scripts))
    return text.translate(dict.fromkeys(map(ord, missing), BOX))


@cache
def _has_glyph(letter: str) -> bool:
    document = b'#set document(title: "A letter"); #sys.inputs.letter'
    try:
        typst.compile(document, font_paths=_fonts(), sys_inputs={"letter": letter}, pdf_standards=STANDARDS)
    except typst.TypstError:
        return False
    return True


@cache
def _fonts() -> typst.Fonts:
    places = (path.partition("/") for path in FONTS)
    # `importlib.resources` would take longer to load than the fonts.
    folders = [Path(import_module(package).__path__[0]) / folder for package, _, folder in places]
    return typst.Fonts(include_system_fonts=False, font_paths=[*filter(Path.is_dir, folders), *_folder_of_scripts()])


def _folder_of_scripts() -> list[Path]:
    """Creates a folder of links to `SCRIPTS`, because Typst reads whole folders. It is removed at exit."""
    package = Path(import_module("manimgx_fonts").__path__[0])
    found = [name for name in SCRIPTS if (package / name).exists()]
    if not found:
        return []
    folder = Path(tempfile.mkdtemp(prefix="fonts-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name in found:
        (folder / name).symlink_to(package / name)
    return [folder]


def _qr_code(link: str) -> str:
    """Returns a link as an SVG image, or "" if it is empty or too long."""
    if not 0 < len(link.encode()) <= LONGEST_QR_CODE:
        return ""
    image = io.BytesIO()
    segno.make_qr(link, error="m").save(image, kind="svg", border=0, xmldecl=False, dark=colours()["light"]["ink"])
    return image.getvalue().decode()
