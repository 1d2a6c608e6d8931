"""Record what SES reports of invoices: sent, delivered, bounced, complained of."""
