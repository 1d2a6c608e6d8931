"""Send the invoice of an order to its customer by e-mail."""

import orders  # noqa: F401 (first, because it prepares the start)
