"""The format of this service: JSON orders as `POST /admin/orders` takes them, or CSV with their fields as columns.

In a CSV file, each row is a line of an order. A column is named after a field of the order (`order_id`,
`customer_summary.country.code`, …) or of the line (`line.price`, …). The rows of an order follow each other. A field of
the order may be given in one of its rows or repeated in all of them. An empty cell leaves the field out.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from importer import ImportFailed
from importer.fields import decimal_text
from importer.files import Row
from orders.requests import NewOrder, NewOrderLine

ID = "order_id"
LINES = "order_line_details"

_INTEGERS = {"line.item_id", "line.product_id"}
_BOOLEANS = {"true": True, "false": False}


def _fields(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    # The model's own fields first: what an invoice may state besides is inherited.
    inherited = {name for base in model.__bases__ if issubclass(base, BaseModel) for name in base.model_fields}
    for name, described in sorted(model.model_fields.items(), key=lambda field: field[0] in inherited):
        below = [part for part in get_args(described.annotation) if isinstance(part, type)]
        inner = next((part for part in below if issubclass(part, BaseModel)), None)
        if inner is None:
            yield prefix + name, described
        elif inner is not NewOrderLine:
            yield from _fields(inner, f"{prefix}{name}.")


_DESCRIBED = dict((*_fields(NewOrder, ""), *_fields(NewOrderLine, "line.")))

COLUMNS = tuple(_DESCRIBED)
"""The names that a CSV column can have."""


def _is_decimal(annotation: Any) -> bool:
    return annotation is Decimal or any(map(_is_decimal, get_args(annotation)))


_DECIMALS = {name for name, described in _DESCRIBED.items() if _is_decimal(described.annotation)}


def check_columns(name: str, columns: Sequence[str]) -> None:
    """Checks the columns of a CSV file.

    Raises:
        ImportFailed: One is unknown, or there is no `order_id`.
    """
    unknown = [column for column in columns if column not in COLUMNS]
    if unknown:
        near = get_close_matches(unknown[0], COLUMNS, 1)
        advice = f"did you mean {near[0]}?" if near else f"the columns are {', '.join(COLUMNS)}"
        raise ImportFailed(f"{name}: unknown column {unknown[0]!a}; {advice}")
    if ID not in columns:
        raise ImportFailed(f"{name} has no column {ID}: the first line must name the columns")


def join(rows: Sequence[Row]) -> tuple[dict[str, Any], list[tuple[Row, str, str]]]:
    """Joins the rows of an order.

    Returns:
        The order, and its errors: the row, the column and the reason.
    """
    errors: list[tuple[Row, str, str]] = []
    values: dict[str, Any] = {}
    lines: list[dict[str, Any]] = []
    for row in rows:
        line: dict[str, Any] = {}
        for name, cell in row.cells.items():
            if not cell:
                continue
            try:
                value = _value(name, cell)
            except ValueError as error:
                errors.append((row, name, str(error)))
                continue
            if name.startswith("line."):
                line[name.removeprefix("line.")] = value
            elif values.setdefault(name, value) != value:
                errors.append((row, name, "differs from an earlier row of this order"))
        lines.append(line)
    return {**_nest(values), LINES: lines}, errors


def _value(name: str, cell: str) -> Any:
    if name in _DECIMALS:
        return decimal_text(cell)
    if name in _INTEGERS:
        return int(cell) if re.fullmatch(r"[0-9]{1,20}", cell) else cell
    # Spreadsheets write TRUE.
    return _BOOLEANS.get(cell.lower(), cell) if name == "prices_include_tax" else cell


def _nest(values: Mapping[str, Any]) -> dict[str, Any]:
    """Turns `{"customer_summary.country.code": "NO"}` into `{"customer_summary": {"country": {"code": "NO"}}}`."""
    nested: dict[str, Any] = {}
    for name, value in values.items():
        *parents, last = name.split(".")
        inner = nested
        for step in parents:
            inner = inner.setdefault(step, {})
        inner[last] = value
    return nested
