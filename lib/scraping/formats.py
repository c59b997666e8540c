"""What a file is, by its first bytes; what its server or its name says does not count."""

from lib.errors import FetchRefused

SNIFFED_BYTES = 512
_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"%PDF-", "PDF"),
    (b"8BPS", "PSD"),
    (b"\x00\x00\x01\x00", "ICO"),
    (b"\xff\x0a", "JXL"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "JXL"),
)
DECODABLE = frozenset({"JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF"})


def require_decodable(first_bytes: bytes) -> None:
    """Raise FetchRefused unless a file that begins so is a picture of a format that is read."""
    found = sniff_format(first_bytes)
    if found is None:
        raise FetchRefused("not_an_image", f"begins with {first_bytes[:16]!r}")
    if found not in DECODABLE:
        raise FetchRefused("unsupported_format", found)


def sniff_format(first_bytes: bytes) -> str | None:
    """Return the format that the first bytes announce, or None when they announce no picture or document we know.

    Of these JPEG, PNG, WEBP, AVIF, GIF, BMP and TIFF can be decoded; HEIC, SVG, PDF, PSD, ICO and JXL are named so
    that the refusal can say what it was. 512 bytes are enough.

    >>> sniff_format(b"GIF89a..."), sniff_format(b"<!doctype html>")
    ('GIF', None)
    """
    for signature, name in _SIGNATURES:
        if first_bytes.startswith(signature):
            return name
    if first_bytes[:4] == b"RIFF" and first_bytes[8:12] == b"WEBP":
        return "WEBP"
    if first_bytes[4:8] == b"ftyp":
        return _iso_media_format(first_bytes)
    return "SVG" if _is_svg(first_bytes) else None


def _iso_media_format(first_bytes: bytes) -> str | None:
    size = int.from_bytes(first_bytes[:4], "big")
    brands = [first_bytes[i : i + 4] for i in (8, *range(16, min(size, len(first_bytes)), 4))]
    if b"avif" in brands or b"avis" in brands:
        return "AVIF"
    return "HEIC" if brands[0] in (b"heic", b"heix", b"hevc", b"mif1", b"msf1") else None


def _is_svg(first_bytes: bytes) -> bool:
    text = first_bytes.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return text.startswith(b"<svg") or (text.startswith((b"<?xml", b"<!--", b"<!doctype svg")) and b"<svg" in text)
