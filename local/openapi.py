"""Describes what others build on: the API, one document from the routes of all functions, and the events on the bus.

A route says what is its own. What is the same for all is added here, not in the functions, which would pay for it at
each cold start: problems of the caller, the body and the service, examples, and docstrings as descriptions.
"""

import importlib
import inspect
import json
import tomllib
from collections import defaultdict
from typing import Any, get_args

from aws_lambda_powertools.event_handler.openapi.merge import OpenAPIMerge
from aws_lambda_powertools.event_handler.openapi.models import HTTPBearer, License, Server, Tag

from local import ROOT, Mistake
from local.template import Template
from orders import errors
from orders.http import JSON, LARGEST_BODY, PROBLEM, PROBLEMS, problem_answer
from orders.responses import ProblemDocument

Json = dict[str, Any]
Kind = type[errors.DomainError]

DESCRIPTION = """\
Customers call `/orders/…` and reach their own orders only. The staff calls `/admin/orders/…`.

**When it fails**, the answer is a problem document (RFC 9457), and its `type` ends in a word to branch on. Where no
function is reached, API Gateway answers by itself, with `{"message": "…"}`: `401` to a bad token, `404` to a path or a
method that there is not, `429` to too many requests. Branch on the status there.

**Repeat safely.** What creates something takes an `Idempotency-Key`: the same key with the same body gives the first
answer again and does nothing twice."""

TAGS = {
    "Customer": "For customers. Somebody else's order and one that does not exist give the same 404.",
    "Admin": "For the staff: with the group `admins` in the token's `cognito:groups`, or its scope `orders/admin`.",
}

OF_EVERY_ROUTE = (errors.Unauthenticated, errors.Invalid, errors.InternalError, errors.Unavailable)
OF_EVERY_BODY = (errors.MalformedBody, errors.TooLarge, errors.UnsupportedMediaType)

OF_THE_GATEWAY = {
    "401": "Unauthorized",
    "413": "Request Entity Too Large",
    "429": "Too Many Requests",
    "500": "Internal Server Error",
    "503": "Service Unavailable",
}
"""What a deployed API Gateway says in place of a function, of a route that there is."""

GATEWAY_MESSAGE = {
    "type": "object",
    "title": "GatewayMessage",
    "description": "What API Gateway answers where no function is reached.",
    "properties": {"message": {"type": "string", "examples": ["Too Many Requests"]}},
    "required": ["message"],
}

OCCURRENCES: dict[Kind, errors.DomainError] = {
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
        errors.StillRunning(
            "An invoice for this order is being mailed. Nothing was changed; try again.", retry_after=10
        ),
        errors.Outdated(2),
        errors.TooLarge(f"The body may have at most {LARGEST_BODY} bytes."),
    )
}
"""Examples of the problems that say something else each time. Of the others, the class says all."""


def describe(template: Template) -> str:
    """The description of the functions that have routes. Their handlers' modules must be importable."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    merge = OpenAPIMerge(
        title="Orders",
        version=project["version"],
        summary=project["description"],
        description=DESCRIPTION,
        license_info=License(name=project["license"], identifier=project["license"]),
        servers=[Server(url="/", description="Where this document comes from.")],
        tags=[Tag(name=name, description=text) for name, text in TAGS.items()],
        security_schemes={"Jwt": HTTPBearer(bearerFormat="JWT", description="An access token of the shop's issuer.")},
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
    for path, item in document["paths"].items():
        for operation in item.values():
            _complete(path, operation, kinds, schemas)
    document["components"]["examples"] = {
        slug: {"summary": PROBLEMS[kind].title, "value": json.loads(_occurrence(kind)["body"])}
        for slug, kind in sorted(kinds.items())
    }
    _drop_unused(document)
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def schemas() -> dict[str, str]:
    """The JSON Schemas of the events, by the names of their files. `publish_events` must be importable."""
    events = importlib.import_module("publish_events.events")
    texts = {}
    for event in get_args(events.Event):
        schema = event.model_json_schema(mode="serialization")
        version = schema["properties"]["schema_version"]["const"]
        # Pydantic sorts the members of examples by name.
        schema["examples"] = [
            {name: example[name] for name in schema["properties"] if name in example} for example in schema["examples"]
        ]
        head = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"urn:event:orders:{event.__name__}:{version}",
        }
        texts[f"{event.__name__}.v{version}.json"] = json.dumps(head | schema, indent=2, ensure_ascii=False) + "\n"
    return texts


def _complete(path: str, operation: Json, kinds: dict[str, Kind], schemas: Json) -> None:
    """Adds to a route's operation what the route does not say itself."""
    parameters, body, responses = operation.get("parameters", []), operation.get("requestBody"), operation["responses"]
    for parameter in parameters:
        parameter["schema"] = _without_null(parameter["schema"])
        if "examples" in parameter["schema"]:
            parameter["example"] = parameter["schema"]["examples"][0]
        if parameter["in"] == "header":
            parameter["name"] = parameter["name"].title()
    problems: set[Kind] = {*OF_EVERY_ROUTE, *_named(responses, kinds)}
    if path.startswith("/admin/"):
        problems.add(errors.Forbidden)
    if any(parameter["name"] == "Idempotency-Key" for parameter in parameters):
        problems.add(errors.KeyReused)
    if body:
        problems.update(OF_EVERY_BODY)
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


def _named(responses: Json, kinds: dict[str, Kind]) -> list[Kind]:
    """The problems that `orders.http.answers` named."""
    contents = [response.get("content", {}).get(PROBLEM, {}) for response in responses.values()]
    return [kinds[slug] for content in contents for slug in content.get("examples", {})]


def _failure(status: str, kinds: list[Kind]) -> Json:
    """The answers with one status that is no success: by a function, by API Gateway, or by either."""
    response: Json = {"description": " / ".join(PROBLEMS[kind].title for kind in kinds), "content": {}}
    if kinds:
        response["content"][PROBLEM] = {
            "schema": {"$ref": _reference("schemas", "ProblemDocument")},
            "examples": {
                slug: {"$ref": _reference("examples", slug)} for slug in (PROBLEMS[kind].slug for kind in kinds)
            },
        }
    if any("Retry-After" in _occurrence(kind)["headers"] for kind in kinds):
        text = "Seconds after which the same request may succeed."
        response["headers"] = {"Retry-After": {"description": text, "schema": {"type": "integer", "minimum": 1}}}
    if message := OF_THE_GATEWAY.get(status):
        response["description"] = response["description"] or message
        response["content"][JSON] = {
            "schema": {"$ref": _reference("schemas", "GatewayMessage")},
            "example": {"message": message},
        }
    return response


def _occurrence(kind: Kind) -> Json:
    """What a function answers when such a problem occurs."""
    if kind not in OCCURRENCES and "default_detail" not in vars(kind) and kind is not errors.InternalError:
        raise Mistake(f"{kind.__name__} has no example: give it a default_detail, or local/openapi.py an occurrence")
    problem = OCCURRENCES.get(kind) or kind()
    return problem_answer(
        problem, {"rawPath": "/admin/orders/1001", "requestContext": {"requestId": "JKJaXmPLvHcESHA="}}
    )


def _example(schema: Json, schemas: Json, place: str) -> Any:
    """An example of what a schema describes: its own, else one made of those of its parts.

    What may be null is null, unless it has an example.
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
    raise Mistake(f"{place} has no example: declare it with Field(examples=[…]), or the model with one of its own")


def _without_null(schema: Json) -> Json:
    """What a schema says if there is a value. A parameter, a body and an answer are there or not, and never null."""
    options = [option for option in schema.get("anyOf", []) if option != {"type": "null"}]
    if len(options) != 1:
        return schema
    return {**options[0], **{name: value for name, value in schema.items() if name not in {"anyOf", "title"}}}


def _drop_unused(document: Json) -> None:
    """Drops what Powertools describes and no route uses."""
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
