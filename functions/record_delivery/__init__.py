"""Record SES reports on invoices: sent, delivered, bounced, complaint."""

import orders  # noqa: F401 (first, because it prepares the start)
