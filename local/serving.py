"""`make run`: starts everything in order and serves the API."""

import logging
import os
import platform
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

from local import ROOT, STATE, UsageError, emulator, running, screen, server
from local.gateway import Gateway
from local.outbox import Outbox
from local.pages import Pages
from local.running import RunningGateway
from local.ses_events import SesEvents
from local.streams import Streams
from local.template import Jwt, Template
from local.tokens import SigningKey, claims_for
from local.workers import LambdaRuntime, LocalRuntime, Runtime

OPENAPI = ROOT / "openapi.json"
ORDERS = ROOT / "local" / "orders.json"

CALLERS: Mapping[str, dict[str, Any]] = {
    "alice": {"sub": "alice"},
    "bob": {"sub": "bob"},
    "admin": {"sub": "ada", "admin": True, "name": "Ada Admin"},
}
"""The users that the start screen and the API page have tokens for: the customers of the sample orders and an admin."""

TOKEN_LIFETIME = 12 * 60 * 60
"""Seconds."""

LARGEST_LOG = 10_000_000
"""Bytes. A log that is larger at start is deleted."""


def serve() -> None:
    """Serves the API until Ctrl-C or SIGTERM.

    Raises:
        UsageError: The settings, the template or the sample orders are invalid, or a port is in use.
    """
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)
    given = dict(os.environ)
    template = Template(ROOT / "template.yaml", emulator.region(given))
    api = _listen(given, "PORT", 3000)
    moto = None if given.get("AWS_ENDPOINT_URL") else _listen(given, "AWS_PORT", 4566)
    environment = emulator.environment(given, server.url(moto) if moto else given["AWS_ENDPOINT_URL"])
    emulator.use(environment)
    with _log(STATE / "gateway.log", verbose=bool(given.get("VERBOSE"))) as log:
        if moto:
            emulator.start(moto)
        warnings = emulator.provision(template)
        loaded = _load_orders(template)
        key = SigningKey(STATE)
        tokens = partial(_tokens, template.jwt, key)
        with (
            _runtime(given, template, environment, log) as runtime,
            closing(Streams(template.streams, template.functions, runtime)) as streams,
            running.announce(STATE, _describe(api, template, environment)),
        ):
            warnings += streams.start()
            pages = Pages(
                OPENAPI,
                template.operations,
                tokens,
                Outbox(environment["AWS_REGION"]),
                _other_ses(given),
                SesEvents(template.functions, runtime).simulate,
            )
            gateway = Gateway(template.routes, key, runtime, pages, _print_line, template.cors)
            server.serve(api, gateway, server.QuietHandler)
            places = {
                "Sample orders": f"{ORDERS.relative_to(ROOT)} ({loaded} loaded)",
                **_streams(template),
                "Log": str(Path(log.name).relative_to(ROOT)) if log else "this screen",
                **_places(environment),
            }
            print(
                screen.start_screen(server.url(api), places, warnings, tokens(), template.operations, ROOT / "events")
            )
            # Sleeps in steps, because a signal that arrives right before an endless wait would not be noticed.
            while True:
                time.sleep(0.5)


def _listen(given: Mapping[str, str], variable: str, default: int) -> socket.socket:
    text = given.get(variable) or str(default)
    if not text.isdecimal() or int(text) > 65535:
        raise UsageError(f"{variable}={text} is not a port: use a number up to 65535")
    return server.listen(given.get("HOST") or "127.0.0.1", int(text), f"stop what uses it, or set {variable}")


@contextmanager
def _log(path: Path, *, verbose: bool) -> Iterator[IO[bytes] | None]:
    """Opens the log file of the functions and libraries. None means standard error."""
    if verbose:
        logging.basicConfig(level=logging.WARNING)
        yield None
        return
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if path.exists() and path.stat().st_size > LARGEST_LOG:
        path.unlink()
    logging.basicConfig(filename=path, level=logging.WARNING)
    with path.open("ab") as file:
        yield file


@contextmanager
def _runtime(
    given: Mapping[str, str], template: Template, environment: Mapping[str, str], log: IO[bytes] | None
) -> Iterator[Runtime]:
    debug = bool(given.get("DEBUG"))
    if endpoint := given.get("AWS_ENDPOINT_URL_LAMBDA"):
        yield LambdaRuntime(endpoint, debug=debug)
        return
    runtime = LocalRuntime(template.functions, environment, log, debug=debug)
    woken = [route.function for route in template.routes] + [stream.function for stream in template.streams]
    runtime.warm(list(dict.fromkeys(woken)))
    try:
        yield runtime
    finally:
        runtime.close()


def _describe(api: socket.socket, template: Template, environment: Mapping[str, str]) -> RunningGateway:
    """Describes this gateway for the other commands."""
    return RunningGateway(
        url=server.url(api),
        port=api.getsockname()[1],
        table=next(iter(template.of_type("AWS::DynamoDB::Table"))),
        environment={name: value for name, value in environment.items() if name.startswith("AWS_")},
        jwt=template.jwt,
    )


def _load_orders(template: Template) -> int:
    # Loading uses the models and the store of the functions.
    sys.path += template.code
    tables = template.of_type("AWS::DynamoDB::Table")
    loaded = emulator.load_orders(ORDERS, tables)
    if loaded:
        emulator.load_comment(tables)
    return loaded


def _print_line(line: str) -> None:
    # One write: print would let lines of other requests in between the text and the line end.
    sys.stdout.write(f"{line}\n")


def _tokens(jwt: Jwt | None, key: SigningKey) -> dict[str, str]:
    """Returns a token for each caller, if the API requires tokens."""
    if jwt is None:
        return {}
    return {name: key.sign(claims_for(jwt, **who, expires=TOKEN_LIFETIME)) for name, who in CALLERS.items()}


def _places(environment: Mapping[str, str]) -> dict[str, str]:
    """Describes where the functions run and where each AWS service is."""
    here = f"{platform.python_implementation()} {platform.python_version()} on this machine"
    services = {
        name.removeprefix("AWS_ENDPOINT_URL_").replace("_", " "): url
        for name, url in environment.items()
        if name.startswith("AWS_ENDPOINT_URL_")
    }
    return {
        "Functions": services.pop("LAMBDA", here),
        "Emulated AWS": environment["AWS_ENDPOINT_URL"],
        **{f"  {service}": url for service, url in services.items()},
    }


def _streams(template: Template) -> dict[str, str]:
    """Describes which table streams invoke which functions."""
    lines = [f"{stream.table} → {stream.function}" for stream in template.streams]
    return {"Streams": ", ".join(lines)} if lines else {}


def _other_ses(given: Mapping[str, str]) -> str | None:
    """Returns the address of the mail service, if it is not moto."""
    return given.get("AWS_ENDPOINT_URL_SESV2") or given.get("AWS_ENDPOINT_URL") or None
