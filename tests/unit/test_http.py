"""How errors become responses."""

import pytest

from orders.errors import DomainError, InternalError, MailRefused
from orders.http import PROBLEMS, to_domain_error


def test_unexpected_error_is_counted_without_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert type(to_domain_error(ValueError("alice@example.com"))) is InternalError
    logged = capsys.readouterr().out
    assert '"InternalErrors":[1.0]' in logged
    assert "alice" not in logged


def test_domain_error_is_not_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert type(to_domain_error(MailRefused())) is MailRefused
    assert "InternalErrors" not in capsys.readouterr().out


def test_every_domain_error_has_its_own_problem_type() -> None:
    assert set(PROBLEMS) == set(DomainError.__subclasses__())
    assert len({problem.slug for problem in PROBLEMS.values()}) == len(PROBLEMS)
