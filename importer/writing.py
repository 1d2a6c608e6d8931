"""Writes orders in concurrent batches, and retries for as long as DynamoDB throttles."""

import random
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from threading import Event
from typing import ParamSpec, TypeVar

from orders.bulk import BulkStore, batches
from orders.errors import StillRunning, Unavailable
from orders.models import Order

WORKERS = 8
"""Batches that are written concurrently."""

GIVE_UP_AFTER = 120.0
"""Seconds for which a batch is retried when DynamoDB throttles or does not respond."""

FIRST_DELAY, MAX_DELAY = 0.1, 10.0
"""Seconds between two attempts. The delay doubles each time, with jitter, so that batches which were throttled together
are not retried together."""

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Stopped(Exception):
    """The import was stopped before this batch was written."""


@dataclass
class Tally:
    """The number of orders by outcome. The outcome of an order that is not counted is unknown."""

    new: int = 0
    existing: int = 0
    conflicts: list[str] = field(default_factory=list)

    @property
    def done(self) -> int:
        """The number of orders with a known outcome."""
        return self.new + self.existing + len(self.conflicts)

    def add(self, other: "Tally") -> None:
        """Adds the counts of another tally."""
        self.new += other.new
        self.existing += other.existing
        self.conflicts += other.conflicts


def write(
    store: BulkStore, orders: Iterable[Order], stop: Event, tally: Tally, on_progress: Callable[[], None]
) -> None:
    """Writes the orders that do not exist yet. Once `stop` is set, only the batches in progress are finished.

    Args:
        store: The store to write to.
        orders: The orders, each id once.
        stop: Ends the import early.
        tally: Is updated as batches finish.
        on_progress: Is called after each update.

    Raises:
        Unavailable, StillRunning: A batch could not be written in time.
    """
    running: set[Future[Tally]] = set()
    failed: list[BaseException] = []

    def settle() -> None:
        for ended in wait(running, return_when=FIRST_COMPLETED).done:
            running.remove(ended)
            error = ended.exception()
            if error is None:
                tally.add(ended.result())
            elif not isinstance(error, Stopped):
                failed.append(error)
                stop.set()
        on_progress()

    with ThreadPoolExecutor(WORKERS) as pool:
        try:
            for batch in batches(orders):
                if stop.is_set():
                    break
                running.add(pool.submit(_write_batch, store, batch, stop))
                # Each worker has one more batch waiting, so that no worker waits for the file.
                if len(running) == 2 * WORKERS:
                    settle()
        except BaseException:
            stop.set()
            raise
        finally:
            while running:
                settle()
    if failed:
        raise failed[0]


def _write_batch(store: BulkStore, orders: list[Order], stop: Event) -> Tally:
    # Reading first costs little and avoids writes that would fail.
    known = _retry(stop, store.find_existing, orders)
    missing = [order for order in orders if order.order_id not in known]
    conflicts = [order_id for order_id, same in known.items() if not same]
    if missing:
        conflicts += _retry(stop, store.create_many, missing)
    existing = sum(known.values())
    return Tally(new=len(orders) - existing - len(conflicts), existing=existing, conflicts=conflicts)


def _retry(stop: Event, call: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
    """Repeats a call until it succeeds.

    Raises:
        Stopped: The import was stopped between two attempts.
        Unavailable, StillRunning: The call did not succeed in time.
    """
    end = time.monotonic() + GIVE_UP_AFTER
    delay = FIRST_DELAY
    while not stop.is_set():
        try:
            return call(*args, **kwargs)
        except (Unavailable, StillRunning):
            if time.monotonic() > end:
                raise
        stop.wait(random.uniform(delay / 2, delay))
        delay = min(2 * delay, MAX_DELAY)
    raise Stopped
