"""Read what happened to an order."""

import orders  # noqa: F401 (first: see there)
