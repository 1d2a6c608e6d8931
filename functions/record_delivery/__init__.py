"""Record what SES reports of invoices: sent, delivered, bounced, complained of."""

import orders  # noqa: F401 (first: see there)
