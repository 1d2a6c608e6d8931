"""The command line: `python -m importer orders.jsonl --table orders-prod`."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, cast

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NotReachable
from botocore.session import Session

from local import ROOT, Mistake, emulator

# The models and the store are in the layer.
sys.path.append(str(ROOT / "shared"))

from importer.reading import SUFFIXES, complaint, read
from importer.writing import WORKERS, Tally, write
from orders.bulk import BulkStore
from orders.errors import DomainError, Invalid, StillRunning, TooLarge, Unavailable
from orders.models import Order
from orders.table import Table

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

LOCAL_TABLE = "OrdersTable"
"""What the local gateway calls its table."""

IMPORTER = "import"
"""Who is on record as having brought the orders."""

SHOWN = 50
"""How many mistakes of a file are named. Whoever has more has made one of them many times."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the import and tells its exit status: 0 if all orders are there afterwards."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace", line_buffering=True)  # type: ignore[union-attr]
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.file is None:
        parser.print_help()
        return 2
    try:
        with _Ending() as ending:
            return _run(options.file, options.table, ending)
    except Mistake as mistake:
        print(f"import: {mistake}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m importer",
        usage="make import FILE=orders.jsonl [TABLE=orders-prod]\n       python -m importer FILE [--table TABLE]",
        description="Brings the orders of a file into a table. Every order is checked before the first one is written. "
        "Orders that are there already are left as they are, so the same command goes on where it was stopped.",
        epilog="Environment: AWS_PROFILE, AWS_REGION and all else that AWS's own tools read; without a table HOST and "
        "AWS_PORT (4566) of the local gateway, or the AWS_ENDPOINT_URL that it was started with.",
    )
    parser.add_argument("file", nargs="?", metavar="FILE", type=Path, help=f"ends in {', '.join(SUFFIXES)}")
    parser.add_argument("--table", help="the table's name; without it, the local gateway's (make run)")
    return parser


class _Ending(Event):
    """Is set by Ctrl-C and SIGTERM. The same signal once more ends everything at once, which does no harm either."""

    def __init__(self) -> None:
        super().__init__()
        self.signal = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "_Ending":
        self._before = {number: signal.signal(number, self._end) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _end(self, number: int, _: object) -> None:
        self.signal = number
        self.set()
        signal.signal(number, signal.SIG_DFL)
        # Not print: it may be what was interrupted.
        os.write(2, b"\nEnding what has begun ...\n")


def _run(path: Path, table: str | None, ending: _Ending) -> int:
    client, table, where = _connect(table, os.environ)
    print(f"{path} goes into {where}.")
    store = BulkStore(Table(client, table))
    total = _check(path, store, ending)
    if total is None:
        return 128 + ending.signal if ending.signal else 1

    tally = Tally()
    progress = _Progress("done", total)
    failure: str | None = None
    try:
        write(store, _orders(path, store), ending, tally, lambda: progress.show(tally.done))
    except (Unavailable, StillRunning):
        failure = "DynamoDB throttles, or does not answer."
    except DomainError as problem:
        failure = str(_mistake(problem.__cause__ or problem, table, where))
    except (BotoCoreError, Mistake) as error:
        failure = str(_mistake(error, table, where))
    seconds = progress.end(tally.done)
    for order_id in tally.taken[:SHOWN]:
        print(f"order {order_id}: there is another order with this id; it was left as it is", file=sys.stderr)
    _say_more(len(tally.taken))
    for name, count in {
        "read": total,
        "new": tally.new,
        "already there": tally.there,
        "conflicting": len(tally.taken),
        "not written": total - tally.done,
    }.items():
        print(f"{name:<13} {count:>11,}")
    print(f"{tally.done:,} orders in {seconds:.1f} s, {_rate(tally.done, seconds)}")
    if failure:
        print(f"import: {failure}", file=sys.stderr)
    if tally.done < total:
        print("Stopped. The same command goes on from here.", file=sys.stderr)
    if tally.done < total and ending.signal:
        return 128 + ending.signal
    return 0 if tally.new + tally.there == total else 1


def _connect(table: str | None, given: Mapping[str, str]) -> tuple["DynamoDBClient", str, str]:
    """The client for a table, its name, and where that is.

    Raises:
        Mistake: There is no such table there, or no way to it.
    """
    # Each call is repeated by the import, which knows for how long.
    once = Config(
        connect_timeout=5,
        read_timeout=30,
        max_pool_connections=WORKERS,
        retries={"mode": "standard", "total_max_attempts": 1},
        # What runs on this machine is not behind a proxy.
        proxies=None if table else {},
    )
    where = f"table {table}"
    try:
        # Botocore alone of AWS's tools does not read AWS_REGION.
        place = {"region_name": given.get("AWS_REGION")} if table else _local(given)
        made = Session().create_client("dynamodb", config=once, **place)
        client = cast("DynamoDBClient", made)
        where = f"table {table or LOCAL_TABLE} at {client.meta.endpoint_url}"
        found = client.describe_table(TableName=table or LOCAL_TABLE)["Table"]
    except (BotoCoreError, ClientError, ValueError) as error:
        raise _mistake(error, table, where) from error
    account = found["TableArn"].split(":")[4]
    return client, found["TableName"], f"{where} (account {account})" if table else f"the local gateway: {where}"


def _local(given: Mapping[str, str]) -> dict[str, Any]:
    """Where the local gateway has its table, and made-up credentials: no real account takes them."""
    moto = f"http://{given.get('HOST') or '127.0.0.1'}:{given.get('AWS_PORT') or 4566}"
    return {
        "endpoint_url": given.get("AWS_ENDPOINT_URL_DYNAMODB") or given.get("AWS_ENDPOINT_URL") or moto,
        "region_name": emulator.region(given),
        "aws_access_key_id": "local",
        "aws_secret_access_key": "local",
    }


def _mistake(error: BaseException, table: str | None, where: str) -> Mistake:
    """What went wrong with DynamoDB, and what to do."""
    if isinstance(error, Mistake):
        return error
    if isinstance(error, NotReachable | HTTPClientError):
        return Mistake(f"DynamoDB does not answer for {where}" + ("" if table else ": start the gateway with make run"))
    if isinstance(error, ClientError):
        code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
        if code == "ResourceNotFoundException":
            return Mistake(
                f"there is no {where}"
                + (": look at the name, AWS_REGION and AWS_PROFILE" if table else ": start the gateway with make run")
            )
        return Mistake(f"DynamoDB refuses {where}: {code}: {message}")
    if isinstance(error, BotoCoreError):
        return Mistake(
            f"no way to {where}: {str(error).rstrip('.')}. Set AWS_REGION or AWS_PROFILE, or log in with the AWS CLI"
        )
    return Mistake(f"no way to {where}: {error}")


def _check(path: Path, store: BulkStore, ending: _Ending) -> int | None:
    """Looks at every order, and says what is wrong.

    Returns:
        How many orders there are. None if anything is wrong, or if it was stopped.
    """
    progress = _Progress("checked")
    read = wrong = said = 0
    for complaints in _complaints(path, store):
        if ending.is_set():
            progress.end(read)
            print("Stopped. Nothing was written.", file=sys.stderr)
            return None
        read += 1
        wrong += bool(complaints)
        for text in complaints:
            said += 1
            if said <= SHOWN:
                progress.pause()
                print(text, file=sys.stderr)
        progress.show(read)
    progress.end(read)
    _say_more(said)
    if wrong:
        print(f"{wrong:,} of {read:,} orders are wrong. Nothing was written.", file=sys.stderr)
        return None
    return read


def _complaints(path: Path, store: BulkStore) -> Iterator[Sequence[str]]:
    """What is wrong with each order of a file."""
    places: dict[str, str] = {}
    for found in read(path):
        wrong = []
        if found.order_id and (first := places.setdefault(found.order_id, found.place)) != found.place:
            wrong.append(complaint(found.place, found.order_id, "order_id", f"is already in {first}"))
        wrong += found.wrong
        try:
            if found.order:
                store.check(found.order.order(store.now(), IMPORTER))
        except Invalid as error:
            for each in error.facts["errors"]:
                wrong.append(complaint(found.place, found.order_id, each["field"], each["message"]))
        except TooLarge as error:
            wrong.append(complaint(found.place, found.order_id, "", error.detail))
        yield wrong


def _orders(path: Path, store: BulkStore) -> Iterator[Order]:
    for found in read(path):
        if found.order is None:
            raise Mistake(f"{found.place} has changed since it was checked")
        yield found.order.order(store.now(), IMPORTER)


class _Progress:
    """A line on standard error: always the same one on a terminal, else a new one now and then."""

    def __init__(self, what: str, total: int | None = None) -> None:
        self._what = what
        self._total = total
        self._terminal = sys.stderr.isatty()
        self._began = self._shown = time.monotonic()

    def show(self, count: int) -> None:
        """Says how far it is, if that is due."""
        now = time.monotonic()
        if now - self._shown >= (0.2 if self._terminal else 5):
            self._shown = now
            self._write(count, now - self._began)

    def pause(self) -> None:
        """Makes room for another line."""
        if self._terminal:
            sys.stderr.write("\r\033[K")

    def end(self, count: int) -> float:
        """Says how far it came, and returns how many seconds it took."""
        seconds = time.monotonic() - self._began
        self._write(count, seconds)
        if self._terminal:
            sys.stderr.write("\n")
        return seconds

    def _write(self, count: int, seconds: float) -> None:
        text = f"{count:,} orders {self._what}, {_rate(count, seconds)}"
        if self._total and 0 < count < self._total:
            left = round(seconds / count * (self._total - count))
            text = f"{count:,} of {self._total:,} orders {self._what}, {_rate(count, seconds)}, "
            text += f"{left // 60}:{left % 60:02} to go"
        sys.stderr.write(f"\r{text}\033[K" if self._terminal else f"{text}\n")
        sys.stderr.flush()


def _rate(count: int, seconds: float) -> str:
    return f"{count / max(seconds, 0.001):,.0f} a second"


def _say_more(count: int) -> None:
    if count > SHOWN:
        print(f"and {count - SHOWN:,} more", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
