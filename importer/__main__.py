"""The command line: `python -m importer orders.jsonl --table orders-prod`."""

import argparse
import os
import signal
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, cast

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NotReachable
from botocore.session import Session

# The models and the store are in the layer.
sys.path.append(str(Path(__file__).resolve().parents[1] / "shared"))

from importer import ImportFailed
from importer.fields import LeftOut
from importer.files import SUFFIXES
from importer.progress import Progress, rate
from importer.reading import SHOPS, Entry, Shop, detect, format_error, read
from importer.writing import WORKERS, Tally, write
from orders.bulk import BulkStore
from orders.errors import DomainError, Invalid, StillRunning, TooLarge, Unavailable
from orders.models import Order
from orders.table import Table

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

IMPORTER = "import"
"""The author of imported orders in their history."""

SHOWN = 50
"""Errors that are printed. A file with more of them usually repeats the same one."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the import and returns its exit status: 0 if the table holds every order afterwards."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace", line_buffering=True)  # type: ignore[union-attr]
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.file is None or options.table is None:
        parser.print_help()
        return 2
    try:
        with _StopSignal() as stop:
            return _run(options.file, detect(options.file, options.format), options.table, stop)
    except ImportFailed as failure:
        print(f"import: {failure}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m importer",
        usage="make import FILE=orders.jsonl [FORMAT=shopify] [TABLE=orders-prod]\n"
        "       python -m importer FILE [--format FORMAT] --table TABLE",
        description="Imports the orders of a file into a DynamoDB table. Every order is validated before the first one "
        "is written. Existing orders are left unchanged, so an interrupted import continues when the same command is "
        "run again. Without TABLE, `make import` writes to the running local gateway.",
        epilog="Environment: AWS_PROFILE, AWS_REGION and the other variables that the AWS CLI reads.",
    )
    parser.add_argument("file", nargs="?", metavar="FILE", type=Path, help=f"a file ending in {', '.join(SUFFIXES)}")
    parser.add_argument(
        "--format",
        choices=SHOPS,
        help="the shop system that exported the file; by default it is recognised, or else the file has the format in "
        "docs/import.md",
    )
    parser.add_argument("--table", help="the name of the table")
    return parser


class _StopSignal(Event):
    """Is set by Ctrl-C and SIGTERM. A second signal ends the process at once, which is safe as well."""

    def __init__(self) -> None:
        super().__init__()
        self.signal = 0
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "_StopSignal":
        self._previous = {number: signal.signal(number, self._receive) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _receive(self, number: int, _: object) -> None:
        self.signal = number
        self.set()
        signal.signal(number, signal.SIG_DFL)
        # Not print: the signal may have interrupted one.
        os.write(2, b"\nFinishing the batches in progress ...\n")


def _run(path: Path, shop: Shop | None, table: str, stop: _StopSignal) -> int:
    client, where = _connect(table)
    print(f"Importing {path}{f', {shop.title},' if shop else ''} into {where}.")
    store = BulkStore(Table(client, table))
    checked = _validate(path, shop, store, stop)
    if checked is None:
        return 128 + stop.signal if stop.signal else 1

    valid = checked.count - len(checked.refused)
    tally = Tally()
    progress = Progress("done", valid)
    failure: str | None = None
    try:
        write(store, _orders(path, shop, store, checked.refused), stop, tally, lambda: progress.show(tally.done))
    except (Unavailable, StillRunning):
        failure = "DynamoDB is throttling or does not respond."
    except DomainError as error:
        failure = str(_explain(error.__cause__ or error, where))
    except (BotoCoreError, ImportFailed) as error:
        failure = str(_explain(error, where))
    seconds = progress.end(tally.done)
    for order_id in tally.conflicts[:SHOWN]:
        print(f"order {order_id}: a different order with this id exists; it was left unchanged", file=sys.stderr)
    _print_omitted(len(tally.conflicts))
    for line in checked.left_out.report():
        print(line)
    for name, count in {
        "read": checked.count,
        "new": tally.new,
        "already there": tally.existing,
        "conflicting": len(tally.conflicts),
        "refused": len(checked.refused),
        "not written": valid - tally.done,
    }.items():
        print(f"{name:<13} {count:>11,}")
    print(f"{tally.done:,} orders in {seconds:.1f} s, {rate(tally.done, seconds)}")
    if failure:
        print(f"import: {failure}", file=sys.stderr)
    if tally.done < valid:
        print("Stopped. Run the same command to continue.", file=sys.stderr)
    if tally.done < valid and stop.signal:
        return 128 + stop.signal
    return 0 if tally.new + tally.existing == checked.count else 1


def _connect(table: str) -> tuple["DynamoDBClient", str]:
    """Returns a client for a table, and a text that says where the table is.

    Raises:
        ImportFailed: The table does not exist or cannot be reached.
    """
    # The import itself retries each call, because it knows for how long.
    config = Config(
        connect_timeout=5,
        read_timeout=30,
        max_pool_connections=WORKERS,
        retries={"mode": "standard", "total_max_attempts": 1},
    )
    where = f"table {table}"
    try:
        # Unlike the other AWS tools, botocore does not read AWS_REGION.
        made = Session().create_client("dynamodb", config=config, region_name=os.environ.get("AWS_REGION"))
        client = cast("DynamoDBClient", made)
        where = f"table {table} at {client.meta.endpoint_url}"
        found = client.describe_table(TableName=table)["Table"]
    except (BotoCoreError, ClientError, ValueError) as error:
        raise _explain(error, where) from error
    account = found["TableArn"].split(":")[4]
    return client, f"{where} (account {account})"


def _explain(error: BaseException, where: str) -> ImportFailed:
    """Turns an error of a DynamoDB call into one that says what to do."""
    match error:
        case ImportFailed():
            return error
        case NotReachable() | HTTPClientError():
            return ImportFailed(f"DynamoDB does not respond for {where}")
        case ClientError():
            code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
            if code == "ResourceNotFoundException":
                return ImportFailed(f"{where} does not exist: check the name, AWS_REGION and AWS_PROFILE")
            return ImportFailed(f"DynamoDB rejected the request for {where}: {code}: {message}")
        case BotoCoreError():
            text = str(error).rstrip(".")
            return ImportFailed(
                f"cannot connect to {where}: {text}. Set AWS_REGION or AWS_PROFILE, or log in with the AWS CLI"
            )
    return ImportFailed(f"cannot connect to {where}: {error}")


@dataclass
class _Checked:
    """The orders of a file after validation: how many, the places of those that are refused, and what is left out."""

    count: int = 0
    refused: set[int] = field(default_factory=set)
    left_out: LeftOut = field(default_factory=LeftOut)


def _validate(path: Path, shop: Shop | None, store: BulkStore, stop: _StopSignal) -> _Checked | None:
    """Validates every order and prints the errors.

    Returns:
        The orders. None if there is none to import, if the user stopped, or if an order is invalid whose format the
        user can correct: not that of a shop (docs/decisions/0116-refuse-orders-of-a-shop-one-by-one.md).
    """
    progress = Progress("checked")
    checked = _Checked()
    error_count = 0
    for entry, errors in _entries(path, shop, store):
        if stop.is_set():
            progress.end(checked.count)
            print("Stopped. Nothing was written.", file=sys.stderr)
            return None
        if errors:
            checked.refused.add(checked.count)
        elif entry.fields:
            checked.left_out.add(entry.fields)
        checked.count += 1
        for text in errors:
            error_count += 1
            if error_count <= SHOWN:
                progress.pause()
                print(text, file=sys.stderr)
        progress.show(checked.count)
    progress.end(checked.count)
    _print_omitted(error_count)
    count, refused = checked.count, len(checked.refused)
    if count == 0:
        print(f"{path.name} has no orders. Nothing was written.", file=sys.stderr)
    elif refused and (shop is None or refused == count):
        print(f"{refused:,} of {count:,} orders are invalid. Nothing was written.", file=sys.stderr)
    else:
        if refused:
            print(f"{refused:,} of {count:,} orders cannot be imported; the others are.", file=sys.stderr)
        return checked
    return None


def _entries(path: Path, shop: Shop | None, store: BulkStore) -> Iterator[tuple[Entry, Sequence[str]]]:
    """Yields each entry of a file with its errors."""
    places: dict[str, str] = {}
    for entry in read(path, shop):
        errors = []
        if entry.order_id and (first := places.setdefault(entry.order_id, entry.place)) != entry.place:
            errors.append(format_error(entry.place, entry.order_id, "order_id", f"is already in {first}"))
        errors += entry.errors
        try:
            if entry.order:
                store.check(entry.order.order(store.now(), IMPORTER))
        except Invalid as error:
            for each in error.facts["errors"]:
                errors.append(format_error(entry.place, entry.order_id, each["field"], each["message"]))
        except TooLarge as error:
            errors.append(format_error(entry.place, entry.order_id, "", error.detail))
        yield entry, errors


def _orders(path: Path, shop: Shop | None, store: BulkStore, refused: Collection[int]) -> Iterator[Order]:
    for number, entry in enumerate(read(path, shop)):
        if number in refused:
            continue
        if entry.order is None:
            raise ImportFailed(f"{entry.place} has changed since it was checked")
        yield entry.order.order(store.now(), IMPORTER)


def _print_omitted(count: int) -> None:
    if count > SHOWN:
        print(f"and {count - SHOWN:,} more", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
