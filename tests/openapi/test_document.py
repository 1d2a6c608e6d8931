"""openapi.json describes every route and every answer, each with an example."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from harness import ROOT, TEMPLATE
from openapi_schema_validator import OAS31Validator

from openapi import document
from orders import comment_views, models, requests, responses
from orders.http import PROBLEMS
from withdraw import bodies

DOCUMENT: dict[str, Any] = json.loads((ROOT / "openapi.json").read_text(encoding="utf-8"))
COMPONENTS = DOCUMENT["components"]
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
}
PROBLEM_TYPES = {problem.slug: problem for problem in PROBLEMS.values()}

each_operation = pytest.mark.parametrize("route", OPERATIONS)


def contents(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for part in (operation.get("requestBody", {}), *operation["responses"].values()):
        yield from part.get("content", {}).items()


def examples() -> Iterator[Any]:
    """Yields every schema with its example."""
    for route, operation in OPERATIONS.items():
        for media_type, content in contents(operation):
            if "example" in content:
                yield pytest.param(content["schema"], content["example"], id=f"{route} {media_type}")
        for parameter in operation.get("parameters", []):
            if "example" in parameter:
                yield pytest.param(parameter["schema"], parameter["example"], id=f"{route} {parameter['name']}")
    for name, schema in COMPONENTS["schemas"].items():
        for example in schema.get("examples", []):
            yield pytest.param({"$ref": f"#/components/schemas/{name}"}, example, id=name)
    for slug, example in COMPONENTS["examples"].items():
        yield pytest.param({"$ref": "#/components/schemas/ProblemDocument"}, example["value"], id=slug)


def public(route: str) -> bool:
    """Whether a route needs no token."""
    return any(each.key == route and each.jwt is None for each in TEMPLATE.routes)


def slugs(response: dict[str, Any]) -> set[str]:
    return set(response["content"].get("application/problem+json", {}).get("examples", {}))


def test_every_route_is_documented() -> None:
    assert set(OPERATIONS) == {route.key for route in TEMPLATE.operations}


@each_operation
def test_operation_has_summary_description_and_security(route: str) -> None:
    operation = OPERATIONS[route]
    assert operation["summary"]
    assert operation["description"]
    assert operation["tags"] == ["Guest" if public(route) else "Admin" if "/admin/" in route else "Customer"]
    assert operation.get("security", "as the document says") == ([] if public(route) else "as the document says")
    assert [list(scheme) for scheme in DOCUMENT["security"]] == [["Jwt"]]
    assert COMPONENTS["securitySchemes"]["Jwt"]["scheme"] == "bearer"


@each_operation
def test_every_body_and_required_parameter_has_an_example(route: str) -> None:
    operation = OPERATIONS[route]
    for media_type, content in contents(operation):
        assert "example" in content or content.get("examples") or media_type == "application/pdf"
    for parameter in operation.get("parameters", []):
        assert "example" in parameter or not parameter["required"]


@pytest.mark.parametrize(("schema", "example"), list(examples()))
def test_examples_match_their_schemas(schema: dict[str, Any], example: Any) -> None:
    OAS31Validator({**schema, "components": COMPONENTS}).validate(example)
    name = schema.get("$ref", "").rpartition("/")[2]
    for room in (bodies, comment_views, models, requests, responses):
        if model := vars(room).get(name):
            model.model_validate_json(json.dumps(example))


@each_operation
def test_every_error_response_names_its_problem_types(route: str) -> None:
    failures = {status: answer for status, answer in OPERATIONS[route]["responses"].items() if status >= "400"}
    assert {"422", "429", "500", "503"} <= failures.keys()
    assert ("401" in failures) != public(route)
    for status, answer in failures.items():
        assert slugs(answer) or (status == "429" and not public(route))
        assert {str(PROBLEM_TYPES[slug].status) for slug in slugs(answer)} <= {status}
    assert ("forbidden" in slugs(failures.get("403", {"content": {}}))) == ("/admin/" in route)
    assert ("requestBody" in OPERATIONS[route]) == ({"400", "413", "415"} <= failures.keys())
    assert ("{" in route) == ("404" in failures)


@each_operation
def test_answers_of_api_gateway_are_documented(route: str) -> None:
    answers = OPERATIONS[route]["responses"]
    expected = {"429": "Too Many Requests"} | ({} if public(route) else {"401": "Unauthorized"})
    assert expected == {
        status: answers[status]["content"]["application/json"]["example"]["message"] for status in expected
    }


def test_problem_examples_are_distinct() -> None:
    for slug, example in COMPONENTS["examples"].items():
        problem = example["value"]
        assert problem["type"] == f"urn:problem:orders:{slug}"
        assert (problem["title"], problem["status"]) == (PROBLEM_TYPES[slug].title, PROBLEM_TYPES[slug].status)
    details = [example["value"]["detail"] for example in COMPONENTS["examples"].values()]
    assert len(set(details)) == len(details)


@pytest.mark.parametrize("status", ["409", "503"])
def test_retryable_errors_document_retry_after(status: str) -> None:
    answers = OPERATIONS["POST /admin/orders/{order_id}/send-invoice"]["responses"]
    assert answers[status]["headers"]["Retry-After"]["schema"]["type"] == "integer"


def test_missing_example_of_a_field_is_an_error() -> None:
    schemas = {"Thing": {"type": "object", "properties": {"at": {"type": "array", "items": {"type": "string"}}}}}
    with pytest.raises(document.MissingExample, match=r"Thing\.at has no example"):
        document._example({"$ref": "#/components/schemas/Thing"}, schemas, "getThing")


def test_missing_example_of_a_problem_is_an_error() -> None:
    # Not a subclass of DomainError, which would stay registered.
    with pytest.raises(document.MissingExample, match="StateConflict has no example"):
        document._example_answer(type("StateConflict", (), {}))
