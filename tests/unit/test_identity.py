"""How the claims that HTTP API passes on identify the caller."""

from typing import Any

import pytest

from orders.errors import Forbidden, Unauthenticated
from orders.identity import Caller, Role, identify_caller


def event(claims: Any, path: str = "/admin/orders/1/cancel") -> dict[str, Any]:
    return {"rawPath": path, "requestContext": {"authorizer": {"jwt": {"claims": claims, "scopes": None}}}}


def test_subject_identifies_the_customer() -> None:
    assert identify_caller(event({"sub": "alice", "name": "Alice"}, "/orders/1/cancel")) == Caller(
        Role.CUSTOMER, "alice"
    )


def test_admin_on_a_customer_route_acts_as_customer() -> None:
    claims = {"sub": "ada", "cognito:groups": "[admins]", "scope": "orders/admin"}
    assert identify_caller(event(claims, "/orders/1/cancel")).role is Role.CUSTOMER


@pytest.mark.parametrize("groups", ["[admins]", "[staff admins]", "[admins staff]"])
def test_group_grants_admin_rights(groups: str) -> None:
    assert identify_caller(event({"sub": "ada", "cognito:groups": groups})) == Caller(Role.ADMIN, "ada")


@pytest.mark.parametrize(
    "groups",
    [
        "admins",
        "[]",
        "[not-admins]",
        "[admins-emea]",
        "[Admins]",
        "[[admins]]",
        "[[staff admins x]]",
        "[admins ]",
        "[staff  admins]",
        "[staff,admins]",
        "admins]",
        "[admins",
        '["admins"]',
        "",
        ["admins"],
        {"admins": True},
        None,
    ],
)
def test_similar_groups_grant_no_admin_rights(groups: Any) -> None:
    with pytest.raises(Forbidden):
        identify_caller(event({"sub": "eve", "cognito:groups": groups}))


@pytest.mark.parametrize("path", ["/orders/1/cancel", "/admin/orders/1/cancel"])
def test_id_token_is_refused(path: str) -> None:
    with pytest.raises(Unauthenticated):
        identify_caller(event({"sub": "ada", "cognito:groups": "[admins]", "token_use": "id"}, path))


@pytest.mark.parametrize("scope", ["orders/admin", "openid orders/admin", "orders/admin profile"])
def test_scope_grants_admin_rights_without_a_subject(scope: str) -> None:
    assert identify_caller(event({"client_id": "erp", "scope": scope})) == Caller(Role.ADMIN, "erp", "erp")


@pytest.mark.parametrize(
    "scope",
    [
        "orders/administrator",
        "my-orders/admin",
        "ORDERS/ADMIN",
        "orders/admin,x",
        "[a orders/admin b]",
        "map[a:b orders/admin c:d]",
        ["orders/admin"],
        1,
    ],
)
def test_similar_scopes_grant_no_admin_rights(scope: Any) -> None:
    with pytest.raises(Forbidden):
        identify_caller(event({"sub": "eve", "scope": scope}))


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        (
            {"name": "Ada Ådmin", "preferred_username": "p", "email": "e", "username": "u", "client_id": "c"},
            "Ada Ådmin",
        ),
        ({"preferred_username": "p", "email": "e", "username": "u", "client_id": "c"}, "p"),
        ({"email": "e", "username": "u", "client_id": "c"}, "e"),
        ({"username": "u", "client_id": "c"}, "u"),
        ({"client_id": "c"}, "c"),
        ({"name": "  ", "email": 7, "username": "u"}, "u"),
        ({}, None),
    ],
)
def test_first_claim_with_a_name_names_the_admin(claims: dict[str, Any], name: str | None) -> None:
    assert identify_caller(event({"sub": "ada", "cognito:groups": "[admins]", **claims})).name == name


@pytest.mark.parametrize("path", ["/orders/1/cancel", "/admin/orders/1/cancel"])
@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"requestContext": None},
        {"requestContext": {}},
        {"requestContext": {"authorizer": None}},
        {"requestContext": {"authorizer": {"jwt": None}}},
        {"requestContext": {"authorizer": {"jwt": {"claims": None}}}},
        {"requestContext": {"authorizer": {"jwt": {"claims": ["sub"]}}}},
        {"requestContext": {"authorizer": {"jwt": {"claims": {}}}}},
        {"requestContext": {"authorizer": {"jwt": {"claims": {"sub": ""}}}}},
        {"requestContext": {"authorizer": {"jwt": {"claims": {"sub": 7}}}}},
        {"requestContext": {"authorizer": {"lambda": {"claims": {"sub": "alice"}}}}},
    ],
)
def test_missing_claims_identify_no_caller(broken: dict[str, Any], path: str) -> None:
    with pytest.raises(Unauthenticated):
        identify_caller({"rawPath": path, **broken})


def test_headers_and_body_identify_no_caller() -> None:
    with pytest.raises(Unauthenticated):
        identify_caller(
            {
                "rawPath": "/orders/1/cancel",
                "headers": {"sub": "alice"},
                "body": '{"sub": "alice"}',
                "requestContext": {},
            }
        )
