"""Fixtures for all tests."""

from harness import clock, service
from ses_endpoint import ses

__all__ = ["clock", "service", "ses"]
