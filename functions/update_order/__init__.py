"""Change an order."""
