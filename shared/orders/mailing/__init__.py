"""Mail to customers, in the look of the shop. Needs Jinja2 and Babel, which only functions that mail bring."""
