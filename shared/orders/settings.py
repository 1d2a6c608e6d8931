"""Settings: the environment variables that the template sets, as typed objects. No other module reads them.

Each room reads the settings that it needs when it is first used, so a function needs no variable of another one.
"""

import os
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, TypeVar

_T = TypeVar("_T")


@dataclass(frozen=True)
class TableSettings:
    """Settings of the store."""

    table_name: str


@dataclass(frozen=True)
class ArchiveSettings:
    """Settings of the invoice archive."""

    invoices_bucket: str


@dataclass(frozen=True)
class CursorSettings:
    """Settings of cursors. `cursor_key` signs them; only people who can read the deployment know it."""

    cursor_key: str


@dataclass(frozen=True)
class MailSettings:
    """Settings of the mailer. `configuration_set` is the SES configuration set, "" for none."""

    configuration_set: str = ""


@dataclass(frozen=True)
class NoticeSettings:
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
    declared: Any = fields(kind)  # type: ignore[arg-type]
    values = variables({field.name: field.name.upper() for field in declared})
    for field in declared:
        if field.name not in values and field.default is MISSING:
            raise MissingSetting(field.name.upper())
        if field.name in values and isinstance(field.default, bool):
            values[field.name] = values[field.name] == "yes"
    return kind(**values)


def variables(names: Mapping[str, str]) -> dict[str, Any]:
    """Returns the values of the variables that are set, by the names of fields."""
    return {field: os.environ[name] for field, name in names.items() if os.environ.get(name)}
