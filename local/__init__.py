"""The local gateway serves the whole API on this machine, without AWS and without Docker.

It takes the place of API Gateway: it checks tokens, turns HTTP requests into Lambda events, invokes the functions and
turns their results into HTTP responses. It also invokes the functions that consume the streams of the tables. Routes
and streams come from `template.yaml`. Behind it, moto emulates AWS.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The folder of the project."""

STATE = ROOT / ".local"
"""The folder for what the gateway keeps: the signing key, the log, and the addresses of running gateways."""


class UsageError(Exception):
    """The user can fix this. The message says what is wrong and what to do; no traceback is shown."""
