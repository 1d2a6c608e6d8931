"""Send the invoice of an order to its customer by e-mail."""
