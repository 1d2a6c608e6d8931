"""The HTTP API: finds the route, checks the token, runs the function, answers. As API Gateway's HTTP API does."""

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.wrappers import Request, Response

from local import events
from local.template import Route
from local.tokens import Refused, SigningKey
from local.workers import FunctionFailed, FunctionTimedOut, Runtime

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment


class Problem(Exception):
    """The gateway's own answer, in place of a function's.

    Args:
        status: The HTTP status.
        message: What API Gateway says. Deployed, its answer is this alone.
        slug: The last part of the problem's type, as in `orders.errors`.
        title: The problem in a few words, the same for each occurrence.
        detail: What happened this time.
        headers: Further headers.
        cause: What only the console says.
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
        # Late, because the functions' folders come onto the path once the template is read.
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
        key: The key that tokens are signed with.
        runtime: What runs the functions.
        pages: Answers what is no route but the gateway's own, and None for all else.
        say: Takes one line for each request.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        key: SigningKey,
        runtime: Runtime,
        pages: Callable[[Request], Response | None],
        say: Callable[[str], None],
    ) -> None:
        self._routes = routes
        self._key = key
        self._runtime = runtime
        self._pages = pages
        self._say = say

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answers a request, and says so."""
        started = time.perf_counter()
        request = Request(environ)
        request.max_content_length = events.LARGEST_BODY
        request_id = events.new_request_id()
        note = ""
        try:
            response = self._pages(request)
            if response is None:
                match = self._match(request)
                claims = self._claims(request, match.route)
                note = match.route.function
                response = self._run(request, match, claims, request_id)
        except Problem as problem:
            response = _problem_response(problem, request, request_id)
            note = ", ".join(filter(None, (note, problem.cause)))
        except HTTPException as error:
            response = Response.force_type(error.get_response(environ), environ)
        except Exception:
            logging.exception("the gateway itself failed")
            response = _problem_response(_internal_error("the gateway itself failed, see the log"), request, request_id)
        response.headers["apigw-requestid"] = request_id
        milliseconds = (time.perf_counter() - started) * 1000
        path = "".join(c if c.isprintable() else "?" for c in events.raw_path(request)[:100])
        self._say(f"{request.method:<6} {path} → {response.status_code}  {milliseconds:.0f} ms  {note}".rstrip())
        return response(environ, start_response)

    def _match(self, request: Request) -> events.Match:
        match = events.find_route(self._routes, request.method, events.raw_path(request))
        if match is None:
            raise Problem(404, "Not Found", "not-found", "Nothing here", "There is no such route.")
        return match

    def _run(self, request: Request, match: events.Match, claims: dict[str, Any] | None, request_id: str) -> Response:
        try:
            event = events.to_event(request, match, claims, request_id)
        except RequestEntityTooLarge:
            raise _too_large(f"At most {events.LARGEST_BODY} bytes are read.") from None
        if len(event.get("body", "")) > events.LARGEST_PAYLOAD:
            raise _too_large(f"Lambda takes at most {events.LARGEST_PAYLOAD} bytes.")
        try:
            return events.to_response(self._runtime.invoke(match.route.function, event))
        except FunctionTimedOut as error:
            raise Problem(
                503,
                "Service Unavailable",
                "unavailable",
                "Temporarily unavailable",
                "The function did not answer in time.",
                headers={"Retry-After": "2"},
                cause=str(error),
            ) from error
        except (FunctionFailed, events.BadResult) as error:
            raise _internal_error(f"{error} (see the log)") from error

    def _claims(self, request: Request, route: Route) -> dict[str, Any] | None:
        if route.jwt is None:
            return None
        try:
            return self._key.verify(request.headers.get("Authorization"), route.jwt, route.scopes)
        except Refused as refused:
            if refused.missing_scope:
                raise Problem(
                    403,
                    "Forbidden",
                    "forbidden",
                    "The token is not for this",
                    f"Use a token with one of the scopes {' '.join(route.scopes)}.",
                    headers={
                        "WWW-Authenticate": f'Bearer scope="{" ".join(route.scopes)}", error="insufficient_scope"'
                    },
                    cause=str(refused),
                ) from refused
            raise Problem(
                401,
                "Unauthorized",
                "unauthenticated",
                "Who is calling is not known",
                f"Send an access token: Authorization: Bearer <JWT>. This time: {refused}.",
                headers={"WWW-Authenticate": "Bearer"},
                cause=str(refused),
            ) from refused


def _internal_error(cause: str) -> Problem:
    return Problem(
        500,
        "Internal Server Error",
        "internal-error",
        "Something went wrong on our side",
        "The function did not answer, or not as it must. The gateway's log says more.",
        cause=cause,
    )


def _too_large(detail: str) -> Problem:
    return Problem(413, "Request Entity Too Large", "body-too-large", "The body is too large", detail)


def _problem_response(problem: Problem, request: Request, request_id: str) -> Response:
    members = {**problem.members, "instance": request.path, "request_id": request_id}
    response = Response(
        json.dumps(members, ensure_ascii=False), problem.status, content_type="application/problem+json"
    )
    response.headers.extend(problem.headers)
    return response
