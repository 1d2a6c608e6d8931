"""Fixtures for all tests."""

import gc

from harness import clock, service
from ses_endpoint import ses
from wire import emulated_aws, wire

__all__ = ["clock", "emulated_aws", "service", "ses", "wire"]

# What botocore and moto have loaded is large, and stays: looking through it for garbage took a fifth of the time.
gc.set_threshold(10_000)
