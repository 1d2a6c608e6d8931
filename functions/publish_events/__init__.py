"""Tell other systems what happened to orders."""

import orders  # noqa: F401 (first: see there)
