"""Cursors of paged lists: encode where a page ended, valid only for the same caller and the same question.

A cursor holds only a place in a list, and the caller's own question decides which list that is, so a forged cursor
would reveal nothing. It is signed so that an invalid one is refused instead of giving an empty page.
"""

import base64
import hmac
from collections.abc import Sequence

from orders import settings
from orders.errors import Invalid

_SIGNATURE_LENGTH = 12
"""Bytes. Short, because a forged cursor gains nothing."""


def encode_cursor(place: str | None, question: Sequence[object]) -> str | None:
    """Returns the cursor for a place in a list; None stays None.

    Args:
        place: Where the next page begins.
        question: The caller, the list and its filters.
    """
    if place is None:
        return None
    return base64.urlsafe_b64encode(_sign(place, question) + place.encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None, question: Sequence[object]) -> str | None:
    """Returns the place that a cursor stands for; None stays None.

    Raises:
        Invalid: The cursor was not issued for this question.
    """
    if cursor is None:
        return None
    try:
        place = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_")[_SIGNATURE_LENGTH:].decode()
    except ValueError:
        raise _invalid() from None
    # The text is compared, not the bytes, because Base64 can represent the same bytes in several ways.
    if not hmac.compare_digest(cursor.encode(), str(encode_cursor(place, question)).encode()):
        raise _invalid()
    return place


def _sign(place: str, question: Sequence[object]) -> bytes:
    key = settings.read(settings.CursorSettings).cursor_key.encode()
    return hmac.digest(key, repr([place, *map(str, question)]).encode(), "sha256")[:_SIGNATURE_LENGTH]


def _invalid() -> Invalid:
    return Invalid([("cursor", "is not valid for this list: start without a cursor and keep the filters unchanged")])
