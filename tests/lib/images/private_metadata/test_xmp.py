"""Packets keep what is allowed and their length, and nothing that was made to harm is followed."""

import pytest

from lib.images.private_metadata.xmp import clean_xmp
from tests.lib.images.private_metadata import samples

RDF = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
DC = 'xmlns:dc="http://purl.org/dc/elements/1.1/"'
TIFF = 'xmlns:tiff="http://ns.adobe.com/tiff/1.0/"'


def packet(description: str, *, before: str = "", pad: int = 0) -> bytes:
    text = f"{before}<rdf:RDF {RDF}><rdf:Description {DC} {TIFF} {description}</rdf:Description></rdf:RDF>"
    return text.encode() + b" " * pad


def test_a_packet_that_tells_nothing_private_is_the_very_same() -> None:
    data = packet('tiff:Artist="Erika"><dc:rights>hers &amp; yours</dc:rights>', pad=20)
    assert clean_xmp(data) == data


def test_a_packet_keeps_its_length_and_is_the_same_when_cleaned_again() -> None:
    clean = clean_xmp(samples.XMP)
    assert len(clean) == len(samples.XMP)
    assert clean_xmp(clean) == clean


@pytest.mark.parametrize(
    "private",
    [
        "><dc:coverage>Geheimstadt</dc:coverage>",
        "><tiff:Make>Geheimstadt</tiff:Make>",
        'tiff:Model="Geheimstadt">',
        ">Geheimstadt",
        "><!-- Geheimstadt -->",
        "><?hidden Geheimstadt?>",
        "><dc:rights>hers<tiff:Model>Geheimstadt</tiff:Model></dc:rights>",
        '><dc:rights tiff:Model="Geheimstadt">hers</dc:rights>',
        'rdf:about="Geheimstadt">',
        'xmlns:u="http://unknown.example/" u:where="Geheimstadt">',
        'xmlns:u="http://unknown.example/"><u:where>Geheimstadt</u:where>',
    ],
)
def test_what_is_not_allowed_is_gone_wherever_it_is(private: str) -> None:
    data = packet(f"{private}<dc:source>a book</dc:source>", pad=400)
    clean = clean_xmp(data)
    assert b"Geheimstadt" not in clean
    assert b"a book" in clean
    assert len(clean) == len(data)


@pytest.mark.parametrize(
    "data",
    [
        packet("><dc:rights>&lol;</dc:rights>", before='<!DOCTYPE a [<!ENTITY lol "Geheimstadt">]>'),
        packet("><dc:rights>Geheimstadt</dc:title>"),
        b"Geheimstadt",
        b"<a>Geheimstadt</a>",
        packet(">" + "<dc:a>" * 50_000 + "Geheimstadt" + "</dc:a>" * 50_000),
        packet(">" + "<dc:a/>" * 50_000 + "Geheimstadt"),
        b"\xff\xfe" + packet(">Geheimstadt").decode().encode("utf-16-le"),
        packet("><dc:rights>Geheimstadt\0</dc:rights>"),
    ],
)
def test_a_packet_that_cannot_be_read_has_nothing_left(data: bytes) -> None:
    clean = clean_xmp(data)
    assert len(clean) == len(data)
    assert b"Geheimstadt" not in clean
    assert b"G\0e\0h" not in clean


@pytest.mark.parametrize(
    ("date", "without_zone"), [("2024-05-06T07:08:09+02:00", "2024-05-06T07:08:09"), ("2024", "2024")]
)
def test_a_date_loses_its_zone(date: str, without_zone: str) -> None:
    data = packet(f'tiff:DateTime="{date}" tiff:Make="Zyxelcam"><dc:date>{date}</dc:date>', pad=200)
    assert f'tiff:DateTime="{without_zone}"'.encode() in clean_xmp(data)
    assert f"<dc:date>{without_zone}</dc:date>".encode() in clean_xmp(data)


def test_rights_are_the_last_to_go_where_there_is_no_room() -> None:
    """Written anew, a title of ampersands is five times as long."""
    title = f"<dc:title><![CDATA[{'&' * 200}]]></dc:title>"
    rights = 'xmlns:r="http://ns.adobe.com/xap/1.0/rights/" r:Owner="Erika" tiff:Make="Zyxelcam"'
    data = packet(f"{rights}>{title}")
    clean = clean_xmp(data)
    assert len(clean) == len(data)
    assert b'xmpRights:Owner="Erika"' in clean
    assert b"title" not in clean


def test_a_property_given_twice_does_not_make_the_packet_unreadable() -> None:
    twice = f'<rdf:Description {TIFF} tiff:Artist="Erika"/><rdf:Description {TIFF} tiff:Artist="Erika" tiff:Make="Z"/>'
    data = f"<rdf:RDF {RDF}>{twice}</rdf:RDF>".encode() + b" " * 100
    assert clean_xmp(data).count(b"Erika") == 1
    assert clean_xmp(clean_xmp(data)) == clean_xmp(data)
