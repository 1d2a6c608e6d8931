"""Who sends the invoice: the shop's own details, from the function's environment."""

import os
from functools import cache

from pydantic import BaseModel, ConfigDict

from orders.models import EmailAddress


class Shop(BaseModel):
    """What an invoice says about the shop.

    Attributes:
        name: As the customer knows it; also the name of the sender.
        sender: The e-mail address that SES may send from.
        reply_to: Where answers go, if not to the sender.
        address: Postal address, its lines separated by commas.
        tax_id: As it must be printed, e.g. `VAT DE123456789`.
        support_contact: Whom to ask: an address, a telephone number or a link.
        payment_link: Where to pay; `{order_id}`, `{invoice}`, `{amount}` and `{currency}` are filled in.
        language: A BCP 47 tag such as `en`. With the customer's country it decides how dates and amounts are written.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    sender: EmailAddress
    reply_to: str = ""
    address: str = ""
    tax_id: str = ""
    support_contact: str = ""
    payment_link: str = ""
    language: str = "en"

    def address_lines(self) -> list[str]:
        """The postal address, line by line."""
        return [line.strip() for line in self.address.split(",") if line.strip()]


@cache
def get_shop() -> Shop:
    """For `Depends`: the shop, from the environment that the template sets."""
    names = {"name": "SHOP_NAME", "sender": "SENDER", "reply_to": "REPLY_TO", "address": "SHOP_ADDRESS"}
    names |= {"tax_id": "SHOP_TAX_ID", "support_contact": "SUPPORT_CONTACT", "payment_link": "PAYMENT_LINK"}
    names |= {"language": "SHOP_LANGUAGE"}
    return Shop.model_validate({field: os.environ[name] for field, name in names.items() if os.environ.get(name)})
