"""What is made once for a function, and when.

Lambda lends a function a whole processor while it starts, and later the share that its memory buys: so what every
request needs is made while it starts. With SnapStart, that is not yet a process that answers, but a snapshot that many
go on from. There it is made once each of them has begun: no connection, no credentials and no random number of one is
ever in another.
"""

import os
import random
from collections.abc import Callable
from functools import _lru_cache_wrapper, cache
from typing import TypeVar

_T = TypeVar("_T")

START = os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE")
"""How Lambda starts this process; None if it is not Lambda.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
"""

if START == "snap-start":
    # Here, because Lambda alone has it, and no other start needs it.
    from snapshot_restore_py import register_after_restore

    # botocore draws from it how long to wait before it tries again. All copies would draw the same lots.
    register_after_restore(random.seed)


def once(make: Callable[[], _T]) -> "_lru_cache_wrapper[_T]":
    """Has a function make what it makes once: while Lambda starts, after a restore, elsewhere at its first use."""
    made = cache(make)
    if START == "snap-start":
        register_after_restore(made)
    elif START:
        made()
    return made
