"""A cursor resumes at its place, for the same caller and the same query only. All other cursors are refused."""

import base64
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.cursors import decode_cursor, encode_cursor
from orders.errors import Invalid

PLACE = "2026-11-23T09:00:00.000000Z#ordre-№-1"
QUESTION = ("orders", "customer", "alice", None)


def made() -> str:
    found = encode_cursor(PLACE, QUESTION)
    assert found
    return found


def refused(given: str, question: tuple[object, ...] = QUESTION) -> bool:
    try:
        decode_cursor(given, question)
    except Invalid as invalid:
        [error] = invalid.facts["errors"]
        return bool(error["field"] == "cursor")
    return False


ALPHABET = string.ascii_letters + string.digits + "-_+/= \n"
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXT, st.lists(TEXT | st.none() | st.integers()))
def test_cursor_returns_its_place_and_fits_into_a_url(where: str, question: list[object]) -> None:
    given = encode_cursor(where, question)
    assert given
    assert re.fullmatch("[A-Za-z0-9_-]+", given)
    assert decode_cursor(given, question) == where


def test_last_page_has_no_cursor() -> None:
    assert encode_cursor(None, QUESTION) is None
    assert decode_cursor(None, QUESTION) is None


@pytest.mark.parametrize(
    "question",
    [
        ("orders", "customer", "bob", None),
        ("orders", "admin", "alice", None),
        ("comments", "customer", "alice", None),
        ("orders", "customer", "alice", "paused"),
        ("orders", "customer", "alice"),
        ("orders", "customer", "alice', 'None"),
        (),
    ],
)
def test_cursor_of_another_query_is_refused(question: tuple[object, ...]) -> None:
    assert refused(made(), question)


def test_truncated_or_extended_cursor_is_refused() -> None:
    given = made()
    for other in (*(given[:end] for end in range(len(given))), *(given + more for more in ("A", "=", "==", " ", "\n"))):
        assert refused(other), other


@pytest.mark.parametrize("end", [None, -1, -2], ids=lambda end: f"{end}")
def test_changed_character_is_refused(end: int | None) -> None:
    # Three lengths, because the last character may encode 2, 4 or 6 bits.
    given = encode_cursor(PLACE[:end], QUESTION) or ""
    for at, character in enumerate(given):
        for another in set(ALPHABET) - {character}:
            assert refused(given[:at] + another + given[at + 1 :])


@pytest.mark.parametrize(
    "forged", ["", "=", "A", "é", "\0", "%%%", "1795454709123456", base64.urlsafe_b64encode(PLACE.encode()).decode()]
)
def test_forged_cursor_is_refused(forged: str) -> None:
    assert refused(forged)
