"""Fixtures of the tests that need DynamoDB Local."""

import pytest

from orders import aws


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raises the timeouts: these tests are about the order of writes, not about their speed on a small machine."""
    monkeypatch.setattr(aws.DYNAMODB, "read_timeout", 30)
