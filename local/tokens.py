"""Tokens: signed with a key of this machine, and checked as API Gateway's JWT authorizer checks them.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html
"""

import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from local import UsageError
from local.template import Jwt

KEY_FILE = "signing-key.pem"


class Refused(Exception):
    """The token is not accepted. `missing_scope` tells a token that is valid but lacks the route's scope."""

    def __init__(self, reason: str, *, missing_scope: bool = False) -> None:
        super().__init__(reason)
        self.missing_scope = missing_scope


class SigningKey:
    """The RSA key that local tokens are signed with. It stands for the keys of an identity provider.

    Args:
        folder: Where the key is kept. It is made there when it is missing.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / KEY_FILE
        if not path.exists():
            _create(path)
        try:
            private = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise UsageError(f"{path} holds no usable key ({error}). Delete the file: a new key is made.") from error
        if not isinstance(private, rsa.RSAPrivateKey):
            raise UsageError(f"{path} holds no RSA key. Delete the file: a new key is made.")
        self._private = private
        self._public = private.public_key()
        der = self._public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        self.id = hashlib.sha256(der).hexdigest()[:16]

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A token with these claims."""
        return jwt.encode(dict(claims), self._private, algorithm="RS256", headers={"kid": self.id})

    def verify(self, header: str | None, asked: Jwt, scopes: Sequence[str] = ()) -> dict[str, Any]:
        """The claims of the token in an `Authorization` header.

        Args:
            header: The header's value: `Bearer <token>`, or the token alone.
            asked: What the authorizer asks of a token.
            scopes: The route's scopes. The token must have one of them, if there are any.

        Raises:
            Refused: There is no token, or it is not accepted.
        """
        if not header or not header.strip():
            raise Refused("no token")
        scheme, _, rest = header.strip().partition(" ")
        token = rest.strip() if scheme.lower() == "bearer" else header.strip()
        try:
            if jwt.get_unverified_header(token).get("kid") != self.id:
                raise Refused("the token is signed with a key that is not known here")
            claims: dict[str, Any] = jwt.decode(
                token,
                self._public,
                algorithms=["RS256"],
                issuer=asked.issuer,
                # The audience is checked below; what sub and jti look like is nothing that API Gateway looks at.
                options={
                    "require": ["exp"],
                    "verify_aud": False,
                    "verify_sub": False,
                    "verify_jti": False,
                },
            )
        except jwt.PyJWTError as error:
            raise Refused(str(error)) from error
        if not _audience(claims).intersection(asked.audience):
            raise Refused("the token does not have a valid audience")
        if scopes and not set(scopes).intersection(token_scopes(claims)):
            raise Refused(f"the token has none of the scopes {', '.join(scopes)}", missing_scope=True)
        return claims


def claims_for(
    asked: Jwt, sub: str, *, admin: bool = False, name: str | None = None, expires: int = 3600
) -> dict[str, Any]:
    """The claims of a token for somebody, as an identity provider would write them.

    Args:
        asked: What the authorizer asks of a token.
        sub: Who it is for; on a customer's routes also the customer's id.
        admin: Whether they are of the staff.
        name: What to call them.
        expires: In how many seconds it expires. Negative makes one that has expired.
    """
    now = int(time.time())
    claims = {
        "sub": sub,
        "iss": asked.issuer,
        "aud": asked.audience[0] if len(asked.audience) == 1 else list(asked.audience),
        "iat": now if expires > 0 else now + expires - 1,
        "exp": now + expires,
        "token_use": "access",
        "scope": "openid",
    }
    if name:
        claims["name"] = name
    if admin:
        claims["cognito:groups"] = ["admins"]
    return claims


def token_scopes(claims: Mapping[str, Any]) -> list[str]:
    """The scopes of a token, from `scope` or `scp`, as text or as a list."""
    value = claims.get("scope", claims.get("scp"))
    if isinstance(value, list):
        return [str(item) for item in value]
    return value.split() if isinstance(value, str) else []


def as_text(value: Any) -> str:
    """A claim as HTTP API hands it to a function: always text, and a list as `[a b]`."""
    match value:
        case str():
            return value
        case bool():
            return str(value).lower()
        case list():
            return f"[{' '.join(map(as_text, value))}]"
        case dict():
            return f"map[{' '.join(f'{key}:{as_text(value[key])}' for key in sorted(value))}]"
        case None:
            return "<nil>"
        case _:
            return str(value)


def _audience(claims: Mapping[str, Any]) -> set[str]:
    """`client_id` counts only where there is no `aud`: access tokens of Cognito have none."""
    value = claims.get("aud", claims.get("client_id"))
    return {item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str)}


def _create(path: Path) -> None:
    """Puts a new key there, unless somebody else was first: whoever comes second uses the first one's."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    pem = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    # A temporary file is readable by its owner only, and a link appears with its whole content or not at all.
    with tempfile.NamedTemporaryFile(dir=path.parent) as file:
        file.write(pem)
        file.flush()
        with contextlib.suppress(FileExistsError):
            os.link(file.name, path)
