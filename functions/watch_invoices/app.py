"""Counts, every few minutes, the invoices that have been unsettled for too long. An alarm watches the metric."""

from datetime import timedelta
from typing import Any

from aws_lambda_powertools import single_metric
from aws_lambda_powertools.metrics import MetricUnit

from orders.ledger import Ledger
from orders.startup import once
from orders.table import get_table
from orders.telemetry import logger

PATIENCE = timedelta(minutes=15)
"""SES reports accepted mail within seconds. Older invoices need a person to look into them."""

once(get_table)


@logger.inject_lambda_context
def handler(_event: dict[str, Any], _context: Any) -> None:
    """Publishes the number of old invoices that are still `sending` or `unknown`."""
    ledger = Ledger(get_table())
    unsettled = ledger.count_unsettled(ledger.now() - PATIENCE)
    with single_metric(name="InvoicesUnsettled", unit=MetricUnit.Count, value=unsettled):
        pass
    if unsettled:
        logger.warning("unsettled", invoices=unsettled)
