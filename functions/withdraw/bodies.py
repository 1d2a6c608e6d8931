"""Bodies of the withdrawal routes: the statement that a customer makes, and the answers.

A statement names the customer, the contract and the address for the acknowledgement of receipt, and nothing else: no
reason is asked for. https://eur-lex.europa.eu/eli/dir/2023/2673/oj (Directive 2011/83/EU, Article 11a, paragraph 2)
"""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, StrictBool, StringConstraints

from orders.types import (
    IN_LINE,
    VISIBLE,
    EmailAddress,
    Line,
    Model,
    Moment,
    NewOrderId,
    OrderIdInBody,
    described,
    not_blank,
)

_IN_LINKS = "/@:<>"

NOT_CONFIRMED = 'Nothing is declared yet. To confirm the withdrawal, send the same request with "confirm": true.'
RECEIVED = "The shop has received the withdrawal. The acknowledgement of receipt goes to the e-mail address."
RECEIVED_IF_FOUND = (
    "If order number and e-mail address belong together, the shop has received the withdrawal, and the "
    "acknowledgement of receipt goes to this address. If it does not arrive within an hour, check both and declare "
    "the withdrawal again, or contact the shop."
)


# The validators below as patterns, for OpenAPI.
_IN_NAME = IN_LINE.replace("]", _IN_LINKS + "]")
_VISIBLE_IN_NAME = VISIBLE.replace("]", _IN_LINKS + "]")


def _without_links(name: str) -> str:
    """Refuses what mail programs turn into links: the name stands in a mail in the shop's name."""
    if re.search(f"[{_IN_LINKS}]", name):
        raise ValueError("must be a name, without / @ : < and >")
    return name


PersonName = Annotated[
    Line,
    AfterValidator(not_blank),
    AfterValidator(_without_links),
    StringConstraints(max_length=100),
    described(f"^{_IN_NAME}*{_VISIBLE_IN_NAME}{_IN_NAME}*$"),
]
Confirm = Annotated[
    StrictBool | None,
    Field(description="False or left out: nothing is declared, and the answer shows the statement. True: confirmed."),
]
_STATEMENT: dict[str, Any] = {"name": "Alice Martin", "email": "alice@example.com", "confirm": True}


class WithdrawalRequest(Model):
    """A customer's statement about their own order.

    `name` is by default the name on the order. The acknowledgement of receipt goes to the order's e-mail address;
    `email` is needed only if the order has none.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"confirm": True}]})

    order_id: OrderIdInBody | None = None
    name: PersonName | None = None
    email: EmailAddress | None = None
    confirm: Confirm = None


class GuestWithdrawalRequest(Model):
    """A statement about an order by someone who is not signed in. Order number and e-mail address must match."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"order_id": "1001", **_STATEMENT}]})

    order_id: NewOrderId
    name: PersonName
    email: EmailAddress
    confirm: Confirm = None


def statement(order_id: str) -> str:
    """Returns the statement in words."""
    return f"I withdraw from the contract for order {order_id}."


class GuestWithdrawalAnswer(Model):
    """What was or would be declared. `next` says what happens next, or what to do."""

    order_id: Annotated[str, Field(examples=["1001"])]
    statement: Annotated[str, Field(examples=[statement("1001")])]
    name: Annotated[str, Field(examples=["Alice Martin"])]
    email: Annotated[str, Field(examples=["alice@example.com"])]
    confirmed: Annotated[bool, Field(examples=[True])]
    next: Annotated[str, Field(examples=[RECEIVED_IF_FOUND])]


class WithdrawalAnswer(GuestWithdrawalAnswer):
    """What was or would be declared. `declared_at` is when the withdrawal was submitted, null until it is confirmed."""

    next: Annotated[str, Field(examples=[RECEIVED])]
    declared_at: Moment | None
