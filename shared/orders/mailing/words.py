"""The words of mails and documents: gettext catalogues, one for each language.

A catalogue is the file `locale/<language>.po`. English is in the code and needs none. The build compiles the
catalogues; a checkout does so when one is first used. Only the languages that are asked for are loaded.
"""

from collections.abc import Callable
from functools import cache
from gettext import GNUTranslations, NullTranslations
from importlib import import_module
from pathlib import Path

import babel
from babel.core import Locale

SOURCE = "en"
"""The language in the code."""

CATALOGUES = Path(__file__).parent / "locale"
"""The catalogues in a checkout."""

COMPILED = Path(babel.__path__[0]).parent / "locale"
"""The compiled catalogues in a package: beside Babel."""

WITHOUT_SPACES = frozenset({"bo", "ja", "km", "lo", "my", "th", "zh"})
"""Languages that have no space between two sentences."""


class Words:
    """The words of one language. `direction` is `ltr` or `rtl`, `space` stands between two sentences.

    Messages are whole sentences in English, with named values: `"Pay %(amount)s"`. In a language that is written from
    right to left, values are isolated, so that they do not change the order of the text around them
    (https://www.unicode.org/reports/tr9/#Explicit_Directional_Isolates).

    Args:
        language: The name of the catalogue, a BCP 47 tag such as `zh-Hans`.
        translations: The compiled catalogue.
        escape: Prepares a message for its medium.
    """

    def __init__(self, language: str, translations: NullTranslations, escape: Callable[[str], str] = str) -> None:
        self.language = language
        self.direction = Locale.parse(language, sep="-").text_direction
        self.space = "" if language.partition("-")[0] in WITHOUT_SPACES else " "
        self._translations = translations
        self._escape = escape

    def gettext(self, message: str, /, **values: str) -> str:
        """Translates a message and fills in values."""
        return self._filled(self._translations.gettext(message), values)

    def pgettext(self, context: str, message: str, /, **values: str) -> str:
        """Translates a message whose English words also mean something else. The context says what is meant."""
        return self._filled(self._translations.pgettext(context, message), values)

    def ngettext(self, one: str, many: str, number: int, /, **values: str) -> str:
        """Translates a message that depends on a number."""
        return self._filled(self._translations.ngettext(one, many, number), values)

    def labelled(self, label: str, value: str) -> str:
        """Returns a label and what it is about, on one line."""
        return self.gettext("%(label)s: %(value)s", label=label, value=value)

    def for_html(self) -> "Words":
        """Returns the same words for HTML: messages and values are escaped, except values that are markup."""
        from markupsafe import escape  # noqa: PLC0415 (only functions that write mail package it)

        return Words(self.language, self._translations, escape)

    def _filled(self, text: str, values: dict[str, str]) -> str:
        text = self._escape(text)
        if not values:
            return text
        if self.direction == "rtl":
            values = {name: _isolated(value) for name, value in values.items()}
        return text % values


def _isolated(value: str) -> str:
    """Returns a value as a unit whose direction is that of its first letter. Markup has an element for that."""
    if hasattr(value, "__html__"):
        return value
    return f"\N{FIRST STRONG ISOLATE}{value}\N{POP DIRECTIONAL ISOLATE}"


def find_language(*wanted: str | None) -> str | None:
    """Returns the first language that has a catalogue; None if none has. See `choose_language`."""
    return next((tag for tag in wanted if tag and _catalogue(tag)), None)


def choose_language(*wanted: str | None) -> str:
    """Returns the first language that has a catalogue, English if none has.

    Words and formats of a mail are always those of one language. So a language without a catalogue is skipped for both.

    Args:
        wanted: BCP 47 tags, the preferred one first. Its country decides about formats: `pt-BR`.
    """
    return find_language(*wanted) or SOURCE


def words_in(language: str) -> Words:
    """Returns the words of a language, English if it has no catalogue."""
    return _load(_catalogue(language) or SOURCE)


@cache
def _load(name: str) -> Words:
    """Loads a catalogue once, however many tags lead to it."""
    compiled = COMPILED / f"{name}.mo"
    if compiled.exists():
        with compiled.open("rb") as file:
            return Words(name, GNUTranslations(file))
    if not CATALOGUES.is_dir():
        return Words(name, NullTranslations())
    # The module reads source files, so a package has neither.
    return Words(name, import_module("orders.mailing.catalogues").translations(name))


@cache
def languages() -> frozenset[str]:
    """Returns the languages that have a catalogue, and English."""
    folder, suffix = (CATALOGUES, ".po") if CATALOGUES.is_dir() else (COMPILED, ".mo")
    return frozenset({SOURCE, *(path.stem for path in folder.glob(f"*{suffix}"))})


def _catalogue(tag: str) -> str | None:
    """Returns the language whose catalogue is best for a tag, by RFC 4647, section 3.4 (lookup); None without one."""
    language, *rest = tag.replace("_", "-").split("-")
    # Readers of one Chinese script may not read the other one, so a tag without a script gets that of its country.
    if language.lower() == "zh" and not any(len(part) == 4 for part in rest):
        rest.insert(0, "Hant" if {part.upper() for part in rest} & {"TW", "HK", "MO"} else "Hans")
    known = {each.lower(): each for each in languages()}
    parts = [language, *rest]
    while parts:
        if found := known.get("-".join(parts).lower()):
            return found
        parts.pop()
    return None
