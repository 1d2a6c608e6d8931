"""The command line. `python -m local` serves the API, `python -m local token` prints a token for it."""

import argparse
import sys
from collections.abc import Sequence

from local import ROOT, Mistake, serving
from local.template import Template
from local.tokens import SigningKey, claims_for


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and tells its exit status."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character must not end the gateway.
        stream.reconfigure(errors="replace", line_buffering=True)  # type: ignore[union-attr]
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except Mistake as mistake:
        print(f"orders: {mistake}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local",
        description="Serves the whole API on this machine, without AWS and without Docker.",
        epilog="Environment: HOST (127.0.0.1) and PORT (3000) of the API; AWS_PORT (4566) of the emulated AWS; "
        "AWS_ENDPOINT_URL or AWS_ENDPOINT_URL_<SERVICE> to use another one, such as DynamoDB Local; "
        "AWS_ENDPOINT_URL_LAMBDA to run the functions there, such as in `sam local start-lambda`; "
        "VERBOSE=1 to see the functions' logs here instead of in .local/gateway.log.",
    )
    parser.set_defaults(run=lambda _: serving.serve())
    commands = parser.add_subparsers(title="other commands", metavar="")
    token = commands.add_parser("token", help="print a token, and nothing else", description="Prints a token.")
    token.add_argument("--sub", required=True, help="who it is for; alice and bob are customers of the sample orders")
    token.add_argument("--admin", action="store_true", help="they are of the staff (group admins)")
    token.add_argument("--name", help="what to call them")
    token.add_argument("--expires", type=int, default=3600, metavar="SECONDS", help="3600 unless told; may be negative")
    token.set_defaults(run=_token)
    openapi = commands.add_parser(
        "openapi",
        help="write openapi.json and the events' schemas",
        description="Writes openapi.json and docs/events/*.json.",
    )
    openapi.add_argument("--check", action="store_true", help="write nothing; fail if it would change")
    openapi.set_defaults(run=_openapi)
    return parser


def _token(options: argparse.Namespace) -> None:
    asked = Template(ROOT / "template.yaml").jwt
    if asked is None:
        raise Mistake("no route of template.yaml asks for a token")
    claims = claims_for(asked, options.sub, admin=options.admin, name=options.name, expires=options.expires)
    print(SigningKey(serving.STATE).sign(claims))


def _openapi(options: argparse.Namespace) -> None:
    template = Template(ROOT / "template.yaml")
    sys.path += template.code
    from local.openapi import describe, schemas  # noqa: PLC0415 - imports the functions and Powertools

    texts = {serving.OPENAPI: describe(template)}
    texts |= {ROOT / "docs" / "events" / name: text for name, text in schemas().items()}
    for path, text in texts.items():
        if not options.check:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            raise Mistake(
                f"{path.relative_to(ROOT)} is not what the functions say: make openapi, and look at what changed"
            )


if __name__ == "__main__":
    sys.exit(main())
