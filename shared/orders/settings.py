"""Settings: the environment variables that the template sets, as typed objects. No other module reads them.

Each module reads the settings that it needs at first use, so a function needs no variable of another one.
"""

import os
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

_T = TypeVar("_T", bound=tuple[Any, ...])


class TableSettings(NamedTuple):
    """Settings of the table."""

    table_name: str


class ArchiveSettings(NamedTuple):
    """Settings of the invoice archive."""

    invoices_bucket: str


class SeriesSettings(NamedTuple):
    """Settings of the series of document numbers: what they begin with, and the time zone that the year is of."""

    invoice_prefix: str = "INV-"
    shop_time_zone: str = "UTC"


class MailSettings(NamedTuple):
    """Settings of the mailer. `configuration_set` is the SES configuration set, "" for none."""

    configuration_set: str = ""


class NoticeSettings(NamedTuple):
    """Which notices customers get by mail. The variables say `yes` or `no`."""

    notify_comments: bool = False
    notify_cancellations: bool = False


class MissingSetting(KeyError):
    """An environment variable without a default is not set."""


def read(kind: type[_T]) -> _T:
    """Reads a settings object: field `table_name` from the variable `TABLE_NAME`. An empty variable counts as unset.

    Raises:
        MissingSetting: A variable without a default is not set.
    """
    declared: Any = kind
    values = variables({name: name.upper() for name in declared._fields})
    for name in declared._fields:
        if name not in values and name not in declared._field_defaults:
            raise MissingSetting(name.upper())
        if name in values and declared.__annotations__[name] is bool:
            values[name] = values[name] == "yes"
    return kind(**values)


def variables(names: Mapping[str, str]) -> dict[str, Any]:
    """Returns the values of the variables that are set, by the names of fields."""
    return {field: os.environ[name] for field, name in names.items() if os.environ.get(name)}
