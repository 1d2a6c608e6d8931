"""Hostile requests: bodies, values, paths and headers.

All texts contain `SECRET`, so that logs can be searched for it.
"""

import json
from collections.abc import Iterator
from typing import Any

from harness import ROOT, Answer

SECRET = "s3cr3t-Grüße"

DEPTH = 100_000


def _text(value: str) -> bytes:
    return f'{{"content": {value}, "reason": {value}, "notes": {value}, "order_id": {value}}}'.encode()


BODIES: dict[str, bytes] = {
    "only white space": b" \r\n\t",
    "null": b"null",
    "an array": b"[]",
    "a text": f'"{SECRET}"'.encode(),
    "a number": b"0",
    "not JSON": SECRET.encode(),
    "cut off": _text(f'"{SECRET}"')[:-1],
    "two objects": _text(f'"{SECRET}"') * 2,
    "a trailing comma": f'{{"content": "{SECRET}",}}'.encode(),
    "single quotes": f"{{'content': '{SECRET}'}}".encode(),
    "a comment": f'{{"content": "{SECRET}"}} // x'.encode(),
    "deep arrays": b'{"content": ' + b"[" * DEPTH + b"]" * DEPTH + b"}",
    "deep objects": b'{"content":' * DEPTH + b"1" + b"}" * DEPTH,
    "deep and cut off": b"[" * DEPTH,
    "6 MB": _text(f'"{SECRET}"').replace(b"content", b"x" * 6_000_000),
    "a long text": _text(f'"{SECRET}{"x" * 500_000}"'),
    "not a number": _text("NaN"),
    "infinity": _text("-Infinity"),
    "1e400": _text("1e400"),
    "1e-400": _text("1e-400"),
    "1e999999999999999999999": _text("1e999999999999999999999"),
    "10,000 digits": _text("9" * 10_000),
    "a repeated member": f'{{"content": "x", "content": "{SECRET}"}}'.encode(),
    "a lone surrogate": _text(f'"{SECRET}\\ud800"'),
    "a lone surrogate in a name": f'{{"\\udfff{SECRET}": 1}}'.encode(),
    "an escaped NUL": _text(f'"{SECRET}\\u0000"'),
    "a NUL": _text(f'"{SECRET}\0"'),
    "a NUL in a name": f'{{"content\\u0000{SECRET}": "x"}}'.encode(),
    "control characters": _text(f'"{SECRET}\x01\x1b[31m"'),
    "overlong UTF-8": _text(f'"{SECRET}%"').replace(b"%", b"\xc0\xaf"),
    "not UTF-8": _text(f'"{SECRET}%"').replace(b"%", b"\xff\xfe"),
    "Latin-1": _text(f'"{SECRET}"').decode().encode("latin-1"),
    "UTF-16": _text(f'"{SECRET}"').decode().encode("utf-16"),
    "UTF-32": _text(f'"{SECRET}"').decode().encode("utf-32"),
    "a byte order mark": b"\xef\xbb\xbf" + _text(f'"{SECRET}"'),
    "Base64": b"eyJjb250ZW50IjogInMzY3IzdCJ9",
    "a form": f"content={SECRET}&reason=x".encode(),
    "XML": f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY y SYSTEM "file:///etc/passwd">]><x>&y;{SECRET}</x>'.encode(),
    "10,000 unknown fields": json.dumps({f"{SECRET}{n}": n for n in range(10_000)}).encode(),
    "a very long name": json.dumps({SECRET + "x" * 100_000: 1}).encode(),
    "a class": b'{"__class__": {"__init__": {"__globals__": 1}}, "__proto__": {"x": 1}}',
}

VALUES: dict[str, str] = {
    "null": "null",
    "true": "true",
    "a number": "-0.0",
    "NaN": "NaN",
    "1e400": "1e400",
    "1e-400": "1e-400",
    "many digits": "1" * 400,
    "an array": "[[]]",
    "an object": '{"": {}}',
    "nothing": '""',
    "space": '" \\t\\u2003"',
    "a lone surrogate": f'"{SECRET}\\ud800"',
    "a lone surrogate in a name": f'{{"{SECRET}\\ud800": 1}}',
    "a NUL": f'"{SECRET}\\u0000"',
    "lines": f'"{SECRET}\\r\\nBcc: eve@example.com"',
    "markup": f'"<script>{SECRET}</script>{{{{7*7}}}}${{7*7}}"',
    "right to left": f'"\\u202e{SECRET}\\u2066"',
    "long": f'"{SECRET}{"x" * 70_000}"',
    "digits of another script": '"١٢٣"',
}

CONTENT_TYPES = (
    "",
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/json; charset=utf-16",
    "APPLICATION/JSON",
    "application/merge-patch+json",
    "application/xml",
    "application/json, text/plain",
    ";",
    "x" * 10_000,
)

SEGMENTS = (
    "..",
    ".",
    "%2e%2e",
    "%2e%2e%2f%2e%2e%2fadmin",
    "1001%2Fcancel",
    "1001%2f..%2f1002",
    "%D9%A1%D9%A0%D9%A0%D9%A1",
    "%00",
    "1001%00",
    "%ff%fe",
    "%C0%AE%C0%AE",
    "1001%0d%0aX-Injected:%20yes",
    "1001%0A",
    "1001%250A",
    "%252e%252e%252fadmin",
    "%ED%A0%80",
    "%",
    "%zz",
    "%25%32%65",
    "1001;a=b",
    "1001%23",
    "1001%3F",
    "1001%20",
    "%20",
    "ORDER%231001",
    "x" * 10_000,
    "%F0%9F%A7%80" * 800,
)
"""Path segments in place of an order's id."""

QUERIES = (
    "limit=0",
    "limit=-1",
    "limit=1e3",
    "limit=%D9%A1",
    "limit=" + "9" * 5_000,
    "limit=1&limit=2",
    "limit",
    "cursor=%00",
    "cursor=%ff",
    "cursor=" + "A" * 5_000,
    "cursor=..",
    "created_from=0000-00-00",
    "created_from=9999-12-31T23:59:60Z",
    "flagged=%00",
    "order_status=%ED%A0%80",
    "%00=%00",
    "&&&=&",
    "a[b]=c",
    "%",
)

HEADER_VALUES: tuple[bytes, ...] = (
    b"",
    b" ",
    b"k" * 256,
    b"k" * 10_000,
    "Grüße 你好".encode(),
    b"\xff\xfe\x80",
    b"k\x00k",
    b"k\x7fk\x1b[31m",
    b"k\r\n X-Injected: folded",
    b"k\r\nX-Injected: yes",
    b'"' * 1_000,
    b"%0d%0aX-Injected: yes",
    b'"01", W/"1", *',
)
"""Values of `Idempotency-Key`, `If-Match`, `If-None-Match`, `Accept`, `Authorization` and similar headers."""

HEADERS = ("Idempotency-Key", "If-Match", "If-None-Match", "Accept", "Content-Type", "X-Forwarded-For", "Cookie")


def check_answer(answer: Answer, what: str) -> None:
    """Checks that an answer keeps to the contract, is UTF-8 and reveals no internals."""
    assert answer.status < 500, what
    text = answer.text or ""
    text.encode()
    assert not [word for word in ("Traceback", 'File "', "pydantic", "botocore", "Exception") if word in text], what
    if answer.status >= 400:
        assert answer.headers["content-type"] == "application/problem+json", what
        assert {"type", "title", "status", "detail", "instance", "request_id"} <= answer.json.keys(), what


def examples() -> Iterator[tuple[str, Any]]:
    """Yields the key of each route that takes a body, with an example of the body."""
    document = json.loads((ROOT / "openapi.json").read_text(encoding="utf-8"))
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if body := operation.get("requestBody"):
                yield f"{method.upper()} {path}", body["content"]["application/json"]["example"]


def with_values(example: Any) -> Iterator[tuple[str, str]]:
    """Yields a body for each place and each hostile value, with a description."""
    for place in _places(example):
        for name, value in VALUES.items():
            yield f"{'.'.join(map(str, place))}: {name}", _written(example, place, value)


def _places(value: Any, *place: str | int) -> Iterator[tuple[str | int, ...]]:
    if place:
        yield place
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _places(each, *place, name)
    elif isinstance(value, list) and value:
        yield from _places(value[0], *place, 0)


def _written(value: Any, place: tuple[str | int, ...], raw: str) -> str:
    """Returns the JSON of a value with `raw` in one place, which need not be JSON."""
    if not place:
        return raw
    if isinstance(value, dict):
        members = (
            f"{json.dumps(name)}: {_written(each, place[1:], raw) if name == place[0] else json.dumps(each)}"
            for name, each in value.items()
        )
        return f"{{{', '.join(members)}}}"
    rest = [_written(each, place[1:], raw) if n == place[0] else json.dumps(each) for n, each in enumerate(value)]
    return f"[{', '.join(rest)}]"
