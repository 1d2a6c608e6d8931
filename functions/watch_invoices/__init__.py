"""Watch for invoices of which nobody knows whether they left."""
