"""Post-purchase order service: the rules, storage and HTTP that all functions share.

Each function's package imports this one first, because `startup.prepare` makes all later imports faster.
"""

from orders import startup

startup.prepare()
