"""The gateway's process is killed between the mail and its record: the same key mails nothing again."""

import signal
from contextlib import suppress
from threading import Thread

import boto3
import pytest
import urllib3
from process import Gateway, emulated_aws, gateway
from ses_endpoint import ses_endpoint

PATH = "/admin/orders/1002/send-invoice"


@pytest.mark.faults
def test_a_killed_process_sends_no_second_mail_and_says_what_is_known() -> None:
    with emulated_aws() as url, ses_endpoint() as ses:
        environment = {"AWS_ENDPOINT_URL": url, "AWS_ENDPOINT_URL_SESV2": ses.url}
        ses.behaviour = "hangs after taking it"
        with gateway(**environment) as doomed:
            request = Thread(target=_post_until_death, args=[doomed])
            request.start()
            assert ses.was_asked.wait(timeout=20)
            doomed.process.send_signal(signal.SIGKILL)
            request.join(timeout=20)

        ses.behaviour = "ok"
        with gateway(**environment) as api:
            running = api.post(PATH, idempotency_key="k")
            assert running.status == 409
            assert running.json["type"] == "urn:problem:orders:still-running"
            _let_time_pass(url)
            unknown = api.post(PATH, idempotency_key="k")
            assert unknown.status == 504
            assert unknown.json["type"] == "urn:problem:orders:mail-unknown"
            assert ses.asked == ses.taken == 1
            # It holds nothing up: another request is another mail, and the order can be cancelled.
            assert api.post(PATH, idempotency_key="another").status == 200
            assert api.post("/admin/orders/1002/cancel").status == 204


def _post_until_death(api: Gateway) -> None:
    with suppress(urllib3.exceptions.HTTPError):
        api.post(PATH, idempotency_key="k")


def _let_time_pass(url: str) -> None:
    """Moves what the dead process wrote an hour back: the test does not wait for half a minute."""
    table = boto3.resource("dynamodb", endpoint_url=url).Table("OrdersTable")
    invoice = table.get_item(Key={"pk": "ORDER#1002", "sk": "INVOICE#000001"})["Item"]
    assert invoice["outcome"] == "sending"
    table.put_item(Item=invoice | {"started": "2026-01-01T00:00:00.000000Z"})
    header = table.get_item(Key={"pk": "ORDER#1002", "sk": "ORDER"})["Item"]
    assert header["mailing"] == {1}
    table.put_item(Item=header | {"mailing_until": int(header["mailing_until"]) - 3600})
