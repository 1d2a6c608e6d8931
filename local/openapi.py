"""Describes what others build on: the API, one document from the routes of all functions, and the events on the bus."""

import importlib
import json
import tomllib
from typing import get_args

from aws_lambda_powertools.event_handler.openapi.merge import OpenAPIMerge
from aws_lambda_powertools.event_handler.openapi.models import HTTPBearer

from local import ROOT
from local.template import Template


def describe(template: Template) -> str:
    """The description of the functions that have routes. Their handlers' modules must be importable."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    merge = OpenAPIMerge(
        title="Orders",
        version=project["version"],
        summary=project["description"],
        security_schemes={"Jwt": HTTPBearer(bearerFormat="JWT", description="An access token of the shop's issuer.")},
        security=[{"Jwt": []}],
        on_conflict="error",
    )
    for name in dict.fromkeys(route.function for route in template.routes):
        module = importlib.import_module(template.functions[name].handler.rpartition(".")[0])
        merge.add_schema(module.app.get_openapi_schema())
    return merge.get_openapi_json_schema() + "\n"


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
