"""An e-invoice in the syntax CII: UN/CEFACT's Cross Industry Invoice D16B, as Factur-X and ZUGFeRD embed it in a PDF.

https://fnfe-mpe.org/factur-x/factur-x_en/ and https://www.ferd-net.de/standards/zugferd
"""

from datetime import date

from markupsafe import Markup

from orders.e_invoice.semantic import Allowance, Breakdown, EInvoice, Line, Party, Tax
from orders.e_invoice.xml import amount, basic_date, element, number, root

GUIDELINE = "urn:cen.eu:en16931:2017"
"""The identifier of the profile EN 16931 (BT-24)."""

FILE_NAME = "factur-x.xml"
"""The name of the embedded file, which readers look for."""

_UNCEFACT = "urn:un:unece:uncefact:data:standard:"
NAMESPACES = {
    "rsm": f"{_UNCEFACT}CrossIndustryInvoice:100",
    "ram": f"{_UNCEFACT}ReusableAggregateBusinessInformationEntity:100",
    "udt": f"{_UNCEFACT}UnqualifiedDataType:100",
    "qdt": f"{_UNCEFACT}QualifiedDataType:100",
}


def cii(invoice: EInvoice) -> str:
    """Writes an e-invoice as a CII document. The schema fixes the order of the elements."""
    return root(
        "rsm:CrossIndustryInvoice",
        NAMESPACES,
        element(
            "rsm:ExchangedDocumentContext",
            element("ram:GuidelineSpecifiedDocumentContextParameter", element("ram:ID", GUIDELINE)),
        ),
        element(
            "rsm:ExchangedDocument",
            element("ram:ID", invoice.number),
            element("ram:TypeCode", "381" if invoice.corrects else "380"),
            _date("IssueDateTime", invoice.issued),
            element("ram:IncludedNote", element("ram:Content", invoice.note)),
        ),
        element(
            "rsm:SupplyChainTradeTransaction",
            *map(_line, invoice.lines),
            _agreement(invoice),
            _delivery(invoice),
            _settlement(invoice),
        ),
    )


def _agreement(invoice: EInvoice) -> Markup:
    return element(
        "ram:ApplicableHeaderTradeAgreement",
        element("ram:BuyerReference", invoice.buyer_reference),
        _party("SellerTradeParty", invoice.seller),
        _party("BuyerTradeParty", invoice.buyer),
        element("ram:SellerOrderReferencedDocument", element("ram:IssuerAssignedID", invoice.order_id)),
        element("ram:BuyerOrderReferencedDocument", element("ram:IssuerAssignedID", invoice.purchase_order)),
    )


def _delivery(invoice: EInvoice) -> Markup:
    address = element("ram:PostalTradeAddress", element("ram:CountryID", invoice.deliver_to))
    delivered = _date("OccurrenceDateTime", invoice.delivered) if invoice.delivered else None
    return element(
        "ram:ApplicableHeaderTradeDelivery",
        element("ram:ShipToTradeParty", address),
        element("ram:ActualDeliverySupplyChainEvent", delivered),
    ) or Markup("<ram:ApplicableHeaderTradeDelivery/>")


def _settlement(invoice: EInvoice) -> Markup:
    account, sums = invoice.account, invoice.sums
    means = account and element(
        "ram:SpecifiedTradeSettlementPaymentMeans",
        element("ram:TypeCode", invoice.means),
        element(
            "ram:PayeePartyCreditorFinancialAccount",
            element("ram:IBANID", account.iban),
            element("ram:AccountName", account.holder),
        ),
        element("ram:PayeeSpecifiedCreditorFinancialInstitution", element("ram:BICID", account.bic)),
    )
    due = _date("DueDateDateTime", invoice.payment_due) if invoice.payment_due else None
    totals = element(
        "ram:SpecifiedTradeSettlementHeaderMonetarySummation",
        element("ram:LineTotalAmount", amount(sums.lines)),
        element("ram:ChargeTotalAmount", amount(sums.charges)) if sums.charges else None,
        element("ram:AllowanceTotalAmount", amount(sums.allowances)) if sums.allowances else None,
        element("ram:TaxBasisTotalAmount", amount(sums.net)),
        element("ram:TaxTotalAmount", amount(sums.tax), currencyID=invoice.currency),
        element("ram:RoundingAmount", amount(sums.rounding)) if sums.rounding else None,
        element("ram:GrandTotalAmount", amount(sums.gross)),
        element("ram:TotalPrepaidAmount", amount(sums.paid)) if sums.paid else None,
        element("ram:DuePayableAmount", amount(sums.due)),
    )
    return element(
        "ram:ApplicableHeaderTradeSettlement",
        element("ram:PaymentReference", invoice.number) if account else None,
        element("ram:InvoiceCurrencyCode", invoice.currency),
        means,
        *map(_breakdown, invoice.taxes),
        *map(_allowance, invoice.allowances),
        element("ram:SpecifiedTradePaymentTerms", element("ram:Description", invoice.terms), due),
        totals,
        element("ram:InvoiceReferencedDocument", element("ram:IssuerAssignedID", invoice.corrects)),
    )


def _party(name: str, party: Party) -> Markup:
    address, contact, endpoint = party.address, party.contact, party.endpoint
    return element(
        f"ram:{name}",
        element("ram:Name", party.name),
        element(
            "ram:SpecifiedLegalOrganization",
            element("ram:ID", party.register_number),
            element("ram:TradingBusinessName", party.trading_name),
        ),
        contact
        and element(
            "ram:DefinedTradeContact",
            element("ram:PersonName", contact.name),
            element("ram:TelephoneUniversalCommunication", element("ram:CompleteNumber", contact.phone)),
            element("ram:EmailURIUniversalCommunication", element("ram:URIID", contact.email)),
        ),
        element(
            "ram:PostalTradeAddress",
            element("ram:PostcodeCode", address.post_code),
            element("ram:LineOne", address.line_1),
            element("ram:LineTwo", address.line_2),
            element("ram:CityName", address.city),
            element("ram:CountryID", address.country),
            element("ram:CountrySubDivisionName", address.state),
        ),
        endpoint and element("ram:URIUniversalCommunication", element("ram:URIID", endpoint[1], schemeID=endpoint[0])),
        element("ram:SpecifiedTaxRegistration", element("ram:ID", party.tax_number, schemeID="FC")),
        element("ram:SpecifiedTaxRegistration", element("ram:ID", party.vat_id, schemeID="VA")),
    )


def _line(line: Line) -> Markup:
    per = element("ram:BasisQuantity", number(line.per), unitCode=line.unit) if line.per != 1 else None
    return element(
        "ram:IncludedSupplyChainTradeLineItem",
        element("ram:AssociatedDocumentLineDocument", element("ram:LineID", str(line.n))),
        element(
            "ram:SpecifiedTradeProduct",
            element("ram:SellerAssignedID", line.sku),
            element("ram:Name", line.name),
        ),
        element(
            "ram:SpecifiedLineTradeAgreement",
            element("ram:NetPriceProductTradePrice", element("ram:ChargeAmount", number(line.price)), per),
        ),
        element(
            "ram:SpecifiedLineTradeDelivery",
            element("ram:BilledQuantity", number(line.quantity), unitCode=line.unit),
        ),
        element(
            "ram:SpecifiedLineTradeSettlement",
            _tax("ApplicableTradeTax", line.tax),
            line.discount and _allowance(line.discount),
            element(
                "ram:SpecifiedTradeSettlementLineMonetarySummation",
                element("ram:LineTotalAmount", amount(line.net)),
            ),
        ),
    )


def _allowance(each: Allowance) -> Markup:
    return element(
        "ram:SpecifiedTradeAllowanceCharge",
        element("ram:ChargeIndicator", element("udt:Indicator", "true" if each.is_charge else "false")),
        element("ram:ActualAmount", amount(each.amount)),
        element("ram:ReasonCode", each.code),
        element("ram:Reason", each.reason),
        each.tax and _tax("CategoryTradeTax", each.tax),
    )


def _breakdown(each: Breakdown) -> Markup:
    return element(
        "ram:ApplicableTradeTax",
        element("ram:CalculatedAmount", amount(each.amount)),
        element("ram:TypeCode", "VAT"),
        element("ram:ExemptionReason", each.reason),
        element("ram:BasisAmount", amount(each.net)),
        element("ram:CategoryCode", each.tax.category),
        element("ram:ExemptionReasonCode", each.reason_code),
        _rate(each.tax),
    )


def _tax(name: str, tax: Tax) -> Markup:
    return element(f"ram:{name}", element("ram:TypeCode", "VAT"), element("ram:CategoryCode", tax.category), _rate(tax))


def _rate(tax: Tax) -> Markup:
    return element("ram:RateApplicablePercent", None if tax.stated_rate is None else number(tax.stated_rate))


def _date(name: str, day: date) -> Markup:
    return element(f"ram:{name}", element("udt:DateTimeString", basic_date(day), format="102"))
