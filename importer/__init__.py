"""Imports orders from a file into a table: `make import FILE=orders.jsonl TABLE=orders-prod`.

`files` reads bytes as JSON or CSV, `own`, `shopify`, `woocommerce` and `magento` map what they contain, `reading` puts
both together, `__main__` validates and `writing` writes. To add a shop system, add a module like `magento`.

The file is read twice: the first pass validates every order, the second writes them. Existing orders are left
unchanged, so an interrupted import continues when the same command is run again.
"""


class ImportFailed(Exception):
    """The import cannot start or continue. The message says why and what to do; no traceback is shown."""
