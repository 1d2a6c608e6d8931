"""Cursors: where a page ended, for whoever asked and for what they asked, and of no use for anything else.

A cursor holds nothing but a place in a list, and the caller's own question decides which list that is: whoever could
forge one would see nothing that they may not. It is signed so that a wrong one is told apart from an empty page.
"""

import base64
import hmac
import os
from collections.abc import Sequence

from orders.errors import Invalid

_SIGNATURE = 12
"""Bytes. Nothing is to be gained by guessing them."""


def cursor(place: str | None, question: Sequence[object]) -> str | None:
    """The cursor for a place in a list; None stays None.

    Args:
        place: Where the next page begins.
        question: Who asked, and for what.
    """
    if place is None:
        return None
    return base64.urlsafe_b64encode(_sign(place, question) + place.encode()).decode().rstrip("=")


def place(given: str | None, question: Sequence[object]) -> str | None:
    """The place that a cursor stands for; None stays None.

    Raises:
        Invalid: It was not given out as an answer to this question.
    """
    if given is None:
        return None
    try:
        found = base64.b64decode(given + "=" * (-len(given) % 4), altchars=b"-_")[_SIGNATURE:].decode()
    except ValueError:
        raise _unknown() from None
    # As a whole: the same bytes can be written in Base64 in several ways.
    if not hmac.compare_digest(given.encode(), str(cursor(found, question)).encode()):
        raise _unknown()
    return found


def _sign(place: str, question: Sequence[object]) -> bytes:
    # Known to whoever may read the deployment, and to nobody else.
    key = os.environ["CURSOR_KEY"].encode()
    return hmac.digest(key, repr([place, *map(str, question)]).encode(), "sha256")[:_SIGNATURE]


def _unknown() -> Invalid:
    return Invalid([("cursor", "is not a cursor of this list: begin without one, and keep the filters as they were")])
