"""Bring an order."""
