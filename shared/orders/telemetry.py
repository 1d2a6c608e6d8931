"""Logs and metrics. Neither ever holds what a person typed, nor a name or an address."""

from aws_lambda_powertools import Logger, single_metric
from aws_lambda_powertools.metrics import MetricUnit

logger = Logger()


def count(event: str) -> None:
    """Counts something that happened, as a metric in CloudWatch's embedded format. No call of AWS."""
    with single_metric(name=event, unit=MetricUnit.Count, value=1):
        pass
