"""E-mail addresses in requests: what is wrong with one is said in words."""

import pytest
from pydantic import TypeAdapter, ValidationError

from orders.types import EmailAddress, email_problem

ADDRESS: TypeAdapter[str] = TypeAdapter(EmailAddress)
DOTS = "must not have a dot at the start or end or two dots in a row before the @"
HYPHEN = "must not have a hyphen at the start or end of a part of its domain"
ONE = "must be one e-mail address, such as alice@example.com"
DOMAIN = "must have a domain after the @, such as example.com"
BEFORE = "must have only letters a to z, digits and .!#$%&'*+/=^_`{|}~- before the @"
AFTER = "must have only letters, digits, hyphens and dots after the @"


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("alice", ONE),
        ("a@example.com, b@example.com", ONE),
        ("a@b@example.com", ONE),
        ("@example.com", ONE),
        ("alice@", ONE),
        ("a..b@docomo.ne.jp", DOTS),
        (".a@example.com", DOTS),
        ("a.@example.com", DOTS),
        ("a@-example.com", HYPHEN),
        ("a@shop.example-.com", HYPHEN),
        ("x@example.123", "must end in a top-level domain, such as .com"),
        ("a@localhost", DOMAIN),
        ("a@example..com", DOMAIN),
        ("a@.example.com", DOMAIN),
        ("bücher@example.com", BEFORE),
        ("a b@example.com", BEFORE),
        ("a@exa mple.com", AFTER),
        ("a@example.com\n", AFTER),
        ("a@exa_mple.com", AFTER),
        (f"{'a' * 65}@example.com", "must have at most 64 characters before the @"),
        (f"a@{'b' * 64}.com", "must have at most 63 characters between the dots of its domain"),
        (f"a@{'ü' * 70}.de", "must have a domain that can exist after the @, such as example.com"),
        ("a@☃.example", "must have a domain that can exist after the @, such as example.com"),
        (f"a@{'.'.join(['ü' * 20] * 11)}.de", "must have at most 254 characters"),
    ],
)
def test_what_is_wrong_is_said_in_words(address: str, message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ADDRESS.validate_python(address)
    assert [error["msg"] for error in refused.value.errors()] == [f"Value error, {message}"]


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("Alice@Example.COM", "Alice@Example.COM"),
        ("info@müller.de", "info@xn--mller-kva.de"),
        ("info@MÜLLER.de", "info@xn--mller-kva.de"),
        ("info@faß.de", "info@xn--fa-hia.de"),
        ("a@exa\N{ZERO WIDTH SPACE}mple.com", "a@example.com"),
        ("a@xn--mller-kva.de", "a@xn--mller-kva.de"),
        ("a@shop.xn--p1ai", "a@shop.xn--p1ai"),
    ],
)
def test_a_valid_address_is_stored_in_ascii(given: str, stored: str) -> None:
    assert ADDRESS.validate_python(given) == stored
    assert email_problem(stored) is None
