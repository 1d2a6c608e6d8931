"""Bodies of the cancel routes."""

from typing import Annotated, Any

from pydantic import ConfigDict, StrictBool, StringConstraints

from orders.models import CancelReason
from orders.types import Model, Text

Remark = Annotated[Text, StringConstraints(max_length=500)]

_REASON: dict[str, Any] = {"reason": "Ordered twice", "reason_code": "customer"}


class CancelRequest(Model):
    """The body of a customer's cancellation. Every field is optional.

    `reason` is shown to the customer. `reason_code` is for the staff, reports and other systems.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_REASON]})

    reason: Remark | None = None
    reason_code: CancelReason | None = None

    def stated(self) -> dict[str, Any]:
        """Returns the fields that were given."""
        return self.model_dump(exclude_none=True)


class AdminCancelRequest(CancelRequest):
    """The body of an admin's cancellation. Every field is optional.

    The customer is told the `reason` and nothing else. `reason_code` and `staff_note` are for the staff.
    `notify_customer` says whether the customer is mailed, by default true. `restock` and `refund` say what is intended:
    they are recorded and published, and other systems do it.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "reason": "The cheese board is sold out. We are sorry.",
                    "reason_code": "inventory",
                    "staff_note": "Ask the second supplier before we list it again.",
                    "notify_customer": True,
                    "restock": False,
                    "refund": True,
                }
            ]
        }
    )

    staff_note: Remark | None = None
    notify_customer: StrictBool | None = None
    restock: StrictBool | None = None
    refund: StrictBool | None = None
