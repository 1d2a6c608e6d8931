"""Create an order."""

import orders  # noqa: F401 (first: see there)
