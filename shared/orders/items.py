"""DynamoDB JSON: converts items to plain values and back, without botocore."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from orders.types import utc_text

if TYPE_CHECKING:
    from pydantic import BaseModel

Item = dict[str, Any]


def to_attributes(item: Mapping[str, Any]) -> Item:
    """Converts plain values to DynamoDB JSON."""
    return {name: _to_attribute(value) for name, value in item.items()}


def _to_attribute(value: Any) -> Item:
    # boto3 has this too, but importing it takes longer than our cold start.
    match value:
        case None | bool():
            return {"NULL": True} if value is None else {"BOOL": value}
        case str():
            return {"S": value}
        case int() | Decimal():
            return {"N": str(value)}
        case datetime():
            return {"S": utc_text(value)}
        case Mapping():
            return {"M": to_attributes(value)}
        case list() | tuple():
            return {"L": [_to_attribute(each) for each in value]}
        case set() | frozenset():
            return {"NS" if isinstance(next(iter(value)), int) else "SS": sorted(map(str, value))}
    raise TypeError(f"cannot be stored: {type(value).__name__}")


def from_attributes(item: Mapping[str, Any]) -> Item:
    """Converts DynamoDB JSON to plain values."""
    return {name: _from_attribute(value) for name, value in item.items()}


def _from_attribute(attribute: Mapping[str, Any]) -> Any:
    if not attribute:
        # DynamoDB Local's stream writes an empty map like this.
        return {}
    ((kind, value),) = attribute.items()
    match kind:
        case "NULL":
            return None
        case "N":
            number = Decimal(value)
            return int(number) if number == number.to_integral_value() else number
        case "M":
            return from_attributes(value)
        case "L":
            return [_from_attribute(each) for each in value]
        case "NS":
            return {int(each) for each in value}
        case "SS":
            return set(value)
    return value


def select_fields(item: Item, model: "type[BaseModel]") -> Item:
    """Returns the attributes of an item that are fields of a model, without keys, index attributes and bookkeeping."""
    return {name: item[name] for name in model.model_fields if name in item}
