"""`make import` validates before it writes, writes nothing twice, and continues after any interruption."""

import csv
import io
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from harness import ROOT, TEMPLATE
from process import gateway, http

from importer import __main__ as command
from importer import reading, writing
from local import emulator, server
from orders import table as tables
from orders.bulk import BulkStore, batches
from orders.cancellation import cancel
from orders.errors import Unavailable
from orders.identity import Caller, Role
from orders.models import Order
from orders.requests import NewOrder, OrderPatch
from orders.store import order_size

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

ADA = Caller(id="ada", name="Ada Admin", role=Role.ADMIN)

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}

SAMPLES: list[dict[str, Any]] = json.loads((ROOT / "local" / "orders.json").read_text(encoding="utf-8"))


def order(order_id: str, **more: Any) -> dict[str, Any]:
    line = {"item_id": 1, "product_name": "Brunost, 250 g", "quantity": 2, "price": "12.50", "tax": "1.75"}
    whole = {"order_id": order_id, "customer_id": "alice", "currency_code": "EUR", "order_line_details": [line]}
    return {**whole, "created": "2026-11-01T10:00:00Z", **more}


class Faults:
    """Injects faults into DynamoDB: `fault` may wait, or return the code of an error to answer with.

    It is called before an operation, and again after it: an error then means that the answer is lost.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self.fault: Callable[[str, bool], str | None] = lambda operation, done: None
        self.calls: Counter[str] = Counter()

    def __call__(self, environ: Any, start_response: Any) -> Any:
        operation = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        self.calls[operation] += 1
        code = self.fault(operation, False)
        if code:
            environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        else:
            answer: list[Any] = []
            body = b"".join(self._app(environ, lambda *args: answer.extend(args)))
            code = self.fault(operation, True)
            if not code:
                start_response(*answer)
                return [body]
        status = "500 Internal Server Error" if code == "InternalServerError" else "400 Bad Request"
        start_response(status, [("Content-Type", "application/x-amz-json-1.0")])
        return [json.dumps({"__type": code, "message": "Not today."}).encode()]


class Table:
    """The table of an emulated AWS."""

    def __init__(self, url: str, port: int, faults: Faults) -> None:
        self.url = url
        self.port = port
        self.faults = faults
        self.client = cast("DynamoDBClient", emulator.client("dynamodb"))
        self.store = BulkStore(tables.Table(self.client, "OrdersTable"))

    def items(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Returns all items by key."""
        found: list[dict[str, Any]] = []
        for page in self.client.get_paginator("scan").paginate(TableName="OrdersTable"):
            found += page["Items"]
        return {(item["pk"]["S"].removeprefix("ORDER#"), item["sk"]["S"]): item for item in found}

    def holds(self, *ids: str) -> bool:
        """Returns whether the table contains exactly these orders, each complete."""
        return self.items().keys() == {(each, sk) for each in ids for sk in ("ORDER", "ORDER#DETAIL")}


def without_times(items: dict[tuple[str, str], dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Returns items without the times at which they were written."""
    return {
        key: {name: value for name, value in item.items() if name not in {"updated", "changed"}}
        for key, item in items.items()
    }


@pytest.fixture(scope="module")
def server_with_faults() -> Iterator[tuple[str, int, Faults]]:
    made: list[Faults] = []

    def serve(listener: Any, app: Any, handler: Any) -> Any:
        made.append(Faults(app))
        return server.serve(listener, made[0], handler)

    listener = server.listen("127.0.0.1", 0, "")
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(emulator, "serve", serve)
        running = emulator.start(listener)
    yield server.url(listener), listener.getsockname()[1], made[0]
    running.shutdown()
    running.server_close()
    listener.close()


@pytest.fixture
def table(server_with_faults: tuple[str, int, Faults], monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    """An empty table on an emulated AWS."""
    url, port, faults = server_with_faults
    assert http.request("POST", f"{url}/moto-api/reset").status == 200
    for name, value in emulator.environment({}, url).items():
        monkeypatch.setenv(name, value)
    emulator.provision(TEMPLATE)
    monkeypatch.setattr(writing, "FIRST_DELAY", 0.01)
    faults.calls.clear()
    yield Table(url, port, faults)
    faults.fault = lambda operation, done: None


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, list[str]]]:
    """Runs the command and returns its exit status, its output and the lines of its error output."""

    def run(path: Path, *arguments: str) -> tuple[int, str, list[str]]:
        status = command.main([str(path), "--table", "OrdersTable", *arguments])
        said = capsys.readouterr()
        return status, said.out, said.err.splitlines()

    return run


def write(path: Path, orders: Sequence[Mapping[str, Any]]) -> Path:
    """Writes orders to a file in the format of its name."""
    if path.suffix == ".csv":
        path.write_text(as_csv(orders), encoding="utf-8", newline="")
    elif path.suffix == ".json":
        path.write_text(json.dumps(orders, indent=2), encoding="utf-8")
    else:
        path.write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in orders), encoding="utf-8")
    return path


def flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, each in value.items():
        found |= flat(each, f"{prefix}{name}.") if isinstance(each, dict) else {prefix + name: each}
    return found


def as_csv(orders: Sequence[Mapping[str, Any]], delimiter: str = ",") -> str:
    """Returns orders as CSV. The first row of an order has its fields; every row has its id."""
    text = io.StringIO()
    writer = csv.DictWriter(text, reading.COLUMNS, delimiter=delimiter)
    writer.writeheader()
    for each in orders:
        whole = {name: value for name, value in each.items() if name != "order_line_details"}
        for position, line in enumerate(each["order_line_details"]):
            said = flat(whole) if position == 0 else {"order_id": each["order_id"]}
            writer.writerow(said | flat(line, "line."))
    return text.getvalue()


def counts(said: str) -> dict[str, int]:
    """Returns the counts of the summary."""
    lines = [line.rsplit(maxsplit=1) for line in said.splitlines()[1:6]]
    return {name: int(count.replace(",", "")) for name, count in lines}


def summary(**counted: int) -> dict[str, int]:
    expected = {"read": sum(counted.values()), "new": 0, "already there": 0, "conflicting": 0, "not written": 0}
    return expected | {name.replace("_", " "): count for name, count in counted.items()}


# What is wrong is told first --------------------------------------------------------------------------------------


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
    path.write_bytes("\n".join(lines).encode() + b'\n{"order_id": "\xe9"}\n')
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
        "15: is not UTF-8",
    ]
    assert meanwhile[-2].startswith("14 orders checked")
    assert meanwhile[-1] == "13 of 14 orders are invalid. Nothing was written."
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
        b"3,alice,EUR,1,K\xe4se,1,1,\n"
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
        "9: is not UTF-8",
        "10: order_id: must not be empty",
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
        ("orders.csv", "", "orders.csv has no column order_id: the first line must name the columns"),
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


# All kinds of files ------------------------------------------------------------------------------------------------


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


# Never twice ---------------------------------------------------------------------------------------------------------


def test_second_import_changes_nothing(table: Table, run: Any, tmp_path: Path) -> None:
    ids = [str(each) for each in range(120)]
    path = write(tmp_path / "orders.jsonl", [order(each) for each in ids])
    status, said, _ = run(path)
    assert (status, counts(said)) == (0, summary(new=120))
    assert "120 orders in" in said
    assert table.holds(*ids)
    cancel(tables.Table(table.client, "OrdersTable"), "7", ADA, None)
    table.store.change("8", ADA, OrderPatch.model_validate({"customer_summary": {"city": "Oslo"}}), None)
    before = table.items()
    table.faults.calls.clear()
    status, said, _ = run(path)
    assert (status, counts(said)) == (0, summary(**{"already_there": 120}))
    # To notice it costs reads only.
    assert table.faults.calls == {"DescribeTable": 1, "BatchGetItem": 3}
    assert table.items() == before


def test_different_order_with_the_same_id_is_left_unchanged(table: Table, run: Any, tmp_path: Path) -> None:
    run(write(tmp_path / "first.jsonl", [order("7"), order("8")]))
    before = table.items()
    ids = [str(each) for each in range(60)]
    orders = [order(each, customer_id="bob" if each == "7" else "alice") for each in ids]
    status, said, meanwhile = run(write(tmp_path / "orders.jsonl", orders))
    assert (status, counts(said)) == (1, summary(new=58, already_there=1, conflicting=1))
    assert meanwhile[-1] == "order 7: a different order with this id exists; it was left unchanged"
    assert table.holds(*ids)
    assert {key: item for key, item in table.items().items() if key in before} == before


def test_order_created_between_read_and_write_stops_no_other(table: Table, run: Any, tmp_path: Path) -> None:
    def fault(operation: str, done: bool) -> None:
        if operation == "TransactWriteItems" and not done:
            table.faults.fault = lambda operation, done: None
            for other in (order("1"), order("2", customer_id="bob")):
                table.store.create(NewOrder.model_validate(other).order(datetime.now(UTC)))

    table.faults.fault = fault
    status, said, meanwhile = run(write(tmp_path / "orders.jsonl", [order(str(each)) for each in range(10)]))
    assert (status, counts(said)["conflicting"], counts(said)["not written"]) == (1, 1, 0)
    assert meanwhile[-1].startswith("order 2: a different order")
    assert table.holds(*map(str, range(10)))
    assert table.items()["2", "ORDER"]["customer_id"]["S"] == "bob"


def test_incomplete_order_is_not_overwritten(table: Table, run: Any, tmp_path: Path) -> None:
    item = {"pk": {"S": "ORDER#1"}, "sk": {"S": "ORDER"}, "made": {"S": "by hand"}}
    table.client.put_item(TableName="OrdersTable", Item=item)
    status, said, _ = run(write(tmp_path / "orders.jsonl", [order("1"), order("2")]))
    assert (status, counts(said)) == (1, summary(new=1, conflicting=1))
    assert table.items()["1", "ORDER"] == item


# Bad days ------------------------------------------------------------------------------------------------------------


@pytest.mark.faults
@pytest.mark.parametrize(
    ("code", "lost"),
    [("ThrottlingException", False), ("ProvisionedThroughputExceededException", False), ("InternalServerError", True)],
)
def test_import_retries_while_dynamodb_throttles(table: Table, run: Any, tmp_path: Path, code: str, lost: bool) -> None:
    asked: Counter[str] = Counter()

    def fault(operation: str, done: bool) -> str | None:
        if done is not lost or operation not in {"BatchGetItem", "TransactWriteItems"}:
            return None
        asked[operation] += 1
        return code if asked[operation] % 2 else None

    table.faults.fault = fault
    ids = [str(each) for each in range(200)]
    status, said, _ = run(write(tmp_path / "orders.jsonl", [order(each) for each in ids]))
    # What was written and not answered counts as new: it was not there when it was looked for.
    assert (status, counts(said)) == (0, summary(new=200))
    assert table.holds(*ids)


@pytest.mark.faults
def test_import_gives_up_and_the_same_command_continues(
    table: Table, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "GIVE_UP_AFTER", 0.2)
    written = 0

    def fault(operation: str, done: bool) -> str | None:
        nonlocal written
        if operation != "TransactWriteItems" or done:
            return None
        written += 1
        return "ThrottlingException" if written > 3 else None

    table.faults.fault = fault
    ids = [str(each) for each in range(1000)]
    path = write(tmp_path / "orders.jsonl", [order(each) for each in ids])
    status, said, meanwhile = run(path)
    assert (status, counts(said)) == (1, summary(new=150, not_written=850))
    assert meanwhile[-2:] == [
        "import: DynamoDB is throttling or does not respond.",
        "Stopped. Run the same command to continue.",
    ]
    table.faults.fault = lambda operation, done: None
    status, said, _ = run(path)
    assert (status, counts(said)) == (0, summary(new=850, already_there=150))
    assert table.holds(*ids)


def test_access_denied_stops_the_import_at_once(table: Table, run: Any, tmp_path: Path) -> None:
    table.faults.fault = lambda operation, done: (
        "AccessDeniedException" if operation == "TransactWriteItems" and not done else None
    )
    status, said, meanwhile = run(write(tmp_path / "orders.jsonl", [order("1")]))
    assert (status, counts(said)) == (1, summary(not_written=1))
    assert meanwhile[-2].endswith("AccessDeniedException: Not today.")


def test_file_changed_during_the_import_stops_it(table: Table, run: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "orders.jsonl", [order(str(each)) for each in range(1000)])

    def fault(operation: str, done: bool) -> None:
        if operation == "BatchGetItem":
            path.write_text("no order any more\n" * 100_000)

    table.faults.fault = fault
    status, said, meanwhile = run(path)
    assert status == 1
    assert counts(said)["not written"] > 0
    assert "has changed since it was checked" in meanwhile[-2]
    assert len(table.items()) == 2 * counts(said)["new"]


def test_unprocessed_keys_are_read_again(table: Table) -> None:
    orders = [NewOrder.model_validate(order(str(each))).order(datetime.now(UTC)) for each in range(10)]
    assert table.store.create_many(orders) == set()

    def leave_out(parsed: Any, **_: Any) -> None:
        found = parsed["Responses"]["OrdersTable"]
        left = [{name: item.pop(name) for name in ("pk",)} | {"sk": {"S": "ORDER#DETAIL"}} for item in found[3:]]
        del found[3:]
        parsed["UnprocessedKeys"] = {"OrdersTable": {"Keys": left}} if left else {}

    table.client.meta.events.register("after-call.dynamodb.BatchGetItem", leave_out)
    assert table.store.find_existing(orders) == {str(each): True for each in range(10)}
    assert table.faults.calls["BatchGetItem"] == 4

    def leave_out_all(parsed: Any, **_: Any) -> None:
        parsed["Responses"] = {}
        parsed["UnprocessedKeys"] = {"OrdersTable": {"Keys": [{}] * 10}}

    table.client.meta.events.register("after-call.dynamodb.BatchGetItem", leave_out_all)
    with pytest.raises(Unavailable):
        table.store.find_existing(orders)


def test_batches_are_as_large_as_dynamodb_accepts(monkeypatch: pytest.MonkeyPatch) -> None:
    line = order("1")["order_line_details"][0]

    def some(count: int, **more: Any) -> list[Order]:
        made = [NewOrder.model_validate(order(str(each), **more)) for each in range(count)]
        return [each.order(datetime.now(UTC)) for each in made]

    assert [len(batch) for batch in batches(some(120))] == [50, 50, 20]
    assert list(batches([])) == []
    large = some(12, order_line_details=[line | {"product_name": 300 * "é"} for _ in range(400)])
    sizes = [[order_size(each) for each in batch] for batch in batches(large)]
    assert sum(map(len, sizes)) == 12
    assert all(3_000_000 - 300_000 < sum(batch) <= 3_000_000 for batch in sizes[:-1])


# The command ---------------------------------------------------------------------------------------------------------


def start(table: Table, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    """Starts the command as a process."""
    return subprocess.Popen(
        [sys.executable, "-m", "importer", *arguments, "--table", "OrdersTable"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **emulator.environment({}, table.url)},
        text=True,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )


@pytest.mark.faults
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_import_can_be_stopped_at_any_moment(table: Table, tmp_path: Path, ending: signal.Signals) -> None:
    ids = [str(each) for each in range(800)]
    path = write(tmp_path / "orders.jsonl", [order(each) for each in ids])
    begun, enough, go_on = 0, threading.Event(), threading.Event()

    def fault(operation: str, done: bool) -> None:
        nonlocal begun
        if operation == "TransactWriteItems" and not done:
            begun += 1
            if begun > 5:
                enough.set()
                assert go_on.wait(60)

    table.faults.fault = fault
    with start(table, str(path)) as process:
        assert enough.wait(60)
        process.send_signal(ending)
        if ending == signal.SIGKILL:
            assert process.wait(10) == -ending
            # What was on its way arrives all the same.
            go_on.set()
        else:
            assert process.stderr
            told = iter(process.stderr.readline, "")
            assert any("Finishing the batches in progress" in line for line in told)
            go_on.set()
            said, meanwhile = process.communicate(timeout=60)
            assert process.returncode == 128 + ending
            written = counts(said)["new"]
            assert counts(said) == summary(new=written, not_written=800 - written)
            assert 250 <= written <= (5 + writing.WORKERS) * 50
            assert meanwhile.splitlines()[-1] == "Stopped. Run the same command to continue."
            assert len(table.items()) == 2 * written

    with start(table, str(path)) as process:
        said, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert counts(said)["new"] + counts(said)["already there"] == 800
    assert counts(said)["already there"] >= 250
    assert table.holds(*ids)


def test_import_can_be_stopped_during_validation(
    table: Table, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(path: Path) -> Iterator[reading.Entry]:
        for found in reading.read(path):
            os.kill(os.getpid(), signal.SIGINT)
            yield found

    monkeypatch.setattr(command, "read", read)
    status, _, meanwhile = run(write(tmp_path / "orders.jsonl", [order("1"), order("2")]))
    assert (status, meanwhile[-1]) == (130, "Stopped. Nothing was written.")
    assert table.holds()


@pytest.mark.slow
def test_progress_is_one_line_on_a_terminal(table: Table, tmp_path: Path) -> None:
    path = write(tmp_path / "orders.jsonl", [order(str(each)) for each in range(400)])

    def slow(operation: str, done: bool) -> None:
        time.sleep(0.1)

    table.faults.fault = slow
    screen, terminal = pty.openpty()
    with start(table, str(path), stderr=terminal) as process:
        os.close(terminal)
        process.communicate(timeout=60)
    shown = os.read(screen, 100_000).decode()
    os.close(screen)
    assert " of 400 orders done" in shown
    assert "to go\x1b[K\r" in shown
    assert shown.endswith("a second\x1b[K\r\n")
    assert shown.count("\n") == 2


@pytest.mark.gateway
def test_make_import_finds_the_running_gateway(tmp_path: Path) -> None:
    path = write(tmp_path / "orders.csv", [order("imported")])
    with gateway() as local:
        made = subprocess.run(
            ["make", "--no-print-directory", "import", f"FILE={path}", f"PORT={local.url.rpartition(':')[2]}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert f"Local gateway at {local.url}" in made.stderr
        assert f"Importing {path} into table OrdersTable at {local.aws}" in made.stdout
        assert counts(made.stdout) == summary(new=1)
        answer = local.call("GET", "/orders/imported")
    assert (answer.status, answer.json["grand_total"]) == (200, "26.75")


def test_import_without_a_running_gateway_says_how_to_start_one(tmp_path: Path) -> None:
    made = subprocess.run(
        ["make", "--no-print-directory", "import", f"FILE={tmp_path}/orders.csv", "PORT=1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 2
    assert made.stderr.startswith("orders: no local gateway is running on port 1")
    assert "start one with make run" in made.stderr


def test_production_import_loads_nothing_of_the_local_gateway() -> None:
    program = "import sys, importer.__main__; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert "orders.store" in loaded
    assert not {"local", "moto", "unittest.mock", "werkzeug"}.intersection(loaded)


def test_missing_file_argument_prints_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([]) == 2
    assert "make import FILE=orders.jsonl [TABLE=orders-prod]" in capsys.readouterr().out


def test_table_is_found_by_the_aws_environment(table: Table, run: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "orders.jsonl", [order("1")])
    status, said, _ = run(path, "--table", "OrdersTable")
    assert status == 0
    assert said.startswith(f"Importing {path} into table OrdersTable at {table.url} (account 123456789012).")
    assert run(path, "--table", "other")[::2] == (
        1,
        [f"import: table other at {table.url} does not exist: check the name, AWS_REGION and AWS_PROFILE"],
    )


@pytest.mark.parametrize(
    ("arguments", "environment", "says"),
    [
        (
            ["--table", "orders"],
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_REGION": "eu-north-1", **CREDENTIALS},
            "DynamoDB does not respond for table orders at http://127.0.0.1:9",
        ),
        (["--table", "orders"], {}, "cannot connect to table orders: You must specify a region. Set AWS_REGION or"),
        (
            ["--table", "orders"],
            {"AWS_REGION": "eu-north-1"},
            "eu-north-1.amazonaws.com: Unable to locate credentials.",
        ),
        (
            ["--table", "orders"],
            {"AWS_PROFILE": "prod"},
            "The config profile (prod) could not be found. Set AWS_REGION",
        ),
    ],
)
def test_connection_errors_say_what_to_do(
    monkeypatch: pytest.MonkeyPatch, run: Any, tmp_path: Path, arguments: list[str], environment: Any, says: str
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true", **environment}.items():
        monkeypatch.setenv(name, value)
    status, _, meanwhile = run(write(tmp_path / "orders.jsonl", [order("1")]), *arguments)
    assert (status, len(meanwhile)) == (1, 1)
    assert says in meanwhile[0]
