"""Read what invoices were sent for an order, and what became of them."""
