"""Forged tokens, which the API must refuse."""

import base64
import hashlib
import hmac
import json
from typing import Any


def unpadded(data: bytes) -> str:
    """Returns unpadded Base64, as in JWTs."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def hmac_signed(claims: dict[str, Any], key: bytes, kid: str) -> str:
    """Returns a token signed with the public key as HMAC secret. PyJWT itself refuses to make one."""
    parts = f"{unpadded(json.dumps({'alg': 'HS256', 'kid': kid}).encode())}.{unpadded(json.dumps(claims).encode())}"
    return f"{parts}.{unpadded(hmac.digest(key, parts.encode(), hashlib.sha256))}"
