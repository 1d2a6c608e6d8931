"""Access rights: each route of the template with each kind of token, over HTTP."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from harness import ROOT, TEMPLATE, Answer
from process import Gateway
from tokens import hmac_signed, unpadded

from local.template import Route
from local.tokens import KEY_FILE, SigningKey, claims_for

ORDER = json.loads((ROOT / "events" / "create-order-as-admin.json").read_text(encoding="utf-8"))
ORDER = json.loads(ORDER["body"]) | {"customer_id": "alice"}

REQUESTS: dict[str, tuple[int, Any]] = {
    "POST /admin/orders": (201, ORDER | {"order_id": "{order_id}-2"}),
    "GET /admin/orders": (200, None),
    "GET /admin/orders/{order_id}": (200, None),
    "PATCH /admin/orders/{order_id}": (200, {"customer_summary": {"city": "Rom"}}),
    "POST /admin/orders/{order_id}/invoice-preview": (200, None),
    "POST /admin/orders/{order_id}/send-invoice": (200, None),
    "GET /admin/orders/{order_id}/invoices": (200, None),
    "GET /admin/orders/{order_id}/invoices/{number}": (200, None),
    "POST /admin/orders/{order_id}/comments": (201, {"content": "x"}),
    "GET /admin/orders/{order_id}/comments": (200, None),
    "POST /admin/orders/{order_id}/comments/{comment_id}/redact": (204, None),
    "GET /admin/orders/{order_id}/timeline": (200, None),
    "GET /orders": (200, None),
    "GET /orders/{order_id}": (200, None),
    "POST /orders/{order_id}/comments": (201, {"content": "x"}),
    "GET /orders/{order_id}/comments": (200, None),
    "GET /orders/{order_id}/invoices": (200, None),
    "GET /orders/{order_id}/invoices/{number}": (200, None),
    "POST /orders/{order_id}/withdraw": (200, {"confirm": True}),
    # Not confirmed: the attempts of all these callers come from one source, and are limited.
    "POST /withdrawals": (200, {"order_id": "{order_id}", "name": "Alice", "email": "alice@example.com"}),
    "POST /orders/{order_id}/cancel": (204, None),
    "POST /admin/orders/{order_id}/cancel": (204, None),
}
"""A request for each route with its status on success, in a sequence in which all succeed."""

# The answer for each kind of caller on each kind of route. None means success.
Verdict = int | None
VERDICTS: dict[str, dict[str, Verdict]] = {
    "unauthenticated": {"own list": 401, "one order": 401, "staff": 401, "public": None},
    "owner": {"own list": None, "one order": None, "staff": 403, "public": None},
    "other": {"own list": None, "one order": 404, "staff": 403, "public": None},
    "admin": {"own list": None, "one order": 404, "staff": None, "public": None},
    # A machine client without a subject is not a customer.
    "machine": {"own list": 401, "one order": 401, "staff": None, "public": None},
}
TYPICAL = ("none", "wrong key", "expired", "owner", "other customer", "admin by group", "admin by scope", "machine")
"""One caller of each kind. The others differ only in their tokens, of which `tests/unit/test_identity.py` has many."""

SLUGS = {401: "unauthenticated", 403: "forbidden", 404: "order-not-found"}

NOW = int(time.time())

# Claims that replace those of a valid access token. None removes a claim.
CLAIMS: dict[str, dict[str, dict[str, Any]]] = {
    "unauthenticated": {
        "expired": {"exp": NOW - 60},
        "without an end": {"exp": None},
        "not yet valid": {"nbf": NOW + 3600},
        "issued tomorrow": {"iat": NOW + 86400},
        "wrong issuer": {"iss": "https://issuer.example"},
        "issuer, and a slash": {"iss": f"{TEMPLATE.jwt.issuer if TEMPLATE.jwt else ''}/"},
        "no issuer": {"iss": None},
        "wrong audience": {"aud": "other"},
        "no audience": {"aud": None},
        "wrong audience, right client": {"aud": "other", "client_id": TEMPLATE.jwt.audience[0] if TEMPLATE.jwt else ""},
        "ID token": {"token_use": "id"},
        "ID token of an admin": {"token_use": "id", "sub": "ada", "cognito:groups": ["admins"]},
        "expired, of an admin": {"exp": NOW - 60, "sub": "ada", "cognito:groups": ["admins"]},
        "no subject": {"sub": None},
        "empty subject": {"sub": ""},
        "blank subject": {"sub": " "},
    },
    "owner": {
        "owner": {},
        "owner, by client": {"aud": None, "client_id": TEMPLATE.jwt.audience[0] if TEMPLATE.jwt else ""},
        **{
            f"groups: {groups!r}": {"cognito:groups": groups}
            for groups in (
                [],
                [""],
                ["not-admins"],
                ["admins2"],
                ["admins-emea"],
                ["Admins"],
                ["admins "],
                [" admins"],
                ["admins\n"],
                ["admins\t"],
                ["admins,staff"],
                ["[admins]"],
                ["staff [admins"],
                ["ad\u00admins"],
                ["\N{CYRILLIC SMALL LETTER A}dmins"],
                [["admins"]],
                [["staff", "admins", "x"]],
                ["staff", ["admins"]],
                [{"name": "admins"}],
                {"admins": True},
                {"x": "[staff admins]"},
                "admins",
                "staff admins",
                "[admins",
                "admins]",
                True,
                7,
                None,
            )
        },
        **{
            f"scope: {scope!r}": {"scope": scope}
            for scope in (
                "orders/administrator",
                "my-orders/admin",
                "orders/admin/x",
                "ORDERS/ADMIN",
                "orders",
                "orders/admin,openid",
                ["orders/admin"],
                ["openid", "orders/admin", "profile"],
                {"x": "openid orders/admin profile"},
                True,
            )
        },
        "scp": {"scp": ["orders/admin"]},
        "other claim names": {"groups": ["admins"], "roles": ["admins"], "role": "admin", "admin": True},
        "an admin's name": {"name": "admins", "username": "admins", "client_id": "orders/admin"},
    },
    "other": {
        "other customer": {"sub": "bob"},
        **{
            f"sub: {sub!r}": {"sub": sub}
            for sub in (" alice", "alice ", "Alice", "alice,bob", "admins", "*", ["alice"], {"alice": 1}, 7, True)
        },
    },
    "admin": {
        "admin by group": {"sub": "ada", "cognito:groups": ["admins"]},
        "admin by group, among others": {"sub": "ada", "cognito:groups": ["staff", "admins"]},
        "admin by scope": {"sub": "erp", "scope": "orders/admin"},
        "admin by scope, among others": {"sub": "erp", "scope": "openid orders/admin profile"},
    },
    "machine": {"machine": {"sub": None, "client_id": "erp", "scope": "orders/admin"}},
}


def kind_of(route: Route) -> str:
    """Returns the kind of a route, from its path."""
    if route.path == "/withdrawals":
        return "public"
    if route.path.startswith("/admin/"):
        return "staff"
    return "one order" if "{order_id}" in route.path else "own list"


def forgeries(claims: dict[str, Any], key: SigningKey) -> dict[str, str | None]:
    """Returns an admin's tokens without a valid signature of the issuer."""
    own = serialization.load_pem_private_key((ROOT / ".local" / KEY_FILE).read_bytes(), None)
    assert isinstance(own, rsa.RSAPrivateKey)
    foreign = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = own.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    header, payload, signature = key.sign(claims | {"sub": "alice", "cognito:groups": ["staff"]}).split(".")
    return {
        "none": None,
        "empty": "",
        "noise": "a.b.c",
        "wrong key": jwt.encode(claims, foreign, "RS256", {"kid": key.id}),
        "unknown key": jwt.encode(claims, foreign, "RS256", {"kid": "other"}),
        "embedded key": jwt.encode(claims, foreign, "RS256", {"jwk": {"kty": "RSA"}, "jku": "https://evil.example"}),
        "alg: none": jwt.encode(claims, None, "none", {"kid": key.id}),  # type: ignore[arg-type]
        "alg: none, signed": f"{unpadded(json.dumps({'alg': 'none', 'kid': key.id}).encode())}.{payload}.{signature}",
        "alg: HS256, with the public key": hmac_signed(claims, public, key.id),
        "not signed": f"{header}.{payload}.",
        "made an admin": f"{header}.{unpadded(json.dumps(claims).encode())}.{signature}",
    }


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.gateway)], ids=["typical", "every"])
@pytest.mark.xdist_group("gateway")
def test_each_route_serves_only_permitted_callers(api: Gateway, every: bool) -> None:
    assert sorted(REQUESTS) == sorted(route.key for route in TEMPLATE.operations), "a route has no request here"
    routes = {route.key: route for route in TEMPLATE.routes}
    assert TEMPLATE.jwt
    key = SigningKey(ROOT / ".local")
    admin = claims_for(TEMPLATE.jwt, "ada", admin=True)
    callers: dict[str, tuple[str, str | None]] = {
        name: ("unauthenticated", token) for name, token in forgeries(admin, key).items()
    }
    for kind, named in CLAIMS.items():
        for name, claims in named.items():
            given = claims_for(TEMPLATE.jwt, "alice") | claims
            callers[name] = (kind, key.sign({claim: value for claim, value in given.items() if value is not None}))
    if not every:
        callers = {name: callers[name] for name in TYPICAL}

    def call(order_id: str, token: str | None, route: Route) -> Answer:
        number = "INV-1"
        if "{number}" in route.path and (documents := api.documents(order_id)):
            number = documents[0]["number"]
        comment_id = 1
        if "{comment_id}" in route.path and (
            comments := api.call("GET", f"/admin/orders/{order_id}/comments").json["comments"]
        ):
            comment_id = comments[0]["id"]
        path = route.path.format(order_id=order_id, number=number, comment_id=comment_id)
        body = json.dumps(REQUESTS[route.key][1]).replace("{order_id}", order_id)
        authorization = {} if token is None else {"Authorization": f"Bearer {token}"}
        return api.call(route.method, path, token="", body=None if body == "null" else body, **authorization)

    def try_all(n: int, name: str) -> list[str]:
        """Makes all requests of one caller on a separate order. Returns the unexpected answers."""
        kind, token = callers[name]
        order_id, wrong = f"callers-{len(callers)}-{n}", []
        assert api.post("/admin/orders", ORDER | {"order_id": order_id}).status == 201
        if kind == "owner":
            # What customers can read, they cannot make.
            api.send_invoice(order_id)
        expected = {key: VERDICTS[kind][kind_of(routes[key])] for key in REQUESTS}
        for key, verdict in expected.items():
            answer = call(order_id, token, routes[key])
            if answer.status != (verdict or REQUESTS[key][0]):
                wrong.append(f"{name}: {key} is {answer.status}")
            elif verdict and answer.json["type"] != f"urn:problem:orders:{SLUGS[verdict]}":
                wrong.append(f"{name}: {key} is {answer.text}")
        harmless = ("GET /", "POST /withdrawals")
        changed = [key for key, verdict in expected.items() if not verdict and not key.startswith(harmless)]
        if not changed:
            # The refused requests changed nothing.
            timeline = api.call("GET", f"/admin/orders/{order_id}/timeline").json["timeline"]
            if [entry["event"] for entry in timeline] != ["created"]:
                wrong.append(f"{name}: {timeline}")
        return wrong

    with ThreadPoolExecutor(2) as threads:
        wrong = [line for lines in threads.map(try_all, range(len(callers)), callers) for line in lines]
    assert not wrong, "\n".join(wrong)
    print(  # noqa: T201 - shown with -rP
        f"{len(callers)} callers x {len(REQUESTS)} routes = {len(callers) * len(REQUESTS)} requests"
    )
