"""Documents on paper: what they say, and their PDFs. Needs the packages of the functions that typeset."""

from pathlib import Path

TEMPLATES = Path(__file__).parent / "templates"
"""Contains `invoice.typ`. A `logo.png` next to it replaces the shop's name at the top of mails and PDFs, a `logo.svg`
in PDFs only: mail programs show no SVG."""
