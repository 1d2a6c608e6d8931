"""Tell the customer what the shop did: answered them, or cancelled their order."""
