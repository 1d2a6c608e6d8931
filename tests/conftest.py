"""Fixtures for all tests."""

from harness import clock, service

__all__ = ["clock", "service"]
