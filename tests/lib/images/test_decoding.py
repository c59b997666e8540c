"""The decoder, with real files, good and hostile, through its real child process."""

import contextlib
import io
import os
import signal
import struct
import threading
import zlib

import imagehash
import numpy as np
import psutil
import pytest
from PIL import Image, ImageCms

from lib.errors import DecoderDied, ImageTooLarge, UndecodableImage, UnsupportedFormat
from lib.images.decoding import DecodeLimits, Decoder, read_working_copy

MIB = 1 << 20


@pytest.fixture(scope="module")
def decoder():
    with Decoder(DecodeLimits(max_bytes=20 * MIB, max_pixels=4_000_000, max_side=20_000)) as shared:
        yield shared


@pytest.fixture
def save(tmp_path):
    """Write a picture, or bytes, to a file whose name tells nothing, and return its path."""

    def saver(content, format_="PNG", **options):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.bin"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            content.save(path, format_, **options)
        return path

    return saver


def blobs(width=120, height=80, seed=0):
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def pixels(decoded):
    return read_working_copy(decoded.working_copy).astype(int)


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "TIFF"])
def test_each_format_of_the_list_is_read_and_named_by_its_content(decoder, save, format_):
    decoded = decoder.decode(save(blobs(), format_))
    assert (decoded.format, decoded.width_px, decoded.height_px) == (format_, 120, 80)
    assert not decoded.has_alpha
    expected = np.asarray(blobs().convert("RGBA")).astype(int)
    assert np.abs(pixels(decoded) - expected).mean() < 12  # GIF has but 256 colours


def test_the_hash_is_that_of_the_working_copy(decoder, save):
    decoded = decoder.decode(save(blobs(1500, 1000), "JPEG"))
    copy = Image.fromarray(read_working_copy(decoded.working_copy))
    assert decoded.phash == int(str(imagehash.phash(copy.convert("RGB"))), 16)


def test_a_large_jpeg_keeps_its_true_size_and_is_copied_small(decoder, save):
    decoded = decoder.decode(save(blobs(2200, 1600), "JPEG", quality=95))
    assert (decoded.width_px, decoded.height_px) == (2200, 1600)
    assert pixels(decoded).shape == (745, 1024, 4)
    reference = np.asarray(blobs(2200, 1600).resize((1024, 745)).convert("RGBA")).astype(int)
    assert np.abs(pixels(decoded) - reference).mean() < 2


def test_full_size_is_full_size(decoder, save):
    path = save(blobs(1500, 700))
    np.testing.assert_array_equal(decoder.decode_full(path), np.asarray(blobs(1500, 700).convert("RGBA")))


def photograph(width, height, seed=0):
    """A picture with detail that no scaling leaves as it is."""
    grain = np.random.default_rng(seed).integers(-30, 31, (height, width, 3))
    return Image.fromarray(np.clip(np.asarray(blobs(width, height, seed)) + grain, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("size", [(300, 200), (2200, 1600)])
@pytest.mark.parametrize("orientation", [1, 6])
def test_the_pixels_alone_are_those_of_the_working_copy(decoder, save, format_, size, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(photograph(*size), format_, exif=exif)
    np.testing.assert_array_equal(decoder.decode_pixels(path), read_working_copy(decoder.decode(path).working_copy))


def test_the_pixels_alone_keep_what_alpha_hides(decoder, save):
    rgba = np.random.default_rng(0).integers(0, 256, (70, 90, 4), dtype=np.uint8)
    np.testing.assert_array_equal(decoder.decode_pixels(save(Image.fromarray(rgba))), rgba)


def test_a_broken_picture_has_no_pixels(decoder, save):
    with pytest.raises(UndecodableImage):
        decoder.decode_pixels(save(b"no picture"))


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_turned_to_the_view(decoder, save, orientation, format_):
    """The corner that EXIF 2.32 says holds the stored top-left is where the red quarter must be."""
    picture = Image.new("RGB", (64, 32), "blue")
    picture.paste("red", (0, 0, 32, 16))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(picture, format_, exif=exif)
    decoded = decoder.decode(path)
    assert (decoded.width_px, decoded.height_px) == ((32, 64) if orientation > 4 else (64, 32))
    corner = {1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0), 5: (0, 0), 6: (0, -1), 7: (-1, -1), 8: (-1, 0)}
    view = pixels(decoded)
    assert view.shape[:2] == (decoded.height_px, decoded.width_px)
    assert view[corner[orientation]][0] > 200
    assert (view[..., 0] > 128).mean() == pytest.approx(0.25, abs=0.05)
    np.testing.assert_array_equal(decoder.decode_full(path), view)


def test_a_large_turned_jpeg_reports_its_viewed_size(decoder, save):
    exif = Image.Exif()
    exif[0x0112] = 6
    decoded = decoder.decode(save(blobs(2200, 1600), "JPEG", exif=exif))
    assert (decoded.width_px, decoded.height_px) == (1600, 2200)
    assert pixels(decoded).shape == (1024, 745, 4)


def test_broken_exif_is_no_reason_to_refuse(decoder, save):
    assert decoder.decode(save(blobs(), "JPEG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff")).width_px == 120


def first_pixel(decoder, path):
    return pixels(decoder.decode(path))[0, 0].tolist()


def test_cmyk_becomes_its_colour(decoder, save):
    red, green, blue, _ = first_pixel(decoder, save(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95))
    assert red > 240
    assert green < 15
    assert blue < 15


def test_sixteen_bit_grey_is_scaled_not_clipped(decoder, save):
    grey = Image.fromarray(np.full((8, 8), 0x8080, np.uint16))
    assert first_pixel(decoder, save(grey, "PNG")) == [128, 128, 128, 255]
    assert first_pixel(decoder, save(grey, "TIFF")) == [128, 128, 128, 255]


def test_sixteen_bit_colour_is_read(decoder, save):
    row = b"\x00" + struct.pack(">3H", 0xFFFF, 0x8080, 0) * 4
    assert first_pixel(decoder, save(png(4, 4, row * 4, depth=16, color=2))) == [255, 128, 0, 255]


def test_float_grey_is_read_as_zero_to_one(decoder, save):
    assert first_pixel(decoder, save(Image.fromarray(np.full((4, 4), 0.5, np.float32)), "TIFF"))[0] in (127, 128)


def test_one_bit_is_black_and_white(decoder, save):
    assert first_pixel(decoder, save(Image.new("1", (8, 8), 1))) == [255, 255, 255, 255]


def test_a_palette_with_transparency_keeps_both(decoder, save):
    image = Image.new("P", (8, 8), 1)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((0, 0), 0)
    decoded = decoder.decode(save(image, "PNG", transparency=0))
    assert decoded.has_alpha
    assert pixels(decoded)[0, 0, 3] == 0
    assert pixels(decoded)[1, 1].tolist() == [0, 255, 0, 255]


def test_grey_with_alpha_keeps_alpha(decoder, save):
    assert first_pixel(decoder, save(Image.new("LA", (8, 8), (200, 90)))) == [200, 200, 200, 90]


def test_one_grey_marked_transparent_is(decoder, save):
    assert first_pixel(decoder, save(Image.new("L", (8, 8), 7), "PNG", transparency=7))[3] == 0


def test_a_profile_is_converted_to_srgb(decoder, save):
    """The same file with its red and blue primaries swapped by the profile must look blue."""
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    as_lab = Image.merge("LAB", [Image.new("L", (8, 8), v) for v in (128, 128, 128)])
    grey = first_pixel(decoder, save(as_lab, "TIFF", icc_profile=lab))
    np.testing.assert_allclose(grey, [120, 120, 120, 255], atol=4)  # L* = 50.2


def test_a_wide_gamut_profile_moves_colours(decoder, save):
    green = Image.new("RGB", (8, 8), (80, 180, 80))
    plain = first_pixel(decoder, save(green, "PNG"))
    assert plain == [80, 180, 80, 255]
    assert first_pixel(decoder, save(green, "PNG", icc_profile=display_p3()))[0] < 60


def test_a_broken_profile_is_ignored(decoder, save):
    assert first_pixel(decoder, save(Image.new("RGB", (8, 8), (9, 90, 200)), "PNG", icc_profile=b"no profile"))[:3] == [
        9,
        90,
        200,
    ]


def test_an_animation_is_its_first_frame(decoder, save):
    frames = [Image.new("RGB", (16, 16), color) for color in ("red", "lime", "blue")]
    for format_ in ("GIF", "WEBP", "PNG"):
        path = save(frames[0], format_, save_all=True, append_images=frames[1:])
        np.testing.assert_allclose(first_pixel(decoder, path), [255, 0, 0, 255], atol=4)


def test_a_multi_picture_jpeg_is_its_first_picture(decoder, save):
    path = save(Image.new("RGB", (64, 64), "red"), "MPO", save_all=True, append_images=[Image.new("RGB", (64, 64))])
    decoded = decoder.decode(path)
    assert decoded.format == "JPEG"
    assert pixels(decoded)[0, 0, 0] > 240


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.9])
def test_a_cut_off_file_is_refused_for_a_reason(decoder, save, format_, kept):
    buffer = io.BytesIO()
    blobs(400, 300).save(buffer, format_)
    cut = buffer.getvalue()[: int(len(buffer.getvalue()) * kept)]
    with pytest.raises(UndecodableImage) as caught:
        decoder.decode(save(cut))
    assert caught.value.reason in ("truncated", "corrupt", "not_a_picture")


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "TIFF"])
def test_a_damaged_file_is_read_or_refused_and_never_kills(decoder, save, format_):
    buffer = io.BytesIO()
    blobs().save(buffer, format_)
    good, rng = buffer.getvalue(), np.random.default_rng(7)
    for _ in range(25):
        damaged = bytearray(good)
        for place in rng.integers(0, len(good), 6):
            damaged[place] = rng.integers(256)
        with contextlib.suppress(UndecodableImage, UnsupportedFormat, ImageTooLarge):
            decoder.decode(save(bytes(damaged)))
    assert decoder.decode(save(good)).format == format_


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "EPS"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"%PDF-1.7", "PDF"),
        (b"8BPS\x00\x01", "PSD"),
        (b"\x00\x00\x01\x00\x01\x00", "ICO"),
        (b"\x00\x00\x00\x18ftypheic", "HEIC"),
    ],
)
def test_other_formats_are_refused_by_name(decoder, save, content, name):
    with pytest.raises(UnsupportedFormat, match=name) as caught:
        decoder.decode(save(content))
    assert caught.value.reason == "unsupported_format"


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty"), (b"<!doctype html><p>404", "not_a_picture"), (b"\x00" * 5000, "not_a_picture")],
)
def test_what_is_no_picture_is_refused(decoder, save, content, reason):
    with pytest.raises(UndecodableImage) as caught:
        decoder.decode(save(content))
    assert caught.value.reason == reason


def test_a_missing_file_is_unreadable(decoder, tmp_path):
    with pytest.raises(UndecodableImage) as caught:
        decoder.decode(tmp_path / "nothing")
    assert caught.value.reason == "unreadable"


def test_a_directory_is_unreadable_as_a_picture(decoder, tmp_path):
    with pytest.raises(UndecodableImage):
        decoder.decode(tmp_path)


def png(width, height, raw=b"", *, depth=8, color=2, repeat=1):
    """A PNG written by hand, whose header may lie."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    body = zlib.compress(raw * repeat)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def webp_header(width, height):
    """The first bytes of a WebP that claims a canvas of that size, with nothing behind."""
    body = b"VP8X" + struct.pack("<I", 10) + b"\x12\0\0\0" + (width - 1).to_bytes(3, "little")
    body += (height - 1).to_bytes(3, "little") + b"ANIM" + struct.pack("<I", 6) + b"\0" * 6
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


@pytest.mark.parametrize(("width", "height"), [(3000, 1500), (60_000, 60_000), (2**31 - 1, 2**31 - 1), (30_000, 10)])
def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(decoder, save, width, height):
    with pytest.raises(ImageTooLarge) as caught:
        decoder.decode(save(png(width, height)))
    assert caught.value.reason == "too_many_pixels"


def test_a_vast_webp_canvas_is_refused(decoder, save):
    with pytest.raises((ImageTooLarge, UndecodableImage)):
        decoder.decode(save(webp_header(16383, 16383)))


def test_frames_count_towards_the_pixels(decoder, save):
    frames = [Image.new("L", (1000, 500), shade) for shade in range(0, 90, 10)]  # 4.5 million over 9 frames
    with pytest.raises(ImageTooLarge, match="9 frames"):
        decoder.decode(save(frames[0], "GIF", save_all=True, append_images=frames[1:]))


def test_a_file_of_too_many_bytes_is_refused_unread(save):
    with Decoder(DecodeLimits(max_bytes=100)) as strict, pytest.raises(ImageTooLarge) as caught:
        strict.decode(save(blobs()))
    assert caught.value.reason == "too_many_bytes"


def test_memory_has_a_limit_and_the_next_picture_works(save):
    large, small = save(Image.new("RGB", (7000, 7000))), save(blobs())
    with Decoder(DecodeLimits(memory_bytes=300 * MIB)) as tight:
        with pytest.raises(DecoderDied) as caught:
            tight.decode_full(large)
        assert caught.value.reason == "decoder_memory"
        assert tight.decode(small).width_px == 120


def test_time_has_a_limit_and_the_next_picture_works(tmp_path, save):
    """A pipe that nobody writes to stands for a picture that never ends."""
    os.mkfifo(tmp_path / "endless")
    with Decoder(DecodeLimits(timeout_s=1)) as hasty:
        small = save(blobs())
        hasty.decode(small)
        with pytest.raises(DecoderDied) as caught:
            hasty.decode(tmp_path / "endless")
        assert caught.value.reason == "decoder_timeout"
        assert hasty.decode(small).width_px == 120


def test_processor_time_has_a_limit(save):
    slow = save(blobs(4000, 3000), "PNG")

    def read_often():
        for _ in range(40):
            starved.decode_full(slow)

    with Decoder(DecodeLimits(cpu_s=-1)) as starved, pytest.raises(DecoderDied) as caught:
        read_often()
    assert caught.value.reason == "decoder_timeout"


def children_of_this_process():
    return {child.pid for child in psutil.Process().children()}


def test_a_child_killed_from_outside_is_replaced(save):
    path = save(blobs())
    before = children_of_this_process()
    with Decoder() as decoder:
        decoder.decode(path)
        (child,) = children_of_this_process() - before
        os.kill(child, signal.SIGKILL)
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        assert decoder.decode(path).width_px == 120


def test_closing_leaves_no_child(save):
    before = children_of_this_process()
    decoder = Decoder()
    decoder.decode(save(blobs()))
    decoder.close()
    assert children_of_this_process() == before


def test_threads_share_a_decoder(decoder, save):
    paths = [save(blobs(100 + index, 50)) for index in range(12)]
    widths = [0] * len(paths)

    def decode(index):
        widths[index] = decoder.decode(paths[index]).width_px

    threads = [threading.Thread(target=decode, args=(index,)) for index in range(len(paths))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert widths == [100 + index for index in range(12)]


def test_the_child_knows_no_secrets(save, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:secret@host/db")
    before = children_of_this_process()
    with Decoder() as decoder:
        decoder.decode(save(blobs()))
        (child,) = children_of_this_process() - before
        assert "DATABASE_URL" not in psutil.Process(child).environ()


def display_p3():
    """A matrix profile with the primaries of Display P3 and a gamma of 2.2, written by hand (ICC.1:2010)."""

    def s15(value):
        return struct.pack(">i", round(value * 65536))

    def xyz(*values):
        return b"XYZ \0\0\0\0" + b"".join(s15(value) for value in values)

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, 0x0233) + b"\0\0"
    text = b"desc\0\0\0\0" + struct.pack(">I", 3) + b"P3\0" + b"\0" * 79
    tags = {
        b"desc": text + b"\0" * (-len(text) % 4),
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": xyz(0.5151, 0.2412, -0.0011),
        b"gXYZ": xyz(0.2920, 0.6922, 0.0419),
        b"bXYZ": xyz(0.1571, 0.0666, 0.7841),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    table, data, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(data), len(content))
        data += content
    size = start + len(data)
    header = struct.pack(">I4sI4s4s4s", size, b"\0\0\0\0", 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    header += b"\0" * 12 + b"acsp" + b"\0" * 28 + s15(0.9642) + s15(1.0) + s15(0.8249)
    return header.ljust(128, b"\0") + table + data
