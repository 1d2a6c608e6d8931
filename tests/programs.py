"""Runs other programs for tests, which are left out where the machine lacks something."""

import fcntl
import hashlib
import shutil
import signal
import socket
import subprocess
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


def locked_environment(lock: Path, folder: Path, base: str, what: str) -> Path:
    """Returns the interpreter of a virtual environment with the packages of a lock, which it installs once.

    Args:
        lock: The packages, with hashes.
        folder: Where the environment is kept. One for an earlier lock is removed.
        base: The interpreter to make it with.
        what: What is installed, for people.
    """
    home = folder / f"venv-{hashlib.sha256(lock.read_bytes() + base.encode()).hexdigest()[:12]}"
    python = home / "bin/python"
    with lock.open() as file:
        # Another run may be installing it.
        fcntl.flock(file, fcntl.LOCK_EX)
        if not (home / "complete").exists():
            print(f"Installing {what} …", flush=True)
            for outdated in folder.glob("venv-*"):
                shutil.rmtree(outdated)
            subprocess.run([base, "-m", "venv", home], check=True)
            options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "--require-hashes")
            subprocess.run([python, "-m", "pip", "install", *options, "-r", lock], check=True)
            (home / "complete").touch()
    return python


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
