"""Lets the other commands find the running gateways.

A gateway describes itself in a file, which it keeps locked until its process ends, however it ends. An unlocked file
was left behind by a gateway that was killed.
"""

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from local import UsageError
from local.template import Jwt

FOLDER = "gateways"


@dataclass(frozen=True)
class RunningGateway:
    """A running gateway.

    Attributes:
        url: The address of the API.
        port: The port of the API.
        table: The name of the table with the orders.
        environment: The environment variables that make a program use the gateway's emulated AWS.
        jwt: What the API requires of a token, if any route requires one.
    """

    url: str
    port: int
    table: str
    environment: Mapping[str, str]
    jwt: Jwt | None


@contextmanager
def announce(state: Path, gateway: RunningGateway) -> Iterator[None]:
    """Makes a gateway known to the other commands for as long as the context lasts."""
    folder = state / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{os.getpid()}.json"
    # The file gets its name once it is locked and complete: until then, another command could take it for a leftover.
    with tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        json.dump(asdict(gateway), file)
        file.flush()
        os.replace(file.name, path)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def running(state: Path) -> list[RunningGateway]:
    """Returns the running gateways, the most recently started one first."""
    found = []
    for path in (state / FOLDER).glob("*.json"):
        try:
            with path.open() as file:
                if _locked(file.fileno()):
                    found.append((os.fstat(file.fileno()).st_mtime, _read(file.read())))
                else:
                    path.unlink(missing_ok=True)
        except FileNotFoundError:
            continue
    return [gateway for _, gateway in sorted(found, key=lambda each: each[0], reverse=True)]


def choose(gateways: Sequence[RunningGateway], port: str | None) -> RunningGateway:
    """Returns the gateway on a port, or the only one if no port is given.

    Raises:
        UsageError: There is no such gateway, or there are several.
    """
    fitting = [gateway for gateway in gateways if not port or str(gateway.port) == port]
    if not fitting:
        where = f" on port {port}" if port else ""
        others = f" (running: {_ports(gateways)})" if gateways else ""
        raise UsageError(f"no local gateway is running{where}{others}: start one with make run")
    if len(fitting) > 1:
        raise UsageError(f"several local gateways are running: choose one with {_ports(fitting)}")
    return fitting[0]


def _ports(gateways: Sequence[RunningGateway]) -> str:
    return " or ".join(f"PORT={gateway.port}" for gateway in gateways)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _read(text: str) -> RunningGateway:
    fields = json.loads(text)
    jwt = fields.pop("jwt")
    return RunningGateway(**fields, jwt=Jwt(jwt["issuer"], tuple(jwt["audience"])) if jwt else None)
