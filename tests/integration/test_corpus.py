"""Hostile requests, as events to the functions: each is refused or handled like any other request."""

import base64
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
from corpus import (
    BODIES,
    CONTENT_TYPES,
    HEADER_VALUES,
    HEADERS,
    QUERIES,
    SECRET,
    SEGMENTS,
    check_answer,
    examples,
    with_values,
)
from harness import EVENTS, TEMPLATE, Service, load

ROUTES = {load(name)["routeKey"]: load(name) for name in EVENTS if "routeKey" in load(name)}
WITH_BODY = dict(examples())


def event_of(route: str, **different: Any) -> dict[str, Any]:
    event = {name: value for name, value in ROUTES[route].items() if name != "body"} | different
    return event | {"headers": {**ROUTES[route]["headers"], **different.get("headers", {})}}


@pytest.fixture(autouse=True)
def logs_stay_clean(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert not [record for record in caplog.get_records("call") if SECRET in str(vars(record))]
    assert "InternalErrors" not in capsys.readouterr().out


def test_corpus_covers_all_routes() -> None:
    assert ROUTES.keys() == {route.key for route in TEMPLATE.operations}
    assert WITH_BODY.keys() == {route for route in ROUTES if not route.startswith("GET ")}


@pytest.mark.parametrize("route", WITH_BODY)
def test_bodies(service: Service, route: str) -> None:
    for name, body in BODIES.items():
        # As API Gateway passes on bodies that it considers text, and others.
        as_text = event_of(route, body=body.decode(errors="replace"), isBase64Encoded=False)
        as_bytes = event_of(route, body=base64.b64encode(body).decode(), isBase64Encoded=True)
        as_neither = event_of(route, body=body.decode(errors="replace"), isBase64Encoded=True)
        for event in (as_text, as_bytes, as_neither):
            check_answer(service.send(event), f"{name} {event['isBase64Encoded']}")


@pytest.mark.parametrize("route", WITH_BODY)
def test_values(service: Service, route: str) -> None:
    for name, body in with_values(WITH_BODY[route]):
        check_answer(service.send(event_of(route, body=body)), name)


@pytest.mark.parametrize("route", WITH_BODY)
def test_content_types(service: Service, route: str) -> None:
    for content_type in CONTENT_TYPES:
        for encoded in (False, True):
            event = event_of(route, body="{}", isBase64Encoded=encoded, headers={"content-type": content_type})
            check_answer(service.send(event), f"{content_type[:50]} {encoded}")


@pytest.mark.slow
@pytest.mark.parametrize("route", ROUTES)
def test_paths_and_queries_and_headers(service: Service, route: str) -> None:
    names = list(ROUTES[route].get("pathParameters") or {})
    for segment in SEGMENTS if names else ():
        decoded = unquote(segment)
        parameters = {**ROUTES[route]["pathParameters"], names[0]: decoded}
        path = route.partition(" ")[2].format(**parameters)
        check_answer(service.send(event_of(route, rawPath=path, pathParameters=parameters)), segment[:50])
    for query in QUERIES:
        pairs = dict(parse_qsl(query, keep_blank_values=True))
        event = event_of(route, rawQueryString=query, queryStringParameters=pairs)
        check_answer(service.send(event), query[:50])
    for header in HEADERS:
        for value in HEADER_VALUES:
            event = event_of(route, body="{}", headers={header.lower(): value.decode("latin-1")})
            answer = service.send(event)
            check_answer(answer, f"{header}: {value[:50]!r}")
            assert not [name for name, text in answer.headers.items() if "\n" in f"{name}{text}"], header
