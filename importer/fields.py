"""The fields of one order in a shop's export, and which of them have no place in an order here."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, TypeVar

_T = TypeVar("_T")

_NUMBER = r"-?[0-9]{1,12}(\.[0-9]{1,20})?"
"""The numbers that are read. PHP writes floats with up to 17 digits."""

_EMPTY: tuple[Any, ...] = (None, "", [], {})


class Unrepresentable(Exception):
    """An order of a shop cannot be represented here. The message begins with the field and says why."""


def decimal_text(text: str) -> str:
    """Returns a number as text with a decimal point. A decimal comma is recognised: `12,50`.

    Raises:
        ValueError: It has a comma that may separate thousands: `1,250`.
    """
    if not re.fullmatch(r"-?[0-9]+,[0-9]{1,4}", text):
        return text
    if re.fullmatch(r"-?[1-9][0-9]{0,2},[0-9]{3}", text):
        raise ValueError(f"is {text}: it is not clear whether the comma is a decimal comma. Write a decimal point")
    return text.replace(",", ".")


class Fields:
    """The fields of an object. It remembers which were read; what was not read has no place here.

    Args:
        data: The object.
        path: What the names of its fields begin with: `billing.`
    """

    def __init__(self, data: Mapping[str, Any], path: str = "") -> None:
        self._data = data
        self._path = path
        self._read: set[str] = set()
        self._below: dict[str, list[Fields]] = {}
        self._collapsed = ""

    def collapse(self, name: str) -> None:
        """Lets one name stand for all fields of the object that are not read."""
        self._collapsed = name

    def has(self, name: str) -> bool:
        """Returns whether a field has a value. This does not count as reading it."""
        return self._data.get(name) not in _EMPTY

    def text(self, name: str) -> str | None:
        """Returns a field as one line of text; None if it is empty."""
        self._read.add(name)
        value = self._data.get(name)
        # A number with more digits is no amount, and may take long to write out.
        if isinstance(value, Decimal) and abs(value.adjusted()) < 20:
            value = f"{value:f}"
        return " ".join(str(value).split()) or None if isinstance(value, str | int | Decimal) else None

    def texts(self, name: str) -> list[str]:
        """Returns the texts of a list, without empty ones."""
        self._read.add(name)
        value = self._data.get(name)
        lines = [" ".join(str(each).split()) for each in value] if isinstance(value, list) else []
        return [line for line in lines if line]

    def first(self, *names: str) -> str | None:
        """Returns the first of several fields that has a value. Values after it are not read."""
        self._read.update(name for name in names if not self.has(name))
        return next((text for name in names if (text := self.text(name))), None)

    def required(self, name: str) -> str:
        """Returns a field as text.

        Raises:
            Unrepresentable: It is empty.
        """
        if text := self.text(name):
            return text
        raise Unrepresentable(f"{self._path}{name}: is empty")

    def one_of(self, name: str, meanings: Mapping[str, _T]) -> _T:
        """Returns what the value of a field means.

        Raises:
            Unrepresentable: It is none of the known ones.
        """
        value = self.text(name) or ""
        if value in meanings:
            return meanings[value]
        known = ", ".join(each for each in meanings if each)
        raise Unrepresentable(f"{self._path}{name}: is {value!a}, but the known values are {known}")

    def amount(self, name: str) -> Decimal:
        """Returns a field as a number; 0 if it is empty.

        Raises:
            Unrepresentable: It is not a number.
        """
        try:
            text = decimal_text(self.text(name) or "0")
        except ValueError as error:
            raise Unrepresentable(f"{self._path}{name}: {error}") from error
        if not re.fullmatch(_NUMBER, text):
            raise Unrepresentable(f"{self._path}{name}: is {text[:50]!a}, which is not a number")
        return Decimal(text)

    def integer(self, name: str) -> int | None:
        """Returns a field as a whole number; None if it is none."""
        text = self.text(name) or ""
        return int(text) if re.fullmatch("[0-9]{1,15}", text) else None

    def flag(self, name: str) -> bool:
        """Returns whether a field says yes."""
        return (self.text(name) or "").lower() in {"true", "1", "yes"}

    def object(self, name: str) -> "Fields":
        """Returns a field that is an object; without fields if it is none. PHP writes an empty object as `[]`."""
        value = self._data.get(name)
        return self._add(name, Fields(value if isinstance(value, Mapping) else {}, f"{self._path}{name}."))

    def objects(self, name: str, path: str | None = None) -> list["Fields"]:
        """Returns the objects of a list."""
        value = self._data.get(name)
        path = f"{self._path}{name}[]." if path is None else path
        found = [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []
        if found or not self.has(name):
            self._below.setdefault(name, [])
        return [self._add(name, Fields(each, path)) for each in found]

    def lines(self, name: str) -> list["Fields"]:
        """Returns the lines of an order.

        Raises:
            Unrepresentable: There are none.
        """
        if lines := self.objects(name):
            return lines
        raise Unrepresentable(f"{self._path}{name}: is empty")

    def pairs(self, name: str) -> "Fields":
        """Returns a list of `{"key": …, "value": …}` as fields."""
        value = self._data.get(name)
        found = [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []
        return self._add(
            name, Fields({str(each.get("key")): each.get("value") for each in found}, f"{self._path}{name}.")
        )

    def _add(self, name: str, fields: "Fields") -> "Fields":
        self._below.setdefault(name, []).append(fields)
        return fields

    def unread(self) -> Iterator[tuple[str, bool]]:
        """Yields the fields that were not read, and whether they have a value. May yield a name several times."""
        if self._collapsed:
            yield self._collapsed, True
            return
        for name in self._data:
            if name in self._below:
                for fields in self._below[name]:
                    yield from fields.unread()
            elif name not in self._read:
                yield f"{self._path}{name}", self.has(name)


class LeftOut:
    """Counts in how many orders each field that has no place here had a value."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.empty: set[str] = set()

    def add(self, order: Fields) -> None:
        """Counts the fields of an order."""
        unread = dict.fromkeys(order.unread())
        self.counts.update({name for name, filled in unread if filled})
        self.empty.update(name for name, filled in unread if not filled)

    def report(self) -> Iterator[str]:
        """Yields the lines of a report: each field once, with the number of orders that had it."""
        if self.counts:
            yield "Fields that were left out, with the number of orders that had them:"
        for name, count in sorted(self.counts.items()):
            yield f"{count:>11,}  {printable(name)}"
        if empty := sorted(self.empty - self.counts.keys()):
            yield f"Left out as well, but empty in every order: {', '.join(map(printable, empty))}"


def printable(name: str) -> str:
    """Returns the name of a field for a message. It may be long and contain any character."""
    return "".join(sign if sign.isprintable() else "?" for sign in name[:100])
