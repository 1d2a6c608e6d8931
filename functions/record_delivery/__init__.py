"""Record what SES reports of invoices: sent, delivered, bounced, complained of."""

import orders  # noqa: F401 (first, because it prepares the start)
