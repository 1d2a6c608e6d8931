"""Read the invoices of an order and their delivery status."""

import orders  # noqa: F401 (first, because it prepares the start)
