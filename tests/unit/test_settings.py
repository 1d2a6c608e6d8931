"""Settings come from the environment that the template sets."""

import pytest
from harness import TEMPLATE

from orders import settings
from orders.settings import CursorSettings, MailSettings, MissingSetting, NoticeSettings, TableSettings


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


@pytest.mark.parametrize(
    "kind", [CursorSettings, MailSettings, NoticeSettings, TableSettings, settings.ArchiveSettings]
)
def test_template_sets_every_variable(kind: type) -> None:
    names = {name.upper() for name in kind._fields}  # type: ignore[attr-defined]
    assert any(names <= function.environment.keys() for function in TEMPLATE.functions.values())
