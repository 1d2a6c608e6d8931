"""The command line: `python -m local` serves the API, and its subcommands work with the running gateway."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from local import ROOT, STATE, UsageError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit status."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character must not end the gateway.
        stream.reconfigure(errors="replace", line_buffering=True)  # type: ignore[union-attr]
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except UsageError as error:
        print(f"orders: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print()
        return 0
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local",
        description="Serves the whole API on this machine, without AWS and without Docker.",
        epilog="Environment: HOST (127.0.0.1) and PORT (3000) of the API; AWS_PORT (4566) of the emulated AWS; "
        "AWS_ENDPOINT_URL or AWS_ENDPOINT_URL_<SERVICE> to use another emulator, such as DynamoDB Local; "
        "AWS_ENDPOINT_URL_LAMBDA to invoke the functions there, such as in `sam local start-lambda`; "
        "VERBOSE=1 to see the functions' logs here instead of in .local/gateway.log; "
        "DEBUG=1 to use breakpoint() in a function, and to let functions run without a timeout.",
    )
    parser.set_defaults(run=_serve)
    commands = parser.add_subparsers(title="other commands", metavar="")
    token = commands.add_parser("token", help="print a token and nothing else", description="Prints a token.")
    token.add_argument("--sub", required=True, help="the user's id; alice and bob are customers of the sample orders")
    token.add_argument("--admin", action="store_true", help="put the user into the group admins")
    token.add_argument("--name", help="the user's name")
    token.add_argument("--expires", type=int, default=3600, metavar="SECONDS", help="default 3600; may be negative")
    token.set_defaults(run=_token)
    orders = commands.add_parser(
        "import",
        help="import the orders of a file into the running gateway",
        description="Imports the orders of a file into the running gateway: the only one, or the one on PORT.",
    )
    orders.add_argument("file", metavar="FILE", type=Path)
    orders.add_argument("--format", help="the shop system that exported the file; recognised by default")
    orders.set_defaults(run=_import)
    return parser


# The commands import what they need themselves: a token takes no emulator, and an import no gateway.


def _serve(options: argparse.Namespace) -> int:
    from local import serving  # noqa: PLC0415

    serving.serve()
    return 0


def _token(options: argparse.Namespace) -> int:
    from local import running  # noqa: PLC0415
    from local.template import Template  # noqa: PLC0415
    from local.tokens import SigningKey, claims_for  # noqa: PLC0415

    gateways = running.running(STATE)
    if not gateways:
        print("orders: no local gateway is running; the token is valid once you start one: make run", file=sys.stderr)
    jwt = gateways[0].jwt if gateways else Template(ROOT / "template.yaml").jwt
    if jwt is None:
        raise UsageError("no route of template.yaml requires a token")
    claims = claims_for(jwt, options.sub, admin=options.admin, name=options.name, expires=options.expires)
    print(SigningKey(STATE).sign(claims))
    return 0


def _import(options: argparse.Namespace) -> int:
    from importer.__main__ import main as import_orders  # noqa: PLC0415
    from local import emulator, running  # noqa: PLC0415

    gateway = running.choose(running.running(STATE), os.environ.get("PORT"))
    print(f"Local gateway at {gateway.url}", file=sys.stderr)
    emulator.use(gateway.environment)
    shop = ["--format", options.format] if options.format else []
    return import_orders([str(options.file), *shop, "--table", gateway.table])


if __name__ == "__main__":
    sys.exit(main())
