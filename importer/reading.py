"""Reads orders from a file, one at a time: CSV if its name ends so, else JSON, one order per line or all in an array.

In CSV, a row is one line of an order. The columns are named as the fields: those of the order (`order_id`,
`customer_summary.country.code`, …) and those of the line (`line.price`, …). Rows of one order follow one another;
what is said of the order itself may stand in each of them, or in one. An empty cell is a field that is left out.
"""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain, groupby
from json import JSONDecodeError
from pathlib import Path
from typing import Any, TextIO, get_args

from pydantic import BaseModel, ValidationError

from local import Mistake
from orders import strict_json
from orders.requests import NewOrder, NewOrderLine

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv")

_LINES = "order_line_details"
_INTEGERS = {"line.item_id", "line.product_id"}


def _fields(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, described in model.model_fields.items():
        below = [part for part in get_args(described.annotation) if isinstance(part, type)]
        inner = next((part for part in below if issubclass(part, BaseModel)), None)
        if inner is None:
            yield prefix + name
        elif inner is not NewOrderLine:
            yield from _fields(inner, f"{prefix}{name}.")


COLUMNS = (*_fields(NewOrder, ""), *_fields(NewOrderLine, "line."))
"""What columns of CSV can be named."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a file has in one place: an order, or what is wrong there, each as `FILE:LINE: order ID: field: why`."""

    place: str
    order_id: str = ""
    order: NewOrder | None = None
    wrong: Sequence[str] = ()


def read(path: Path) -> Iterator[Found]:
    """Reads what is in a file, in constant memory but for an array of JSON.

    Raises:
        Mistake: It cannot be read at all.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise Mistake(f"{path} is neither JSON nor CSV: its name has to end in {', '.join(SUFFIXES)}")
    try:
        # What is no UTF-8 comes as surrogates, so that the line can be named.
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            yield from _csv(path.name, file) if path.suffix.lower() == ".csv" else _json(path.name, file)
    except OSError as error:
        raise Mistake(f"{path} cannot be read: {error.strerror}") from error


def _json(name: str, file: TextIO) -> Iterator[Found]:
    for number, line in enumerate(file, 1):
        array = line.lstrip().startswith("[")
        text = (line + file.read() if array else line).rstrip()
        place = f"{name}:{number}"
        if not text:
            continue
        try:
            text.encode()
            data = strict_json.loads(text)
        except UnicodeError:
            yield Found(place, wrong=[f"{place}: is not UTF-8"])
        except JSONDecodeError as error:
            place = f"{name}:{number + error.lineno - 1}"
            yield Found(place, wrong=[f"{place}: is not JSON: {error.msg} (column {error.colno})"])
        except ValueError as error:
            yield Found(place, wrong=[f"{place}: is not JSON: {error}"])
        else:
            if array:
                for position, each in enumerate(data, 1):
                    yield _order(_Place(f"{name}, no. {position}"), each)
            else:
                yield _order(_Place(place), data)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a file has an order, and how it names the fields."""

    order: str
    lines: Sequence[str] = ()

    def of(self, location: Sequence[str | int]) -> tuple[str, str]:
        """The place and the name of a field."""
        if self.lines and len(location) > 1 and location[0] == _LINES:
            return self.lines[int(location[1])], ".".join(map(str, ("line", *location[2:])))
        return self.order, ".".join(map(str, location))


def _order(place: _Place, data: Any) -> Found:
    if not isinstance(data, dict):
        return Found(place.order, wrong=[f"{place.order}: is not an order: must be a JSON object"])
    order_id = str(data.get("order_id", ""))
    try:
        return Found(place.order, order_id, NewOrder.model_validate(data))
    except ValidationError as error:
        wrong = []
        for found in error.errors(include_url=False, include_input=False, include_context=False):
            why = "is not a field of an order" if found["type"] == "extra_forbidden" else found["msg"]
            where, name = place.of(found["loc"])
            wrong.append(complaint(where, order_id, name, why.removeprefix("Value error, ")))
        return Found(place.order, order_id, wrong=wrong)


def complaint(place: str, order_id: str, name: str, why: str) -> str:
    """Says what is wrong where. An id that could not be one is not quoted."""
    whose = f"order {order_id}: " if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", order_id) else ""
    # A name that is not a field's may be anything.
    name = "".join(sign if sign.isprintable() else "?" for sign in name[:100])
    return f"{place}: {whose}{f'{name}: ' if name else ''}{why}"


@dataclass(frozen=True, slots=True)
class _Row:
    place: str
    order_id: str
    cells: Mapping[str, str]
    wrong: str = ""


def _csv(name: str, file: TextIO) -> Iterator[Found]:
    for _, rows in groupby(_rows(name, file), key=lambda row: row.order_id):
        yield _from_rows(list(rows))


def _rows(name: str, file: TextIO) -> Iterator[_Row]:
    first = file.readline()
    # Spreadsheets write semicolons where the comma is the decimal sign.
    reader = csv.reader(chain([first], file), delimiter=max(",;\t", key=first.count), strict=True)
    try:
        columns = _columns(name, next(reader, []))
    except csv.Error as error:
        raise Mistake(f"{name}: the first line is not CSV: {error}") from error
    order_id = ""
    while True:
        place = f"{name}:{reader.line_num + 1}"
        cells: Sequence[str] = []
        wrong = ""
        try:
            cells = next(reader)
            "".join(cells).encode()
        except StopIteration:
            return
        except UnicodeError:
            wrong = "is not UTF-8"
        except csv.Error as error:
            wrong = f"is not CSV: {error}"
        if not wrong and not any(cells):
            continue
        given = dict(zip(columns, cells, strict=False))
        if not wrong and len(cells) != len(columns):
            wrong = f"has {len(cells)} cells, and there are {len(columns)} columns"
        elif not wrong and not given["order_id"]:
            wrong = "order_id: is empty; each row has to name its order"
        # A row that names none is taken to belong to the order above it, so that it does not tear that in two.
        order_id = given.get("order_id") or order_id
        yield _Row(place, order_id, {}, f"{place}: {wrong}") if wrong else _Row(place, order_id, given)


def _columns(name: str, columns: Sequence[str]) -> Sequence[str]:
    unknown = [column for column in columns if column not in COLUMNS]
    if unknown:
        near = get_close_matches(unknown[0], COLUMNS, 1)
        advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(COLUMNS)}"
        raise Mistake(f"{name}: no column can be named {unknown[0]!a}; {advice}")
    if twice := [column for column in columns if columns.count(column) > 1]:
        raise Mistake(f"{name}: two columns are named {twice[0]}")
    if "order_id" not in columns:
        raise Mistake(f"{name} has no column order_id: the first line has to name the columns")
    return columns


def _from_rows(rows: Sequence[_Row]) -> Found:
    wrong: list[str] = []
    values: dict[str, str] = {}
    for row in rows:
        wrong += [row.wrong] if row.wrong else []
        for name, cell in row.cells.items():
            if cell and not name.startswith("line.") and values.setdefault(name, cell) != cell:
                wrong.append(complaint(row.place, row.order_id, name, "is not what it is in the rows above"))
    if wrong:
        return Found(rows[0].place, rows[0].order_id, wrong=wrong)
    lines = [
        {
            name.removeprefix("line."): _integer(cell) if name in _INTEGERS else cell
            for name, cell in row.cells.items()
            if cell and name.startswith("line.")
        }
        for row in rows
    ]
    return _order(_Place(rows[0].place, [row.place for row in rows]), {**_nested(values), _LINES: lines})


def _integer(cell: str) -> int | str:
    return int(cell) if re.fullmatch(r"[0-9]{1,20}", cell) else cell


def _nested(values: Mapping[str, str]) -> dict[str, Any]:
    """`{"customer_summary.country.code": "NO"}` → `{"customer_summary": {"country": {"code": "NO"}}}`."""
    nested: dict[str, Any] = {}
    for name, value in values.items():
        *above, last = name.split(".")
        inner = nested
        for step in above:
            inner = inner.setdefault(step, {})
        inner[last] = value
    return nested
