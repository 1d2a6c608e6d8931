"""XML elements as text. `markupsafe` escapes what a person wrote; what is in an element already is `Markup`."""

import re
from datetime import date
from decimal import Decimal

from markupsafe import Markup, escape

# Not a character of XML 1.0 (https://www.w3.org/TR/xml/#charsets). The models refuse them; older orders may have some.
_NO_CHARACTER = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")

DECLARATION = Markup('<?xml version="1.0" encoding="UTF-8"?>\n')


def element(name: str, *content: str | None, **attributes: str | None) -> Markup:
    """Returns an element. Without content it is left out: EN 16931 has no empty elements (PEPPOL-EN16931-R008).

    Args:
        name: The name with its prefix.
        content: Elements (`Markup`), or text.
        attributes: Those that are None or "" are left out.
    """
    inside = "".join(escape(part if isinstance(part, Markup) else _printable(part)) for part in content if part)
    if not inside:
        return Markup()
    given = "".join(f' {key}="{escape(_printable(value))}"' for key, value in attributes.items() if value)
    return Markup(f"<{name}{given}>{inside}</{name}>")  # noqa: S704 (all parts are escaped)


def root(name: str, namespaces: dict[str, str], *content: Markup) -> str:
    """Returns a document. `namespaces` are by prefix; the prefix "" is the default namespace."""
    declared = "".join(
        f' xmlns{":" if prefix else ""}{prefix}="{namespace}"' for prefix, namespace in namespaces.items()
    )
    return f"{DECLARATION}<{name}{declared}>{''.join(content)}</{name}>\n"


def amount(value: Decimal) -> str:
    """Formats an amount. EN 16931 allows two decimals (BR-DEC-1 and following)."""
    return f"{value:.2f}"


def number(value: Decimal) -> str:
    """Formats a quantity, price or rate, without trailing zeros."""
    return f"{value.normalize():f}"


def basic_date(day: date) -> str:
    """Formats a day as UNTDID 2379's format 102: `20261123`."""
    return day.strftime("%Y%m%d")


def _printable(text: str) -> str:
    return _NO_CHARACTER.sub("\N{REPLACEMENT CHARACTER}", text)
