"""Converts HTTP requests to Lambda events (payload format 2.0) and results to HTTP responses, as HTTP API does.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
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

from local.cloudformation import ACCOUNT
from local.template import Route
from local.tokens import as_text, token_scopes

LARGEST_BODY = 10 * 1024 * 1024
"""Bytes that HTTP API accepts in a body."""

LARGEST_PAYLOAD = 6 * 1024 * 1024
"""Bytes that Lambda accepts and returns."""

# Known from measurements on AWS: every other body is base64-encoded, including forms and bodies without a content type.
_TEXT_TYPES = frozenset({"application/json", "application/javascript", "application/xml"})


class InvalidResult(Exception):
    """A function returned something that is not a response."""


@dataclass(frozen=True)
class Match:
    """A route that matches a request, with the values of its path variables."""

    route: Route
    parameters: Mapping[str, str]


def find_route(routes: Iterable[Route], method: str, path: str) -> Match | None:
    """Returns the most specific route that matches a request.

    Args:
        routes: All routes.
        method: The request's method.
        path: The request's path, decoded: so an encoded slash splits it, too.
    """
    matches = [
        Match(route, parameters)
        for route in routes
        if route.method in {method, "ANY"} and (parameters := _match_path(route.path, path)) is not None
    ]
    return min(matches, key=lambda match: _rank(match.route), default=None)


def _rank(route: Route) -> tuple[bool, bool, list[bool], bool]:
    """Ranks full matches before greedy ones, literal segments before variables, and `$default` last."""
    variables = [segment.startswith("{") for segment in route.path.split("/")]
    return route.path == "$default", "+}" in route.path, variables, route.method == "ANY"


def _match_path(pattern: str, path: str) -> dict[str, str] | None:
    """Returns the values of a pattern's variables if the path matches: `{x}` is a segment, `{x+}` is the rest."""
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
    return {name.removesuffix("+"): value for name, value in zip(names, found.groups(), strict=True)}


def decoded_path(request: Request) -> str:
    """Returns the path that the client sent, percent-decoded. WSGI itself also merges slashes."""
    target: str = request.environ.get("RAW_URI", request.path)
    if not target.startswith("/"):
        target = "/" + target.partition("://")[2].partition("/")[2]
    return unquote(target.partition("?")[0])


def new_request_id() -> str:
    """Returns an id like those of HTTP API, such as `JKJaXmPLvHcESHA=`."""
    return base64.b64encode(secrets.token_bytes(11)).decode().replace("+", "-").replace("/", "_")


def to_event(request: Request, match: Match, claims: Mapping[str, Any] | None, request_id: str) -> dict[str, Any]:
    """Returns the event for a request.

    Args:
        request: The request, with a body of at most `LARGEST_BODY` bytes.
        match: The route that matches it.
        claims: The claims of the caller's token; None on a route without an authorizer.
        request_id: The id of the request.
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
            "path": decoded_path(request),
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
        # HTTP API decodes it, despite the name.
        "rawPath": decoded_path(request),
        "rawQueryString": request.query_string.decode("latin-1"),
        "headers": headers,
        "requestContext": context,
        "isBase64Encoded": False,
    }
    if cookies := [cookie.strip() for cookie in request.headers.get("Cookie", "").split(";") if cookie.strip()]:
        event["cookies"] = cookies
    if query := _join_values(parse_qsl(event["rawQueryString"], keep_blank_values=True)):
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
    """Converts the result of a function to a response.

    Raises:
        InvalidResult: The result is not a response.
    """
    if not (isinstance(result, dict) and "statusCode" in result):
        body = result if isinstance(result, str) else json.dumps(result)
        result = {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": body}
    try:
        status = int(result["statusCode"])
        body = result.get("body") or ""
        if not isinstance(body, str):
            raise InvalidResult("the body is not text")
        content = base64.b64decode(body, validate=True) if result.get("isBase64Encoded") else body.encode()
        response = Response(content, status, content_type="text/plain; charset=utf-8")
        if not content:
            del response.headers["Content-Type"]
        for name, value in (result.get("headers") or {}).items():
            response.headers[name] = as_text(value)
        for cookie in result.get("cookies") or []:
            response.headers.add("Set-Cookie", cookie)
    except (TypeError, ValueError, AttributeError, binascii.Error) as error:
        raise InvalidResult(str(error)) from error
    if not 100 <= status <= 599:
        raise InvalidResult(f"{status} is not an HTTP status")
    return response


def _join_values(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined
