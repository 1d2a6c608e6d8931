"""Publish events about orders to other systems."""

import orders  # noqa: F401 (first, because it prepares the start)
