"""The shop's look: the colours and the logo in the folder `shop/`, which belongs to the shop.

Uses the standard library only, because the build checks the folder before any package is installed.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

_ORDERS = Path(__file__).parents[1]

FOLDER = next((path for path in (_ORDERS / "shop", _ORDERS.parents[1] / "shop") if path.is_dir()), _ORDERS / "shop")
"""The shop's folder: within the package once it is built, else at the top of the repository."""

COLOURS: Mapping[str, Mapping[str, str]] = {
    "light": {
        "ink": "#14181f",
        "muted": "#5b6472",
        "page": "#f1f3f5",
        "card": "#ffffff",
        "tint": "#f4f6f8",
        "line": "#e4e7eb",
        "button": "#14181f",
        "button_text": "#ffffff",
        "open": "#fdf0cd",
        "open_text": "#6f4a00",
        "done": "#d9f3e6",
        "done_text": "#0b5138",
    },
    "dark": {
        "ink": "#f2f4f7",
        "muted": "#a4acb8",
        "page": "#0e1013",
        "card": "#191c21",
        "tint": "#22262d",
        "line": "#31363f",
        "button": "#f2f4f7",
        "button_text": "#14181f",
        "open": "#40300a",
        "open_text": "#fcd980",
        "done": "#0f3527",
        "done_text": "#8ee6bf",
    },
}
"""The colours of each scheme unless `style.toml` changes them. README.md in the folder says what each is for."""

TEXT_ON = (
    *(("ink", background) for background in ("page", "card", "tint")),
    *(("muted", background) for background in ("page", "card", "tint")),
    ("button_text", "button"),
    ("open_text", "open"),
    ("done_text", "done"),
)
"""The pairs of a text's colour and the colour behind it."""

LEAST_CONTRAST = 4.5
"""Of text (WCAG 2.2, success criterion 1.4.3, level AA)."""

MOST_LINES, LONGEST_LINE = 4, 120
"""What fits on the foot of a page."""

FILES = {"README.md", "footer.txt", "locale", "logo.png", "logo.svg", "style.toml", "templates"}
"""What may stand in the folder."""


def colours(folder: Path | None = None) -> Mapping[str, Mapping[str, str]]:
    """Returns the colours of the schemes `light` and `dark`: ours, changed by `style.toml`."""
    changed = _given(folder or FOLDER)
    return {scheme: {**ours, **changed.get(scheme, {})} for scheme, ours in COLOURS.items()}


def logo_for_mail() -> bytes | None:
    """Returns the logo as PNG, None if the shop has none."""
    path = FOLDER / "logo.png"
    return path.read_bytes() if path.exists() else None


def logo_for_paper() -> Path | None:
    """Returns the file of the logo, preferably as SVG, None if the shop has none."""
    return next((path for name in ("logo.svg", "logo.png") if (path := FOLDER / name).exists()), None)


def footer(language: str, folder: Path | None = None) -> list[str]:
    """Returns the lines of `footer.txt`, preferably in a language (`footer.de.txt`); none if the shop has neither."""
    paths = ((folder or FOLDER) / name for name in (f"footer.{language}.txt", "footer.txt"))
    path = next((path for path in paths if path.exists()), None)
    return path.read_text(encoding="utf-8").strip().splitlines() if path else []


def problems(folder: Path, templates: set[str]) -> Iterator[str]:
    """Yields what has to be corrected in a shop's folder.

    Args:
        folder: The folder.
        templates: The names of the templates that can be replaced.
    """
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        own = path.name in FILES or path.name.startswith(".") or re.fullmatch(r"footer\.[\w-]+\.txt", path.name)
        if not own:
            yield f"{path.name} is not used. Remove it, or name it as README.md says: {', '.join(sorted(FILES))}."
    for path in sorted((folder / "templates").glob("*")):
        if path.name not in templates:
            yield f"templates/{path.name} replaces nothing. Name it after one of {', '.join(sorted(templates))}."
    for name, start in (("logo.png", b"\x89PNG\r\n\x1a\n"), ("logo.svg", b"<")):
        path = folder / name
        if path.exists() and not path.read_bytes().lstrip(b"\xef\xbb\xbf \r\n\t").startswith(start):
            yield f"{name} is no {name[-3:].upper()} image. Export it as {name[-3:].upper()} again."
    for path in sorted(folder.glob("footer*.txt")):
        lines = path.read_text(encoding="utf-8").strip().splitlines()
        if len(lines) > MOST_LINES or max(map(len, lines), default=0) > LONGEST_LINE:
            yield f"{path.name} is too long. Use at most {MOST_LINES} lines of {LONGEST_LINE} characters."
    try:
        found = list(_colour_problems(_given(folder)))
    except ValueError as error:
        yield f"style.toml cannot be read: {error}. Correct it as README.md shows."
        return
    yield from found
    if not found:
        yield from _contrast_problems(colours(folder))


def _colour_problems(given: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    for scheme, changed in given.items():
        if scheme not in COLOURS or not isinstance(changed, dict):
            yield f"style.toml has [{scheme}]. It can have [light] and [dark]."
            continue
        for name, colour in changed.items():
            if name not in COLOURS[scheme]:
                yield f"style.toml: {scheme}.{name} is unknown. Use one of {', '.join(COLOURS[scheme])}."
            elif not isinstance(colour, str) or not re.fullmatch("#[0-9a-fA-F]{6}", colour):
                yield f'style.toml: {scheme}.{name} is no colour. Write it as "#14181f".'


def _contrast_problems(schemes: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    for scheme, palette in schemes.items():
        for text, behind in TEXT_ON:
            found = contrast(palette[text], palette[behind])
            if found < LEAST_CONTRAST:
                yield (
                    f"style.toml: {scheme}.{text} ({palette[text]}) on {scheme}.{behind} ({palette[behind]}) has a "
                    f"contrast of {found:.2f} to 1 and is hard to read. Make one lighter or darker, "
                    f"up to {LEAST_CONTRAST} to 1."
                )


def contrast(one: str, other: str) -> float:
    """Returns the contrast ratio of two colours, from 1 to 21 (WCAG 2.2)."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@cache
def _given(folder: Path) -> Mapping[str, Mapping[str, str]]:
    path = folder / "style.toml"
    if not path.exists():
        return {}
    # Imported here, because most shops start without it.
    import tomllib  # noqa: PLC0415

    return tomllib.loads(path.read_text(encoding="utf-8"))


def check() -> None:
    """Stops the program if something has to be corrected in the repository's `shop/`."""
    top = Path(__file__).parents[3]
    folders = (*(top / "functions").glob("*/templates"), top / "shared/orders/mailing/templates")
    templates = {path.name for folder in folders for path in folder.iterdir() if path.suffix in (".html", ".txt")}
    if found := list(problems(top / "shop", templates)):
        sys.exit("\n".join(f"shop/{problem}" for problem in found))


if __name__ == "__main__":
    check()
