"""`make preview`: each kind of mail and PDF on one page."""

from pathlib import Path

import pytest

from local import preview


def test_page_shows_each_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(preview, "OUT", tmp_path)
    monkeypatch.setattr("sys.argv", ["preview", "--language", "de", "--kind", "invoice"])
    preview.main()

    page = (tmp_path / "index.html").read_text()
    assert (tmp_path / "index.html").as_uri() in capsys.readouterr().out
    assert 'src="invoice-mail.html"' in page
    assert 'src="invoice.pdf"' in page
    assert "92,26" in (tmp_path / "invoice-mail.html").read_text()
    assert (tmp_path / "invoice.pdf").read_bytes().startswith(b"%PDF-")


def test_unknown_kind_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["preview", "--kind", "bill"])
    with pytest.raises(SystemExit, match="KIND=bill is unknown"):
        preview.main()
