"""Read orders, one or many."""

import orders  # noqa: F401 (first, because it prepares the start)
