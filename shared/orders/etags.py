"""Entity tags of orders and the conditions that name them (RFC 9110, sections 8.8.3 and 13.1)."""

import re
from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Header
from pydantic import WithJsonSchema

from orders.errors import Invalid

_TAG = '(W/)?"([!#-~]*)"'
_CONDITION = rf"^[ \t,]*{_TAG}([ \t]*,[ \t,]*{_TAG})*[ \t,]*$|^[ \t]*\*[ \t]*$"
"""The values of `If-Match` and `If-None-Match`, with the empty elements of section 5.6.1."""
_Condition = Annotated[str, WithJsonSchema({"type": "string", "pattern": _CONDITION, "examples": ['"1"']})]
IfMatch = Annotated[
    _Condition | None,
    Header(alias="If-Match", description="The ETag of the version that the request is based on. Another one is a 412."),
]
IfNoneMatch = Annotated[
    _Condition | None,
    Header(
        alias="If-None-Match",
        description="The ETag of an earlier answer. The answer is 304 if the order has not changed since.",
    ),
]


def etag(version: int) -> str:
    """Formats the header `ETag` of a version of an order (RFC 9110)."""
    return f'"{version}"'


def matches(if_none_match: str, version: int) -> bool:
    """Returns whether `If-None-Match` names an order's version.

    Raises:
        Invalid: The header is malformed.
    """
    tags = _entity_tags(if_none_match, "If-None-Match", weak=True)
    return tags is None or str(version) in tags


def expected_versions(if_match: str | None) -> set[int] | None:
    """Returns the versions of an order that `If-Match` names; None means any.

    Raises:
        Invalid: The header is malformed, or names more versions than a condition of DynamoDB can have.
    """
    tags = None if if_match is None else _entity_tags(if_match, "If-Match", weak=False)
    if tags is None:
        return None
    if len(tags) > 100:
        raise Invalid([("If-Match", "must name at most 100 versions")])
    # Only tags that `etag` produces: "01" is another tag, and Python refuses to parse 5,000 digits.
    return {int(tag) for tag in tags if re.fullmatch("[1-9][0-9]{0,15}", tag)}


def _entity_tags(condition: str, field: str, *, weak: bool) -> set[str] | None:
    """Returns the entity tags in a header without their quotes (RFC 9110, section 8.8.3); None for `*`.

    Args:
        condition: The header's value.
        field: The header's name.
        weak: Include weak entity tags.

    Raises:
        Invalid: The header is malformed.
    """
    if not re.fullmatch(_CONDITION, condition):
        raise Invalid([(field, 'must be the ETag of an order, such as "1", or *')])
    if condition.strip() == "*":
        return None
    return {tag for is_weak, tag in re.findall(_TAG, condition) if weak or not is_weak}
