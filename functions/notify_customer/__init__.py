"""Mail customers about replies and cancellations."""

import orders  # noqa: F401 (first, because it prepares the start)
