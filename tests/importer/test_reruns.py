"""`make import` writes nothing twice, and continues after any interruption."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from imports import Table, counts, order, summary, write

from importer import writing
from orders import table as tables
from orders.bulk import batches
from orders.cancellation import cancel
from orders.errors import Unavailable
from orders.identity import Caller, Role
from orders.models import Order
from orders.requests import NewOrder, OrderPatch
from orders.store import order_size

ADA = Caller(id="ada", name="Ada Admin", role=Role.ADMIN)


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
