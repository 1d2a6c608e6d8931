"""The built send-invoice function prints the same invoices as the source does."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from built import Built

ROOT = Path(__file__).resolve().parents[2]

# Prints orders, and formats amounts and dates in every language of Babel.
PRINT = """
import json, sys
sys.path[:0] = sys.argv[1:]
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from babel.localedata import locale_identifiers
from orders.invoices import Mailing
from orders.mailing.addresses import postal_lines
from orders.models import Order, State
from orders.mailing.formatting import Formats
from orders.printing.content import invoice_content
from orders.printing.pdf import render_pdf
from orders.mailing.shop import Shop

printed = {}
shop = Shop(name="Shop", sender="shop@example.com", payment_link="https://pay.example/{invoice}")
for order in map(Order.model_validate, json.load(sys.stdin)):
    fields = {name: getattr(order, name) for name in ("order_id", "version", "currency_code", "payment_status")}
    fields["recipient"] = "alice@example.com"
    invoice = Mailing.model_construct(**fields, n=1, started=datetime(2026, 1, 2, tzinfo=UTC), notes="شكراً 谢谢 📦 ✨")
    printed[order.order_id] = sha256(render_pdf(invoice_content(invoice, order, shop))).hexdigest()
for language in sorted(locale_identifiers()):
    printed[language] = []
    for currency in ("EUR", "USD", "JPY", "KWD", "XAF"):
        formats = Formats(language, None, currency)
        printed[language] += formats.money(Decimal("-1234567.891")), formats.plain_amount(Decimal(1))
    printed[language] += formats.quantity(Decimal("1234.5")), formats.country("DE")
    state = State(code="S")
    printed[language] += postal_lines(language[-2:].upper(), None, street=("街",), city="C", post_code="Z", state=state)
    printed[language] += [formats.date(datetime(2026, month, 3, tzinfo=UTC)) for month in range(1, 13)]
json.dump(printed, sys.stdout)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux, as Lambda has, to import what is built for it")
def test_built_function_prints_what_the_source_prints(built: Built) -> None:
    samples = (ROOT / "local/orders.json").read_bytes()
    function = built.folder / "SendInvoiceFunction"

    # -I and -S: no other packages than those in the built folders.
    there = json.loads(run(built.python, "-I", "-S", "-c", PRINT, function, built.layer, input=samples, env={}))
    here = json.loads(run(sys.executable, "-c", PRINT, ROOT / "functions", ROOT / "shared", input=samples))

    assert len(here) > 1000
    assert [name for name in here if here[name] != there.get(name)] == []
    # 17 MB of it are Typst's symbols, which compress to 2 MB.
    size = sum(path.stat().st_size for path in function.rglob("*") if path.is_file())
    assert size <= 125_000_000, "the package grew: which of its files are not used?"


def run(*command: object, **options: Any) -> bytes:
    done = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, **options)
    return bytes(done.stdout)
