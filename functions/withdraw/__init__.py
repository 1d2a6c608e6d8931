"""Declare the withdrawal from a contract."""

import orders  # noqa: F401 (first, because it prepares the start)
