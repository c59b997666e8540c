"""XMP packets: read, and written anew from what is allowed, to the same length.

References: ISO 16684-1 (XMP), IPTC Photo Metadata Standard 2023.1, PLUS licence data format 2.0.
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

_DEEPEST = 20
_LONGEST = 1 << 20
_MOST_ELEMENTS = 20_000  # years of an editor's history have some thousands

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_XML = "http://www.w3.org/XML/1998/namespace"
_TOOLKIT = ("adobe:ns:meta/", "xmptk")


def _names(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Titles, descriptions, people, rights, dates, how the picture is to be turned: nothing that tells a place or a device.
# None allows a whole namespace. xmp:CreatorTool names a phone's system, dc:coverage a place.
_ALLOWED: dict[str, frozenset[str] | None] = {
    "http://ns.adobe.com/xap/1.0/rights/": None,
    "http://ns.useplus.org/ldf/xmp/1.0/": None,
    "http://creativecommons.org/ns#": None,
    "http://prismstandard.org/namespaces/prismusagerights/2.1/": None,
    "http://purl.org/dc/elements/1.1/": _names(
        "title creator rights description contributor publisher source subject date language type format"
    ),
    "http://ns.adobe.com/photoshop/1.0/": _names(
        "Credit Source Headline Instructions AuthorsPosition CaptionWriter DateCreated"
    ),
    "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/": _names(
        "CreatorContactInfo AltTextAccessibility ExtDescrAccessibility"
    ),
    # What says that a picture was generated, and who made what it shows.
    "http://iptc.org/std/Iptc4xmpExt/2008-02-29/": _names("DigitalSourceType ArtworkOrObject"),
    "http://ns.adobe.com/tiff/1.0/": _names(
        "Orientation Artist Copyright ImageDescription DateTime XResolution YResolution ResolutionUnit"
    ),
    "http://ns.adobe.com/exif/1.0/": _names("DateTimeOriginal DateTimeDigitized ColorSpace"),
    "http://ns.adobe.com/xap/1.0/": _names("CreateDate ModifyDate MetadataDate Rating Label"),
}
_PREFIX_WORDS = "xmpRights plus cc pur dc photoshop Iptc4xmpCore Iptc4xmpExt tiff exif xmp"
_PREFIXES = {**dict(zip(_ALLOWED, _PREFIX_WORDS.split(), strict=True)), _RDF: "rdf", _XML: "xml"}
_DATES = _names("date DateCreated DateTime DateTimeOriginal DateTimeDigitized CreateDate ModifyDate MetadataDate")
_TIME_ZONE = re.compile(r"(?<=\d)(Z|[+-]\d\d:?\d\d)\s*$")  # which tells part of the world

_RDF_ROOT = (f'<rdf:RDF xmlns:rdf="{_RDF}"><rdf:Description rdf:about=""', "</rdf:Description></rdf:RDF>")
_FRAMES = (
    (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">' + _RDF_ROOT[0],
        _RDF_ROOT[1] + "</x:xmpmeta>",
        '<?xpacket end="w"?>',
    ),
    (*_RDF_ROOT, ""),
)

_Name: TypeAlias = tuple[str, str]  # namespace, local name


@dataclass
class _Node:
    name: _Name
    attributes: dict[_Name, str]
    children: list["_Node | str"] = field(default_factory=list)

    @property
    def elements(self) -> list["_Node"]:
        return [child for child in self.children if isinstance(child, _Node)]

    @property
    def has_text(self) -> bool:
        return any(isinstance(child, str) and child.strip() for child in self.children)


@dataclass(frozen=True)
class _Property:
    """One allowed property: its text in the packet, an attribute's or an element's, and the namespace that it needs."""

    namespace: str
    text: str
    is_attribute: bool


class _Unreadable(Exception):
    """A packet that is no XMP, or one that was made to harm."""


def clean_xmp(packet: bytes) -> bytes:
    """Return a packet of the same length with nothing but what is allowed; the very same when it had nothing else.

    A packet that cannot be read has nothing left. Where there is no room, the last properties are left out.
    """
    try:
        root, has_remarks = _parsed(packet.rstrip(b"\0 \t\r\n"))
        found = _Filter(root)
    except (_Unreadable, expat.ExpatError, ValueError):
        return _written([], len(packet))
    return _written(found.properties, len(packet)) if found.dropped or has_remarks else packet


class _Filter:
    """What of a packet is allowed, and whether anything was not."""

    def __init__(self, root: _Node) -> None:
        self.properties: list[_Property] = []
        rdf = next((node for node in (root, *root.elements) if node.name == (_RDF, "RDF")), None)
        if rdf is None:
            raise _Unreadable
        self.dropped = bool(rdf.attributes) or rdf.has_text
        if rdf is not root:
            self.dropped |= len(root.elements) > 1 or root.has_text or bool(root.attributes.keys() - {_TOOLKIT})
        self._named: set[_Name] = set()
        for node in rdf.elements:
            if node.name == (_RDF, "Description"):
                self._describe(node)
            else:
                self.dropped = True
        # Rights come first: they are the last to be left out where there is no room.
        order = list(_ALLOWED)
        self.properties.sort(key=lambda one: order.index(one.namespace))

    def _describe(self, description: _Node) -> None:
        self.dropped |= description.has_text
        for name, value in description.attributes.items():
            if self._allows(name):
                text = f" {_prefixed(name)}={quoteattr(self._value(name, value))}"
                self.properties.append(_Property(name[0], text, is_attribute=True))
            elif name != (_RDF, "about") or value:
                self.dropped = True
        for node in description.elements:
            if self._allows(node.name):
                text = "".join(self._element(node, node.name))
                self.properties.append(_Property(node.name[0], text, is_attribute=False))
            else:
                self.dropped = True

    def _allows(self, name: _Name) -> bool:
        namespace, local = name
        if namespace not in _ALLOWED or name in self._named:  # a second one would be no XML, as an attribute
            return False
        self._named.add(name)
        locals_ = _ALLOWED[namespace]
        return locals_ is None or local in locals_

    def _element(self, node: _Node, of: _Name) -> Iterator[str]:
        """Yield the text of a property's element, within which only its own namespace, RDF's and languages may be."""
        yield f"<{_prefixed(node.name)}"
        for name, value in node.attributes.items():
            if name[0] in (_RDF, _XML, of[0]):
                yield f" {_prefixed(name)}={quoteattr(self._value(of, value))}"
            else:
                self.dropped = True
        yield ">"
        for child in node.children:
            if isinstance(child, str):
                yield escape(self._value(of, child))
            elif child.name[0] in (_RDF, of[0]):
                yield from self._element(child, of)
            else:
                self.dropped = True
        yield f"</{_prefixed(node.name)}>"

    def _value(self, name: _Name, text: str) -> str:
        if name[1] not in _DATES:
            return text
        without_zone = _TIME_ZONE.sub("", text)
        self.dropped |= without_zone != text
        return without_zone


def _prefixed(name: _Name) -> str:
    return f"{_PREFIXES[name[0]]}:{name[1]}"


def _written(properties: list[_Property], length: int) -> bytes:
    """Return a packet of ``length`` bytes with the properties that it holds, the first ones first."""
    best: tuple[int, bytes] = (-1, b" " * length)
    for head, tail, end in _FRAMES:
        attributes, elements, namespaces = [], [], set[str]()
        room = length - len(f"{head}>{tail}{end}".encode())
        if room < 0:
            continue
        for one in properties:
            declaration = "" if one.namespace in namespaces else f' xmlns:{_PREFIXES[one.namespace]}="{one.namespace}"'
            needed = len(f"{declaration}{one.text}".encode())
            if needed > room:
                continue
            room -= needed
            namespaces.add(one.namespace)
            attributes.append(declaration + (one.text if one.is_attribute else ""))
            elements.append("" if one.is_attribute else one.text)
        text = f"{head}{''.join(attributes)}>{''.join(elements)}{tail}{' ' * room}{end}"
        best = max(best, (len(elements), text.encode()), key=lambda written: written[0])
    return best[1]


def _parsed(packet: bytes) -> tuple[_Node, bool]:
    """Return the root of a packet, and whether it has comments or the like.

    Raises _Unreadable, ExpatError or ValueError.
    """
    if len(packet) > _LONGEST:
        raise _Unreadable
    # Whatever encoding is declared, XMP in pictures is UTF-8.
    parser = expat.ParserCreate("utf-8", " ")
    parser.buffer_text = True
    top = _Node(("", ""), {})
    path = [top]
    remarks: list[str] = []
    count = itertools.count()

    def start(name: str, attributes: dict[str, str]) -> None:
        """Add an element to the innermost open one; raise _Unreadable for one too many, or too deep."""
        if len(path) > _DEEPEST or next(count) > _MOST_ELEMENTS:
            raise _Unreadable
        node = _Node(_split(name), {_split(key): value for key, value in attributes.items()})
        path[-1].children.append(node)
        path.append(node)

    def refuse(*_: object) -> None:
        raise _Unreadable

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: path.pop()
    parser.CharacterDataHandler = lambda text: path[-1].children.append(text)
    parser.StartDoctypeDeclHandler = refuse  # entities that grow, files that are included
    parser.CommentHandler = remarks.append
    parser.ProcessingInstructionHandler = lambda target, _: None if target == "xpacket" else remarks.append(target)
    parser.Parse(packet, True)
    return top.elements[0], bool(remarks)


def _split(name: str) -> _Name:
    namespace, _, local = name.rpartition(" ")
    return namespace, local
