"""Every few minutes: how many invoices have been unsettled for too long. An alarm stands on the metric."""

from datetime import timedelta
from typing import Any

from aws_lambda_powertools import single_metric
from aws_lambda_powertools.metrics import MetricUnit

from orders.store import get_store
from orders.telemetry import logger

PATIENCE = timedelta(minutes=15)
"""SES reports what it took within seconds. Of what is older, somebody has to find out."""


@logger.inject_lambda_context
def handler(_event: dict[str, Any], _context: Any) -> None:
    """Counts the invoices that began long ago and are still `sending` or `unknown`."""
    store = get_store()
    unsettled = store.count_unsettled(store.now() - PATIENCE)
    with single_metric(name="InvoicesUnsettled", unit=MetricUnit.Count, value=unsettled):
        pass
    if unsettled:
        logger.warning("unsettled", invoices=unsettled)
