"""Diagrams, examples and links of the documentation match the code."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from harness import ROOT
from moto.events.models import EventPattern

from local.template import Template
from orders import lifecycle

EVENTS = ROOT / "docs" / "events"


@pytest.mark.parametrize(
    ("field", "following"),
    [
        ("order_status", lifecycle.ORDER_NEXT),
        ("shipping_status", lifecycle.SHIPPING_NEXT),
    ],
)
def test_diagrams_show_the_rules(field: str, following: dict[str, set[str]]) -> None:
    text = (ROOT / "docs" / "lifecycle.md").read_text(encoding="utf-8")
    diagram = text.partition(f"## `{field}`")[2].partition("```mermaid")[2].partition("```")[0]
    drawn = set(re.findall(r"^ +(\w+) --> (\w+)$", diagram, re.MULTILINE))
    assert drawn == {(before, after) for before in following for after in following[before] if after != before}
    cancelled = set(re.findall(r"^ +(\w+) --> cancelled: POST", diagram, re.MULTILINE))
    assert cancelled == (set(lifecycle.CANCELLABLE_ORDER) if field == "order_status" else set())


@pytest.fixture(scope="module")
def examples() -> dict[str, Any]:
    """Returns an event of each type."""
    schemas = [json.loads(path.read_text(encoding="utf-8")) for path in EVENTS.glob("*.json")]
    return {schema["title"]: schema["examples"][0] for schema in schemas}


def test_documented_events_match_the_schemas(examples: dict[str, Any]) -> None:
    text = (EVENTS / "README.md").read_text(encoding="utf-8")
    *shown, _ = [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```$", text, re.M | re.S)]
    assert {event["type"]: event for event in shown} == examples
    for event in examples:
        assert f"| `{event}` |" in text
        assert f"({event}.v1.json)" in text


def test_sample_rule_matches_the_documented_events(examples: dict[str, Any]) -> None:
    text = (EVENTS / "README.md").read_text(encoding="utf-8")
    *_, pattern = re.findall(r"^```json\n(.*?)^```$", text, re.M | re.S)
    [rule] = Template(EVENTS / "consumer.yaml").of_type("AWS::Events::Rule").values()
    assert rule["EventPattern"] == json.loads(pattern)
    taken = [
        name
        for name, event in examples.items()
        if EventPattern.load(pattern).matches_event({"source": "orders", "detail-type": name, "detail": event})
    ]
    assert taken == ["OrderCancelled"]


def anchors(document: Path) -> set[str]:
    """Returns the fragments that GitHub generates for a document's headings."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_lead_to_existing_files_and_headings() -> None:
    broken = []
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
            name, _, fragment = link.partition("#")
            target = document.parent / name if name else document
            if ":" not in link and (not target.exists() or (fragment and fragment not in anchors(target))):
                broken.append(f"{document.relative_to(ROOT)}: {link}")
    assert not broken
