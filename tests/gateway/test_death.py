"""The gateway is killed between sending a mail and recording it: repeating the key sends no second mail."""

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
def test_killed_process_leaves_an_unknown_mail_that_is_not_sent_again() -> None:
    with emulated_aws() as url, ses_endpoint() as ses:
        environment = {"AWS_ENDPOINT_URL": url, "AWS_ENDPOINT_URL_SESV2": ses.url}
        ses.behaviour = "hangs after accepting it"
        with gateway(**environment) as doomed:
            request = Thread(target=_post_until_killed, args=[doomed])
            request.start()
            assert ses.request_received.wait(timeout=20)
            doomed.process.send_signal(signal.SIGKILL)
            request.join(timeout=20)

        ses.behaviour = "ok"
        with gateway(**environment) as api:
            running = api.post(PATH, idempotency_key="k")
            assert running.status == 409
            assert running.json["type"] == "urn:problem:orders:still-running"
            _expire_mailing(url)
            unknown = api.post(PATH, idempotency_key="k")
            assert unknown.status == 504
            assert unknown.json["type"] == "urn:problem:orders:mail-unknown"
            assert ses.requests == ses.accepted == 1
            # It blocks nothing: another request sends another mail, and the order can be cancelled.
            assert api.post(PATH, idempotency_key="another").status == 200
            assert api.post("/admin/orders/1002/cancel").status == 204


def _post_until_killed(api: Gateway) -> None:
    with suppress(urllib3.exceptions.HTTPError):
        api.post(PATH, idempotency_key="k")


def _expire_mailing(url: str) -> None:
    """Moves the times that the killed process wrote into the past, so that the test need not wait for half a minute."""
    table = boto3.resource("dynamodb", endpoint_url=url).Table("OrdersTable")
    invoice = table.get_item(Key={"pk": "ORDER#1002", "sk": "INVOICE#000001"})["Item"]
    assert invoice["outcome"] == "sending"
    table.put_item(Item=invoice | {"started": "2026-01-01T00:00:00.000000Z"})
    header = table.get_item(Key={"pk": "ORDER#1002", "sk": "ORDER"})["Item"]
    assert header["mailing"] == {1}
    table.put_item(Item=header | {"mailing_until": int(header["mailing_until"]) - 3600})
