"""Create an order."""

import orders  # noqa: F401 (first, because it prepares the start)
