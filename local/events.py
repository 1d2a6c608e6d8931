"""Between HTTP and Lambda: requests become events of payload format 2.0, results become responses.

As HTTP API does it: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import base64
import binascii
import json
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

from werkzeug.wrappers import Request, Response

from local.template import ACCOUNT, Route
from local.tokens import as_text, token_scopes

LARGEST_BODY = 10 * 1024 * 1024
"""Bytes that HTTP API takes."""

LARGEST_PAYLOAD = 6 * 1024 * 1024
"""Bytes that Lambda takes and returns."""

# Measured against AWS by others: all else arrives base64-encoded, a body without a content type and forms included.
_TEXT_TYPES = frozenset({"application/json", "application/javascript", "application/xml"})


class BadResult(Exception):
    """What a function returned is no response."""


@dataclass(frozen=True)
class Match:
    """A route that fits a request, and the values of the variables in its path."""

    route: Route
    parameters: Mapping[str, str]


def find_route(routes: Iterable[Route], method: str, path: str) -> Match | None:
    """The most specific route for a request.

    Args:
        routes: All routes.
        method: The request's method.
        path: The request's path, still percent-encoded.
    """
    fitting = [
        Match(route, parameters)
        for route in routes
        if route.method in {method, "ANY"} and (parameters := _fit(route.path, path)) is not None
    ]
    return min(fitting, key=lambda match: _rank(match.route), default=None)


def _rank(route: Route) -> tuple[bool, bool, list[bool], bool]:
    """Whole matches come before greedy ones, literal segments before variables, `$default` last."""
    variables = [segment.startswith("{") for segment in route.path.split("/")]
    return route.path == "$default", "+}" in route.path, variables, route.method == "ANY"


def _fit(pattern: str, path: str) -> dict[str, str] | None:
    """The values of a pattern's variables, if the path fits: `{x}` is a segment, `{x+}` is all that is left."""
    if pattern == "$default":
        return {}
    literals = re.split(r"\{.+?\}", pattern)
    names = re.findall(r"\{(.+?)\}", pattern)
    variables = ["(.+)" if name.endswith("+") else "([^/]+)" for name in names]
    expression = "".join(
        re.escape(literal) + variable for literal, variable in zip(literals, [*variables, ""], strict=True)
    )
    found = re.fullmatch(expression, path)
    if found is None:
        return None
    return {name.removesuffix("+"): unquote(value) for name, value in zip(names, found.groups(), strict=True)}


def raw_path(request: Request) -> str:
    """The path as the client sent it, percent-encoding and all. WSGI itself only hands over the decoded one."""
    target: str = request.environ.get("RAW_URI", request.path)
    if not target.startswith("/"):
        target = "/" + target.partition("://")[2].partition("/")[2]
    return target.partition("?")[0]


def new_request_id() -> str:
    """An id as HTTP API gives every request, such as `JKJaXmPLvHcESHA=`."""
    return base64.b64encode(secrets.token_bytes(11)).decode().replace("+", "-").replace("/", "_")


def to_event(request: Request, match: Match, claims: Mapping[str, Any] | None, request_id: str) -> dict[str, Any]:
    """The event that a function gets for a request.

    Args:
        request: The request, its body at most `LARGEST_BODY`.
        match: The route that was found.
        claims: The claims of the caller's token; None on a route without authorizer.
        request_id: The request's id.
    """
    now = datetime.now(UTC)
    host = request.host
    source = request.remote_addr or ""
    headers = {name.lower(): value for name, value in request.headers if name.lower() not in {"cookie", "connection"}}
    forwarded = headers.get("x-forwarded-for")
    headers["x-forwarded-for"] = f"{forwarded}, {source}" if forwarded else source
    headers["x-forwarded-proto"] = request.scheme
    headers["x-forwarded-port"] = request.environ["SERVER_PORT"]
    headers.setdefault("x-amzn-trace-id", f"Root=1-{int(now.timestamp()):08x}-{secrets.token_hex(12)}")
    context: dict[str, Any] = {
        "accountId": ACCOUNT,
        "apiId": "local",
        "domainName": host,
        "domainPrefix": host.partition(".")[0],
        "http": {
            "method": request.method,
            "path": unquote(raw_path(request)),
            "protocol": request.environ.get("SERVER_PROTOCOL", "HTTP/1.1"),
            "sourceIp": source,
            "userAgent": headers.get("user-agent", ""),
        },
        "requestId": request_id,
        "routeKey": match.route.key,
        "stage": "$default",
        "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "timeEpoch": int(now.timestamp() * 1000),
    }
    if claims is not None:
        texts = {name: as_text(value) for name, value in claims.items()}
        context["authorizer"] = {"jwt": {"claims": texts, "scopes": token_scopes(claims) or None}}
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": match.route.key,
        # Decoded, other than the name says: so does HTTP API.
        "rawPath": unquote(raw_path(request)),
        "rawQueryString": request.query_string.decode("latin-1"),
        "headers": headers,
        "requestContext": context,
        "isBase64Encoded": False,
    }
    if cookies := [cookie.strip() for cookie in request.headers.get("Cookie", "").split(";") if cookie.strip()]:
        event["cookies"] = cookies
    if query := _joined(parse_qsl(event["rawQueryString"], keep_blank_values=True)):
        event["queryStringParameters"] = query
    if match.parameters:
        event["pathParameters"] = dict(match.parameters)
    if body := request.get_data():
        event["isBase64Encoded"] = not (request.mimetype.startswith("text/") or request.mimetype in _TEXT_TYPES)
        event["body"] = (
            base64.b64encode(body).decode() if event["isBase64Encoded"] else body.decode("utf-8", errors="replace")
        )
    return event


def to_response(result: Any) -> Response:
    """The response that a function's result stands for.

    Raises:
        BadResult: It stands for none.
    """
    if not (isinstance(result, dict) and "statusCode" in result):
        body = result if isinstance(result, str) else json.dumps(result)
        result = {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": body}
    try:
        status = int(result["statusCode"])
        body = result.get("body") or ""
        if not isinstance(body, str):
            raise BadResult("its body is not text")
        content = base64.b64decode(body, validate=True) if result.get("isBase64Encoded") else body.encode()
        response = Response(content, status, content_type="text/plain; charset=utf-8")
        if not content:
            del response.headers["Content-Type"]
        for name, value in (result.get("headers") or {}).items():
            response.headers[name] = as_text(value)
        for cookie in result.get("cookies") or []:
            response.headers.add("Set-Cookie", cookie)
    except (TypeError, ValueError, AttributeError, binascii.Error) as error:
        raise BadResult(str(error)) from error
    if not 100 <= status <= 599:
        raise BadResult(f"{status} is no status")
    return response


def _joined(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined
