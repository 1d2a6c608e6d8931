"""Fixtures for all tests, and a check of what the local gateways logged during the run."""

import gc

import pytest
from _pytest.nodeid import NodeId
from harness import LOGS, ROOT, clock, service
from hypothesis import HealthCheck, settings
from ses_endpoint import ses
from wire import emulated_aws, wire

__all__ = ["clock", "emulated_aws", "service", "ses", "wire"]

# botocore and moto keep many objects alive. Scanning them for garbage took a fifth of the time.
gc.set_threshold(10_000)

# Property tests call `service.reset` for each example. Explicit numbers in tests are fractions of these.
settings.register_profile(
    "local", max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.register_profile("gate", settings.get_profile("local"), max_examples=100)
settings.load_profile("local")

GATEWAY_LOG = ROOT / ".local" / "gateway.log"
_begin = pytest.StashKey[int]()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keeps each `xdist_group` on one worker: xdist reads the group from the end of a test's id.

    xdist 3.8 itself sets an attribute that pytest 9.2 no longer has.
    """
    if getattr(config.option, "loadgroup", False):
        for item in items:
            for mark in item.iter_markers("xdist_group"):
                item._id = NodeId.parse(f"{item.nodeid}@{mark.args[0]}")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Stores the current size of the gateways' log."""
    session.stash[_begin] = GATEWAY_LOG.stat().st_size if GATEWAY_LOG.exists() else 0


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fails the run if functions in a gateway logged something that is not allowed in logs."""
    # Each test has its own gateway, but all share one log: the process that started the workers checks it.
    if hasattr(session.config, "workerinput") or not GATEWAY_LOG.exists():
        return
    with GATEWAY_LOG.open("rb") as log:
        # A gateway truncates the log when it is too large.
        log.seek(session.stash[_begin] if GATEWAY_LOG.stat().st_size >= session.stash[_begin] else 0)
        wrong = LOGS.disallowed(log.read().decode(errors="replace"), with_other_lines=True)
    if wrong:
        pytest.exit(f"{GATEWAY_LOG.name}: not allowed in logs: {sorted(set(wrong))[:20]}", returncode=1)
