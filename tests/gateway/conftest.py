"""A gateway that the quick tests of this folder share: starting it takes longer than most of them."""

from collections.abc import Iterator

import pytest
from process import Gateway, gateway


@pytest.fixture(scope="session")
def api() -> Iterator[Gateway]:
    """A running gateway. Tests that use it are in the group `gateway`, so that one worker starts it once."""
    with gateway() as running:
        yield running
