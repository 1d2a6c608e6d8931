"""`make import` reads files as spreadsheets and shop systems write them, or says what a file is and what to do."""

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from imports import as_csv, order

from importer.reading import read

ORDERS = [order("1", customer_summary={"first_name": "Zoë", "last_name": "山田"}), order("2")]
CSV = as_csv(ORDERS)
JSON_LINES = "".join(f"{json.dumps(each, ensure_ascii=False)}\n" for each in ORDERS)
PRETTY = json.dumps(ORDERS[0], indent=2, ensure_ascii=False)


def with_separator(text: str, separator: str) -> str:
    rows = io.StringIO()
    csv.writer(rows, delimiter=separator).writerows(csv.reader(io.StringIO(text)))
    return rows.getvalue()


def utf_16(text: str, byte_order_mark: bool = True) -> bytes:
    return text.encode("utf-16") if byte_order_mark else text.encode("utf-16-le")


DECIMAL_COMMAS = with_separator(CSV.replace("12.50", '"12,50"').replace("1.75", '"1,75"'), ";")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("utf16.csv", utf_16(CSV)),
        ("excel-unicode-text.csv", utf_16(with_separator(CSV, "\t"))),
        ("utf16.json", utf_16(json.dumps(ORDERS), byte_order_mark=False)),
        ("big-endian.jsonl", JSON_LINES.encode("utf-16-be")),
        ("orders.csv.gz", gzip.compress(CSV.encode())),
        ("gzip-by-content.jsonl", gzip.compress(JSON_LINES.encode())),
        ("gzip-and-utf16.csv", gzip.compress(utf_16(CSV))),
        ("decimal-commas.csv", DECIMAL_COMMAS.encode()),
        ("sep.csv", f"sep=;\r\n{with_separator(CSV, ';')}".encode("utf-8-sig")),
        ("sep-that-counting-misses.csv", b"sep=|\r\n" + with_separator(CSV, "|").encode()),
        ("blank-first-lines.csv", f"\r\n;;;\r\n{with_separator(CSV, ';')}".encode()),
        ("unnamed-column.csv", "".join(f"{line},\r\n" for line in CSV.splitlines()).encode()),
        ("unnamed-column-in-header.csv", (CSV.splitlines()[0] + ",,\r\n" + CSV.split("\r\n", 1)[1]).encode()),
        ("array.json", json.dumps(ORDERS, indent=2).encode()),
        ("object.json", json.dumps({"orders": ORDERS}, indent=4).encode("utf-8-sig")),
        ("object-in-a-line.jsonl", json.dumps({"orders": ORDERS}).encode()),
        ("lines.json", b"\n\n" + JSON_LINES.encode()),
    ],
)
def test_file_is_read_as_written(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    entries = list(read(tmp_path / name))
    assert [(entry.order_id, entry.errors) for entry in entries] == [("1", ()), ("2", ())]
    assert entries == [each for each in entries if each.order]
    [one, two] = [each.order for each in entries if each.order]
    assert one.customer_summary is not None
    assert (one.customer_summary.first_name, one.customer_summary.last_name) == ("Zoë", "山田")
    assert [str(line.price) for line in (*one.order_line_details, *two.order_line_details)] == ["12.50", "12.50"]


def test_pretty_printed_object_is_one_order(tmp_path: Path) -> None:
    (tmp_path / "order.json").write_text(PRETTY, encoding="utf-8")
    [entry] = read(tmp_path / "order.json")
    assert (entry.order_id, entry.place) == ("1", "order.json:1")


@pytest.mark.parametrize(
    ("cell", "price"),
    [("12,5", "12.5"), ("0,125", "0.125"), ("1234,5678", "1234.5678"), ("1000,250", "1000.250"), ("12.50", "12.50")],
)
def test_decimal_comma_is_recognised(tmp_path: Path, cell: str, price: str) -> None:
    (tmp_path / "orders.csv").write_text(with_separator(CSV.replace("12.50", f'"{cell}"').replace("1.75", ""), ";"))
    assert [str(entry.order.order_line_details[0].price) for entry in read(tmp_path / "orders.csv") if entry.order] == [
        price,
        price,
    ]


@pytest.mark.parametrize("cell", ["1,250", "123,456"])
def test_ambiguous_comma_is_refused_by_name(tmp_path: Path, cell: str) -> None:
    (tmp_path / "orders.csv").write_text(with_separator(CSV.replace("12.50", f'"{cell}"'), ";"))
    assert [error for entry in read(tmp_path / "orders.csv") for error in entry.errors] == [
        f"orders.csv:{line}: order {line - 1}: line.price: is {cell}: it is not clear whether the comma is a decimal "
        "comma. Write a decimal point"
        for line in (2, 3)
    ]


def test_value_without_a_column_name_is_refused(tmp_path: Path) -> None:
    lines = CSV.splitlines()
    width = lines[0].count(",") + 1
    (tmp_path / "orders.csv").write_text(f"{lines[0]},\n{lines[1]},\n{lines[2]},lost\n{lines[2]},,lost\n")
    assert [error for entry in read(tmp_path / "orders.csv") for error in entry.errors] == [
        "orders.csv:3: has a value in a column without a name",
        f"orders.csv:4: has {width + 2} cells, but the header has {width + 1} columns",
    ]


WINDOWS = 'order_id,customer_id\n1,"Käse"\n'.encode("cp1252")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        (
            "orders.csv",
            WINDOWS,
            "orders.csv:2 is not UTF-8. It may be Windows-1252, as Excel saves CSV: save it as CSV UTF-8, or convert "
            "it: iconv -f WINDOWS-1252 -t UTF-8 orders.csv > utf8-orders.csv",
        ),
        ("orders.csv", "order_id\nチーズ\n".encode("shift_jis"), "It is not Windows-1252 either: save it as CSV UTF-8"),
        ("orders.json", '[{"order_id": "é"}]'.encode("latin-1"), "orders.json:1 is not UTF-8"),
        ("orders.csv", b"PK\x03\x04\x14\x00", "is an Excel workbook or a ZIP archive: unpack it, or save it as CSV"),
        ("orders.csv", b"\xd0\xcf\x11\xe0\xa1\xb1", "is an Excel workbook: save it as CSV UTF-8"),
        ("orders.csv.gz", gzip.compress(CSV.encode())[:-20], "is a damaged gzip file"),
        ("orders.json", utf_16("[]") + b"\x00", "begins like UTF-16, but is not"),
        ("orders.csv", b"\n\n", "orders.csv is empty"),
        ("orders.xml.gz", b"", "its name must end in .jsonl, .ndjson, .json, .csv"),
    ],
)
def test_file_that_cannot_be_read_is_named(
    table: Any, run: Callable[..., Any], tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(content)
    status, _, meanwhile = run(tmp_path / name)
    assert (status, len(meanwhile)) == (1, 1)
    assert says in meanwhile[0]


@pytest.mark.parametrize(
    ("name", "content"),
    [("orders.csv", CSV.splitlines()[0]), ("orders.json", '{"orders": []}'), ("orders.jsonl", "\n")],
)
def test_file_without_orders_fails(
    table: Any, run: Callable[..., Any], tmp_path: Path, name: str, content: str
) -> None:
    (tmp_path / name).write_text(content)
    status, _, meanwhile = run(tmp_path / name)
    assert (status, meanwhile[-1]) == (1, f"{name} has no orders. Nothing was written.")
