"""Read what happened to an order."""
