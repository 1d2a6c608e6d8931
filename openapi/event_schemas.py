"""Generates the JSON Schemas of the events that the service publishes."""

import importlib
import json
from typing import get_args


def event_schemas() -> dict[str, str]:
    """Returns the schemas by file name. `publish_events` must be importable."""
    events = importlib.import_module("publish_events.events")
    texts = {}
    for event in get_args(events.Event):
        schema = event.model_json_schema(mode="serialization")
        version = schema["properties"]["schema_version"]["const"]
        # Pydantic sorts the members of examples by name. Here they follow the order of the fields.
        schema["examples"] = [
            {name: example[name] for name in schema["properties"] if name in example} for example in schema["examples"]
        ]
        head = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"urn:event:orders:{event.__name__}:{version}",
        }
        texts[f"{event.__name__}.v{version}.json"] = json.dumps(head | schema, indent=2, ensure_ascii=False) + "\n"
    return texts
