"""The shop's own details, from the function's environment."""

from functools import cache
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict

from orders import settings
from orders.types import EmailAddress


def _split(value: Any) -> Any:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


class Shop(BaseModel):
    """What an invoice says about the shop.

    Attributes:
        name: The shop's name, also the display name of the sender.
        sender: The e-mail address that SES may send from.
        reply_to: Address for replies, if not the sender.
        invoice_cc: Addresses that an invoice may be copied to, besides the order's.
        address: Postal address, its lines separated by commas.
        tax_id: The tax id as printed, e.g. `VAT DE123456789`.
        support_contact: Contact for questions: an address, a telephone number or a link.
        payment_link: URL of the payment page; `{order_id}`, `{invoice}`, `{amount}` and `{currency}` are filled in.
        order_page: URL of the page where a customer sees an order; `{order_id}` is filled in.
        language: A BCP 47 tag such as `en`. With the customer's country, it decides the format of dates and amounts.
        time_zone: The IANA time zone whose day every printed date is.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    sender: EmailAddress
    reply_to: EmailAddress | None = None
    invoice_cc: Annotated[tuple[EmailAddress, ...], BeforeValidator(_split)] = ()
    address: str = ""
    tax_id: str = ""
    support_contact: str = ""
    payment_link: str = ""
    order_page: str = ""
    language: str = "en"
    time_zone: ZoneInfo = ZoneInfo("UTC")

    def address_lines(self) -> list[str]:
        """The postal address, line by line."""
        return [line.strip() for line in self.address.split(",") if line.strip()]


@cache
def get_shop() -> Shop:
    """For `Depends`: the shop of this deployment."""
    names = {"name": "SHOP_NAME", "sender": "SENDER", "reply_to": "REPLY_TO", "address": "SHOP_ADDRESS"}
    names |= {"tax_id": "SHOP_TAX_ID", "support_contact": "SUPPORT_CONTACT", "payment_link": "PAYMENT_LINK"}
    names |= {"language": "SHOP_LANGUAGE", "time_zone": "SHOP_TIME_ZONE", "invoice_cc": "INVOICE_CC"}
    names |= {"order_page": "ORDER_PAGE"}
    return Shop.model_validate(settings.variables(names))
