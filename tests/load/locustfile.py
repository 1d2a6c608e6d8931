"""The load profile: what a storefront and a back office do, and a check of every write that was acknowledged.

Locust runs it in an environment of its own; run.py starts it. Each user has orders of its own, so that nothing depends
on the order of requests.
"""

import os
import random
from typing import Any
from uuid import uuid4

from locust import HttpUser, constant_throughput, events, task

MAILBOX = "success@simulator.amazonses.com"
"""SES accepts mail to this address even in the sandbox, reports it as delivered and drops it."""

MAILS = float(os.environ.get("MAILS") or 1)
"""How many of a hundred requests mail an invoice. SES bills each, and limits their rate."""

CUSTOMER, ADMIN = (f"Bearer {os.environ[name]}" for name in ("CUSTOMER_TOKEN", "ADMIN_TOKEN"))
CUSTOMER_ID = os.environ["CUSTOMER_ID"]


class Shop(HttpUser):
    """A customer and the admin who serves them: one request a second."""

    wait_time = constant_throughput(1)

    def on_start(self) -> None:
        """Creates the first order."""
        self.comments: dict[str, list[int]] = {}
        self.cancelled: set[str] = set()
        self.invoiced: dict[str, str] = {}
        self.create()

    def ask(self, method: str, path: str, name: str, body: Any = None) -> Any:
        """Sends a request as customer or, below /admin, as admin. Returns the response."""
        token = ADMIN if path.startswith("/admin/") else CUSTOMER
        return self.client.request(
            method, path, json=body, name=name, headers={"Authorization": token}, allow_redirects=False
        )

    def order(self, *, open_only: bool = False) -> str | None:
        """Returns one of the user's orders."""
        orders = [order for order in self.comments if not (open_only and order in self.cancelled)]
        return random.choice(orders) if orders else None

    @task(10)
    def create(self) -> None:
        """Creates an order with five lines."""
        order_id = f"load-{uuid4().hex}"
        lines = [
            {"item_id": n, "product_name": f"Brunost {n}", "quantity": 2, "price": "12.50", "tax": "1.75"}
            for n in range(1, 6)
        ]
        body = {
            "order_id": order_id,
            "customer_id": CUSTOMER_ID,
            "currency_code": "EUR",
            "customer_summary": {"first_name": "Éa", "email": MAILBOX},
            "order_line_details": lines,
        }
        if self.ask("POST", "/admin/orders", "/admin/orders", body).status_code == 201:
            self.comments[order_id] = []

    @task(40)
    def read(self) -> None:
        """Reads an order as its customer."""
        if order := self.order():
            self.ask("GET", f"/orders/{order}", "/orders/{order_id}")

    @task(15)
    def list(self) -> None:
        """Reads the customer's first page."""
        self.ask("GET", "/orders", "/orders")

    @task(20)
    def comment(self) -> None:
        """Adds a comment."""
        if order := self.order():
            body = {"content": f"Where is it? {uuid4().hex}"}
            answer = self.ask("POST", f"/orders/{order}/comments", "/orders/{order_id}/comments", body)
            if answer.status_code == 201:
                self.comments[order].append(answer.json()["comments"][0]["id"])

    @task(5)
    def cancel(self) -> None:
        """Cancels an order."""
        if order := self.order(open_only=True):
            answer = self.ask("POST", f"/orders/{order}/cancel", "/orders/{order_id}/cancel")
            if answer.status_code == 204:
                self.cancelled.add(order)

    @task(10)
    def invoice(self) -> None:
        """Mails an invoice, `MAILS` times in a hundred requests; else previews one."""
        if not (order := self.order(open_only=True)):
            return
        what = "send-invoice" if random.random() < MAILS / 10 and order not in self.invoiced else "invoice-preview"
        answer = self.ask("POST", f"/admin/orders/{order}/{what}", f"/admin/orders/{{order_id}}/{what}", {})
        if what == "send-invoice" and answer.status_code == 200:
            self.invoiced[order] = answer.headers["Location"].rpartition("/")[2]

    def on_stop(self) -> None:
        """Checks that everything that was acknowledged is stored."""
        for order, comments in self.comments.items():
            found = self.ask("GET", f"/admin/orders/{order}", "check /admin/orders/{order_id}").json()
            thread = self.ask("GET", f"/orders/{order}/comments?limit=100", "check /orders/{order_id}/comments").json()
            lost = set(comments) - {comment["id"] for comment in thread.get("comments", ())}
            if len(comments) <= 100 and lost:
                report(f"{order}: comments {sorted(lost)} are lost")
            if order in self.cancelled and found.get("order_status") != "cancelled":
                report(f"{order}: the cancellation is lost")
            if order in self.invoiced:
                documents = self.ask(
                    "GET", f"/admin/orders/{order}/invoices", "check /admin/orders/{order_id}/invoices"
                ).json()
                if self.invoiced[order] not in [each["number"] for each in documents.get("invoices", ())]:
                    report(f"{order}: invoice {self.invoiced[order]} is lost")


LOST: list[str] = []


def report(message: str) -> None:
    """Remembers something that was acknowledged and is not there."""
    LOST.append(message)


@events.quitting.add_listener
def decide(environment: Any, **_: Any) -> None:
    """Sets the exit status: 1 if anything is lost, 2 if more than one request in a hundred failed."""
    for message in LOST:
        print(f"LOST: {message}")
    print(f"{len(LOST)} acknowledged writes are lost.")
    environment.process_exit_code = 1 if LOST else 2 if environment.stats.total.fail_ratio > 0.01 else 0
