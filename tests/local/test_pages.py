"""The gateway's own pages, with mails sent through moto's SES."""

import json
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest
from botocore.session import get_session
from moto import mock_aws
from werkzeug.test import Client, TestResponse
from werkzeug.wrappers import Request, Response

from local.outbox import Outbox
from local.pages import Pages
from local.template import Route

SHOP = "Käserei & Söhne <shop@shop.example>"


def mail(
    to: str = "Bob <bob@example.com>", subject: str = "Ihre Rechnung – №1", html: str = "<p>Grüße</p>"
) -> EmailMessage:
    message = EmailMessage()
    message["From"] = SHOP
    message["To"] = to
    message["Subject"] = subject
    message["X-SES-MESSAGE-TAGS"] = "order_id=1002, invoice=INV-1002-1"
    message.set_content("Grüße\n")
    message.add_alternative(html, subtype="html")
    message.add_attachment(b"%PDF-1.7", maintype="application", subtype="pdf", filename="INV-1.pdf")
    message.add_attachment(b"<script>", maintype="text", subtype="html", filename="ü.html")
    return message


@pytest.fixture
def send() -> Iterator[Callable[[EmailMessage], None]]:
    """Sends a mail through SES."""
    with mock_aws():
        ses: Any = get_session().create_client("sesv2", region_name="us-east-1")
        ses.create_email_identity(EmailIdentity="shop@shop.example")
        yield lambda message: ses.send_email(Content={"Raw": {"Data": message.as_bytes(policy=SMTP)}})


def browser(folder: Path, other_ses: str | None = None) -> Client:
    route = Route("GET", "/things/{thing_id}", "Things")
    pages = Pages(folder / "openapi.json", [route], lambda: {"alice": "t.o.k"}, Outbox("us-east-1"), other_ses, list)

    @Request.application
    def app(request: Request) -> Response:
        return pages(request) or Response("not mine", 418)

    return Client(app)


def listed(client: Client) -> Any:
    answer = client.get("/_local/outbox", headers={"Accept": "application/json"})
    assert answer.content_type == "application/json"
    return json.loads(answer.data)


def page(answer: TestResponse) -> str:
    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    return answer.text


def test_json_lists_every_mail_oldest_first(send: Callable[[EmailMessage], None], tmp_path: Path) -> None:
    send(mail())
    send(mail(to="alice@example.com", subject="Second"))
    first, second = listed(browser(tmp_path))
    assert first == {
        "to": "bob@example.com",
        "from": SHOP,
        "subject": "Ihre Rechnung – №1",
        "html": "<p>Grüße</p>\r\n",
        "text": "Grüße\r\n",
        "tags": {"order_id": "1002", "invoice": "INV-1002-1"},
        "attachments": [
            {"filename": "INV-1.pdf", "content_type": "application/pdf", "size": 8},
            {"filename": "ü.html", "content_type": "text/html", "size": 8},
        ],
    }
    assert (second["to"], second["subject"]) == ("alice@example.com", "Second")


def test_json_lists_every_recipient(send: Callable[[EmailMessage], None], tmp_path: Path) -> None:
    message = mail()
    message["Bcc"] = "eve@example.net"
    send(message)
    assert listed(browser(tmp_path))[0]["to"] == "bob@example.com, eve@example.net"


def test_page_shows_the_newest_mail_first(send: Callable[[EmailMessage], None], tmp_path: Path) -> None:
    send(mail(subject="First"))
    send(mail(subject="Second"))
    text = page(browser(tmp_path).get("/_local/outbox", headers={"Accept": "text/html"}))
    assert text.index("Second") < text.index("First")
    assert "order_id: 1002" in text
    assert text.index("/_local/outbox/1/attachments/0") < text.index("/_local/outbox/0/attachments/0")


def test_scripts_in_a_mail_cannot_run(send: Callable[[EmailMessage], None], tmp_path: Path) -> None:
    send(mail(subject="<script>alert(1)</script>", html='"><script>alert(2)</script>'))
    answer = browser(tmp_path).get("/_local/outbox")
    text = page(answer)
    assert "<script>alert" not in text
    [frame] = [part for part in text.split("<iframe")[1:] if "srcdoc" in part]
    assert 'sandbox="allow-same-origin allow-popups"' in frame
    assert "script-src 'nonce-" in answer.headers["Content-Security-Policy"]


def test_attachments_are_served(send: Callable[[EmailMessage], None], tmp_path: Path) -> None:
    send(mail())
    client = browser(tmp_path)
    pdf, html = (client.get(f"/_local/outbox/0/attachments/{n}") for n in range(2))
    assert (pdf.data, pdf.content_type) == (b"%PDF-1.7", "application/pdf")
    assert pdf.headers["Content-Disposition"] == "inline; filename=INV-1.pdf"
    # A page in a mail is never opened as one of the gateway's.
    assert html.headers["Content-Disposition"].startswith("attachment; ")
    for missing in ("0/attachments/2", "1/attachments/0"):
        assert client.get(f"/_local/outbox/{missing}").status_code == 418


def test_outbox_can_be_cleared(send: Callable[[EmailMessage], None], tmp_path: Path) -> None:
    send(mail())
    client = browser(tmp_path)
    assert client.delete("/_local/outbox").status_code == 204
    assert listed(client) == []
    assert "No mail yet" in page(client.get("/_local/outbox"))


def test_simple_mail_is_shown(tmp_path: Path) -> None:
    with mock_aws():
        ses: Any = get_session().create_client("sesv2", region_name="us-east-1")
        ses.create_email_identity(EmailIdentity="shop@shop.example")
        ses.send_email(
            FromEmailAddress="shop@shop.example",
            Destination={"ToAddresses": ["bob@example.com"]},
            Content={"Simple": {"Subject": {"Data": "S"}, "Body": {"Text": {"Data": "T"}}}},
        )
        [found] = listed(browser(tmp_path))
    assert (found["to"], found["from"], found["subject"], found["text"]) == (
        "bob@example.com",
        "shop@shop.example",
        "S",
        "T",
    )


def test_page_names_another_mail_service(tmp_path: Path) -> None:
    with mock_aws():
        assert "http://ses.example" in page(browser(tmp_path, "http://ses.example").get("/_local/outbox"))


def test_openapi_and_api_page_are_served(tmp_path: Path) -> None:
    client = browser(tmp_path)
    answer = client.get("/openapi.json")
    assert (answer.status_code, answer.text) == (404, "openapi.json does not exist: run make openapi\n")
    assert "make openapi" in page(client.get("/docs"))
    (tmp_path / "openapi.json").write_text('{"openapi": "3.1.0"}')
    answer = client.get("/openapi.json")
    assert (answer.mimetype, answer.get_json()) == ("application/json", {"openapi": "3.1.0"})
    text = page(client.get("/docs"))
    assert '"t.o.k"' in text
    for address, start in (("/docs/swagger-ui.css", b".swagger-ui"), ("/docs/swagger-ui.js", b"/*!")):
        assert address in text
        assert client.get(address).data.startswith(start)


def test_start_page_lists_the_routes(tmp_path: Path) -> None:
    assert "/things/{thing_id}" in page(browser(tmp_path).get("/"))


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/"), ("GET", "/x"), ("PUT", "/_local/outbox"), ("GET", "/docs/x")]
)
def test_other_requests_are_left_to_the_api(tmp_path: Path, method: str, path: str) -> None:
    assert browser(tmp_path).open(path, method=method).status_code == 418
