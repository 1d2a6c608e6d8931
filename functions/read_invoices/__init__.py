"""Read what invoices were sent for an order, and what became of them."""

import orders  # noqa: F401 (first, because it prepares the start)
