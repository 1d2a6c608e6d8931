"""What becomes of errors."""

import pytest

from orders.errors import MailRefused
from orders.http import to_problem


def test_what_is_not_foreseen_is_counted_and_its_text_kept_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert to_problem(ValueError("alice@example.com")).slug == "internal-error"
    said = capsys.readouterr().out
    assert '"InternalErrors":[1.0]' in said
    assert "alice" not in said


def test_what_is_foreseen_is_not_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert to_problem(MailRefused()).slug == "mail-refused"
    assert "InternalErrors" not in capsys.readouterr().out
