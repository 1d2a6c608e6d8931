"""Add a comment to an order."""
