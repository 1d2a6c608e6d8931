"""Runs other programs for tests, which are left out where the machine lacks something."""

import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

UNAVAILABLE = 69
"""`EX_UNAVAILABLE` in sysexits.h: the exit status of what was left out."""

# Runs a command until our end of the pipe closes, which it does even if this process is killed.
GUARDED = ("sh", "-c", 'exec 3<&0; { read -r _ <&3; kill $$; } & exec "$@" 3<&- </dev/null', "sh")


class Missing(Exception):
    """Something that a program needs is missing. The message says what, and what to do."""


def free_port() -> int:
    """Returns a port of 127.0.0.1 that was free just now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def run_or_leave_out(what: str, run: Callable[[], int]) -> int:
    """Runs a function. Returns its exit status, or `UNAVAILABLE` after saying what is missing."""
    # So that context managers are closed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        return run()
    except Missing as missing:
        print(f"{what} were left out: {missing}", file=sys.stderr)
        return UNAVAILABLE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
