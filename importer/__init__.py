"""Brings many orders from a file into a table: `make import FILE=orders.jsonl TABLE=orders-prod`.

Twice through the file: first every order is checked, then they are written. What is there already is left as it is, so
that the same command goes on wherever it was stopped.
"""
