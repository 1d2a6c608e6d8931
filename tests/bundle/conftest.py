"""The resources built for Lambda are built once, by one worker, for all tests of this folder."""

import pytest
from built import built

__all__ = ["built"]


# Before xdist reads the groups.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks every test that needs the built resources, and keeps these tests on one worker."""
    for item in items:
        if "built" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.build)
            item.add_marker(pytest.mark.xdist_group("built"))
