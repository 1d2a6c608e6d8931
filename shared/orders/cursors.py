"""Cursors of paged lists: encode where a page ended, valid only for the same caller and the same question.

A cursor holds only a place in a list, and the caller's own question decides which list that is, so a forged cursor
would reveal nothing. Its checksum is no signature: it lets a damaged cursor, or one of another list, be refused instead
of giving an empty page.
"""

import base64
import hashlib
from collections.abc import Sequence

from orders.errors import Invalid

_CHECKSUM_LENGTH = 12
"""Bytes: far more than chance can hit."""


def encode_cursor(place: str | None, question: Sequence[object]) -> str | None:
    """Returns the cursor for a place in a list; None stays None.

    Args:
        place: Where the next page begins.
        question: The caller, the list and its filters.
    """
    if place is None:
        return None
    return base64.urlsafe_b64encode(_checksum(place, question) + place.encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None, question: Sequence[object]) -> str | None:
    """Returns the place that a cursor stands for; None stays None.

    Raises:
        Invalid: The cursor was not issued for this question.
    """
    if cursor is None:
        return None
    try:
        place = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_")[_CHECKSUM_LENGTH:].decode()
    except ValueError:
        raise _invalid() from None
    # The text is compared, not the bytes, because Base64 can represent the same bytes in several ways.
    if cursor != encode_cursor(place, question):
        raise _invalid()
    return place


def _checksum(place: str, question: Sequence[object]) -> bytes:
    return hashlib.sha256(repr([place, *map(str, question)]).encode()).digest()[:_CHECKSUM_LENGTH]


def _invalid() -> Invalid:
    return Invalid([("cursor", "is not valid for this list: start without a cursor and keep the filters unchanged")])
