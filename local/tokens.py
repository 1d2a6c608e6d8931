"""Signs tokens with a key of this machine, and verifies them as API Gateway's JWT authorizer does.

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


class InvalidToken(Exception):
    """The token is not accepted. `missing_scope` means that it is valid but has none of the route's scopes."""

    def __init__(self, reason: str, *, missing_scope: bool = False) -> None:
        super().__init__(reason)
        self.missing_scope = missing_scope


class SigningKey:
    """The RSA key that signs local tokens, in place of an identity provider's keys.

    Args:
        folder: The folder of the key file, which is created if it does not exist.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / KEY_FILE
        if not path.exists():
            _create(path)
        try:
            private = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except (OSError, ValueError, TypeError) as error:
            raise UsageError(f"{path} is not a valid key ({error}). Delete it to create a new one.") from error
        if not isinstance(private, rsa.RSAPrivateKey):
            raise UsageError(f"{path} is not an RSA key. Delete it to create a new one.")
        self._private = private
        self._public = private.public_key()
        der = self._public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        self.id = hashlib.sha256(der).hexdigest()[:16]

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Returns a token with these claims."""
        return jwt.encode(dict(claims), self._private, algorithm="RS256", headers={"kid": self.id})

    def verify(self, header: str | None, required: Jwt, scopes: Sequence[str] = ()) -> dict[str, Any]:
        """Returns the claims of the token in an `Authorization` header.

        Args:
            header: The value of the header: `Bearer <token>`, or the token alone.
            required: What the authorizer requires of a token.
            scopes: The scopes of the route. If there are any, the token must have one of them.

        Raises:
            InvalidToken: The token is missing or not accepted.
        """
        if not header or not header.strip():
            raise InvalidToken("no token")
        scheme, _, rest = header.strip().partition(" ")
        token = rest.strip() if scheme.lower() == "bearer" else header.strip()
        try:
            if jwt.get_unverified_header(token).get("kid") != self.id:
                raise InvalidToken("the token is signed with an unknown key")
            claims: dict[str, Any] = jwt.decode(
                token,
                self._public,
                algorithms=["RS256"],
                issuer=required.issuer,
                # The audience is checked below. API Gateway does not check the form of sub and jti.
                options={
                    "require": ["exp"],
                    "verify_aud": False,
                    "verify_sub": False,
                    "verify_jti": False,
                },
            )
        except jwt.PyJWTError as error:
            raise InvalidToken(str(error)) from error
        if not _audience(claims).intersection(required.audience):
            raise InvalidToken("the token does not have a valid audience")
        if scopes and not set(scopes).intersection(token_scopes(claims)):
            raise InvalidToken(f"the token has none of the scopes {', '.join(scopes)}", missing_scope=True)
        return claims


def claims_for(
    required: Jwt, sub: str, *, admin: bool = False, name: str | None = None, expires: int = 3600
) -> dict[str, Any]:
    """Returns the claims of a token for a user, as an identity provider would issue them.

    Args:
        required: What the authorizer requires of a token.
        sub: The id of the user, which is also the customer id on the routes for customers.
        admin: Whether the user is an admin.
        name: The name of the user.
        expires: The seconds until the token expires. A negative number creates an expired token.
    """
    now = int(time.time())
    claims = {
        "sub": sub,
        "iss": required.issuer,
        "aud": required.audience[0] if len(required.audience) == 1 else list(required.audience),
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
    """Returns the scopes of a token from `scope` or `scp`, each of which may be text or a list."""
    value = claims.get("scope", claims.get("scp"))
    if isinstance(value, list):
        return [str(item) for item in value]
    return value.split() if isinstance(value, str) else []


def as_text(value: Any) -> str:
    """Converts a claim as HTTP API does: always to text, and a list to `[a b]`."""
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
    """Returns the audience: `aud`, or `client_id` where there is no `aud`, as in access tokens of Cognito."""
    value = claims.get("aud", claims.get("client_id"))
    return {item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str)}


def _create(path: Path) -> None:
    """Creates the key file, unless another process has just created it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    pem = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    # A temporary file is readable by its owner only, and a link appears with its complete content or not at all.
    with tempfile.NamedTemporaryFile(dir=path.parent) as file:
        file.write(pem)
        file.flush()
        with contextlib.suppress(FileExistsError):
            os.link(file.name, path)
