"""Cancel an order."""
