"""Benchmark of cold starts, requests and large orders against yardsticks of the same run: `make bench`."""
