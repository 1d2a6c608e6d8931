"""Generates the OpenAPI document from the routes of all functions.

A function documents only what is specific to its routes. This module adds the rest, so that no function pays for it at
a cold start: the problems that every route can answer with, examples, and docstrings as descriptions.
"""

import importlib
import inspect
import json
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

from aws_lambda_powertools.event_handler.openapi.merge import OpenAPIMerge
from aws_lambda_powertools.event_handler.openapi.models import HTTPBearer, License, Server, Tag

from local.template import Template
from orders import errors
from orders.http import JSON, LARGEST_BODY, PROBLEM, PROBLEMS, problem_answer
from orders.responses import ProblemDocument

Json = dict[str, Any]
Kind = type[errors.DomainError]

ROOT = Path(__file__).resolve().parents[1]

DESCRIPTION = """\
Customers call `/orders/…` and can only access their own orders. Admins call `/admin/orders/…`. Guests call
`/withdrawals`, the only route that needs no token.

**Errors** are problem documents (RFC 9457). Branch on the last part of `type`. API Gateway itself answers requests that
reach no function with `{"message": "…"}`: `401` for an invalid token, `404` for an unknown path or method, and `429`
for too many requests. Branch on the status of those.

**Retries** are safe with an `Idempotency-Key`, which every request that creates something accepts: the same key with
the same body returns the first answer again and does nothing twice."""

TAGS = {
    "Customer": "For customers. An order of another customer and an order that does not exist return the same 404.",
    "Guest": "For anyone, without a token. The number of requests is limited.",
    "Admin": "For admins: tokens with the group `admins` in `cognito:groups`, or with the scope `orders/admin`.",
}

COMMON_PROBLEMS = (errors.Invalid, errors.InternalError, errors.Unavailable)
BODY_PROBLEMS = (errors.MalformedBody, errors.TooLarge, errors.UnsupportedMediaType, errors.UnsupportedEncoding)

GATEWAY_MESSAGES = {
    "401": "Unauthorized",
    "413": "Request Entity Too Large",
    "429": "Too Many Requests",
    "500": "Internal Server Error",
    "503": "Service Unavailable",
}
"""The messages of the answers that a deployed API Gateway gives itself, on routes that exist."""

GATEWAY_MESSAGE = {
    "type": "object",
    "title": "GatewayMessage",
    "description": "The answer of API Gateway to a request that reaches no function.",
    "properties": {"message": {"type": "string", "examples": ["Too Many Requests"]}},
    "required": ["message"],
}

EXAMPLES: dict[Kind, errors.DomainError] = {
    type(problem): problem
    for problem in (
        errors.Invalid([("content", "must not be blank")]),
        errors.MailRefused("The mail service rejected the mail. It was not sent."),
        errors.MailUnknown(
            "The mail service did not confirm that it accepted the mail. It will not be retried automatically."
        ),
        errors.StateConflict(
            "The order is shipped and can no longer be cancelled.",
            order_status="in_progress",
            shipping_status="shipped",
            payment_status="paid",
        ),
        errors.InvoiceOutdated(
            'The buyer changed since invoice INV-2026-00017 was issued. Send "reissue": true to replace it by a credit '
            'note and a new invoice, or "as_issued": true to send it unchanged.',
            invoice="INV-2026-00017",
            changed=["customer_summary.city"],
        ),
        errors.EInvoiceIncomplete(["order_line_details.0.tax_rate"]),
        errors.StillRunning(
            "An invoice for this order is being mailed. Nothing was changed; try again.", retry_after=10
        ),
        errors.Outdated(2),
        errors.TooManyRequests(retry_after=1800),
        errors.TooLarge(f"The body may have at most {LARGEST_BODY} bytes."),
    )
}
"""Examples of the problems whose detail varies. The class of any other problem has its only detail."""


class MissingExample(Exception):
    """A schema or a problem has no example. The message names it and says where to add one."""


def describe(template: Template) -> str:
    """Returns the document for the routes of a template. The modules of their functions must be importable."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    merge = OpenAPIMerge(
        title="Orders",
        version=project["version"],
        summary=project["description"],
        description=DESCRIPTION,
        license_info=License(name=project["license"], identifier=project["license"]),
        servers=[Server(url="/", description="The server of this document.")],
        tags=[Tag(name=name, description=text) for name, text in TAGS.items()],
        security_schemes={
            "Jwt": HTTPBearer(bearerFormat="JWT", description="An access token from the shop's identity provider.")
        },
        security=[{"Jwt": []}],
        on_conflict="error",
    )
    for name in dict.fromkeys(route.function for route in template.routes):
        app = importlib.import_module(template.functions[name].handler.rpartition(".")[0]).app
        for route in app._static_routes + app._dynamic_routes:
            route.description = inspect.getdoc(route.func)
        merge.add_schema(app.get_openapi_schema())
    document: Json = json.loads(merge.get_openapi_json_schema())
    schemas = document["components"]["schemas"]
    schemas["GatewayMessage"] = GATEWAY_MESSAGE
    schemas["ProblemDocument"] = ProblemDocument.model_json_schema(ref_template=_reference("schemas", "{model}"))
    schemas |= schemas["ProblemDocument"].pop("$defs")
    kinds = {problem.slug: kind for kind, problem in PROBLEMS.items()}
    public = {route.key for route in template.routes if route.jwt is None}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if f"{method.upper()} {path}" in public:
                operation["security"] = []
            _complete(path, operation, kinds, schemas)
    document["components"]["examples"] = {
        slug: {"summary": PROBLEMS[kind].title, "value": json.loads(_example_answer(kind)["body"])}
        for slug, kind in sorted(kinds.items())
    }
    _drop_unused(document)
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def _complete(path: str, operation: Json, kinds: dict[str, Kind], schemas: Json) -> None:
    """Adds to an operation what its route does not document itself."""
    parameters, body, responses = operation.get("parameters", []), operation.get("requestBody"), operation["responses"]
    for parameter in parameters:
        parameter["schema"] = _without_null(parameter["schema"])
        if "examples" in parameter["schema"]:
            parameter["example"] = parameter["schema"]["examples"][0]
        if parameter["in"] == "header":
            parameter["name"] = parameter["name"].title()
    problems: set[Kind] = {*COMMON_PROBLEMS, *_named_problems(responses, kinds)}
    if operation.get("security") != []:
        problems.add(errors.Unauthenticated)
    if path.startswith("/admin/"):
        problems.add(errors.Forbidden)
    if any(parameter["name"] == "Idempotency-Key" for parameter in parameters):
        problems.add(errors.KeyReused)
    if body:
        problems.update(BODY_PROBLEMS)
    by_status: defaultdict[str, list[Kind]] = defaultdict(list)
    for kind in sorted(problems, key=lambda kind: PROBLEMS[kind].slug):
        by_status[str(PROBLEMS[kind].status)].append(kind)
    successes = {status: response for status, response in responses.items() if status < "400"}
    for part in filter(None, (body, *successes.values())):
        for media_type, media in part["content"].items():
            media["schema"] = _without_null(media["schema"])
            if media_type == JSON or "examples" in media["schema"]:
                media["example"] = _example(media["schema"], schemas, operation["operationId"])
        if not part["content"]:
            del part["content"]
    failures = {status: _failure(status, by_status[status]) for status in {*by_status, "429"}}
    operation["responses"] = dict(sorted({**successes, **failures}.items()))


def _named_problems(responses: Json, kinds: dict[str, Kind]) -> list[Kind]:
    """Returns the problems that the route named with `orders.http.answers`."""
    contents = [response.get("content", {}).get(PROBLEM, {}) for response in responses.values()]
    return [kinds[slug] for content in contents for slug in content.get("examples", {})]


def _failure(status: str, kinds: list[Kind]) -> Json:
    """Describes the answers with one error status, which may come from a function, from API Gateway or from either."""
    response: Json = {"description": " / ".join(PROBLEMS[kind].title for kind in kinds), "content": {}}
    if kinds:
        response["content"][PROBLEM] = {
            "schema": {"$ref": _reference("schemas", "ProblemDocument")},
            "examples": {
                slug: {"$ref": _reference("examples", slug)} for slug in (PROBLEMS[kind].slug for kind in kinds)
            },
        }
    if any("Retry-After" in _example_answer(kind)["headers"] for kind in kinds):
        text = "Seconds to wait before repeating the request."
        response["headers"] = {"Retry-After": {"description": text, "schema": {"type": "integer", "minimum": 1}}}
    if message := GATEWAY_MESSAGES.get(status):
        response["description"] = response["description"] or message
        response["content"][JSON] = {
            "schema": {"$ref": _reference("schemas", "GatewayMessage")},
            "example": {"message": message},
        }
    return response


def _example_answer(kind: Kind) -> Json:
    """Returns what a function answers with a problem of this kind."""
    if kind not in EXAMPLES and "default_detail" not in vars(kind) and kind is not errors.InternalError:
        raise MissingExample(f"{kind.__name__} has no example: add a default_detail to it, or an example to {__name__}")
    problem = EXAMPLES.get(kind) or kind()
    return problem_answer(
        problem, {"rawPath": "/admin/orders/1001", "requestContext": {"requestId": "JKJaXmPLvHcESHA="}}
    )


def _example(schema: Json, schemas: Json, place: str) -> Any:
    """Returns the example of a schema, or composes one from the examples of its parts.

    A nullable part without an example is null.
    """
    if "examples" in schema:
        return schema["examples"][0]
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _example(schemas[name], schemas, name)
    if "anyOf" in schema:
        return None if {"type": "null"} in schema["anyOf"] else _example(schema["anyOf"][0], schemas, place)
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            return {
                name: _example(part, schemas, f"{place}.{name}") for name, part in schema.get("properties", {}).items()
            }
        case "array":
            return [_example(schema["items"], schemas, place)]
        case "boolean":
            return False
    raise MissingExample(f"{place} has no example: add Field(examples=[…]) to it, or an example to its model")


def _without_null(schema: Json) -> Json:
    """Returns a schema without its null alternative: a parameter, a body or an answer may be absent, but never null."""
    options = [option for option in schema.get("anyOf", []) if option != {"type": "null"}]
    if len(options) != 1:
        return schema
    return {**options[0], **{name: value for name, value in schema.items() if name not in {"anyOf", "title"}}}


def _drop_unused(document: Json) -> None:
    """Removes components that Powertools adds and no route uses."""
    for part, components in document["components"].items():
        while unused := [
            name
            for name in components
            if part != "securitySchemes" and f'"{_reference(part, name)}"' not in json.dumps(document)
        ]:
            for name in unused:
                del components[name]


def _reference(part: str, name: str) -> str:
    return f"#/components/{part}/{name}"
