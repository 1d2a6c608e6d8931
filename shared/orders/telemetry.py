"""Logs and metrics. Neither contains text that a person wrote, names or addresses."""

from aws_lambda_powertools import Logger, single_metric
from aws_lambda_powertools.metrics import MetricUnit

logger = Logger()


def count(event: str) -> None:
    """Counts an event as a metric in CloudWatch's embedded format, without a call of AWS."""
    with single_metric(name=event, unit=MetricUnit.Count, value=1):
        pass
