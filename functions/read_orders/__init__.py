"""Read one order or lists of orders."""

import orders  # noqa: F401 (first, because it prepares the start)
