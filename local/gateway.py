"""The HTTP API: finds the route, verifies the token and invokes the function, as API Gateway's HTTP API does."""

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.wrappers import Request, Response

from local import events
from local.cors import Cors
from local.template import Route
from local.tokens import InvalidToken, SigningKey
from local.workers import FunctionFailed, FunctionTimedOut, Runtime

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment


class GatewayError(Exception):
    """An error response of the gateway itself, which no function produced.

    Args:
        status: The HTTP status.
        message: The message of API Gateway. When deployed, the response contains nothing else.
        slug: The last part of the problem's type, as in `orders.errors`.
        title: A short summary, the same for each occurrence.
        detail: What happened this time.
        headers: Additional headers.
        cause: An explanation that is only shown on the console.
    """

    def __init__(
        self,
        status: int,
        message: str,
        slug: str,
        title: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        cause: str = "",
    ) -> None:
        # The folders of the functions are on the path only after the template was read.
        from orders.http import PROBLEM_TYPE  # noqa: PLC0415

        super().__init__(detail)
        self.status = status
        self.headers = headers or {}
        self.cause = cause
        self.members = {
            "type": PROBLEM_TYPE + slug,
            "title": title,
            "status": status,
            "detail": detail,
            "message": message,
        }


class Gateway:
    """A WSGI application that serves routes.

    Args:
        routes: The routes.
        key: The key that verifies tokens.
        runtime: Invokes the functions.
        pages: Responds to requests for the gateway's own pages, and returns None for all others.
        log: Is called with one line per request.
        cors: The API's CORS configuration, if it has one.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        key: SigningKey,
        runtime: Runtime,
        pages: Callable[[Request], Response | None],
        log: Callable[[str], None],
        cors: Cors | None = None,
    ) -> None:
        self._routes = routes
        self._key = key
        self._runtime = runtime
        self._pages = pages
        self._log = log
        self._cors = cors

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Responds to a request and logs it."""
        started = time.perf_counter()
        request = Request(environ)
        request.max_content_length = events.LARGEST_BODY
        request_id = events.new_request_id()
        note = ""
        try:
            response = self._pages(request)
            if response is None and self._cors and request.method == "OPTIONS":
                response = self._cors.preflight(request)
            if response is None:
                match = self._match(request)
                claims = self._claims(request, match.route)
                note = match.route.function
                response = self._run(request, match, claims, request_id)
        except GatewayError as problem:
            response = _problem_response(problem, request, request_id)
            note = ", ".join(filter(None, (note, problem.cause)))
        except HTTPException as error:
            response = Response.force_type(error.get_response(environ), environ)
        except Exception:
            logging.exception("the gateway itself failed")
            response = _problem_response(_internal_error("the gateway itself failed, see the log"), request, request_id)
        response.headers["apigw-requestid"] = request_id
        milliseconds = (time.perf_counter() - started) * 1000
        path = "".join(c if c.isprintable() else "?" for c in events.decoded_path(request)[:100])
        self._log(f"{request.method:<6} {path} → {response.status_code}  {milliseconds:.0f} ms  {note}".rstrip())
        return response(environ, start_response)

    def _match(self, request: Request) -> events.Match:
        match = events.find_route(self._routes, request.method, events.decoded_path(request))
        if match is None:
            detail = "No route matches this method and path."
            if "%2f" in request.environ.get("RAW_URI", "").lower():
                detail += " API Gateway decodes %2F before it looks for the route: write a slash in an id as %252F."
            raise GatewayError(404, "Not Found", "not-found", "Not found", detail)
        return match

    def _run(self, request: Request, match: events.Match, claims: dict[str, Any] | None, request_id: str) -> Response:
        try:
            event = events.to_event(request, match, claims, request_id)
        except RequestEntityTooLarge:
            raise _too_large(f"API Gateway accepts at most {events.LARGEST_BODY} bytes.") from None
        if len(event.get("body", "")) > events.LARGEST_PAYLOAD:
            raise _too_large(f"Lambda accepts at most {events.LARGEST_PAYLOAD} bytes.")
        try:
            response = events.to_response(self._runtime.invoke(match.route.function, event))
        except FunctionTimedOut as error:
            raise GatewayError(
                503,
                "Service Unavailable",
                "unavailable",
                "Temporarily unavailable",
                "The function did not answer in time.",
                headers={"Retry-After": "2"},
                cause=str(error),
            ) from error
        except (FunctionFailed, events.InvalidResult) as error:
            raise _internal_error(f"{error} (see the log)") from error
        if self._cors:
            self._cors.decorate(response, request)
        return response

    def _claims(self, request: Request, route: Route) -> dict[str, Any] | None:
        if route.jwt is None:
            return None
        try:
            return self._key.verify(request.headers.get("Authorization"), route.jwt, route.scopes)
        except InvalidToken as error:
            if error.missing_scope:
                raise GatewayError(
                    403,
                    "Forbidden",
                    "forbidden",
                    "Insufficient scope",
                    f"Use a token with one of the scopes {' '.join(route.scopes)}.",
                    headers={
                        "WWW-Authenticate": f'Bearer scope="{" ".join(route.scopes)}", error="insufficient_scope"'
                    },
                    cause=str(error),
                ) from error
            raise GatewayError(
                401,
                "Unauthorized",
                "unauthenticated",
                "Authentication required",
                f"Send an access token: Authorization: Bearer <JWT>. Reason: {error}.",
                headers={"WWW-Authenticate": "Bearer"},
                cause=str(error),
            ) from error


def _internal_error(cause: str) -> GatewayError:
    return GatewayError(
        500,
        "Internal Server Error",
        "internal-error",
        "Internal error",
        "The function failed or returned an invalid response. See the log of the gateway.",
        cause=cause,
    )


def _too_large(detail: str) -> GatewayError:
    return GatewayError(413, "Request Entity Too Large", "body-too-large", "Body too large", detail)


def _problem_response(problem: GatewayError, request: Request, request_id: str) -> Response:
    members = {**problem.members, "instance": request.path, "request_id": request_id}
    response = Response(
        json.dumps(members, ensure_ascii=False), problem.status, content_type="application/problem+json"
    )
    response.headers.extend(problem.headers)
    return response
