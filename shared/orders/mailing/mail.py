"""Sends mail through SES, in one attempt, and reports exactly what is known of the result."""

from email.message import EmailMessage
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ProxyConnectionError,
)

from orders import aws, settings
from orders.errors import MailRefused, MailUnknown, Unavailable
from orders.invoices import tag_value

if TYPE_CHECKING:
    from types_boto3_sesv2 import SESV2Client

THROTTLED = {"TooManyRequestsException", "ThrottlingException", "Throttling", "LimitExceededException"}

NEVER_LEFT = (
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ProxyConnectionError,
)
"""Errors that botocore raises before it sends anything. After any other error, SES may have the mail."""


class Mailer:
    """Sends mail through SES.

    Args:
        client: An SES v2 client that never repeats a call: SES has no idempotency token.
        configuration_set: The SES configuration set that publishes delivery events, or "" for none.
    """

    def __init__(self, client: "SESV2Client", configuration_set: str = "") -> None:
        self._client = client
        self._configuration_set = configuration_set

    def send(self, message: EmailMessage, tags: dict[str, str]) -> str:
        """Sends a mail, in one attempt.

        Args:
            message: With `From`, one address in `To` and perhaps some in `Cc`.
            tags: Names and values that SES's events repeat; the values as `tag_value` encodes them.

        Returns:
            The message id. SES has accepted the mail.

        Raises:
            MailRefused: The mail was not sent: SES refused it or could not be reached.
            Unavailable: The mail was not sent: SES throttles, or the sending quota is used up.
            MailUnknown: SES may or may not have accepted the mail.
        """
        tags = {name: tag_value(value) for name, value in tags.items()}
        # As a header too, for readers of the raw mail; SES uses the parameters and removes the header.
        # https://docs.aws.amazon.com/ses/latest/dg/event-publishing-send-email.html
        message["X-SES-MESSAGE-TAGS"] = ", ".join(f"{name}={value}" for name, value in tags.items())
        request: dict[str, Any] = {"Destination": {"ToAddresses": [message["To"]]}}
        if message["Cc"]:
            request["Destination"]["CcAddresses"] = [address.addr_spec for address in message["Cc"].addresses]
        if self._configuration_set:
            request["ConfigurationSetName"] = self._configuration_set
        try:
            answer = self._client.send_email(
                FromEmailAddress=message["From"].addresses[0].addr_spec,
                Content={"Raw": {"Data": message.as_bytes()}},
                EmailTags=[{"Name": name, "Value": value} for name, value in tags.items()],
                **request,
            )
            return answer["MessageId"]
        except ClientError as error:
            code = error.response["Error"]["Code"]
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if code in THROTTLED or status == 429:
                raise Unavailable("The mail service is throttling. The mail was not sent.", reason=code) from error
            if 400 <= status < 500:
                raise MailRefused("The mail service rejected the mail. It was not sent.", reason=code) from error
            raise _unknown(code) from error
        except NEVER_LEFT as error:
            raise MailRefused(
                "The mail service cannot be reached. The mail was not sent; try again.", reason=type(error).__name__
            ) from error
        except Exception as error:
            raise _unknown(type(error).__name__) from error
        finally:
            # If SES closed a kept connection, the outcome of the next mail would be unknown.
            self._client.close()


def _unknown(reason: str) -> MailUnknown:
    return MailUnknown(
        "The mail service did not confirm that it accepted the mail. It will not be retried automatically.",
        reason=reason,
    )


@cache
def get_mailer() -> Mailer:
    """For `Depends`: the mailer of this function."""
    return Mailer(aws.ses(), settings.read(settings.MailSettings).configuration_set)
