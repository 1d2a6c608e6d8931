"""The shop's folder: what it changes, and what is reported about it."""

from pathlib import Path

import pytest

from orders.mailing.style import COLOURS, colours, contrast, problems

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


def test_files_without_effect_are_reported(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/comment.txt").touch()
    (tmp_path / "templates/coment.html").touch()
    (tmp_path / "Logo.PNG").touch()
    (tmp_path / "logo.png").write_bytes(b"<svg/>")

    found = reported(tmp_path).splitlines()
    assert [line.split()[0] for line in found] == ["Logo.PNG", "templates/coment.html", "logo.png"]
