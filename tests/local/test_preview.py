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
    assert 'src="invoice-mail.de.html"' in page
    assert 'src="invoice.de.pdf"' in page
    assert "92,26" in (tmp_path / "invoice-mail.de.html").read_text()
    assert (tmp_path / "invoice.de.pdf").read_bytes().startswith(b"%PDF-")


@pytest.mark.parametrize(
    ("option", "value", "complaint"),
    [
        ("--kind", "bill", "KIND=bill is unknown. Use one of invoice-mail, "),
        ("--language", "fi", "LANGUAGE=fi has no catalogue. Use one of ar, de, "),
    ],
)
def test_unknown_choice_is_reported(monkeypatch: pytest.MonkeyPatch, option: str, value: str, complaint: str) -> None:
    monkeypatch.setattr("sys.argv", ["preview", option, value])
    with pytest.raises(SystemExit, match=complaint):
        preview.main()
