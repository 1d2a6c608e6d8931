"""Mail customers about replies and cancellations."""

import orders  # noqa: F401 (first: see there)
