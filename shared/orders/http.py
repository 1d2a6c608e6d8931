"""HTTP for every function alike: reading requests strictly, and the one mapping of errors to problem documents."""

import base64
import gc
import json
import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, ApiGatewayResolver, Request, Response
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.event_handler.openapi.params import Header, Path, Query
from pydantic import StringConstraints, WithJsonSchema

import orders
from orders import errors, identity, strict_json
from orders.errors import PROBLEM_TYPE, Problem
from orders.identity import Caller
from orders.models import OrderId
from orders.telemetry import count, logger

JSON = "application/json"
PROBLEM = "application/problem+json"
MERGE_PATCH = "application/merge-patch+json"
"""RFC 7396. HTTP API hands such a body over in Base64, as it does with all but the best known media types."""

LARGEST_BODY = 1024 * 1024
"""Bytes. More than any valid request, less than what Lambda takes (6 MB)."""

OrderIdInPath = Annotated[OrderId, Path(description="The id of the order.", examples=["1001"])]
IdempotencyKey = Annotated[
    str | None,
    StringConstraints(min_length=1, max_length=255),
    Header(
        alias="Idempotency-Key",
        description="Makes repeating safe for 24 hours: the same key and body give the first answer again.",
    ),
]
_TAG = '(W/)?"([!#-~]*)"'
_CONDITION = rf"^[ \t]*(\*|{_TAG}([ \t]*,[ \t]*{_TAG})*)[ \t]*$"
"""What `If-Match` and `If-None-Match` may say (RFC 9110, section 13.1)."""
Condition = Annotated[str, WithJsonSchema({"type": "string", "pattern": _CONDITION, "examples": ['"1"']})]
Limit = Annotated[int, Query(ge=1, le=100, description="How many at most.")]
Cursor = Annotated[
    str | None,
    StringConstraints(max_length=1000),
    Query(alias="cursor", description="`next_cursor` of the page before; the filters must be the same."),
]


class Api(APIGatewayHttpResolver):
    """The resolver of a function: Powertools', with the contract's errors around it."""

    def __init__(self) -> None:
        super().__init__(
            enable_validation=True,
            # Without it, an answer of ours that breaks its own model is blamed on the caller with a 422.
            response_validation_error_http_code=500,
            json_body_deserializer=read_json,
            serializer=write_json,
        )
        self.exception_handler(Exception)(self._answer_error)
        # Otherwise the handler for Exception would also take what Powertools says of unknown routes.
        self.not_found(lambda _: self._answer_error(errors.NotFound()))
        self.use([_refuse_unknown_parameters])
        # All that is loaded by now stays, and nobody need look for garbage in it again. From here on there is some.
        gc.freeze()
        gc.set_threshold(*orders.USUAL)

    def resolve(self, event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        """Answers one event of API Gateway (payload format 2.0). Never raises."""
        request_context = event.get("requestContext", {})
        logger.set_correlation_id(request_context.get("requestId"))
        try:
            # Before Powertools validates the body: a stranger learns that they may not, not what is wrong with it.
            identity.caller(event)
            event = _with_json_body(event)
        except Problem as problem:
            answer = problem_answer(problem, event)
        else:
            answer = super().resolve(event, context)
        logger.info("answered", route=event.get("routeKey"), status=answer["statusCode"])
        return answer

    def _answer_error(self, error: Exception) -> Response[str]:
        answer = problem_answer(to_problem(error), self.current_event.raw_event)
        return Response(answer["statusCode"], body=answer["body"], headers=answer["headers"])


def caller(request: Request) -> Caller:
    """For `Depends`: who is calling."""
    return identity.caller(request.resolved_event.raw_event)


def matches(condition: str, version: int, field: str = "If-None-Match") -> bool:
    """Whether a header with entity tags names an order's version (RFC 9110, section 13.1).

    Raises:
        Invalid: It is no such header.
    """
    tags = entity_tags(condition, field, weak=True)
    return tags is None or str(version) in tags


def entity_tags(condition: str, field: str, *, weak: bool) -> set[str] | None:
    """The entity tags in a header, without their quotes (RFC 9110, section 8.8.3). None is `*`: any.

    Args:
        condition: What the header says.
        field: What the header is called.
        weak: Also those that are weak.

    Raises:
        Invalid: There is something else in it.
    """
    if not re.fullmatch(_CONDITION, condition):
        raise errors.Invalid([(field, 'must be the ETag of an order, such as "1", or *')])
    if condition.strip() == "*":
        return None
    return {tag for is_weak, tag in re.findall(_TAG, condition) if weak or not is_weak}


def same_order(path: str, body: str | None, field: str) -> None:
    """Checks that an order's id in the body, if there is one, is the path's.

    Raises:
        Invalid: It is another.
    """
    if body is not None and body != path:
        raise errors.Invalid([(field, "must be the id of the order in the path")])


def etag(version: int) -> str:
    """The header `ETag` of an order in one of its versions (RFC 9110)."""
    return f'"{version}"'


def to_problem(error: Exception) -> Problem:
    """Turns any error into what the caller is told. The only place that does.

    What is not foreseen is logged with its place and type, without its text: that may quote what a person wrote.
    """
    if isinstance(error, Problem):
        if error.status >= 500 and error.__cause__:
            logger.warning("problem", slug=error.slug, cause=_cause(error.__cause__))
        return error
    if isinstance(error, RequestValidationError):
        return errors.Invalid([(_field(found["loc"]), _message(found)) for found in error.errors()])
    trace = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    logger.error("unexpected error", error=type(error).__qualname__, trace=trace)
    count("InternalErrors")
    return errors.InternalError()


def problem_answer(problem: Problem, event: Mapping[str, Any]) -> dict[str, Any]:
    """What Lambda returns for a problem: its document, with the path and the id of the request."""
    body = {
        "type": PROBLEM_TYPE + problem.slug,
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "instance": event.get("rawPath"),
        "request_id": event.get("requestContext", {}).get("requestId"),
        **problem.members,
    }
    headers = {"Content-Type": PROBLEM, **problem.headers}
    if problem.retry_after is not None:
        headers["Retry-After"] = str(problem.retry_after)
    return {"statusCode": problem.status, "headers": headers, "body": write_json(body)}


def read_json(text: str) -> dict[str, Any]:
    """Reads a body: one JSON object, strictly.

    Raises:
        MalformedBody: It is not JSON, holds NaN or Infinity, or an object in it names a member twice.
        Invalid: It is JSON, and no object.
    """
    try:
        body = strict_json.loads(text)
    except ValueError as error:
        raise errors.MalformedBody from error
    if not isinstance(body, dict):
        raise errors.Invalid([("body", "must be a JSON object")])
    return body


def write_json(value: Any) -> str:
    """Writes a body: compact, and in the characters that people wrote."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def answers(
    status: int,
    description: str,
    *problems: type[Problem],
    headers: Mapping[str, str] | None = None,
    content: Mapping[str, Mapping[str, Any]] | None = None,
    also: Mapping[int, str] | None = None,
) -> dict[int, Any]:
    """What a route can answer, as OpenAPI has it.

    It runs at each cold start, so it only names the problems. `openapi.document` documents the rest, and adds the
    problems that every route has: of the token, of the body, and of ours.

    Args:
        status: The success.
        description: What the success means.
        problems: The problems that are this route's own.
        headers: Headers of the success and what they say.
        content: Schemas of the success by media type, if it is not the JSON of the function's return type.
        also: Other answers that are no problems, and what they mean: as the success below 300, else without a body.
    """
    named: dict[int, Any] = {}
    for kind in problems:
        named.setdefault(kind.status, {})[kind.slug] = {}
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
    """One answer that is not a problem, with the arguments of `answers`."""
    found: dict[str, Any] = {"description": description}
    if content is not None:
        found["content"] = {media_type: {"schema": schema} for media_type, schema in content.items()}
    if headers:
        found["headers"] = {
            name: {"description": text, "required": True, "schema": {"type": "string"}}
            for name, text in headers.items()
        }
    return found


def _with_json_body(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Refuses a body that cannot be read as JSON text, before Powertools reads it as something else."""
    body: str = event.get("body") or ""
    # RFC 9110: the body of a GET means nothing.
    if not body or event.get("routeKey", "").startswith("GET "):
        return event
    if len(body) > LARGEST_BODY:
        raise errors.TooLarge(f"At most {LARGEST_BODY} bytes are read.")
    headers: Mapping[str, str] = event.get("headers") or {}
    media_type = headers.get("content-type", JSON).partition(";")[0].strip().lower()
    patch = media_type == MERGE_PATCH and str(event.get("routeKey", "")).startswith("PATCH ")
    if media_type != JSON and not patch:
        raise errors.UnsupportedMediaType
    try:
        (base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()).decode()
    except ValueError as error:
        raise errors.MalformedBody from error
    # Powertools knows the media type in lower case only (RFC 9110: case does not matter).
    return {**event, "headers": {**headers, "content-type": JSON}}


def _refuse_unknown_parameters(app: ApiGatewayResolver, next_middleware: Callable[..., Any]) -> Any:
    """A filter with a typing error would otherwise choose everything."""
    known = {parameter.alias for parameter in app.context["_route"].dependant.query_params}
    if unknown := app.current_event.query_string_parameters.keys() - known:
        raise errors.Invalid([(name, "is not a parameter of this request") for name in sorted(unknown)])
    return next_middleware(app)


def _field(location: Sequence[str | int]) -> str:
    """`("body", "payment_settings", "foo")` → `payment_settings.foo`."""
    return ".".join(str(step) for step in location[1:]) or str(location[0])


def _message(found: Mapping[str, Any]) -> str:
    if found["type"] == "extra_forbidden":
        return "is not a field of this request"
    return str(found["msg"]).removeprefix("Value error, ")


def _cause(error: BaseException) -> str:
    """An error's type, and AWS's word for it: its message may quote an address."""
    code = (getattr(error, "response", None) or {}).get("Error", {}).get("Code")
    return f"{type(error).__name__} {code}" if code else type(error).__name__
