"""The resources built for Lambda are built once for all tests of this folder."""

from built import built

__all__ = ["built"]
