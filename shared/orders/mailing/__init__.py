"""Mail in the shop's look. Needs Jinja2 and Babel, which only the functions that send mail package."""
