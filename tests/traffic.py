"""Records the calls between the service and DynamoDB, with the capacity that DynamoDB counts."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from orders import aws


@dataclass(frozen=True, order=True)
class Exchange:
    """One call and its answer."""

    operation: str
    error: str
    read: int
    """Items that DynamoDB read."""
    capacity: float
    """Capacity units: DynamoDB Local computes them, moto invents them."""
    size: int
    """Bytes of the answer, without the consumed capacity."""


@contextmanager
def traffic() -> Iterator[list[Exchange]]:
    """Records every DynamoDB call with its answer."""
    exchanges: list[Exchange] = []

    def ask(params: dict[str, Any], **_: object) -> None:
        params["ReturnConsumedCapacity"] = "TOTAL"

    def note(model: Any, parsed: dict[str, Any], **_: object) -> None:
        answer = {name: value for name, value in parsed.items() if name not in {"ConsumedCapacity", "ResponseMetadata"}}
        used = parsed.get("ConsumedCapacity") or []
        exchanges.append(
            Exchange(
                operation=model.name,
                error=answer.get("Error", {}).get("Code", ""),
                read=answer.get("ScannedCount", 0),
                capacity=sum(each["CapacityUnits"] for each in (used if isinstance(used, list) else [used])),
                size=len(json.dumps(answer)),
            )
        )

    events = aws.dynamodb().meta.events
    events.register("provide-client-params.dynamodb", ask)
    events.register("after-call.dynamodb", note)
    try:
        yield exchanges
    finally:
        events.unregister("provide-client-params.dynamodb", ask)
        events.unregister("after-call.dynamodb", note)
