"""Reads the orders of a file in one of the known formats, one at a time."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from importer import ImportFailed, magento, own, shopify, woocommerce
from importer.fields import Fields, Unrepresentable, printable
from importer.files import Row, read_columns, read_json, read_rows, suffix
from orders.requests import NewOrder
from orders.types import ORDER_ID, error_message


@dataclass(frozen=True, slots=True)
class Shop:
    """The format of a shop system.

    Attributes:
        title: What a file of this format is.
        id_name: The column or field with the number of the order.
        keys: Columns or fields that every file of this format has.
        convert: Returns the body of `POST /admin/orders` for an order.
    """

    title: str
    id_name: str
    keys: frozenset[str]
    convert: Callable[[Fields], dict[str, Any]]


_SHOPIFY = Shop("Shopify's export of orders (CSV)", shopify.ID, shopify.KEYS, shopify.convert)
_JSON_SHOPS = {
    "woocommerce": Shop("WooCommerce's orders (JSON)", woocommerce.ID, woocommerce.KEYS, woocommerce.convert),
    "magento": Shop("Magento's sales orders (JSON)", magento.ID, magento.KEYS, magento.convert),
}
SHOPS = {"shopify": _SHOPIFY, **_JSON_SHOPS}
"""The formats of shop systems, by name. A file in none of them is in the format of this service."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a file: a valid order, or its errors, each formatted as `FILE:LINE: order ID: field: reason`.

    Attributes:
        fields: What a shop wrote about a valid order.
    """

    place: str
    order_id: str = ""
    order: NewOrder | None = None
    errors: Sequence[str] = ()
    fields: Fields | None = None


def detect(path: Path, name: str | None = None) -> Shop | None:
    """Returns the format of a shop that a file has; None if it has the format of this service.

    Args:
        path: The file.
        name: The name of the format, if the user gave one.

    Raises:
        ImportFailed: The file cannot be read, or has not the format that the user gave.
    """
    if suffix(path) == ".csv":
        candidates, found = {"shopify": _SHOPIFY}, set(read_columns(path))
    else:
        # The first value that is an object tells the format.
        values = (value.value for value in read_json(path))
        candidates, found = _JSON_SHOPS, set(next((value for value in values if isinstance(value, dict)), ()))
    if name is None:
        return next((shop for shop in candidates.values() if shop.keys <= found), None)
    shop = SHOPS[name]
    if name not in candidates:
        ending = ".json" if name in _JSON_SHOPS else ".csv"
        raise ImportFailed(f"{path} is not {shop.title}: its name must end in {ending}")
    if found and (missing := sorted(shop.keys - found)):
        raise ImportFailed(f"{path} is not {shop.title}: it has no {', '.join(missing)}")
    return shop


def read(path: Path, shop: Shop | None = None) -> Iterator[Entry]:
    """Yields the entries of a file.

    Args:
        path: The file.
        shop: Its format; None for the format of this service.

    Raises:
        ImportFailed: The file cannot be read at all.
    """
    if suffix(path) == ".csv":
        yield from _read_csv(path, shop)
        return
    for read in read_json(path):
        if read.error:
            yield Entry(read.place, errors=[f"{read.place}: {read.error}"])
        elif not isinstance(read.value, dict):
            yield Entry(read.place, errors=[f"{read.place}: must be a JSON object"])
        elif shop:
            yield _convert(shop, _Place(read.place), read.value)
        else:
            yield _parse_order(_Place(read.place), read.value)


def _read_csv(path: Path, shop: Shop | None) -> Iterator[Entry]:
    if not shop:
        own.check_columns(path.name, read_columns(path))
    for order_id, rows in _orders(read_rows(path), shop.id_name if shop else own.ID):
        place = _Place(rows[0].place, [row.place for row in rows])
        errors = [f"{row.place}: {row.error}" for row in rows if row.error]
        data: dict[str, Any] = {}
        if shop and not errors:
            data = shopify.join([row.cells for row in rows])
        elif not shop:
            data, wrong = own.join([row for row in rows if not row.error])
            errors += [format_error(row.place, order_id, name, reason) for row, name, reason in wrong]
        if errors:
            yield Entry(place.order, order_id, errors=errors)
        else:
            yield _convert(shop, place, data) if shop else _parse_order(place, data)


def _orders(rows: Iterator[Row], id_name: str) -> Iterator[tuple[str, list[Row]]]:
    """Groups the rows of each order, which follow each other.

    A row without an id counts as part of the order above it, so that it does not split that order in two.
    """

    def identified() -> Iterator[tuple[str, Row]]:
        order_id = ""
        for row in rows:
            given = row.cells.get(id_name, "")
            order_id = given or order_id
            yield order_id, row if given or row.error else Row(row.place, error=f"{id_name}: must not be empty")

    for order_id, group in groupby(identified(), key=lambda each: each[0]):
        yield order_id, [row for _, row in group]


@dataclass(frozen=True, slots=True)
class _Place:
    """The place of an order in a file, and in CSV the place of each of its lines."""

    order: str
    lines: Sequence[str] = ()

    def locate(self, location: Sequence[str | int]) -> tuple[str, str]:
        """Returns the place and the name of a field, given its location in the order."""
        if self.lines and len(location) > 1 and location[0] == own.LINES:
            return self.lines[int(location[1])], ".".join(map(str, ("line", *location[2:])))
        return self.order, ".".join(map(str, location))


def _convert(shop: Shop, place: _Place, data: dict[str, Any]) -> Entry:
    fields = Fields(data)
    try:
        return _parse_order(place, shop.convert(fields), fields)
    except Unrepresentable as error:
        order_id = str(data.get(shop.id_name, ""))
        return Entry(place.order, order_id, errors=[format_error(place.order, order_id, "", str(error))])


def _parse_order(place: _Place, data: dict[str, Any], fields: Fields | None = None) -> Entry:
    order_id = str(data.get("order_id", ""))
    try:
        return Entry(place.order, order_id, NewOrder.model_validate(data), fields=fields)
    except ValidationError as error:
        errors = []
        for found in error.errors(include_url=False):
            where, name = place.locate(found["loc"])
            errors.append(format_error(where, order_id, name, error_message(found)))
        return Entry(place.order, order_id, errors=errors)


def format_error(place: str, order_id: str, name: str, reason: str) -> str:
    """Formats an error. An invalid order id is left out, because it may contain control characters."""
    order = f"order {order_id}: " if re.fullmatch(ORDER_ID, order_id) else ""
    return f"{place}: {order}{f'{printable(name)}: ' if name else ''}{reason}"
