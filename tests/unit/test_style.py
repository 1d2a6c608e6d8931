"""The shop's folder: what it changes, and what is reported about it."""

from email.message import EmailMessage
from pathlib import Path

import pypdfium2  # type: ignore[import-untyped]
import pytest

from local import preview
from orders.mailing import style
from orders.mailing.style import COLOURS, colours, contrast, footer, problems

TEMPLATES = {"layout.html", "comment.txt"}


def reported(folder: Path) -> str:
    return "\n".join(problems(folder, TEMPLATES))


def test_named_colours_replace_ours(tmp_path: Path) -> None:
    (tmp_path / "style.toml").write_text('[light]\nink = "#1a1033"\n')

    assert reported(tmp_path) == ""
    assert colours(tmp_path) == {"light": {**COLOURS["light"], "ink": "#1a1033"}, "dark": COLOURS["dark"]}


def test_our_colours_are_readable(tmp_path: Path) -> None:
    assert reported(tmp_path) == ""
    # The limits that WCAG gives, and a grey that is just too light on white.
    assert (contrast("#000000", "#ffffff"), contrast("#ffffff", "#ffffff")) == (21, 1)
    assert round(contrast("#777777", "#ffffff"), 2) == 4.48


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ('[light]\nmuted = "#aaaaaa"\n', "light.muted (#aaaaaa) on light.card (#ffffff) has a contrast of 2.32 to 1"),
        ('[light]\ncolour = "#14181f"\n', "light.colour is unknown. Use one of ink, muted,"),
        ('[light]\nink = "black"\n', 'light.ink is no colour. Write it as "#14181f".'),
        ('[print]\nink = "#14181f"\n', "style.toml has [print]. It can have [light] and [dark]."),
        ('ink = "#14181f"\n', "style.toml has [ink]. It can have [light] and [dark]."),
        ("[light\n", "style.toml cannot be read"),
    ],
)
def test_mistakes_in_colours_are_reported(tmp_path: Path, written: str, complaint: str) -> None:
    (tmp_path / "style.toml").write_text(written)

    assert complaint in reported(tmp_path)


def test_footer_is_that_of_the_language(tmp_path: Path) -> None:
    assert footer("de", tmp_path) == []
    (tmp_path / "footer.txt").write_text("Director: Ada Lovelace\nRegistered in England\n")
    (tmp_path / "footer.de.txt").write_text("Geschäftsführerin: Ada Lovelace\n")
    (tmp_path / "locale").mkdir()

    assert reported(tmp_path) == ""
    assert footer("de", tmp_path) == ["Geschäftsführerin: Ada Lovelace"]
    assert footer("fr", tmp_path) == ["Director: Ada Lovelace", "Registered in England"]


def test_footer_is_in_mails_to_customers_and_on_each_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "footer.txt").write_text("Director: <Ada> Lovelace\nRegistered in England")
    monkeypatch.setattr(style, "FOLDER", tmp_path)
    mail = preview.KINDS["comment"](preview.SHOP)
    pdf = preview.KINDS["invoice-of-several-pages"](preview.SHOP)
    staff = preview.KINDS["staff-comment"](preview.SHOP)

    assert isinstance(mail, EmailMessage)
    assert isinstance(staff, EmailMessage)
    assert isinstance(pdf, bytes)
    plain = mail.get_body(("plain",))
    assert plain
    assert plain.get_content().endswith("\n\nDirector: <Ada> Lovelace\nRegistered in England\n")
    assert "Director: &lt;Ada&gt; Lovelace" in preview.page_of(mail)
    assert "Director" not in str(staff)
    pages = [page.get_textpage().get_text_range() for page in pypdfium2.PdfDocument(pdf)]
    assert len(pages) > 1
    assert all("Director: <Ada> Lovelace" in page for page in pages)


@pytest.mark.parametrize("text", ["a\nb\nc\nd\ne", "x" * 121])
def test_footer_that_does_not_fit_is_reported(tmp_path: Path, text: str) -> None:
    (tmp_path / "footer.de.txt").write_text(text)

    assert reported(tmp_path) == "footer.de.txt is too long. Use at most 4 lines of 120 characters."


def test_files_without_effect_are_reported(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/comment.txt").touch()
    (tmp_path / "templates/coment.html").touch()
    (tmp_path / "Logo.PNG").touch()
    (tmp_path / "logo.png").write_bytes(b"<svg/>")

    found = reported(tmp_path).splitlines()
    assert [line.split()[0] for line in found] == ["Logo.PNG", "templates/coment.html", "logo.png"]
