"""Start-up of a function: everything that importing `orders` changes in the process, and what is created early.

Lambda gives a function a full processor while it starts, and later the share that its memory setting pays for. So
whatever every request needs is created during start-up. With SnapStart, start-up ends in a snapshot from which many
processes are restored. There it is created after each restore, so that no two processes share connections,
credentials or random numbers.
"""

import gc
import os
import random
from collections.abc import Callable
from functools import _lru_cache_wrapper, cache
from typing import TypeVar

from orders import lazy

_T = TypeVar("_T")

START = os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE")
"""How Lambda starts this process; None outside Lambda.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
"""

_THRESHOLDS = gc.get_threshold()

if START == "snap-start":
    # Only Lambda provides this module, and only for SnapStart.
    from snapshot_restore_py import register_after_restore

    # botocore draws its retry delays from it: every restored copy would share the random seed.
    register_after_restore(random.seed)


def prepare() -> None:
    """Makes the imports that follow faster. `orders` calls this before anything else is imported."""
    # Imported modules stay, so collecting garbage every 2,000 objects finds nothing and costs a tenth of a cold start.
    # `finish` restores the thresholds. Functions that do not call it allocate too little to need that.
    gc.set_threshold(100_000)
    # There are no plugins. To find that out, pydantic would search all installed packages.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    if START:
        lazy.postpone()


def finish() -> None:
    """Excludes everything that was imported from garbage collection, and makes it collect as usual from now on."""
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)


def once(create: Callable[[], _T]) -> "_lru_cache_wrapper[_T]":
    """Caches the result of a function, and calls it during start-up or after a restore; outside Lambda on first use."""
    cached = cache(create)
    if START == "snap-start":
        register_after_restore(cached)
    elif START:
        cached()
    return cached
