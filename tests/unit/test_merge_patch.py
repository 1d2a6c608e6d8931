"""JSON Merge Patch as RFC 7396 defines it, in its examples and in its text."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.requests import merge_patch

# Appendix A of the RFC, line by line.
EXAMPLES = """
{"a":"b"}          | {"a":"c"}                   | {"a":"c"}
{"a":"b"}          | {"b":"c"}                   | {"a":"b","b":"c"}
{"a":"b"}          | {"a":null}                  | {}
{"a":"b","b":"c"}  | {"a":null}                  | {"b":"c"}
{"a":["b"]}        | {"a":"c"}                   | {"a":"c"}
{"a":"c"}          | {"a":["b"]}                 | {"a":["b"]}
{"a":{"b":"c"}}    | {"a":{"b":"d","c":null}}    | {"a":{"b":"d"}}
{"a":[{"b":"c"}]}  | {"a":[1]}                   | {"a":[1]}
["a","b"]          | ["c","d"]                   | ["c","d"]
{"a":"b"}          | ["c"]                       | ["c"]
{"a":"foo"}        | null                        | null
{"a":"foo"}        | "bar"                       | "bar"
{"e":null}         | {"a":1}                     | {"e":null,"a":1}
[1,2]              | {"a":"b","c":null}          | {"a":"b"}
{}                 | {"a":{"bb":{"ccc":null}}}   | {"a":{"bb":{}}}
"""


@pytest.mark.parametrize("example", EXAMPLES.strip().splitlines())
def test_examples_of_the_rfc(example: str) -> None:
    target, patch, result = map(json.loads, example.split("|"))
    assert merge_patch(target, patch) == result


def test_document_of_section_3() -> None:
    target = {
        "title": "Goodbye!",
        "author": {"givenName": "John", "familyName": "Doe"},
        "tags": ["example", "sample"],
        "content": "This will be unchanged",
    }
    patch = {"title": "Hello!", "phoneNumber": "+01-123-456-7890", "author": {"familyName": None}, "tags": ["example"]}
    assert merge_patch(target, patch) == {
        "title": "Hello!",
        "author": {"givenName": "John"},
        "tags": ["example"],
        "content": "This will be unchanged",
        "phoneNumber": "+01-123-456-7890",
    }


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
DOCUMENTS = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner), max_leaves=12
)


@given(DOCUMENTS, DOCUMENTS)
def test_patch_is_idempotent_and_leaves_its_arguments_unchanged(target: Any, patch: Any) -> None:
    before = copy.deepcopy((target, patch))
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once
    assert (target, patch) == before
