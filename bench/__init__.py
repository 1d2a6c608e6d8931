"""Measures what a request costs, against yardsticks that are measured in the same run: `make bench`."""
