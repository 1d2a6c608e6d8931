"""Reads orders from a CSV or JSON file, one at a time.

A JSON file holds one order per line, or all orders in one array.

In a CSV file, each row is a line of an order. A column is named after a field of the order (`order_id`,
`customer_summary.country.code`, …) or of the line (`line.price`, …). The rows of an order follow each other. A field of
the order may be given in one of its rows or repeated in all of them. An empty cell leaves the field out.
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

from importer import ImportFailed
from orders import strict_json
from orders.requests import NewOrder, NewOrderLine
from orders.types import ORDER_ID, error_message

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv")

_LINES = "order_line_details"
_INTEGERS = {"line.item_id", "line.product_id"}
_BOOLEANS = {"true": True, "false": False}


def _fields(model: type[BaseModel], prefix: str) -> Iterator[str]:
    # The model's own fields first: what an invoice may state besides is inherited.
    inherited = {name for base in model.__bases__ if issubclass(base, BaseModel) for name in base.model_fields}
    for name, described in sorted(model.model_fields.items(), key=lambda field: field[0] in inherited):
        below = [part for part in get_args(described.annotation) if isinstance(part, type)]
        inner = next((part for part in below if issubclass(part, BaseModel)), None)
        if inner is None:
            yield prefix + name
        elif inner is not NewOrderLine:
            yield from _fields(inner, f"{prefix}{name}.")


COLUMNS = (*_fields(NewOrder, ""), *_fields(NewOrderLine, "line."))
"""The names that a CSV column can have."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a file: a valid order, or its errors, each formatted as `FILE:LINE: order ID: field: reason`."""

    place: str
    order_id: str = ""
    order: NewOrder | None = None
    errors: Sequence[str] = ()


def read(path: Path) -> Iterator[Entry]:
    """Yields the entries of a file. Memory use is constant, except for a JSON array, which is read as a whole.

    Raises:
        ImportFailed: The file cannot be read at all.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ImportFailed(f"{path} is neither JSON nor CSV: its name must end in {', '.join(SUFFIXES)}")
    try:
        # Invalid UTF-8 is read as surrogates, so that the error can name the line.
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            yield from _read_csv(path.name, file) if path.suffix.lower() == ".csv" else _read_json(path.name, file)
    except OSError as error:
        raise ImportFailed(f"{path} cannot be read: {error.strerror}") from error


def _read_json(name: str, file: TextIO) -> Iterator[Entry]:
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
            yield Entry(place, errors=[f"{place}: is not UTF-8"])
        except JSONDecodeError as error:
            place = f"{name}:{number + error.lineno - 1}"
            yield Entry(place, errors=[f"{place}: is not JSON: {error.msg} (column {error.colno})"])
        except ValueError as error:
            yield Entry(place, errors=[f"{place}: is not JSON: {error}"])
        else:
            if array:
                for position, each in enumerate(data, 1):
                    yield _parse_order(_Place(f"{name}, no. {position}"), each)
            else:
                yield _parse_order(_Place(place), data)


@dataclass(frozen=True, slots=True)
class _Place:
    """The place of an order in a file, and in CSV the place of each of its lines."""

    order: str
    lines: Sequence[str] = ()

    def locate(self, location: Sequence[str | int]) -> tuple[str, str]:
        """Returns the place and the name of a field, given its location in the order."""
        if self.lines and len(location) > 1 and location[0] == _LINES:
            return self.lines[int(location[1])], ".".join(map(str, ("line", *location[2:])))
        return self.order, ".".join(map(str, location))


def _parse_order(place: _Place, data: Any) -> Entry:
    if not isinstance(data, dict):
        return Entry(place.order, errors=[f"{place.order}: must be a JSON object"])
    order_id = str(data.get("order_id", ""))
    try:
        return Entry(place.order, order_id, NewOrder.model_validate(data))
    except ValidationError as error:
        errors = []
        for found in error.errors(include_url=False):
            where, name = place.locate(found["loc"])
            errors.append(format_error(where, order_id, name, error_message(found)))
        return Entry(place.order, order_id, errors=errors)


def format_error(place: str, order_id: str, name: str, reason: str) -> str:
    """Formats an error. An invalid order id is left out, because it may contain control characters."""
    order = f"order {order_id}: " if re.fullmatch(ORDER_ID, order_id) else ""
    # The name of an unknown field may contain any character.
    name = "".join(sign if sign.isprintable() else "?" for sign in name[:100])
    return f"{place}: {order}{f'{name}: ' if name else ''}{reason}"


@dataclass(frozen=True, slots=True)
class _Row:
    place: str
    order_id: str
    cells: Mapping[str, str]
    error: str = ""


def _read_csv(name: str, file: TextIO) -> Iterator[Entry]:
    for _, rows in groupby(_read_rows(name, file), key=lambda row: row.order_id):
        yield _parse_rows(list(rows))


def _read_rows(name: str, file: TextIO) -> Iterator[_Row]:
    first = file.readline()
    # Spreadsheets separate cells with semicolons in countries where the decimal sign is a comma.
    reader = csv.reader(chain([first], file), delimiter=max(",;\t", key=first.count), strict=True)
    try:
        columns = _check_columns(name, next(reader, []))
    except csv.Error as error:
        raise ImportFailed(f"{name}: the first line is not CSV: {error}") from error
    order_id = ""
    while True:
        place = f"{name}:{reader.line_num + 1}"
        cells: Sequence[str] = []
        reason = ""
        try:
            cells = next(reader)
            "".join(cells).encode()
        except StopIteration:
            return
        except UnicodeError:
            reason = "is not UTF-8"
        except csv.Error as error:
            reason = f"is not CSV: {error}"
        if not reason and not any(cells):
            continue
        given = dict(zip(columns, cells, strict=False))
        if not reason and len(cells) != len(columns):
            reason = f"has {len(cells)} cells, but the header has {len(columns)} columns"
        elif not reason and not given["order_id"]:
            reason = "order_id: must not be empty"
        # A row without an order id counts as part of the order above it, so that it does not split that order in two.
        order_id = given.get("order_id") or order_id
        yield _Row(place, order_id, {}, f"{place}: {reason}") if reason else _Row(place, order_id, given)


def _check_columns(name: str, columns: Sequence[str]) -> Sequence[str]:
    unknown = [column for column in columns if column not in COLUMNS]
    if unknown:
        near = get_close_matches(unknown[0], COLUMNS, 1)
        advice = f"did you mean {near[0]}?" if near else f"the columns are {', '.join(COLUMNS)}"
        raise ImportFailed(f"{name}: unknown column {unknown[0]!a}; {advice}")
    if twice := [column for column in columns if columns.count(column) > 1]:
        raise ImportFailed(f"{name}: two columns are named {twice[0]}")
    if "order_id" not in columns:
        raise ImportFailed(f"{name} has no column order_id: the first line must name the columns")
    return columns


def _parse_rows(rows: Sequence[_Row]) -> Entry:
    errors: list[str] = []
    values: dict[str, str] = {}
    for row in rows:
        errors += [row.error] if row.error else []
        for name, cell in row.cells.items():
            if cell and not name.startswith("line.") and values.setdefault(name, cell) != cell:
                errors.append(format_error(row.place, row.order_id, name, "differs from an earlier row of this order"))
    if errors:
        return Entry(rows[0].place, rows[0].order_id, errors=errors)
    lines = [
        {
            name.removeprefix("line."): _to_integer(cell) if name in _INTEGERS else cell
            for name, cell in row.cells.items()
            if cell and name.startswith("line.")
        }
        for row in rows
    ]
    order = {**_nest(values), _LINES: lines}
    # Spreadsheets write TRUE.
    if taxed := values.get("prices_include_tax"):
        order["prices_include_tax"] = _BOOLEANS.get(taxed.lower(), taxed)
    return _parse_order(_Place(rows[0].place, [row.place for row in rows]), order)


def _to_integer(cell: str) -> int | str:
    return int(cell) if re.fullmatch(r"[0-9]{1,20}", cell) else cell


def _nest(values: Mapping[str, str]) -> dict[str, Any]:
    """Turns `{"customer_summary.country.code": "NO"}` into `{"customer_summary": {"country": {"code": "NO"}}}`."""
    nested: dict[str, Any] = {}
    for name, value in values.items():
        *parents, last = name.split(".")
        inner = nested
        for step in parents:
            inner = inner.setdefault(step, {})
        inner[last] = value
    return nested
