"""Watch for invoices of which nobody knows whether they left."""

import orders  # noqa: F401 (first: see there)
