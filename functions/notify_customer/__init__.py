"""Mail customers about replies and cancellations, and the staff about what customers do."""

import orders  # noqa: F401 (first, because it prepares the start)
