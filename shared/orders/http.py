"""HTTP for all functions: reads requests strictly, and maps errors to problem documents (RFC 9457)."""

import base64
import json
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, NamedTuple
from urllib.parse import unquote

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, ApiGatewayResolver, Request, Response
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.event_handler.openapi.params import Header, Path, Query
from pydantic import StringConstraints

from orders import errors, startup, strict_json, types
from orders.errors import DomainError
from orders.etags import etag
from orders.identity import Caller, identify_caller
from orders.keys import KEY_LIFETIME
from orders.startup import once
from orders.telemetry import count, logger
from orders.types import error_message, path_segment

JSON = "application/json"
PROBLEM = "application/problem+json"
MERGE_PATCH = "application/merge-patch+json"
"""RFC 7396. HTTP API passes such a body in Base64, as it does for all but the best known media types."""

LARGEST_BODY = 1024 * 1024
"""Bytes: more than any valid request, less than Lambda's limit of 6 MB."""

REPLACEMENT = "\ufffd"
"""What HTTP API puts in place of bytes that are not UTF-8, if the body's media type is a text's."""

PROBLEM_TYPE = "urn:problem:orders:"
"""Prefix of the type URI of every problem. Its slug follows."""


class ProblemType(NamedTuple):
    """How an error appears in HTTP.

    Attributes:
        status: The HTTP status code.
        slug: The last part of the problem's type URI. Stable: clients branch on it.
        title: The problem in a few words, the same for each occurrence.
        headers: Returns the headers of an occurrence, besides `Retry-After`.
    """

    status: int
    slug: str
    title: str
    headers: Callable[[Any], dict[str, str]] = lambda _: {}


PROBLEMS: dict[type[DomainError], ProblemType] = {
    errors.MalformedBody: ProblemType(400, "malformed-body", "The body is not valid JSON"),
    errors.Unauthenticated: ProblemType(401, "unauthenticated", "Authentication required"),
    errors.Forbidden: ProblemType(403, "forbidden", "Admin access required"),
    errors.RouteNotFound: ProblemType(404, "not-found", "Route not found"),
    errors.OrderNotFound: ProblemType(404, "order-not-found", "Order not found"),
    errors.InvoiceNotFound: ProblemType(404, "invoice-not-found", "Invoice not found"),
    errors.CommentNotFound: ProblemType(404, "comment-not-found", "Comment not found"),
    errors.StateConflict: ProblemType(409, "state-conflict", "The order's state does not allow this"),
    errors.InvoiceOutdated: ProblemType(409, "invoice-outdated", "The invoice no longer matches the order"),
    errors.EInvoiceIncomplete: ProblemType(409, "e-invoice-incomplete", "The order lacks data for an e-invoice"),
    errors.StillRunning: ProblemType(409, "still-running", "Another request for this order is in progress"),
    errors.OrderExists: ProblemType(409, "order-exists", "An order with this id already exists"),
    errors.Outdated: ProblemType(412, "outdated", "The order has changed", lambda error: {"ETag": etag(error.version)}),
    errors.TooLarge: ProblemType(413, "body-too-large", "The body is too large"),
    errors.UnsupportedMediaType: ProblemType(415, "unsupported-media-type", "Unsupported media type"),
    errors.UnsupportedEncoding: ProblemType(
        415, "unsupported-content-encoding", "Unsupported content encoding", lambda _: {"Accept-Encoding": "identity"}
    ),
    errors.Invalid: ProblemType(422, "invalid-input", "Invalid request"),
    errors.KeyReused: ProblemType(422, "idempotency-key-reused", "The Idempotency-Key was used for another request"),
    errors.TooManyRequests: ProblemType(429, "too-many-requests", "Too many requests"),
    errors.InternalError: ProblemType(500, "internal-error", "Internal error"),
    errors.MailRefused: ProblemType(502, "mail-refused", "The mail was not sent"),
    errors.Unavailable: ProblemType(503, "unavailable", "Temporarily unavailable"),
    errors.MailUnknown: ProblemType(504, "mail-unknown", "It is unknown whether the mail was sent"),
}
"""The one mapping of domain errors to HTTP."""

OrderIdInPath = Annotated[
    types.OrderIdInPath, Path(description="The order's id. Write a slash in it as `%2F` before you encode the path.")
]
IdempotencyKey = Annotated[
    str | None,
    StringConstraints(min_length=1, max_length=255),
    Header(
        alias="Idempotency-Key",
        description="Makes retries safe: the same key and body return the first answer again. Keys are kept for "
        f"{KEY_LIFETIME // timedelta(hours=1)} hours.",
    ),
]
Limit = Annotated[int, Query(ge=1, le=100, description="The largest number of results.")]
Cursor = Annotated[
    str | None,
    StringConstraints(max_length=1000),
    Query(alias="cursor", description="`next_cursor` of the previous page. The filters must be the same."),
]


class Api(APIGatewayHttpResolver):
    """The resolver of a function: Powertools' resolver, answering every error with a problem document.

    Args:
        needs: Makes what every request needs, such as clients of AWS: while the function starts.
        public: The keys of routes that need no caller. Their handlers must not ask for one.
    """

    def __init__(self, *needs: Callable[[], object], public: Collection[str] = ()) -> None:
        self._public = public
        for need in needs:
            once(need)
        super().__init__(
            enable_validation=True,
            # By default, an answer that violates its own model would be a 422, which blames the caller.
            response_validation_error_http_code=500,
            json_body_deserializer=read_json,
            serializer=write_json,
        )
        self.exception_handler(Exception)(self._answer_error)
        # Otherwise the handler for Exception would also get Powertools' error for unknown routes.
        self.not_found(lambda _: self._answer_error(errors.RouteNotFound()))
        self.use([_refuse_unknown_parameters])
        startup.finish()

    def resolve(self, event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        """Answers one event of API Gateway (payload format 2.0). Never raises."""
        request_context = event.get("requestContext", {})
        logger.set_correlation_id(request_context.get("requestId"))
        route = event.get("routeKey")
        event = _with_get_for_head(_with_encoded_path(event))
        try:
            # Before Powertools validates the body, so that callers without access learn nothing about it.
            if event.get("routeKey") not in self._public:
                identify_caller(event)
            event = _with_json_body(event)
        except DomainError as error:
            answer = problem_answer(error, event)
        else:
            answer = super().resolve(event, context)
        logger.info("answered", route=route, status=answer["statusCode"])
        return answer

    def _answer_error(self, error: Exception) -> Response[str]:
        answer = problem_answer(to_domain_error(error), self.current_event.raw_event)
        return Response(answer["statusCode"], body=answer["body"], headers=answer["headers"])


def get_caller(request: Request) -> Caller:
    """For `Depends`: the caller of this request."""
    return identify_caller(request.resolved_event.raw_event)


def order_path(order_id: str) -> str:
    """Returns the path of an order for admins."""
    return f"/admin/orders/{path_segment(order_id)}"


def check_same_order(path: str, body: str | None, field: str) -> None:
    """Checks that an order id in the body, if there is one, equals the id in the path.

    Raises:
        Invalid: It is another id.
    """
    if body is not None and body != path:
        raise errors.Invalid([(field, "must equal the order id in the path")])


def to_domain_error(error: Exception) -> DomainError:
    """Maps any error to the domain error that the caller sees.

    An unexpected error is logged with its location and type, without its text, which may quote what a person wrote.
    """
    if isinstance(error, DomainError):
        problem = PROBLEMS[type(error)]
        if problem.status >= 500 and error.__cause__:
            logger.warning("problem", slug=problem.slug, cause=_cause(error.__cause__))
        return error
    if isinstance(error, RequestValidationError):
        return errors.Invalid([(_field(found["loc"]), error_message(found)) for found in error.errors()])
    trace = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    logger.error("unexpected error", error=type(error).__qualname__, trace=trace)
    count("InternalErrors")
    return errors.InternalError()


def problem_answer(error: DomainError, event: Mapping[str, Any]) -> dict[str, Any]:
    """Builds the answer to an error: its problem document, with the path and the id of the request."""
    problem = PROBLEMS[type(error)]
    body = {
        "type": PROBLEM_TYPE + problem.slug,
        "title": problem.title,
        "status": problem.status,
        "detail": error.detail,
        "instance": event.get("rawPath"),
        "request_id": event.get("requestContext", {}).get("requestId"),
        **error.facts,
    }
    headers = {"Content-Type": PROBLEM, **problem.headers(error)}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    return {"statusCode": problem.status, "headers": headers, "body": write_json(body)}


def read_json(text: str) -> dict[str, Any]:
    """Parses a body: one JSON object, strictly.

    Raises:
        MalformedBody: It is not JSON, holds NaN or Infinity, or an object in it repeats a member.
        Invalid: It is JSON but not an object.
    """
    try:
        body = strict_json.loads(text)
    except ValueError as error:
        raise errors.MalformedBody from error
    if not isinstance(body, dict):
        raise errors.Invalid([("body", "must be a JSON object")])
    return body


def write_json(value: Any) -> str:
    """Serialises a body: compact, and without escaping non-ASCII characters."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def answers(
    status: int,
    description: str,
    *failures: type[DomainError],
    headers: Mapping[str, str] | None = None,
    content: Mapping[str, Mapping[str, Any]] | None = None,
    also: Mapping[int, str] | None = None,
) -> dict[int, Any]:
    """Declares the answers of a route, for OpenAPI.

    It runs at each cold start, so it only names the problems. `openapi.document` adds their descriptions, and the
    problems that all routes have in common.

    Args:
        status: The status of a success.
        description: What the success means.
        failures: The errors that are specific to this route.
        headers: Headers of the success and their descriptions.
        content: Schemas of the success by media type, if it is not the JSON of the function's return type.
        also: Other successful answers and what they mean: like the success below 300, else without a body.
    """
    named: dict[int, Any] = {}
    for problem in map(PROBLEMS.__getitem__, failures):
        named.setdefault(problem.status, {})[problem.slug] = {}
    return {
        status: success(description, headers, content),
        **{each: success(text, headers, {} if each >= 300 else content) for each, text in (also or {}).items()},
        **{each: {"description": "", "content": {PROBLEM: {"examples": slugs}}} for each, slugs in named.items()},
    }


def success(
    description: str,
    headers: Mapping[str, str] | None = None,
    content: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Declares one successful answer, with the arguments of `answers`."""
    found: dict[str, Any] = {"description": description}
    if content is not None:
        found["content"] = {media_type: {"schema": schema} for media_type, schema in content.items()}
    if headers:
        found["headers"] = {
            name: {"description": text, "required": True, "schema": {"type": "string"}}
            for name, text in headers.items()
        }
    return found


def _with_encoded_path(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the event with its path percent-encoded, made of its route and the values of its path parameters.

    HTTP API decodes `rawPath`, despite its name, and Powertools finds the route by it. But it does not expect every
    character there that an order's id may have, and takes a line end for the end of the path.
    """
    values: Mapping[str, str] = event.get("pathParameters") or {}
    parts = str(event.get("routeKey", "")).partition(" ")[2].split("/")
    names = [part[1:-1] for part in parts if part.startswith("{")]
    if not names or not set(names) <= values.keys():
        return event
    encoded = [path_segment(unquote(values[part[1:-1]])) if part.startswith("{") else part for part in parts]
    return {**event, "rawPath": "/".join(encoded)}


def _with_get_for_head(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the event of a HEAD request as that of a GET. API Gateway leaves the body out of the answer."""
    route = str(event.get("routeKey", ""))
    if not route.startswith("HEAD "):
        return event
    context = event["requestContext"]
    context = {**context, "http": {**context["http"], "method": "GET"}}
    return {**event, "routeKey": route.replace("HEAD", "GET", 1), "requestContext": context}


def _with_json_body(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the event with its body as text. Refuses one that is not JSON in UTF-8, before Powertools reads it."""
    body: str = event.get("body") or ""
    # The body of a GET has no meaning (RFC 9110).
    if not body or event.get("routeKey", "").startswith("GET "):
        return event
    headers: Mapping[str, str] = event.get("headers") or {}
    media_type = headers.get("content-type", JSON).partition(";")[0].strip().lower()
    patch = media_type == MERGE_PATCH and str(event.get("routeKey", "")).startswith("PATCH ")
    if media_type != JSON and not patch:
        raise errors.UnsupportedMediaType
    if headers.get("content-encoding", "").strip().lower() not in {"", "identity"}:
        raise errors.UnsupportedEncoding
    encoded = bool(event.get("isBase64Encoded"))
    try:
        content = base64.b64decode(body, validate=True) if encoded else body.encode()
        text = content.decode()
    except ValueError as error:
        raise errors.MalformedBody from error
    if len(content) > LARGEST_BODY:
        raise errors.TooLarge(f"The body may have at most {LARGEST_BODY} bytes.")
    if not encoded and REPLACEMENT in text:
        raise errors.MalformedBody(
            "The body is not UTF-8: invalid bytes arrived as U+FFFD. If you mean this character, send it as \\ufffd."
        )
    # Powertools only recognises the media type in lower case, although case does not matter (RFC 9110).
    headers = {**headers, "content-type": JSON}
    # A byte order mark may be ignored (RFC 8259, section 8.1).
    return {**event, "headers": headers, "body": text.removeprefix("\ufeff"), "isBase64Encoded": False}


def _refuse_unknown_parameters(app: ApiGatewayResolver, next_middleware: Callable[..., Any]) -> Any:
    """Refuses unknown query parameters: a filter with a typo would otherwise match everything."""
    known = {parameter.alias for parameter in app.context["_route"].dependant.query_params}
    if unknown := app.current_event.query_string_parameters.keys() - known:
        raise errors.Invalid([(name, "is not a known query parameter") for name in sorted(unknown)])
    return next_middleware(app)


def _field(location: Sequence[str | int]) -> str:
    """`("body", "payment_settings", "foo")` → `payment_settings.foo`."""
    return ".".join(str(step) for step in location[1:]) or str(location[0])


def _cause(error: BaseException) -> str:
    """Returns an error's type and AWS's error code. The message is left out: it may quote an address."""
    code = (getattr(error, "response", None) or {}).get("Error", {}).get("Code")
    return f"{type(error).__name__} {code}" if code else type(error).__name__
