"""Tell the customer what the shop did: answered them, or cancelled their order."""

import orders  # noqa: F401 (first: see there)
