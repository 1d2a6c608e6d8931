"""Read the comments on an order."""
