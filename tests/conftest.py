"""Fixtures for all tests, and a look at what the gateways logged meanwhile."""

import gc

import pytest
from harness import LOGS, ROOT, clock, service
from hypothesis import HealthCheck, settings
from ses_endpoint import ses
from wire import emulated_aws, wire

__all__ = ["clock", "emulated_aws", "service", "ses", "wire"]

# What botocore and moto have loaded is large, and stays: looking through it for garbage took a fifth of the time.
gc.set_threshold(10_000)

# Tests with examples call `service.begin_anew` for each of them. Explicit numbers in tests are fractions of these.
settings.register_profile(
    "local", max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.register_profile("gate", settings.get_profile("local"), max_examples=100)
settings.load_profile("local")

GATEWAY_LOG = ROOT / ".local" / "gateway.log"
_begin = pytest.StashKey[int]()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Remembers where the gateways' log ends."""
    session.stash[_begin] = GATEWAY_LOG.stat().st_size if GATEWAY_LOG.exists() else 0


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fails all tests together if functions logged something in a gateway that is not known to be harmless."""
    # Gateways are shared by nobody, their log is by all: whoever started the workers looks at it.
    if hasattr(session.config, "workerinput") or not GATEWAY_LOG.exists():
        return
    with GATEWAY_LOG.open("rb") as log:
        # A gateway that found it too large has begun it anew.
        log.seek(session.stash[_begin] if GATEWAY_LOG.stat().st_size >= session.stash[_begin] else 0)
        wrong = LOGS.doubtful(log.read().decode(errors="replace"), with_other_lines=True)
    if wrong:
        pytest.exit(
            f"{GATEWAY_LOG.name}: logged, and not known to be harmless: {sorted(set(wrong))[:20]}", returncode=1
        )
