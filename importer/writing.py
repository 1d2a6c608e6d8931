"""Writes orders in batches, several at once, and waits as long as it takes when the table cannot keep up."""

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
"""Batches that are on their way at once."""

PATIENCE = 120.0
"""Seconds that one batch is tried again when DynamoDB throttles or does not answer, before the import gives up."""

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
"""Seconds between two tries: twice as long each time, and anything between half and all of it, so that batches which
were throttled together do not come back together."""

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Stopped(Exception):
    """The import ends before this was done."""


@dataclass
class Tally:
    """What became of the orders. What is in none of these is not known to be there."""

    new: int = 0
    there: int = 0
    taken: list[str] = field(default_factory=list)

    @property
    def done(self) -> int:
        """How many orders are settled."""
        return self.new + self.there + len(self.taken)

    def add(self, more: "Tally") -> None:
        """Counts others in."""
        self.new += more.new
        self.there += more.there
        self.taken += more.taken


def write(store: BulkStore, orders: Iterable[Order], stop: Event, tally: Tally, tick: Callable[[], None]) -> None:
    """Writes orders, those that are not there yet. Once `stop` is set, only what has begun is ended.

    Args:
        store: Where to.
        orders: Which orders. No id comes twice.
        stop: Ends it early.
        tally: Is kept up to date.
        tick: Is called when it has changed.

    Raises:
        Unavailable, StillRunning: A batch had to be given up.
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
        tick()

    with ThreadPoolExecutor(WORKERS) as pool:
        try:
            for batch in batches(orders):
                if stop.is_set():
                    break
                running.add(pool.submit(_bring, store, batch, stop))
                # One batch for each worker lies ready, so that none of them waits for the file.
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


def _bring(store: BulkStore, orders: list[Order], stop: Event) -> Tally:
    # To look first costs little, and nothing is written where nothing is to be written.
    known = _patiently(stop, store.find_existing, orders)
    missing = [order for order in orders if order.order_id not in known]
    taken = [order_id for order_id, same in known.items() if not same]
    if missing:
        taken += _patiently(stop, store.create_many, missing)
    there = sum(known.values())
    return Tally(new=len(orders) - there - len(taken), there=there, taken=taken)


def _patiently(stop: Event, call: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
    """Does something until it succeeds.

    Raises:
        Stopped: It was told to stop between two tries.
        Unavailable, StillRunning: It took too long.
    """
    end = time.monotonic() + PATIENCE
    pause = FIRST_PAUSE
    while not stop.is_set():
        try:
            return call(*args, **kwargs)
        except (Unavailable, StillRunning):
            if time.monotonic() > end:
                raise
        stop.wait(random.uniform(pause / 2, pause))
        pause = min(2 * pause, LONGEST_PAUSE)
    raise Stopped
