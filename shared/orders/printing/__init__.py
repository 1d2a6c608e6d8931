"""Documents on paper: what they say, and their PDFs. Needs the packages of the functions that typeset."""

from pathlib import Path

TEMPLATES = Path(__file__).parent / "templates"
"""Contains `invoice.typ`."""
