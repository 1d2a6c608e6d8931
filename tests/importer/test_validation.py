"""`make import` validates all orders first, and says what is wrong and where."""

import json
from pathlib import Path
from typing import Any

import pytest
from imports import Table, as_csv, order, write

from importer import __main__ as command


def test_every_error_is_printed_and_nothing_is_written(table: Table, run: Any, tmp_path: Path) -> None:
    line = order("1")["order_line_details"][0]
    path = tmp_path / "orders.jsonl"
    lines = [
        json.dumps(order("1")),
        json.dumps(order("2", grand_total="28.74")),
        json.dumps(order("3") | {"customer_id": 7, "colour": "red"}),
        "",
        json.dumps(order("4", order_line_details=[line, line | {"price": "12,50", "quantity": "0", "item_id": "one"}])),
        '{"order_id": "5", "paid": NaN}',
        '{"order_id": "5", "order_id": "6"}',
        '{"order_id": "5"',
        "5",
        json.dumps(order("1", customer_id="bob")),
        json.dumps(order("9", created="2126-01-01T00:00:00Z")),
        json.dumps(
            order("10", order_line_details=[line | {"product_name": 300 * "é", "sku": 200 * "x"} for _ in range(500)])
        ),
        json.dumps(order("a/b\x1b[31m")),
        json.dumps(order("12") | {"\x1b[31mx": 1}),
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    status, _, meanwhile = run(path)
    assert status == 1
    assert [line.removeprefix("orders.jsonl:") for line in meanwhile[:-2]] == [
        "2: order 2: grand_total: is 28.74 but must be 26.75: 1.99 too much",
        "3: order 3: customer_id: Input should be a valid string",
        "3: order 3: colour: is not a known field",
        "5: order 4: order_line_details.1.item_id: Input should be a valid integer",
        "5: order 4: order_line_details.1.quantity: Input should be greater than 0",
        "5: order 4: order_line_details.1.price: must be a decimal number with at most 15 digits and 4 decimals",
        "6: is not JSON: NaN and Infinity are not JSON",
        "7: is not JSON: a member is repeated",
        "8: is not JSON: Expecting ',' delimiter (column 17)",
        "9: must be a JSON object",
        "10: order 1: order_id: is already in orders.jsonl:1",
        "11: order 9: created: must be a time between 1970 and now",
        "12: order 10: The order is too large to store. Split it or shorten its texts.",
        "13: order_id: must have 1 to 64 of the characters A-Z a-z 0-9 _ - . : # / and space, without a space at its "
        "ends, and not be . or ..",
        "14: order 12: ?[31mx: is not a known field",
    ]
    assert meanwhile[-2].startswith("13 orders checked")
    assert meanwhile[-1] == "12 of 13 orders are invalid. Nothing was written."
    assert table.holds()


def test_csv_errors_name_line_and_column(table: Table, run: Any, tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_bytes(
        b"order_id,customer_id,currency_code,line.item_id,line.product_name,line.quantity,line.price,paid\n"
        b'1,alice,EUR,1,"two\nlines",1,12.50,\n'
        b"1,,,2,Brunost,1,-1,\n"
        b"1,bob,EUR,x,Brunost,1,NaN,\n"
        b"\n"
        b"2,alice,EUR,1,Brunost,1\n"
        b"2,alice,EUR,2,Brunost,1,1,\n"
        b'3,alice,EUR,1,K\xc3\xa4se,1,"1,250",\n'
        b",alice,EUR,1,Brunost,1,1,\n"
        b"1,alice,EUR,1,Brunost,1,1,\n"
        b'4,alice,EUR,1,"Brunost"x,1,1,\n'
        b"5,alice,EUR,1,Brunost,1,1,0.12345\n"
    )
    status, _, meanwhile = run(path)
    assert status == 1
    assert [line.removeprefix("orders.csv:") for line in meanwhile[:-2]] == [
        "5: order 1: customer_id: differs from an earlier row of this order",
        "7: has 6 cells, but the header has 8 columns",
        "10: order_id: must not be empty",
        "9: order 3: line.price: is 1,250: it is not clear whether the comma is a decimal comma. Write a decimal point",
        "11: order 1: order_id: is already in orders.csv:2",
        "12: is not CSV: ',' expected after '\"'",
        "13: order 5: paid: must be a decimal number with at most 15 digits and 4 decimals",
    ]
    assert table.holds()

    text = path.read_text(errors="replace").replace("1,bob", "1,alice").splitlines()
    path.write_text("\n".join([*text[:6], "1,alice,EUR,1,Brunost,1,1,", ""]))
    status, _, meanwhile = run(path)
    assert [line.removeprefix("orders.csv:") for line in meanwhile[:-2]] == [
        "4: order 1: line.price: Input should be greater than or equal to 0",
        "5: order 1: line.item_id: Input should be a valid integer",
        "5: order 1: line.price: must be a decimal number with at most 15 digits and 4 decimals",
    ]


def test_rows_of_an_order_must_be_adjacent(table: Table, run: Any, tmp_path: Path) -> None:
    head, one, two, *_ = as_csv([order("1"), order("2")]).splitlines()
    (tmp_path / "orders.csv").write_text("\n".join([head, one, two, one]))
    status, _, meanwhile = run(tmp_path / "orders.csv")
    assert (status, meanwhile[0]) == (1, "orders.csv:4: order 1: order_id: is already in orders.csv:2")


def test_only_the_first_errors_are_printed(table: Table, run: Any, tmp_path: Path) -> None:
    _, _, meanwhile = run(write(tmp_path / "orders.jsonl", [{"order_id": each} for each in range(100)]))
    assert len(meanwhile) == command.SHOWN + 3
    assert meanwhile[-2:] == ["and 250 more", "100 of 100 orders are invalid. Nothing was written."]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("orders.xlsx", "", "is neither JSON nor CSV: its name must end in .jsonl, .ndjson, .json, .csv"),
        ("missing.csv", None, "missing.csv cannot be read: No such file or directory"),
        ("orders.csv", "", "orders.csv is empty"),
        ("orders.csv", "paid", "orders.csv has no column order_id: the first line must name the columns"),
        ("orders.csv", "order_id,price", "unknown column 'price'; did you mean line.price?"),
        ("orders.csv", "order_id,\x1b[31m", "unknown column '\\x1b[31m'; the columns are order_id, customer_id"),
        ("orders.csv", "order_id,paid,paid", "two columns are named paid"),
        ("orders.csv", 'order_id,"paid', "the first line is not CSV: unexpected end of data"),
    ],
)
def test_unreadable_files_are_reported(
    table: Table, run: Any, tmp_path: Path, name: str, content: str | None, says: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    status, _, meanwhile = run(tmp_path / name)
    assert (status, len(meanwhile)) == (1, 1)
    assert says in meanwhile[0]
