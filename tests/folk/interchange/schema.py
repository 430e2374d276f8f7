"""The schema of MusicXML 3.1 that partitura's wheel has, with the two that it imports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_SCHEMA = (
    '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="{}">{}</xs:schema>'
)
_ATTRIBUTE = '<xs:attribute name="{}" type="xs:string"/>'
_IMPORTED = {
    "xml.xsd": ("http://www.w3.org/XML/1998/namespace", ("lang", "space")),
    "xlink.xsd": (
        "http://www.w3.org/1999/xlink",
        ("type", "href", "role", "title", "show", "actuate"),
    ),
}


def musicxml_schema() -> Any:
    """Return lxml's validator."""
    import partitura
    from lxml import etree

    class Imported(etree.Resolver):  # type: ignore[misc]
        def resolve(self, system_url: str, public_id: str, context: Any) -> Any:
            namespace, names = _IMPORTED[system_url.rsplit("/", 1)[-1]]
            attributes = "".join(map(_ATTRIBUTE.format, names))
            return self.resolve_string(_SCHEMA.format(namespace, attributes), context)

    parser = etree.XMLParser()
    parser.resolvers.add(Imported())
    path = Path(partitura.__file__).parent / "assets" / "musicxml.xsd"
    return etree.XMLSchema(etree.fromstring(path.read_bytes(), parser, base_url="musicxml.xsd"))
