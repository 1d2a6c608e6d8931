"""Catalogues of words in their source form: reads, compiles, updates and checks them. No package contains this module.

`make messages` brings the messages of the code into every catalogue, `make check` reports what has to be translated,
and the build compiles the catalogues. Run as a program, so the build needs none of the service's packages but Babel.
"""

import io
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po, write_po

ROOT = Path(__file__).resolve().parents[3]
CATALOGUES = Path(__file__).parent / "locale"
SHOP = ROOT / "shop/locale"
"""The shop's own wording: messages that replace those of the catalogues."""

KEYWORDS: dict[str, Any] = {"_": None, "gettext": None, "ngettext": (1, 2), "pgettext": ((1, "c"), 2)}

_HEADER = ("Language", "Plural-Forms", "MIME-Version", "Content-Type", "Content-Transfer-Encoding")

Key = str | tuple[str, str]
"""The id of a message: its English text, for plurals also that of the other numbers."""


def translations(language: str) -> NullTranslations:
    """Returns the words of a language, with the shop's own wording."""
    catalogue = _catalogue(language)
    if not catalogue:
        return NullTranslations()
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    return GNUTranslations(io.BytesIO(compiled.getvalue()))


def compile_catalogues(folder: Path) -> None:
    """Writes the compiled catalogue of each language into a folder, with the shop's own wording."""
    folder.mkdir()
    for language in _languages(CATALOGUES):
        if catalogue := _catalogue(language):
            with (folder / f"{language}.mo").open("wb") as file:
                write_mo(file, catalogue)


def update_catalogues() -> None:
    """Brings the messages of the code into every catalogue. New ones are left to be translated."""
    template = messages()
    for path in sorted(CATALOGUES.glob("*.po")):
        catalogue = _read(path)
        # A similar message is not the same: no guesses, which `fuzzy` would mark.
        catalogue.update(template, no_fuzzy_matching=True)
        catalogue.obsolete.clear()
        _write(path, catalogue)


@cache
def messages() -> Catalog:
    """Returns all messages of the code and the templates, with the files that they are in."""
    found = Catalog()
    for path in sorted(_sources()):
        method, options = ("python", {}) if path.suffix == ".py" else ("jinja2.ext:babel_extract", _JINJA)
        with path.open("rb") as file:
            for _, message, comments, context in extract(method, file, KEYWORDS, ["Translators:"], options):
                where = (str(path.relative_to(ROOT)), None)
                # Without line numbers, which would change with every edit.
                found.add(message, None, [where], auto_comments=comments, context=context)  # type: ignore[list-item]
    return found


_JINJA = {"trim_blocks": "true", "lstrip_blocks": "true", "silent": "false"}


def _sources() -> Iterator[Path]:
    for top in (ROOT / "shared/orders", ROOT / "functions"):
        for suffix in ("py", "html", "txt"):
            yield from (path for path in top.rglob(f"*.{suffix}") if path.name != "requirements.txt")


def problems(folder: Path = CATALOGUES, shop: Path = SHOP) -> Iterator[str]:
    """Yields what has to be corrected in the catalogues of a folder, and in the shop's own wording."""
    template = messages()
    known = {(message.context, _key(message)) for message in template if message.id}
    for path in sorted((*folder.glob("*.po"), *shop.glob("*.po"))):
        name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name
        try:
            catalogue = _read(path)
        except (PoFileError, ValueError) as error:
            yield f"{name} cannot be read: {error}"
            continue
        if catalogue.locale is None:
            yield f"{name} cannot be read: Unicode CLDR has no such language. Name the file as a tag, such as fi.po."
            continue
        whole = path.parent == folder
        if path.stem not in _languages(folder):
            yield f"{name} is for a language without a catalogue. Use one of {', '.join(_languages(folder))}."
        if whole:
            found = {(message.context, _key(message)) for message in catalogue if message.id}
            yield from (f"{name} lacks {_shown(key)}. Run make messages." for key in sorted(known - found, key=str))
        for message in catalogue:
            if message.id:
                yield from (
                    f"{name}: {_shown((message.context, _key(message)))} {problem}"
                    for problem in _message_problems(message, catalogue, known, whole=whole)
                )


def _message_problems(
    message: Message, catalogue: Catalog, known: set[tuple[str | None, Key]], *, whole: bool
) -> Iterator[str]:
    texts = (message.string,) if isinstance(message.string, str) else tuple(message.string or ())
    if (message.context, _key(message)) not in known:
        yield "is no message of the service. " + ("Run make messages." if whole else "Correct it, or remove it.")
    elif message.fuzzy:
        yield "is marked as fuzzy. Check the translation, and remove the mark."
    elif not all(texts) and (whole or any(texts)):
        yield "is not translated."
    elif message.pluralizable and len(texts) != catalogue.num_plurals:
        yield f"has {len(texts)} plural forms, and the language has {catalogue.num_plurals}."
    else:
        ids = (message.id,) if isinstance(message.id, str) else message.id
        expected = {name for text in ids for name in _values(text)}
        for text in texts:
            if (text and set(_values(text)) != expected) or "%" in re.sub(_VALUE, "", text):
                yield f"must have the values {', '.join(sorted(expected)) or 'none'} and no other %."


_VALUE = r"%\((\w+)\)s"


def _values(text: str) -> list[str]:
    return re.findall(_VALUE, text)


def _key(message: Message) -> Key:
    return message.id  # type: ignore[return-value]


def _shown(key: tuple[str | None, Key]) -> str:
    context, text = key
    shown = text if isinstance(text, str) else text[0]
    return f'"{shown}" ({context})' if context else f'"{shown}"'


def _languages(folder: Path) -> list[str]:
    """Returns the languages that have a catalogue in a folder, and English."""
    return sorted({"en", *(path.stem for path in folder.glob("*.po"))})


def _catalogue(language: str) -> Catalog | None:
    """Returns a language's catalogue with the shop's wording in it; None if there is neither."""
    ours, theirs = (path if (path := folder / f"{language}.po").exists() else None for folder in (CATALOGUES, SHOP))
    if not ours or not theirs:
        return _read(found) if (found := ours or theirs) else None
    catalogue = _read(ours)
    for message in _read(theirs):
        current = catalogue.get(message.id, message.context) if message.id else None
        if current and any(message.string or ()):
            current.string = message.string
    return catalogue


def _read(path: Path) -> Catalog:
    with path.open("rb") as file:
        catalogue = read_po(file, locale=path.stem.replace("-", "_"), abort_invalid=True)
    # Else that of the build, and each build would differ from the one before.
    catalogue.creation_date = catalogue.revision_date = datetime(1970, 1, 1, tzinfo=UTC)
    return catalogue


def _write(path: Path, catalogue: Catalog) -> None:
    written = io.BytesIO()
    write_po(written, catalogue, width=120, omit_header=True, sort_output=True, include_lineno=False)
    # Without dates and names, which would change with every update.
    fields = [f'"{name}: {value}\\n"' for name, value in catalogue.mime_headers if name in _HEADER]
    head = "\n".join(('msgid ""', 'msgstr ""', *fields))
    path.write_text(f"{head}\n\n{written.getvalue().decode()}", encoding="utf-8")


def main() -> None:
    """`check`, `update` or `compile FOLDER`."""
    match sys.argv[1:]:
        case ["check"]:
            if found := list(problems()):
                sys.exit("\n".join(found))
        case ["update"]:
            update_catalogues()
            print("\n".join(problems()) or f"Nothing to translate in {CATALOGUES.relative_to(ROOT)}.")  # noqa: T201
        case ["compile", folder]:
            # Wrong values would stop mails, not the deployment.
            if found := list(problems()):
                sys.exit("\n".join(found))
            compile_catalogues(Path(folder))


if __name__ == "__main__":
    main()
