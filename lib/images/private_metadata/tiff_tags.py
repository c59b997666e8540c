"""The fields of TIFF and Exif that are served, and how their values are to be read.

References: TIFF 6.0; Exif 3.0 (CIPA DC-008-2023). What is not listed is gone: places, makes, models, serial numbers,
owners, maker notes, unique identifiers, programs; time zones, which tell part of the world; and how a picture was
exposed, since focal length and F-number name a telephone.
"""

from enum import Enum, auto


class Kind(Enum):
    """What a value is."""

    NUMBERS = auto()
    TEXT = auto()
    WIDE_TEXT = auto()  # UTF-16, little-endian
    OPAQUE = auto()  # as it is: an ICC profile, tables of a codec
    XMP = auto()
    IPTC = auto()
    RESOURCES = auto()  # Photoshop's
    EXIF_IFD = auto()
    INTEROPERABILITY_IFD = auto()
    SUB_IFDS = auto()
    PIXELS = auto()  # offsets of strips, tiles or a JPEG stream, whose lengths are in the tag of PIXEL_LENGTHS


# Of a picture's description, wherever it is.
DESCRIPTION = {
    0x010E: Kind.TEXT,  # ImageDescription
    0x0112: Kind.NUMBERS,  # Orientation
    0x011A: Kind.NUMBERS,  # XResolution
    0x011B: Kind.NUMBERS,  # YResolution
    0x0128: Kind.NUMBERS,  # ResolutionUnit
    0x0132: Kind.TEXT,  # DateTime
    0x013B: Kind.TEXT,  # Artist
    0x013E: Kind.NUMBERS,  # WhitePoint
    0x013F: Kind.NUMBERS,  # PrimaryChromaticities
    0x0211: Kind.NUMBERS,  # YCbCrCoefficients
    0x0213: Kind.NUMBERS,  # YCbCrPositioning
    0x0214: Kind.NUMBERS,  # ReferenceBlackWhite
    0x02BC: Kind.XMP,
    0x8298: Kind.TEXT,  # Copyright
    0x83BB: Kind.IPTC,
    0x8769: Kind.EXIF_IFD,
    0x9C9B: Kind.WIDE_TEXT,  # XPTitle
    0x9C9C: Kind.WIDE_TEXT,  # XPComment
    0x9C9D: Kind.WIDE_TEXT,  # XPAuthor
    0x9C9E: Kind.WIDE_TEXT,  # XPKeywords
    0x9C9F: Kind.WIDE_TEXT,  # XPSubject
}
EXIF = {
    0x9000: Kind.NUMBERS,  # ExifVersion
    0x9003: Kind.TEXT,  # DateTimeOriginal
    0x9004: Kind.TEXT,  # DateTimeDigitized
    0x9101: Kind.NUMBERS,  # ComponentsConfiguration
    0xA000: Kind.NUMBERS,  # FlashpixVersion
    0xA001: Kind.NUMBERS,  # ColorSpace
    0xA002: Kind.NUMBERS,  # PixelXDimension
    0xA003: Kind.NUMBERS,  # PixelYDimension
    0xA005: Kind.INTEROPERABILITY_IFD,  # tells Adobe RGB from sRGB
    0xA436: Kind.TEXT,  # ImageTitle
    0xA437: Kind.TEXT,  # Photographer
    0xA438: Kind.TEXT,  # ImageEditor
    0xA500: Kind.NUMBERS,  # Gamma
}
INTEROPERABILITY = {
    0x0001: Kind.NUMBERS,  # InteroperabilityIndex, three letters
    0x0002: Kind.NUMBERS,  # InteroperabilityVersion
}
# Of a page of a TIFF file: what its pixels are read by. Neither geographic keys (GeoTIFF) nor Photoshop's layers.
_SAMPLES = (
    *(0x00FE, 0x00FF, 0x0100, 0x0101, 0x0102, 0x0103, 0x0106, 0x0107, 0x0108, 0x0109, 0x010A),  # to FillOrder
    *(0x0115, 0x0116, 0x0117, 0x0118, 0x0119, 0x011C, 0x011E, 0x011F, 0x0122, 0x0123, 0x0124, 0x0125, 0x0129),
    *(0x012D, 0x013D, 0x0140, 0x0141, 0x0142, 0x0143, 0x0145, 0x0146, 0x0147, 0x0148),  # to fax lines
    *(0x014C, 0x014E, 0x0150, 0x0152, 0x0153, 0x0154, 0x0155, 0x0200, 0x0202, 0x0203, 0x0212),
)
PAGE = {
    **DESCRIPTION,
    **dict.fromkeys(_SAMPLES, Kind.NUMBERS),
    0x010D: Kind.TEXT,  # DocumentName
    0x011D: Kind.TEXT,  # PageName
    0x0111: Kind.PIXELS,  # StripOffsets
    0x0144: Kind.PIXELS,  # TileOffsets
    0x0201: Kind.PIXELS,  # JPEGInterchangeFormat
    0x0207: Kind.PIXELS,  # JPEGQTables
    0x0208: Kind.PIXELS,  # JPEGDCTables
    0x0209: Kind.PIXELS,  # JPEGACTables
    0x014A: Kind.SUB_IFDS,
    0x014D: Kind.TEXT,  # InkNames
    0x015B: Kind.OPAQUE,  # JPEGTables
    0x8649: Kind.RESOURCES,
    0x8773: Kind.OPAQUE,  # an ICC profile
    0xA481: Kind.NUMBERS,  # nodata of GDAL
    0xC5F2: Kind.NUMBERS,  # LercParameters
}
PIXEL_LENGTHS = {0x0111: 0x0117, 0x0144: 0x0145, 0x0201: 0x0202}
OLD_JPEG_TABLES = {0x0207: 64, 0x0208: 16 + 12, 0x0209: 16 + 256}  # bytes of each
