"""Makes a PDF with an embedded XML file a Factur-X document: adds the properties that readers look for to its metadata.

Typst embeds the file but cannot add properties (https://github.com/typst/typst/issues/5667). It writes the metadata
uncompressed and a classic table of objects, so they can be added in place: the metadata grows, and the objects after
it move. Every assumption about Typst's output is checked.

Factur-X 1.0, section 6.2 (https://fnfe-mpe.org/factur-x/factur-x_en/); PDF 2.0 (ISO 32000-2), 7.5.4 and 7.5.5.
"""

import re

from orders.e_invoice.cii import FILE_NAME
from orders.e_invoice.semantic import PROFILE

_NAMESPACE = "urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#"
_PROPERTIES = {
    "DocumentType": ("INVOICE", "type of the hybrid document"),
    "DocumentFileName": (FILE_NAME, "name of the embedded XML document"),
    "Version": ("1.0", "version of the standard of the XML document"),
    "ConformanceLevel": (PROFILE, "profile of the XML document"),
}
"""The values of the properties, and their descriptions."""

# PDF/A asks to describe properties that its specification does not know (ISO 19005-3, 6.6.2.3).
_SCHEMA = (
    '<rdf:li rdf:parseType="Resource"><pdfaSchema:schema>Factur-X PDFA Extension Schema</pdfaSchema:schema>'
    f"<pdfaSchema:namespaceURI>{_NAMESPACE}</pdfaSchema:namespaceURI><pdfaSchema:prefix>fx</pdfaSchema:prefix>"
    "<pdfaSchema:property><rdf:Seq>"
    + "".join(
        f'<rdf:li rdf:parseType="Resource"><pdfaProperty:name>{name}</pdfaProperty:name>'
        "<pdfaProperty:valueType>Text</pdfaProperty:valueType><pdfaProperty:category>external</pdfaProperty:category>"
        f"<pdfaProperty:description>{description}</pdfaProperty:description></rdf:li>"
        for name, (_, description) in _PROPERTIES.items()
    )
    + "</rdf:Seq></pdfaSchema:property></rdf:li>"
)
_VALUES = (
    f'<rdf:Description rdf:about="" xmlns:fx="{_NAMESPACE}">'
    + "".join(f"<fx:{name}>{value}</fx:{name}>" for name, (value, _) in _PROPERTIES.items())
    + "</rdf:Description>"
)
_ADDED = {
    b"</rdf:Bag></pdfaExtension:schemas>": _SCHEMA.encode(),
    b"</rdf:RDF>": _VALUES.encode(),
}
"""What is added to the metadata, before which text."""

_METADATA = re.compile(rb"^\d+ 0 obj\n<</Length (\d+)/Type/Metadata/Subtype/XML>>\nstream\n", re.MULTILINE)
_TABLE = re.compile(rb"xref\n0 (\d+)\n((?:\d{10} \d{5} [fn][ \r]\n)+)trailer\n")
_END = re.compile(rb"startxref\n(\d+)\n%%EOF\n?\Z")


def mark_as_facturx(pdf: bytes) -> bytes:
    """Adds the properties of Factur-X to the metadata of a PDF that Typst wrote.

    Raises:
        ValueError: The PDF is not built as expected.
    """
    metadata = _only(list(_METADATA.finditer(pdf)), "metadata stream")
    end = _only(list(_END.finditer(pdf, max(0, len(pdf) - 100))), "end of the file")
    table = _TABLE.match(pdf, int(end[1]))
    if table is None or table[2].count(b"\n") != int(table[1]):
        raise ValueError("no table of objects where the end of the file says")
    start, length = metadata.start(), int(metadata[1])
    xmp = pdf[metadata.end() : metadata.end() + length]
    if not pdf.startswith(b"\nendstream", metadata.end() + length):
        raise ValueError("the metadata stream is not as long as it says")
    for place, added in _ADDED.items():
        if xmp.count(place) != 1:
            raise ValueError(f"the metadata does not have {place.decode()} once")
        xmp = xmp.replace(place, added + place)
    head = metadata[0].replace(b"/Length %d/" % length, b"/Length %d/" % len(xmp))
    before, after = pdf[:start] + head + xmp, pdf[metadata.end() + length :]
    moved_by = len(before) + len(after) - len(pdf)

    def move(entry: re.Match[bytes]) -> bytes:
        offset = int(entry[1])
        return b"%010d %s n" % (offset + moved_by * (offset > start), entry[2])

    entries = re.sub(rb"(\d{10}) (\d{5}) n", move, table[2])
    offset = int(end[1]) + moved_by
    body = (before + after)[:offset]
    rest = pdf[table.end(2) : end.start(1)]
    return b"%sxref\n0 %s\n%s%s%d\n%%%%EOF\n" % (body, table[1], entries, rest, offset)


def _only(found: list[re.Match[bytes]], what: str) -> re.Match[bytes]:
    if len(found) != 1:
        raise ValueError(f"not one {what} but {len(found)}")
    return found[0]
