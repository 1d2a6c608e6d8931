"""What the documentation draws is what the rules say."""

import re

import pytest
from harness import ROOT

from orders import lifecycle


@pytest.mark.parametrize(
    ("field", "following"),
    [
        ("order_status", lifecycle.ORDER_NEXT),
        ("shipping_status", lifecycle.SHIPPING_NEXT),
        ("payment_status", lifecycle.PAYMENT_NEXT),
    ],
)
def test_the_diagrams_show_the_rules(field: str, following: dict[str, set[str]]) -> None:
    text = (ROOT / "docs" / "lifecycle.md").read_text(encoding="utf-8")
    diagram = text.partition(f"## `{field}`")[2].partition("```mermaid")[2].partition("```")[0]
    drawn = set(re.findall(r"^ +(\w+) --> (\w+)$", diagram, re.MULTILINE))
    assert drawn == {(before, after) for before in following for after in following[before] if after != before}
    cancelled = set(re.findall(r"^ +(\w+) --> cancelled: POST", diagram, re.MULTILINE))
    assert cancelled == (set(lifecycle.CANCELLABLE_ORDER) if field == "order_status" else set())
