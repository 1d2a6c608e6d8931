"""Read orders, one or many."""
