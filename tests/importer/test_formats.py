"""`make import` reads the service's own format as JSON and as CSV."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from harness import ROOT
from imports import Table, as_csv, counts, order, summary, without_times, write

from orders.requests import NewOrder

SAMPLES: list[dict[str, Any]] = json.loads((ROOT / "local" / "orders.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "name",
    [
        "orders.jsonl",
        "orders.csv",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("orders.json", "orders.ndjson", "excel.csv", "bom.jsonl")
        ),
    ],
)
def test_each_format_imports_the_orders_that_the_service_would_create(
    table: Table, run: Any, tmp_path: Path, name: str
) -> None:
    line = order("1")["order_line_details"][0]
    many = [line | {"item_id": each, "product_name": f"Käse № {each} 抹茶"} for each in range(400)]
    orders = [
        *SAMPLES,
        order("kwd", currency_code="KWD", order_line_details=[line | {"price": "0.0625", "quantity": "0.5"}]),
        order("jpy", currency_code="JPY", order_line_details=[line | {"price": "333.5", "tax": "10"}], paid="10"),
        order("gross", prices_include_tax=True, rounding="-0.01", payment_status="paid", refunded=None),
        order("returned", payment_status="partially_refunded", paid="26.75", refunded="1.75"),
        order("many", order_line_details=many),
        order("عمر", customer_summary={"first_name": "محمد"}) | {"order_id": "rtl"},
        order("semicolons;", order_line_details=[line | {"product_name": 'a;b,c\n"d"\t'}]) | {"order_id": "signs"},
    ]
    path = write(tmp_path / name, orders)
    if name == "excel.csv":
        path.write_text(as_csv(orders, ";"), encoding="utf-8-sig", newline="")
    if name == "bom.jsonl":
        path.write_text(path.read_text(encoding="utf-8").replace("\n", "\r\n\r\n"), encoding="utf-8-sig", newline="")
    status, said, _ = run(path)
    assert (status, counts(said)) == (0, summary(new=len(orders)))
    imported = without_times(table.items())

    for key in imported:
        table.client.delete_item(TableName="OrdersTable", Key={"pk": {"S": f"ORDER#{key[0]}"}, "sk": {"S": key[1]}})
    for each in orders:
        table.store.create(NewOrder.model_validate(each).order(datetime.now(UTC), "import"))
    assert imported == without_times(table.items())
    assert imported["kwd", "ORDER"]["grand_total"]["N"] == "1.781"
    assert imported["jpy", "ORDER"]["grand_total"]["N"] == "677"
    assert len(imported["many", "ORDER#DETAIL"]["order_line_details"]["L"]) == 400


def test_order_fields_may_be_repeated_in_each_row(table: Table, run: Any, tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text(
        "order_id,customer_id,currency_code,customer_summary.country.code,line.item_id,line.product_name,line.quantity,"
        "line.price\n1,alice,EUR,NO,1,Brunost,1,12.50\n1,alice,EUR,NO,2,Jarlsberg,1,7.50\n2,bob,EUR,,1,Brie,1,4\n"
    )
    status, said, _ = run(tmp_path / "orders.csv")
    assert (status, counts(said)) == (0, summary(new=2))
    items = table.items()
    assert items["1", "ORDER"]["grand_total"]["N"] == "20.00"
    assert items["1", "ORDER#DETAIL"]["customer_summary"] == {"M": {"country": {"M": {"code": {"S": "NO"}}}}}


def test_order_ids_are_kept_as_written(table: Table, run: Any, tmp_path: Path) -> None:
    ids = ("SO/2026/001", "A.123", "#1001", "gid://shopify/Order/1", "Nr 7")
    rows = "".join(f"{each},alice,EUR,1,Brunost,1,12.50\n" for each in ids)
    (tmp_path / "orders.csv").write_text(
        f"order_id,customer_id,currency_code,line.item_id,line.product_name,line.quantity,line.price\n{rows}"
    )
    assert run(tmp_path / "orders.csv")[0] == 0
    assert table.holds(*ids)
    (tmp_path / "orders.csv").write_text("order_id,line.item_id\nSO/2026/001,x\n")
    status, _, errors = run(tmp_path / "orders.csv")
    assert status == 1
    assert errors[0].startswith("orders.csv:2: order SO/2026/001: ")


def test_documented_example_is_imported(table: Table, run: Any) -> None:
    status, said, _ = run(ROOT / "docs" / "orders.csv")
    assert (status, counts(said)) == (0, summary(new=2))
    assert table.items()["3001", "ORDER"]["grand_total"]["N"] == "39.57"


def test_created_is_taken_from_the_file_or_is_now(table: Table, run: Any, tmp_path: Path) -> None:
    given, left_out = order("1"), order("2")
    del left_out["created"]
    before = datetime.now(UTC)
    run(write(tmp_path / "orders.jsonl", [given, left_out]))
    items = table.items()
    assert items["1", "ORDER"]["created"]["S"] == "2026-11-01T10:00:00.000000Z"
    assert before <= datetime.fromisoformat(items["2", "ORDER"]["created"]["S"]) <= datetime.now(UTC)
    assert items["1", "ORDER"]["created_by"]["S"] == "import"
