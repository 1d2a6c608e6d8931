"""Count invoices whose outcome stays unknown."""

import orders  # noqa: F401 (first, because it prepares the start)
