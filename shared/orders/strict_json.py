"""Strict JSON (RFC 8259): parses it without Python's extensions and without floats."""

import json
from decimal import Decimal
from typing import Any, NoReturn


def loads(text: str) -> Any:
    """Parses JSON. Numbers with a fraction become `Decimal`, so that no amount is ever a float.

    Raises:
        ValueError: It is not JSON, holds NaN or Infinity, or an object in it repeats a member.
    """
    try:
        return json.loads(text, object_pairs_hook=_members, parse_constant=_no_constant, parse_float=_decimal)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is repeated")
    return members


def _no_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except ArithmeticError as error:
        raise ValueError("a number out of range") from error
