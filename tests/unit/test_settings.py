"""Settings come from the environment that the template sets."""

import re
from zoneinfo import available_timezones

import pytest
from harness import ROOT, TEMPLATE

from local.cloudformation import read_template
from orders import settings
from orders.settings import MailSettings, MissingSetting, NoticeSettings, TableSettings


def test_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABLE_NAME", "")
    with pytest.raises(MissingSetting, match="TABLE_NAME"):
        settings.read(TableSettings)


def test_empty_variable_has_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONFIGURATION_SET", "")
    assert settings.read(MailSettings) == MailSettings(configuration_set="")


@pytest.mark.parametrize(("text", "value"), [("yes", True), ("no", False), ("", False)])
def test_switches_are_booleans(monkeypatch: pytest.MonkeyPatch, text: str, value: bool) -> None:
    monkeypatch.setenv("NOTIFY_COMMENTS", text)
    monkeypatch.delenv("NOTIFY_CANCELLATIONS", raising=False)
    assert settings.read(NoticeSettings) == NoticeSettings(notify_comments=value, notify_cancellations=False)


@pytest.mark.parametrize("kind", [MailSettings, NoticeSettings, TableSettings, settings.ArchiveSettings])
def test_template_sets_every_variable(kind: type) -> None:
    names = {name.upper() for name in kind._fields}  # type: ignore[attr-defined]
    assert any(names <= function.environment.keys() for function in TEMPLATE.functions.values())


def test_the_template_allows_every_time_zone() -> None:
    allowed = re.compile(read_template(ROOT / "template.yaml")["Parameters"]["ShopTimeZone"]["AllowedPattern"])
    # How tzdata calls the zone of the machine that it is on.
    assert not [name for name in available_timezones() - {"localtime"} if not allowed.search(name)]
