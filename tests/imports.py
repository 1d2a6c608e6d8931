"""Orders, files and a table for the tests of the importer."""

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from importer import own
from local import emulator
from orders import table as tables
from orders.bulk import BulkStore

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


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
    writer = csv.DictWriter(text, own.COLUMNS, delimiter=delimiter)
    writer.writeheader()
    for each in orders:
        whole = {name: value for name, value in each.items() if name != "order_line_details"}
        for position, line in enumerate(each["order_line_details"]):
            said = flat(whole) if position == 0 else {"order_id": each["order_id"]}
            writer.writerow(said | flat(line, "line."))
    return text.getvalue()


def counts(said: str) -> dict[str, int]:
    """Returns the counts of the summary."""
    lines = [line.rsplit(maxsplit=1) for line in said.splitlines()[-7:-1]]
    return {name: int(count.replace(",", "")) for name, count in lines}


def summary(**counted: int) -> dict[str, int]:
    names = ("new", "already there", "conflicting", "refused", "not written")
    expected = {"read": sum(counted.values()), **dict.fromkeys(names, 0)}
    return expected | {name.replace("_", " "): count for name, count in counted.items()}
