"""What SAM packs of the function that mails invoices: it prints there what it prints here."""

import json
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Prints orders, and writes amounts and dates in every language that Babel knows.
PRINT = """
import json, sys
sys.path[:0] = sys.argv[1:]
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from babel.localedata import locale_identifiers
from orders.models import Invoice, Order
from orders.mailing.formatting import Formats
from send_invoice.pdf import render_pdf
from orders.mailing.shop import Shop

said = {}
shop = Shop(name="Shop", sender="shop@example.com", payment_link="https://pay.example/{invoice}")
for order in map(Order.model_validate, json.load(sys.stdin)):
    fields = {name: getattr(order, name) for name in ("order_id", "version", "currency_code", "payment_status")}
    invoice = Invoice.model_construct(**fields, n=1, started=datetime(2026, 1, 2, tzinfo=UTC), notes="شكراً 谢谢 📦 ✨")
    said[order.order_id] = sha256(render_pdf(invoice, order, shop)).hexdigest()
for language in sorted(locale_identifiers()):
    said[language] = []
    for currency in ("EUR", "USD", "JPY", "KWD", "XAF"):
        formats = Formats(language, None, currency)
        said[language] += formats.money(Decimal("-1234567.891")), formats.plain_amount(Decimal(1))
    said[language] += formats.quantity(Decimal("1234.5")), formats.country("DE")
    said[language] += [formats.date(datetime(2026, month, 3, tzinfo=UTC)) for month in range(1, 13)]
json.dump(said, sys.stdout)
"""


def run(*command: object, **more: Any) -> bytes:
    done = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, **more)
    return bytes(done.stdout)


@pytest.mark.build
@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux, as Lambda has, to import what is built for it")
def test_it_prints_there_what_it_prints_here(tmp_path: Path) -> None:
    python = sys.executable if sys.version_info[:2] == (3, 13) else shutil.which("python3.13")
    if python is None or subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode:
        pytest.skip("needs Python 3.13, which Lambda has, to compile for it")
    architecture = "arm64" if platform.machine() in {"arm64", "aarch64"} else "x86_64"
    function, layer = tmp_path / "function", tmp_path / "layer"
    for resource, folder in (("OrdersLayer", layer), ("SendInvoiceFunction", function)):
        run(sys.executable, ROOT / "packaging/build.py", "--architecture", architecture, resource, folder)
    samples = (ROOT / "local/orders.json").read_bytes()

    # -I: neither this folder nor what is installed here for the user. -S: nor what is installed at all.
    there = json.loads(run(python, "-I", "-S", "-c", PRINT, function, layer / "python", input=samples, env={}))
    here = json.loads(run(sys.executable, "-c", PRINT, ROOT / "functions", ROOT / "shared", input=samples))

    assert len(here) > 1000
    assert [name for name in here if here[name] != there.get(name)] == []
    size = sum(path.stat().st_size for path in function.rglob("*") if path.is_file())
    assert size <= 110_000_000, "the package has become larger than it need be: what in it is not used?"
