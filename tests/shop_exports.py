"""Exports of shop systems: the samples of docs/samples, and larger ones made of them."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from harness import ROOT

SAMPLES = ROOT / "docs" / "samples"

LEFT_OUT: dict[str, list[str]] = json.loads((ROOT / "tests" / "left_out.json").read_text(encoding="utf-8"))
"""The fields of each sample that have no place in an order, or that it computes. All others are imported."""


def shopify_rows() -> list[dict[str, str]]:
    """Returns the rows of Shopify's sample, with all columns that Shopify exports."""
    with (SAMPLES / "shopify.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def woocommerce_orders() -> list[dict[str, Any]]:
    """Returns the orders of WooCommerce's sample."""
    orders: list[dict[str, Any]] = json.loads((SAMPLES / "woocommerce.json").read_text(encoding="utf-8"))
    return orders


def magento_orders() -> list[dict[str, Any]]:
    """Returns the orders of Magento's sample."""
    orders: list[dict[str, Any]] = json.loads((SAMPLES / "magento.json").read_text(encoding="utf-8"))["items"]
    return orders


def write_shopify(path: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    """Writes rows as Shopify does."""
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
    return path


def _copies(orders: Sequence[Any], count: int, number: Callable[[Any, int], Any]) -> list[Any]:
    return [number(orders[each % len(orders)], each) for each in range(count)]


def export_shopify(folder: Path, count: int) -> Path:
    """Writes an export of many orders: the sample's, numbered from `#20000`."""
    orders: dict[str, list[dict[str, str]]] = {}
    for row in shopify_rows():
        orders.setdefault(row["Name"], []).append(row)
    copies = _copies(list(orders.values()), count, lambda rows, at: [row | {"Name": f"#{20000 + at}"} for row in rows])
    return write_shopify(folder / "orders_export.csv", [row for rows in copies for row in rows])


def export_woocommerce(folder: Path, count: int) -> Path:
    """Writes a list of many orders: the sample's, numbered from 20000."""
    copies = _copies(woocommerce_orders(), count, lambda order, at: order | {"number": str(20000 + at)})
    path = folder / "orders.json"
    path.write_text(json.dumps(copies), encoding="utf-8")
    return path


def export_magento(folder: Path, count: int) -> Path:
    """Writes a search result of many orders: the sample's, numbered from 000020000."""
    copies = _copies(magento_orders(), count, lambda order, at: order | {"increment_id": f"{20000 + at:09}"})
    path = folder / "orders.json"
    path.write_text(json.dumps({"items": copies, "search_criteria": {}, "total_count": count}), encoding="utf-8")
    return path


def first(orders: Sequence[dict[str, Any]], count: int = 1) -> list[dict[str, Any]]:
    """Returns independent copies of the first orders."""
    copies: list[dict[str, Any]] = json.loads(json.dumps(list(islice(orders, count))))
    return copies
