"""Validated field types: text, identifiers, times and amounts, as models and requests declare them."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import quote, unquote

import idna
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StrictInt,
    StrictStr,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

# C0 controls except tab and line ends, DEL, and lone surrogates: they break mail, logs and UTF-8. The two noncharacters
# break XML (https://www.w3.org/TR/xml/#charsets).
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")

# The validators below as patterns, for OpenAPI.
IN_TEXT = r"[^\x00-\x08\x0B\x0C\x0E-\x1F\x7F\uFFFE\uFFFF]"
IN_LINE = r"[^\x00-\x08\x0A-\x1F\x7F\uFFFE\uFFFF]"
_INVISIBLE = (
    r"\s\x00-\x20\x7F-\xA0\xAD\u034F\u061C\u115F\u1160\u17B4\u17B5\u180B-\u180F\u200B-\u200F\u2028-\u202E\u2060-\u206F"
    r"\u2800\u3164\uFE00-\uFE0F\uFEFF\uFFA0\uFFF0-\uFFFB"
)
"""White space, controls and default ignorable characters such as the zero-width space (UAX #44); also the blank Braille
pattern."""
VISIBLE = f"[^{_INVISIBLE}]"
_VISIBLE = re.compile(rf"[^{_INVISIBLE}\U000E0000-\U000E0FFF]")

_DIGITS = r"[0-9]{1,11}(\.[0-9]{1,4})?"
"""At most 15 digits: JavaScript keeps that many exactly."""


class Model(BaseModel):
    """Base of all models: immutable, and strict about unknown fields."""

    # Validators are built at first use, so a function pays at cold start only for the models that it needs. Input is
    # kept out of error messages because messages reach the log.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, hide_input_in_errors=True)


Violation = tuple[tuple[str | int, ...], str]
"""A rule that fields violate together: the location of the field to correct, and the message."""


def violation_error(model: str, violations: Sequence[Violation]) -> ValidationError:
    """Builds the validation error that names each violation."""
    return ValidationError.from_exception_data(
        model,
        [
            InitErrorDetails(
                type=PydanticCustomError("rule", "{message}", {"message": message}), loc=location, input=None
            )
            for location, message in violations
        ],
        hide_input=True,
    )


def error_message(error: Mapping[str, Any]) -> str:
    """Returns what is said of a validation error of pydantic, without the name of the field."""
    match error["type"]:
        case "extra_forbidden":
            return "is not a known field"
        case "too_long" if isinstance(error["input"], str):
            return f"must have at most {error['ctx']['max_length']} characters"
        case "too_short" if isinstance(error["input"], str):
            return "must not be empty"
    return str(error["msg"]).removeprefix("Value error, ")


def _printable(text: str) -> str:
    if _UNPRINTABLE.search(text):
        raise ValueError("must not contain control characters")
    return text


def matching(pattern: str, message: str) -> Any:
    """Validator: refuses text that does not match a pattern, and says in words what it must be."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(message)
        return text

    return AfterValidator(check)


def described(pattern: str) -> Any:
    """Adds a pattern to the OpenAPI schema only: the validator's message explains a refusal better than a pattern."""
    return Field(json_schema_extra={"pattern": pattern})


def _decimal_schema(pattern: str, **bounds: float) -> WithJsonSchema:
    return WithJsonSchema(
        {
            "anyOf": [{"type": "number", **bounds}, {"type": "string", "pattern": pattern}],
            "description": "At most 15 digits, of these 4 decimals.",
        }
    )


def not_blank(text: str) -> str:
    """Validator: refuses text without any visible character."""
    if not _VISIBLE.search(text):
        raise ValueError("must not be blank")
    return text


def _one_line(text: str) -> str:
    if "\n" in text or "\r" in text:
        raise ValueError("must be one line")
    return text


def _decimal(value: object) -> object:
    """Refuses floats, which have already lost precision, and number formats that only Python accepts."""
    if isinstance(value, float | bool) or (isinstance(value, str) and not re.fullmatch(f"-?{_DIGITS}", value)):
        raise ValueError("must be a decimal number with at most 15 digits and 4 decimals")
    return value


def _whole(value: Any) -> Any:
    """Accepts 1.0 as 1, as JSON does. Very large numbers are left alone: writing out 1E+999999 takes too long."""
    whole = isinstance(value, Decimal) and value.adjusted() < 16 and value == value.to_integral_value()
    return int(value) if whole else value


def _no_negative_zero(number: Decimal) -> Decimal:
    return number or Decimal(0)


def utc_text(moment: datetime) -> str:
    """Formats a time as ISO 8601 in UTC, ending in Z (RFC 3339)."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


Text = Annotated[StrictStr, AfterValidator(_printable), described(f"^{IN_TEXT}*$")]
Line = Annotated[Text, AfterValidator(_one_line), StringConstraints(max_length=200), described(f"^{IN_LINE}*$")]
Moment = Annotated[
    AwareDatetime,
    PlainSerializer(utc_text, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-23T17:25:09.123456Z"]}),
]
Money = Annotated[
    Decimal,
    BeforeValidator(_decimal),
    Field(max_digits=15, decimal_places=4, allow_inf_nan=False),
    AfterValidator(_no_negative_zero),
    _decimal_schema(rf"^-?{_DIGITS}$", exclusiveMinimum=-1e11, exclusiveMaximum=1e11),
]
Amount = Annotated[Money, Field(ge=0), _decimal_schema(rf"^{_DIGITS}$", minimum=0, exclusiveMaximum=1e11)]
Rounding = Annotated[
    Money, Field(ge=-1, le=1), _decimal_schema(r"^-?(0(\.[0-9]{1,4})?|1(\.0{1,4})?)$", minimum=-1, maximum=1)
]
Quantity = Annotated[Money, Field(gt=0), _decimal_schema(rf"^{_DIGITS}$", exclusiveMinimum=0, exclusiveMaximum=1e11)]

_RATE = r"(100(\.0{1,2})?|[0-9]{1,2}(\.[0-9]{1,2})?)"
TaxRate = Annotated[Money, Field(ge=0, le=100, decimal_places=2), _decimal_schema(f"^{_RATE}$", minimum=0, maximum=100)]
"""A tax rate in percent, with at most 2 decimals."""

Number = Annotated[StrictInt, Field(ge=0, lt=2**53), BeforeValidator(_whole)]
"""A numeric id in another system, within what JavaScript and DynamoDB keep exactly."""

ProductName = Annotated[Text, StringConstraints(min_length=1, max_length=300)]


def _iso(value: Any) -> Any:
    # In a query string, + means a space.
    if isinstance(value, str) and re.search(r"[0-9] [0-9]{2}:?[0-9]{2}$", value[11:]):
        raise ValueError("must have its + written as %2B in a URL, such as 2026-11-23T09:00:00%2B01:00")
    # Pydantic would also accept "12", as seconds since 1970.
    if isinstance(value, str) and not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]", value):
        raise ValueError("must be a date and time with its zone, such as 2026-11-23T09:00:00Z")
    if isinstance(value, int | float):
        raise ValueError("must be a string, such as 2026-11-23T09:00:00Z")
    return value


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be in the years 1 to 9999, also in UTC") from None


def _iso_day(value: Any) -> Any:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if not (isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value)):
        raise ValueError("must be a day, such as 2026-11-23")
    return value


Day = Annotated[
    date,
    BeforeValidator(_iso_day),
    # Also in Python: that is how it is stored.
    PlainSerializer(date.isoformat, return_type=str),
    WithJsonSchema({"type": "string", "format": "date", "examples": ["2026-11-23"]}),
]
"""A day (RFC 3339, full-date)."""

GivenMoment = Annotated[Moment, BeforeValidator(_iso), AfterValidator(_in_utc)]
"""A time in a request (RFC 3339)."""

_ID = "[A-Za-z0-9_.:#/-]"
ORDER_ID = f"{_ID}([A-Za-z0-9_.:#/ -]{{0,62}}{_ID})?"


def _order_id(text: str) -> str:
    # Clients resolve the path segments . and .. however they are encoded (RFC 3986, section 5.2.4; the URL standard).
    if not re.fullmatch(ORDER_ID, text) or text in {".", ".."}:
        raise ValueError(
            "must have 1 to 64 of the characters A-Z a-z 0-9 _ - . : # / and space, without a space at its ends, and "
            "not be . or .."
        )
    return text


OrderId = Annotated[str, AfterValidator(_order_id), described(f"^{ORDER_ID}$")]
"""The id of an order, as the shop writes it. Text: the specification has it as string and as integer."""


def path_segment(text: str) -> str:
    """Encodes text as one segment of a path: a slash twice, because HTTP API decodes a path before it splits it.

    See docs/decisions/0102-encode-slashes-in-order-ids-twice.md.
    """
    return quote(text.replace("/", "%2F"), safe="", errors="replace")


def _segment_text(segment: str) -> str:
    """Decodes a segment of a path. No order's id contains a percent sign, so that it may be encoded twice."""
    return unquote(unquote(segment))


_SEGMENT = _ID.replace("/", "")
OrderIdInPath = Annotated[
    OrderId,
    BeforeValidator(_segment_text),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": f"^({_SEGMENT}|%2F)(([A-Za-z0-9_.:# -]|%2F){{0,62}}({_SEGMENT}|%2F))?$",
            "examples": ["1001"],
        }
    ),
]
"""The id of an order in a path."""


def _id_as_text(value: Any) -> Any:
    if isinstance(value, int | str) and not isinstance(value, bool):
        return str(value)
    raise ValueError("must be an integer or a string")


OrderIdInBody = Annotated[
    str,
    BeforeValidator(_id_as_text),
    WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "string"}], "description": "Repeats the id in the path."}),
]
"""The id of an order in a body: repeats the path's, as integer or as string."""

NewOrderId = Annotated[
    OrderId,
    BeforeValidator(_id_as_text),
    WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "string", "pattern": f"^{ORDER_ID}$"}]}),
]
"""The id of an order to be created, as integer or as string."""

CustomerId = Annotated[Line, StringConstraints(min_length=1, max_length=128)]
"""The id of a customer: the claim `sub` of their tokens."""


_LANGUAGE_TAG = "[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}"

LanguageTag = Annotated[
    StrictStr,
    matching(_LANGUAGE_TAG, "must be a language tag, such as en, en-GB or de"),
    described(f"^{_LANGUAGE_TAG}$"),
]
"""A language, perhaps with a script and a country (BCP 47)."""

Currency = Annotated[
    StrictStr, matching("[A-Z]{3}", "must have three capital letters, such as EUR"), described("^[A-Z]{3}$")
]
"""An ISO 4217 currency code."""

CountryCode = Annotated[
    StrictStr, matching("[A-Z]{2}", "must have two capital letters, such as DE"), described("^[A-Z]{2}$")
]
"""An ISO 3166-1 alpha-2 country code."""

_LABEL = "[^.-]([^.]*[^.-])?"
_EMAIL_RULES = (
    (r"[^@]+@[^@]+", "must be one e-mail address, such as alice@example.com"),
    # Nothing that a mail header could read as a second address. No `?` either: between `=?` and `?=`, a header can hide
    # another address (RFC 2047).
    (
        r"[A-Za-z0-9.!#$%&'*+/=^_`{|}~-]+@.*",
        "must have only letters a to z, digits and .!#$%&'*+/=^_`{|}~- before the @",
    ),
    (r".{1,64}@.*", "must have at most 64 characters before the @"),
    (r"[^.]+(\.[^.]+)*@.*", "must not have a dot at the start or end or two dots in a row before the @"),
    (r".*@([^.]+\.)+[^.]+", "must have a domain after the @, such as example.com"),
    (r".*@[A-Za-z0-9.-]+", "must have only letters, digits, hyphens and dots after the @"),
    (rf".*@{_LABEL}(\.{_LABEL})*", "must not have a hyphen at the start or end of a part of its domain"),
    (r".*@([^.]{1,63}\.)+[^.]+", "must have at most 63 characters between the dots of its domain"),
    (r".*\.([A-Za-z]{2,63}|[Xx][Nn]--[A-Za-z0-9-]{1,59})", "must end in a top-level domain, such as .com"),
    (r".{1,254}", "must have at most 254 characters"),
)
"""What an e-mail address must match, and what is said of one that does not. SES accepts ASCII only.

https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_Destination.html
"""


def email_problem(address: str) -> str | None:
    """Returns what is wrong with an e-mail address, such as "must be one e-mail address, …"; None if it is valid."""
    return next((message for rule, message in _EMAIL_RULES if not re.fullmatch(rule, address, re.DOTALL)), None)


def _email_address(text: str) -> str:
    local, at, domain = text.rpartition("@")
    if not domain.isascii():
        try:
            # Label by label, so that only a full stop separates two.
            labels = [idna.uts46_remap(label, transitional=False) for label in domain.split(".")]
            text = local + at + ".".join(idna.alabel(label).decode() for label in labels)
        except idna.IDNAError:
            raise ValueError("must have a domain that can exist after the @, such as example.com") from None
    if problem := email_problem(text):
        raise ValueError(problem)
    return text


EmailAddress = Annotated[
    StrictStr,
    StringConstraints(max_length=254),
    AfterValidator(_email_address),
    described(r"^[A-Za-z0-9.!#$%&'*+/=^_`{|}~-]{1,64}@[^@\s]+\.[^@\s]+$"),
]
"""One e-mail address. A domain in other letters becomes ASCII (UTS 46, non-transitional): `info@xn--mller-kva.de`."""
