"""Names and addresses as they are written: on envelopes, on documents and in e-invoices."""

from typing import TYPE_CHECKING

from orders.models import Country, CustomerSummary, State

if TYPE_CHECKING:
    # Its formats take long to load, and names need none.
    from orders.mailing.formatting import Formats


def one_line(text: str | None) -> str:
    """Returns text without line ends, so that it cannot add lines to a header or to plain text."""
    return " ".join((text or "").split())


def person_name(customer: CustomerSummary) -> str:
    """Returns the first and last name of a customer."""
    return one_line(f"{customer.first_name or ''} {customer.last_name or ''}")


def buyer_name(customer: CustomerSummary) -> str:
    """Returns the name of a buyer: the company's, else the person's."""
    return one_line(customer.company_name) or person_name(customer)


def state_text(customer: CustomerSummary) -> str:
    """Returns the state or province, as addresses in the country write it."""
    state, country = customer.state or State(), customer.country or Country()
    in_code = country.code in {"AU", "CA", "US"}
    return one_line((state.code or state.name) if in_code else (state.name or state.code))


def customer_lines(customer: CustomerSummary, formats: "Formats") -> list[str]:
    """Returns name, company and address, line by line, as on an envelope."""
    country = customer.country or Country()
    lines = (
        person_name(customer),
        customer.company_name,
        customer.address_line_1,
        customer.address_line_2,
        *place_lines(country.code, customer.city, customer.post_code, state_text(customer)),
        country.name or (formats.country(country.code) if country.code else None),
    )
    return [line for line in map(one_line, lines) if line]


def place_lines(country: str | None, city: str | None, post_code: str | None, state: str = "") -> tuple[str, ...]:
    """Returns city, post code and state in the order of the country. Lines may be empty."""
    match country:
        case "AU" | "CA" | "US":
            return (", ".join(filter(None, (one_line(city), one_line(f"{state} {post_code or ''}")))),)
        case "GB" | "IE" | "NZ":
            return (one_line(city), one_line(post_code))
        case _:
            return (one_line(f"{post_code or ''} {city or ''}"), state)
