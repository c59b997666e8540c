"""Pictures that tell all that a camera, a phone and an agency write, in each format, made by Pillow where it can.

Every secret contains one of `SECRETS`, every word on rights one of `RIGHTS`; positions are `LATITUDE_SECONDS`.
"""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import ExifTags, Image, PngImagePlugin
from PIL.TiffImagePlugin import IFDRational

SECRETS = ("Zyxelcam", "Obscura", "SN-4711", "Geheimstadt", "Heimlich", "37,14.8")
LATITUDE_SECONDS = 123_456_789  # over 10,000,000
ARTIST, COPYRIGHT, CREDIT, TERMS = "Erika Muster", "(c) 2024 Erika Muster", "Muster/Agency", "Ask before use"
DESCRIPTION, TAKEN = "A heron in the rain", "2024:05:06 07:08:09"
ORIENTATION = 6
MARKER_NOTE = b"Zyxelcam maker note SN-4711"
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "GIF")
Order = str  # "<" or ">"

_FOR_PHOTOGRAPHERS = f"""
 <rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"
   xmlns:xmpRights="http://ns.adobe.com/xap/1.0/rights/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
   xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/"
   xmlns:aux="http://ns.adobe.com/exif/1.0/aux/" xmlns:drone="http://www.dji.com/drone-dji/1.0/"
   xmlns:ext="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
   photoshop:Credit="{CREDIT}" photoshop:City="Geheimstadt" tiff:Make="Zyxelcam" tiff:Orientation="{ORIENTATION}"
   exif:GPSLatitude="37,14.8N" aux:SerialNumber="SN-4711" drone:GimbalModel="Obscura"
   photoshop:DateCreated="2024-05-06T07:08:09+02:00">
  <dc:rights><rdf:Alt><rdf:li xml:lang="x-default">{COPYRIGHT}</rdf:li></rdf:Alt></dc:rights>
  <dc:creator><rdf:Seq><rdf:li>{ARTIST}</rdf:li></rdf:Seq></dc:creator>
  <xmpRights:UsageTerms><rdf:Alt><rdf:li xml:lang="x-default">{TERMS}</rdf:li></rdf:Alt></xmpRights:UsageTerms>
  <tiff:Model>Obscura</tiff:Model>
  <ext:LocationCreated><rdf:Bag><rdf:li ext:City="Geheimstadt"/></rdf:Bag></ext:LocationCreated>
 </rdf:Description>"""
XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    f'{_FOR_PHOTOGRAPHERS}</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
).encode()


def dataset(record: int, number: int, text: str) -> bytes:
    """Return one IPTC dataset."""
    return struct.pack(">BBBH", 0x1C, record, number, len(text.encode())) + text.encode()


IPTC = b"".join(
    [
        b"\x1c\x01\x5a\x00\x03\x1b%G",
        *(dataset(2, number, "Geheimstadt") for number in (26, 27, 90, 92, 95, 100, 101)),
        dataset(2, 80, ARTIST),
        dataset(2, 110, CREDIT),
        dataset(2, 116, COPYRIGHT),
        dataset(2, 65, "Zyxelcam 4.2"),
        dataset(2, 120, DESCRIPTION),
    ]
)


def resource(kind: int, data: bytes) -> bytes:
    """Return one Photoshop resource."""
    return struct.pack(">4sHHI", b"8BIM", kind, 0, len(data)) + data + b"\0" * (len(data) % 2)


RESOURCES = resource(0x0404, IPTC) + resource(0x040C, b"Heimlich thumbnail") + resource(0x040A, b"\1")


def picture() -> Image.Image:
    """Return a picture with something in each corner."""
    y, x = np.mgrid[0:48, 0:64]
    return Image.fromarray(np.stack([x * 4, y * 5, (x ^ y) * 4], axis=-1).astype(np.uint8))


def exif(order: Order) -> Image.Exif:
    """Return what a camera writes, in a byte order."""
    tags = Image.Exif()
    tags.endian = order
    tags[ExifTags.Base.Make], tags[ExifTags.Base.Model] = "Zyxelcam", "Obscura 9000"
    tags[ExifTags.Base.Software], tags[ExifTags.Base.HostComputer] = "Zyxelcam OS 4", "Zyxelcam of Erika"
    tags[ExifTags.Base.Artist], tags[ExifTags.Base.Copyright] = ARTIST, COPYRIGHT
    tags[ExifTags.Base.ImageDescription], tags[ExifTags.Base.DateTime] = DESCRIPTION, TAKEN
    tags[ExifTags.Base.Orientation] = ORIENTATION
    inner = tags.get_ifd(ExifTags.IFD.Exif)
    inner[ExifTags.Base.DateTimeOriginal], inner[ExifTags.Base.OffsetTimeOriginal] = TAKEN, "+02:00"
    inner[ExifTags.Base.MakerNote], inner[ExifTags.Base.UserComment] = MARKER_NOTE, b"ASCII\0\0\0Heimlich"
    inner[ExifTags.Base.BodySerialNumber], inner[ExifTags.Base.LensModel] = "SN-4711", "Obscura lens"
    inner[ExifTags.Base.LensMake], inner[ExifTags.Base.LensSerialNumber] = "Zyxelcam", "SN-4711-L"
    inner[ExifTags.Base.CameraOwnerName], inner[ExifTags.Base.ImageUniqueID] = "Heimlich", "SN-4711-U"
    inner[ExifTags.Base.FocalLength], inner[ExifTags.Base.ColorSpace] = IFDRational(425, 100), 1
    tags.get_ifd(ExifTags.IFD.GPSInfo).update(
        {
            ExifTags.GPS.GPSLatitudeRef: "N",
            ExifTags.GPS.GPSLatitude: (52.0, 31.0, IFDRational(LATITUDE_SECONDS, 10_000_000)),
            ExifTags.GPS.GPSProcessingMethod: b"ASCII\0\0\0Geheimstadt",
        }
    )
    return tags


def jpeg(order: Order) -> bytes:
    """A phone's: Exif with a thumbnail, XMP, IPTC, segments of its maker's, and a film behind the picture."""
    saved = _saved("JPEG", quality=90, comment=b"a comment", icc_profile=b"a profile")
    segments = [
        _segment(0xE1, b"Exif\0\0" + _with_thumbnail(exif(order).tobytes()[6:], order)),
        _segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP),
        _segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + b"Geheimstadt"),
        _segment(0xED, b"Photoshop 3.0\0" + RESOURCES),
        _segment(0xE2, b"FPXR\0Zyxelcam"),
        _segment(0xE5, b"Zyxelcam"),
        _segment(0xEB, b"JP jumb Obscura"),
    ]
    return saved[:20] + b"".join(segments) + saved[20:] + b"\0\0\0\x18ftypmp42 moov Geheimstadt +52.5202+013.4049/"


def png(order: Order) -> bytes:
    """What editors and ImageMagick write."""
    info = PngImagePlugin.PngInfo()
    info.add_text("Copyright", COPYRIGHT)
    info.add_text("Author", ARTIST, zip=True)
    info.add_text("Source", "Zyxelcam Obscura")
    info.add_text("Software", "Zyxelcam OS 4")
    info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    info.add_itxt("Secret", "Heimlich", zip=True)
    info.add_text("Raw profile type iptc", _raw_profile("iptc", RESOURCES), zip=True)
    info.add_text("Raw profile type exif", _raw_profile("exif", exif(order).tobytes()), zip=True)
    info.add_text("Raw profile type APP1", _raw_profile("APP1", exif(order).tobytes()))
    info.add(b"caBX", b"Zyxelcam", after_idat=True)
    return _saved("PNG", pnginfo=info, exif=exif(order)) + b"Geheimstadt"


def webp(order: Order) -> bytes:
    """A lossless one."""
    data = _saved("WEBP", lossless=True, exif=exif(order).tobytes(), xmp=XMP, icc_profile=b"a profile")
    return data + b"Geheimstadt"


def tiff(order: Order, **parameters: object) -> bytes:
    """One of two pages with all kinds of metadata, or, since Pillow writes none, a big-endian one of one page."""
    tags = exif(order)
    tags[700], tags[33723], tags[34377] = XMP, IPTC, RESOURCES
    if order == "<":
        return _saved("TIFF", exif=tags.tobytes(), save_all=True, append_images=[picture().rotate(180)], **parameters)
    pixels = picture().tobytes()
    tags[256], tags[257], tags[258], tags[259], tags[262] = 64, 48, (8, 8, 8), 1, 2
    tags[273], tags[277], tags[278], tags[279] = 0, 3, 48, len(pixels)  # Pillow makes the offset one behind all fields
    return tags.tobytes()[6:] + pixels


def avif(order: Order) -> bytes:
    """As libavif writes it."""
    return _saved("AVIF", quality=80, exif=exif(order).tobytes(), xmp=XMP) + b"\0\0\0\x18uuid" + b"Geheimstadt 4711"


def gif(_: Order) -> bytes:
    """With a packet as Adobe writes it, a comment, and an extension of a maker's."""
    data = _saved("GIF", comment=b"a comment", save_all=True, append_images=[picture().rotate(180)])
    table = 13 + (3 << ((data[10] & 7) + 1))
    packet = b"!\xff\x0bXMP DataXMP" + XMP + bytes([1, *range(255, -1, -1), 0])
    maker = b"!\xff\x0bZYXELCAM1.0\x08Obscura!\x00"
    return data[:table] + packet + maker + data[table:] + b"Geheimstadt"


MAKE: dict[str, Callable[[Order], bytes]] = {
    "JPEG": jpeg,
    "PNG": png,
    "WEBP": webp,
    "TIFF": tiff,
    "AVIF": avif,
    "GIF": gif,
}


def plain(format_: str) -> bytes:
    """Return a picture of that format without any metadata."""
    return _saved(format_)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _saved(format_: str, **parameters: object) -> bytes:
    sink = io.BytesIO()
    picture().save(sink, format_, **parameters)
    return sink.getvalue()


def _segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def _raw_profile(name: str, profile: bytes) -> str:
    digits = profile.hex()
    lines = "\n".join(digits[start : start + 72] for start in range(0, len(digits), 72))
    return f"\n{name}\n{len(profile):8}\n{lines}\n"


def _with_thumbnail(block: bytes, order: Order) -> bytes:
    """Return an Exif block with a second directory, and a thumbnail that it leads to."""
    first = struct.unpack_from(f"{order}I", block, 4)[0]
    (count,) = struct.unpack_from(f"{order}H", block, first)
    at = len(block) + len(block) % 2
    thumbnail = _saved("JPEG", comment=b"Heimlich")
    directory = struct.pack(f"{order}H", 2)
    directory += struct.pack(f"{order}HHII", 0x0201, 4, 1, at + 30)
    directory += struct.pack(f"{order}HHII", 0x0202, 4, 1, len(thumbnail))
    whole = bytearray(block.ljust(at, b"\0") + directory + bytes(4) + thumbnail)
    struct.pack_into(f"{order}I", whole, first + 2 + 12 * count, at)
    return bytes(whole)


def packed_zeros(byte_count: int) -> bytes:
    """Return zeros as zlib packs them, to a thousandth."""
    return zlib.compress(bytes(byte_count), 9)
