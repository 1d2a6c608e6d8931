"""Who is calling: from the claims of the JWT that API Gateway's authorizer has verified, and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NoReturn

from orders.errors import Forbidden, Unauthenticated

ADMIN_GROUP = "admins"
ADMIN_SCOPE = "orders/admin"
NAME_CLAIMS = ("name", "preferred_username", "email", "username", "client_id")


class Role(StrEnum):
    """As whom somebody acts. The path decides: an admin on a customer's route is a customer."""

    CUSTOMER = "customer"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who calls the API.

    Attributes:
        role: As whom they act.
        id: The claim `sub`; for a customer also the id of the customer.
        name: What to call an admin; None for a customer, and for an admin whose token has no name.
    """

    role: Role
    id: str
    name: str | None = None

    @property
    def is_admin(self) -> bool:
        """True for somebody of the staff."""
        return self.role is Role.ADMIN


def caller(event: Mapping[str, Any]) -> Caller:
    """Tells who sent an HTTP API event of payload format 2.0.

    Paths under `/admin/` are for admins; everywhere else the caller is a customer, whatever the token allows.
    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html

    Raises:
        Unauthenticated: There are no claims, none that name the caller, or those of an ID token.
        Forbidden: The path is for admins and the caller is none.
    """
    claims = _claims(event)
    # An ID token of Cognito is for the client alone, but its audience is one that the authorizer takes.
    if _text(claims, "token_use") == "id":
        raise Unauthenticated
    if not str(event.get("rawPath", "")).startswith("/admin/"):
        return Caller(Role.CUSTOMER, _text(claims, "sub") or _unknown())
    # Tokens of machine clients need not have a subject; client_id names them then.
    who = _text(claims, "sub") or _text(claims, "client_id") or _unknown()
    if ADMIN_GROUP not in _groups(claims) and ADMIN_SCOPE not in _scopes(claims):
        raise Forbidden
    return Caller(Role.ADMIN, who, next((name for claim in NAME_CLAIMS if (name := _text(claims, claim))), None))


def _claims(event: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = event
    for step in ("requestContext", "authorizer", "jwt", "claims"):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else _unknown()


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    return value if isinstance(value, str) and value.strip() else None


def _scopes(claims: Mapping[str, Any]) -> list[str]:
    """Reads `scope`, which is text (RFC 8693). An array or an object, as HTTP API writes them, holds no scope."""
    value = _text(claims, "scope") or ""
    return [] if value.startswith(("[", "map[")) else value.split(" ")


def _groups(claims: Mapping[str, Any]) -> list[str]:
    """Reads an array claim as HTTP API hands it over: the string `[a b]`. Any other form holds no group.

    HTTP API writes one group with a space in its name in the same way as two. Cognito has no such names; at your own
    provider, no group may have one.
    """
    value = _text(claims, "cognito:groups") or ""
    groups = value[1:-1].split(" ") if value.startswith("[") and value.endswith("]") else []
    # A space at an end, an array or an object within: no list of names.
    return [] if any(not group or set(group) & set("[]") for group in groups) else groups


def _unknown() -> NoReturn:
    raise Unauthenticated
