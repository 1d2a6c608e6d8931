"""Tokens that nobody should take."""

import base64
import hashlib
import hmac
import json
from typing import Any


def unpadded(data: bytes) -> str:
    """Base64, as JWTs have it."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def hmac_signed(claims: dict[str, Any], key: bytes, kid: str) -> str:
    """A token whose signature was made with the public key as a secret. PyJWT itself refuses to make one."""
    parts = f"{unpadded(json.dumps({'alg': 'HS256', 'kid': kid}).encode())}.{unpadded(json.dumps(claims).encode())}"
    return f"{parts}.{unpadded(hmac.digest(key, parts.encode(), hashlib.sha256))}"
