"""The local gateway: the whole API on this machine, without AWS and without Docker.

It stands where API Gateway stands: it checks tokens, makes events, runs the functions and turns what they return into
HTTP. It wakes the functions that wait for changes of a table, too. What it serves it reads from `template.yaml`; it
knows no single route. Behind it, moto emulates AWS.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The folder of the project."""


class Mistake(Exception):
    """Something that the person at the keyboard can put right. Its text says what and how; no traceback is shown."""
