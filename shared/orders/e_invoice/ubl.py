"""An e-invoice in the syntax UBL 2.1: as Peppol BIS Billing 3.0 or as XRechnung.

https://docs.peppol.eu/poacc/billing/3.0/ and https://xeinkauf.de/xrechnung/
"""

from markupsafe import Markup

from orders.e_invoice.semantic import Allowance, Breakdown, EInvoice, Line, Party, Tax
from orders.e_invoice.xml import amount, element, number, root
from orders.invoices import XmlFormat

CUSTOMIZATIONS = {
    XmlFormat.PEPPOL: "urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0",
    XmlFormat.XRECHNUNG: "urn:cen.eu:en16931:2017#compliant#urn:xeinkauf.de:kosit:xrechnung_3.0",
}
"""The identifiers of the specifications (BT-24)."""

PROCESS = "urn:fdc:peppol.eu:2017:poacc:billing:01:1.0"
"""The identifier of the business process (BT-23)."""

NO_INSTRUMENT = "1"
"""UNCL 4461: the means of payment are not defined. For documents that ask for no money; XRechnung asks to say so."""

_OASIS = "urn:oasis:names:specification:ubl:schema:xsd:"


def ubl(invoice: EInvoice) -> str:
    """Writes an e-invoice as a UBL Invoice or CreditNote. The schema fixes the order of the elements.

    Raises:
        KeyError: It has no format.
    """
    kind, code, line = ("CreditNote", "381", "Credited") if invoice.corrects else ("Invoice", "380", "Invoiced")
    due = invoice.payment_due.isoformat() if invoice.payment_due else None
    namespaces = {"": f"{_OASIS}{kind}-2", "cac": f"{_OASIS}CommonAggregateComponents-2"}
    return root(
        kind,
        namespaces | {"cbc": f"{_OASIS}CommonBasicComponents-2"},
        element("cbc:CustomizationID", CUSTOMIZATIONS[invoice.xml] if invoice.xml else None),
        element("cbc:ProfileID", PROCESS),
        element("cbc:ID", invoice.number),
        element("cbc:IssueDate", invoice.issued.isoformat()),
        element("cbc:DueDate", due),
        element(f"cbc:{kind}TypeCode", code),
        element("cbc:Note", invoice.note),
        element("cbc:DocumentCurrencyCode", invoice.currency),
        element("cbc:BuyerReference", invoice.buyer_reference),
        _order_reference(invoice),
        element("cac:BillingReference", element("cac:InvoiceDocumentReference", element("cbc:ID", invoice.corrects))),
        element("cac:AccountingSupplierParty", _party(invoice.seller)),
        element("cac:AccountingCustomerParty", _party(invoice.buyer)),
        _delivery(invoice),
        _payment_means(invoice),
        element("cac:PaymentTerms", element("cbc:Note", invoice.terms)),
        *(_allowance(each, invoice.currency) for each in invoice.allowances),
        element(
            "cac:TaxTotal",
            _amount("TaxAmount", invoice, amount(invoice.sums.tax)),
            *(_breakdown(each, invoice) for each in invoice.taxes),
        ),
        _totals(invoice),
        *(_line(each, invoice, f"cac:{kind}Line", f"cbc:{line}Quantity") for each in invoice.lines),
    )


def _order_reference(invoice: EInvoice) -> Markup:
    """Returns the references to the order. UBL has the seller's only next to the buyer's."""
    if not invoice.purchase_order:
        return Markup()
    own = element("cbc:SalesOrderID", invoice.order_id)
    return element("cac:OrderReference", element("cbc:ID", invoice.purchase_order), own)


def _party(party: Party) -> Markup:
    address, contact, endpoint = party.address, party.contact, party.endpoint
    return element(
        "cac:Party",
        endpoint and element("cbc:EndpointID", endpoint[1], schemeID=endpoint[0]),
        element("cac:PartyName", element("cbc:Name", party.trading_name)),
        element(
            "cac:PostalAddress",
            element("cbc:StreetName", address.line_1),
            element("cbc:AdditionalStreetName", address.line_2),
            element("cbc:CityName", address.city),
            element("cbc:PostalZone", address.post_code),
            element("cbc:CountrySubentity", address.state),
            element("cac:Country", element("cbc:IdentificationCode", address.country)),
        ),
        _tax_id(party.vat_id, "VAT"),
        _tax_id(party.tax_number, "FC"),
        element(
            "cac:PartyLegalEntity",
            element("cbc:RegistrationName", party.name),
            element("cbc:CompanyID", party.register_number),
        ),
        contact
        and element(
            "cac:Contact",
            element("cbc:Name", contact.name),
            element("cbc:Telephone", contact.phone),
            element("cbc:ElectronicMail", contact.email),
        ),
    )


def _tax_id(number: str, scheme: str) -> Markup | None:
    if not number:
        return None
    return element(
        "cac:PartyTaxScheme", element("cbc:CompanyID", number), element("cac:TaxScheme", element("cbc:ID", scheme))
    )


def _delivery(invoice: EInvoice) -> Markup:
    # XRechnung asks for the city and post code of a place of delivery too (BR-DE-10, BR-DE-11).
    deliver_to = "" if invoice.xml is XmlFormat.XRECHNUNG else invoice.deliver_to
    country = element("cac:Country", element("cbc:IdentificationCode", deliver_to))
    return element(
        "cac:Delivery",
        element("cbc:ActualDeliveryDate", invoice.delivered.isoformat() if invoice.delivered else None),
        element("cac:DeliveryLocation", element("cac:Address", country)),
    )


def _payment_means(invoice: EInvoice) -> Markup:
    account = invoice.account
    if account is None:
        return element("cac:PaymentMeans", element("cbc:PaymentMeansCode", NO_INSTRUMENT))
    return element(
        "cac:PaymentMeans",
        element("cbc:PaymentMeansCode", invoice.means),
        element("cbc:PaymentID", invoice.number),
        element(
            "cac:PayeeFinancialAccount",
            element("cbc:ID", account.iban),
            element("cbc:Name", account.holder),
            element("cac:FinancialInstitutionBranch", element("cbc:ID", account.bic)),
        ),
    )


def _totals(invoice: EInvoice) -> Markup:
    sums = invoice.sums
    parts = {
        "LineExtensionAmount": sums.lines,
        "TaxExclusiveAmount": sums.net,
        "TaxInclusiveAmount": sums.gross,
        "AllowanceTotalAmount": sums.allowances or None,
        "ChargeTotalAmount": sums.charges or None,
        "PrepaidAmount": sums.paid or None,
        "PayableRoundingAmount": sums.rounding or None,
        "PayableAmount": sums.due,
    }
    return element(
        "cac:LegalMonetaryTotal",
        *(_amount(name, invoice, amount(part)) for name, part in parts.items() if part is not None),
    )


def _line(line: Line, invoice: EInvoice, name: str, quantity: str) -> Markup:
    per = element("cbc:BaseQuantity", number(line.per), unitCode=line.unit) if line.per != 1 else None
    return element(
        name,
        element("cbc:ID", str(line.n)),
        element(quantity, number(line.quantity), unitCode=line.unit),
        _amount("LineExtensionAmount", invoice, amount(line.net)),
        line.discount and _allowance(line.discount, invoice.currency),
        element(
            "cac:Item",
            element("cbc:Name", line.name),
            element("cac:SellersItemIdentification", element("cbc:ID", line.sku)),
            _tax("ClassifiedTaxCategory", line.tax),
        ),
        element("cac:Price", _amount("PriceAmount", invoice, number(line.price)), per),
    )


def _allowance(each: Allowance, currency: str) -> Markup:
    return element(
        "cac:AllowanceCharge",
        element("cbc:ChargeIndicator", "true" if each.is_charge else "false"),
        element("cbc:AllowanceChargeReasonCode", each.code),
        element("cbc:AllowanceChargeReason", each.reason),
        element("cbc:Amount", amount(each.amount), currencyID=currency),
        each.tax and _tax("TaxCategory", each.tax),
    )


def _breakdown(each: Breakdown, invoice: EInvoice) -> Markup:
    return element(
        "cac:TaxSubtotal",
        _amount("TaxableAmount", invoice, amount(each.net)),
        _amount("TaxAmount", invoice, amount(each.amount)),
        _tax("TaxCategory", each.tax, each),
    )


def _tax(name: str, tax: Tax, why: Breakdown | None = None) -> Markup:
    return element(
        f"cac:{name}",
        element("cbc:ID", tax.category),
        element("cbc:Percent", None if tax.stated_rate is None else number(tax.stated_rate)),
        why and element("cbc:TaxExemptionReasonCode", why.reason_code),
        why and element("cbc:TaxExemptionReason", why.reason),
        element("cac:TaxScheme", element("cbc:ID", "VAT")),
    )


def _amount(name: str, invoice: EInvoice, text: str) -> Markup:
    return element(f"cbc:{name}", text, currencyID=invoice.currency)
