"""The shop's own details, from the function's environment."""

from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, ConfigDict

from orders import settings
from orders.invoices import Seller, SellerDetails
from orders.mailing.addresses import postal_lines
from orders.models import Order
from orders.types import EmailAddress


def _split(value: Any) -> Any:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


class EInvoices(StrEnum):
    """Whether the invoices of a shop are e-invoices. `required`: an order without the data for one is not invoiced."""

    OFF = "off"
    WHEN_POSSIBLE = "when_possible"
    REQUIRED = "required"


class Shop(SellerDetails):
    """The shop: what its documents and mails say about it. `name` is also the display name of the sender.

    Attributes:
        sender: The e-mail address that SES may send from.
        reply_to: Address for replies, if not the sender.
        invoice_cc: Addresses that an invoice may be copied to, besides the order's.
        staff_email: Address of the staff, who are told what customers do; None if they are not mailed.
        address: Postal address, its lines separated by commas; not needed with `city`.
        e_invoices: Whether invoices are e-invoices: never, where the order allows it, or always.
        payment_days: Days to pay an invoice, counted from its date; None if it states none.
        support_contact: Contact for questions: an address, a telephone number or a link.
        payment_link: URL of the payment page; `{order_id}`, `{invoice}`, `{amount}` and `{currency}` are filled in.
        order_page: URL of the page where a customer sees an order; `{order_id}` is filled in.
        language: A BCP 47 tag such as `en`. With the customer's country, it decides the format of dates and amounts.
        time_zone: The IANA time zone whose day every printed date is.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    sender: EmailAddress
    reply_to: EmailAddress | None = None
    invoice_cc: Annotated[tuple[EmailAddress, ...], BeforeValidator(_split)] = ()
    staff_email: EmailAddress | None = None
    address: str = ""
    e_invoices: EInvoices = EInvoices.WHEN_POSSIBLE
    payment_days: int | None = None
    support_contact: str = ""
    payment_link: str = ""
    order_page: str = ""
    language: str = "en"
    time_zone: ZoneInfo = ZoneInfo("UTC")

    def address_lines(self) -> list[str]:
        """The postal address, line by line."""
        if not self.city:
            return [line.strip() for line in self.address.split(",") if line.strip()]
        return postal_lines(self.country, self.country, street=(self.street,), city=self.city, post_code=self.post_code)

    def seller(self) -> Seller:
        """Returns the shop as a document names it."""
        own = {name: getattr(self, name) for name in SellerDetails.model_fields}
        return Seller(**own, address=tuple(self.address_lines()))

    def payment_due(self, order: Order, now: datetime) -> date | None:
        """Returns the last day to pay an invoice that is issued now: the order's, else by the shop's terms."""
        if order.payment_due or self.payment_days is None:
            return order.payment_due
        return now.astimezone(self.time_zone).date() + timedelta(days=self.payment_days)


@cache
def get_shop() -> Shop:
    """For `Depends`: the shop of this deployment."""
    names = {"name": "SHOP_NAME", "sender": "SENDER", "reply_to": "REPLY_TO", "address": "SHOP_ADDRESS"}
    names |= {"tax_id": "SHOP_TAX_ID", "support_contact": "SUPPORT_CONTACT", "payment_link": "PAYMENT_LINK"}
    names |= {"language": "SHOP_LANGUAGE", "time_zone": "SHOP_TIME_ZONE", "invoice_cc": "INVOICE_CC"}
    names |= {"staff_email": "STAFF_EMAIL"}
    names |= {"order_page": "ORDER_PAGE", "legal_name": "SHOP_LEGAL_NAME", "country": "SHOP_COUNTRY"}
    names |= {"vat_id": "SHOP_VAT_ID", "tax_number": "SHOP_TAX_NUMBER", "register_number": "SHOP_REGISTER_NUMBER"}
    names |= {"iban": "SHOP_IBAN", "bic": "SHOP_BIC", "payment_days": "PAYMENT_DAYS"}
    names |= {"street": "SHOP_STREET", "post_code": "SHOP_POST_CODE", "city": "SHOP_CITY"}
    names |= {"contact_name": "SHOP_CONTACT_NAME", "contact_phone": "SHOP_CONTACT_PHONE"}
    names |= {"contact_email": "SHOP_CONTACT_EMAIL", "peppol_id": "SHOP_PEPPOL_ID", "e_invoices": "E_INVOICE"}
    return Shop.model_validate(settings.variables(names))
