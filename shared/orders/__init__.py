"""What a shop does to an order after it was placed: the words, the rules, the storage and the HTTP around them.

The package of each function imports this one before anything else, because what is set here makes the rest load faster.
"""

import gc
import os

USUAL = gc.get_threshold()
# What is loaded stays. To look for garbage in it after every 2,000 objects is a tenth of a cold start, and finds none.
# `orders.http` sets it back; for functions without it, which do little, this is often enough.
gc.set_threshold(100_000)
# There are none. To see that, pydantic would look through all packages.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
