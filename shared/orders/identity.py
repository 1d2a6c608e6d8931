"""Identity of the caller: taken only from the claims of the JWT that API Gateway's authorizer verified."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NoReturn

from orders.errors import Forbidden, Unauthenticated

ADMIN_GROUP = "admins"
ADMIN_SCOPE = "orders/admin"
NAME_CLAIMS = ("name", "preferred_username", "email", "username", "client_id")


class Role(StrEnum):
    """The role of a caller. The path decides: an admin on a customer's route acts as a customer."""

    CUSTOMER = "customer"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of the API.

    Attributes:
        role: The role they act in.
        id: The claim `sub`, which is also a customer's id.
        name: An admin's name; None for a customer, and for an admin whose token has no name.
    """

    role: Role
    id: str
    name: str | None = None

    @property
    def is_admin(self) -> bool:
        """True for the staff."""
        return self.role is Role.ADMIN

    def may_read(self, customer_id: str) -> bool:
        """Whether the caller may read an order of a customer: admins may read all, customers their own."""
        return self.is_admin or customer_id == self.id


def identify_caller(event: Mapping[str, Any]) -> Caller:
    """Returns the caller of an HTTP API event of payload format 2.0.

    Paths under `/admin/` are for admins; everywhere else the caller is a customer, whatever the token allows.
    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html

    Raises:
        Unauthenticated: There are no claims, none that identify the caller, or those of an ID token.
        Forbidden: The path is for admins and the caller is not an admin.
    """
    claims = _claims(event)
    # A Cognito ID token is meant for the client only, but the authorizer accepts its audience.
    if _text(claims, "token_use") == "id":
        raise Unauthenticated
    if not str(event.get("rawPath", "")).startswith("/admin/"):
        return Caller(Role.CUSTOMER, _text(claims, "sub") or _unknown())
    # Tokens of machine clients may have no subject; then client_id identifies them.
    admin_id = _text(claims, "sub") or _text(claims, "client_id") or _unknown()
    if ADMIN_GROUP not in _groups(claims) and ADMIN_SCOPE not in _scopes(claims):
        raise Forbidden
    return Caller(Role.ADMIN, admin_id, next((name for claim in NAME_CLAIMS if (name := _text(claims, claim))), None))


def _claims(event: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = event
    for step in ("requestContext", "authorizer", "jwt", "claims"):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else _unknown()


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    return value if isinstance(value, str) and value.strip() else None


def _scopes(claims: Mapping[str, Any]) -> list[str]:
    """Reads `scope`, which is text (RFC 8693). An array or object, as HTTP API formats them, counts as no scope."""
    value = _text(claims, "scope") or ""
    return [] if value.startswith(("[", "map[")) else value.split(" ")


def _groups(claims: Mapping[str, Any]) -> list[str]:
    """Reads an array claim as HTTP API passes it: the string `[a b]`. Any other form counts as no group.

    HTTP API formats one group with a space in its name like two groups. Cognito has no such names; groups of other
    identity providers must not contain spaces.
    """
    value = _text(claims, "cognito:groups") or ""
    groups = value[1:-1].split(" ") if value.startswith("[") and value.endswith("]") else []
    # A space at an end, or a nested array or object: not a list of names.
    return [] if any(not group or set(group) & set("[]") for group in groups) else groups


def _unknown() -> NoReturn:
    raise Unauthenticated
