"""Writes the API's description: one document from the routes of all functions."""

import importlib
import tomllib

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
