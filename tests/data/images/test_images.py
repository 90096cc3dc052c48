import struct
import warnings
import zlib
from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.shared import SHARED, needs_shared
from tfyolo.data.images import header as image_header
from tfyolo.data.images.read import ImageError, decode_image, read_header, read_image

RNG = np.random.default_rng(0)
SMOOTH = cv2.resize(RNG.integers(0, 256, (6, 8, 3), np.uint8), (64, 48), interpolation=cv2.INTER_CUBIC)


def encoded(image, format, **options):
    stream = BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def encoded_image(format="JPEG", mode="RGB", **options):
    return encoded(Image.fromarray(SMOOTH).convert(mode), format, **options)


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"hello, this is text", b"RIFF\0\0\0\0WAVE", b"GIF89a" + bytes(50)]
)
def test_what_is_no_image(tmp_path, data):
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=r"a\.jpg: is (empty|not a readable image)"):
        read_image(path)
    with pytest.raises(ImageError, match=r"camera: is (empty|not a readable image)"):
        decode_image(data, "camera")


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(ImageError, match="does not exist"):
        read_image(tmp_path / "no.jpg")
    with pytest.raises(ImageError, match="is a folder"):
        read_image(tmp_path)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA"])
@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_modes_become_rgb(format, mode):
    image = decode_image(encoded_image(format, mode))
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    np.testing.assert_array_equal(image, Image.open(BytesIO(encoded_image(format, mode))).convert("RGB"))


def test_jpeg_is_decoded_as_opencv_does(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded_image())
    np.testing.assert_array_equal(read_image(path), cv2.imread(str(path))[..., ::-1])


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_are_scaled(suffix, channels):
    wide = RNG.integers(0, 65536, (48, 64, channels), np.uint16)
    image = decode_image(cv2.imencode(suffix, wide)[1].tobytes())
    np.testing.assert_allclose(image, np.broadcast_to(wide[..., ::-1] / 257, (48, 64, 3)), atol=1)


def test_float_image_is_scaled():
    gray = RNG.random((48, 64), np.float32)
    image = decode_image(cv2.imencode(".pfm", gray)[1].tobytes())
    np.testing.assert_array_equal(image[..., 1], (gray * 255).round())


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation(tmp_path, format, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if format == "WEBP" else {}
    path = tmp_path / "a.image"
    path.write_bytes(encoded_image(format, exif=exif, **options))
    image, header = read_image(path), read_header(path)
    expected = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    assert header.hw == image.shape[:2] == expected.size[::-1]
    difference = np.abs(image.astype(int) - np.asarray(expected)).max()
    assert difference <= (8 if format == "JPEG" else 0)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_exif_is_no_reason_to_refuse():
    data = encoded_image(exif=b"Exif\0\0MM\0*\xff\xff\xff\xff junk")
    assert decode_image(data).shape == (48, 64, 3)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "PPM"])
@pytest.mark.parametrize("share", [0.2, 0.6, 0.97])
def test_truncated(tmp_path, format, share):
    data = encoded_image(format)
    path = tmp_path / "cut.jpg"
    path.write_bytes(data[: int(len(data) * share)])
    for function in (read_header, read_image):
        with pytest.raises(ImageError, match=r"cut\.jpg: (is truncated|has a damaged header)"):
            function(path)


def test_truncated_behind_a_thumbnail_that_is_whole():
    """The thumbnail inside the EXIF block has an end marker of its own."""
    thumbnail = b"Exif\0\0" + encoded_image(quality=10)
    data = encoded_image(exif=thumbnail)
    assert decode_image(data).shape == (48, 64, 3)
    with pytest.raises(ImageError, match="is truncated"):
        decode_image(data[:-40])


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
@pytest.mark.parametrize("junk", [b"\0" * 7, b"trailing bytes of a camera" * 5000])
def test_bytes_behind_the_end_are_tolerated(options, junk):
    data = encoded_image(**options)
    np.testing.assert_array_equal(decode_image(data + junk), decode_image(data))
    png = encoded_image("PNG")
    np.testing.assert_array_equal(decode_image(png + junk), SMOOTH)


def test_huge_claim_of_a_png_chunk_is_refused():
    data = bytearray(encoded_image("PNG"))
    assert data[37:41] == b"IDAT"
    data[33:37] = b"\xaa\0\0\0"
    with pytest.raises(ImageError, match="is truncated"):
        decode_image(bytes(data))


def test_huge_claims_are_refused_before_decoding():
    data = bytearray(encoded_image("PNG"))
    data[16:24] = struct.pack(">II", 20_000, 10_001)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    with pytest.raises(ImageError, match=r"is too large \(20000x10001, 200 megapixels; the limit is 200\)"):
        decode_image(bytes(data))


def test_large_but_allowed_images_do_not_warn(tmp_path):
    path = tmp_path / "large.png"
    Image.new("1", (10_000, 10_000)).save(path)  # Pillow itself warns above 89 megapixels
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_header(path).hw == (10_000, 10_000)


@pytest.mark.filterwarnings("ignore::UserWarning")  # it warns of tags it passes over
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "PPM"])
def test_random_damage_gives_a_image_or_an_image_error(format):
    data = encoded_image(format)
    random = np.random.default_rng(1)
    outcomes = set()
    for _ in range(150):
        damaged = bytearray(data)
        for position in random.integers(0, min(len(data), 200), 3):
            damaged[position] = random.integers(0, 256)
        try:
            image = decode_image(bytes(damaged))
            assert image.dtype == np.uint8
            assert image.shape[2] == 3
            outcomes.add("image")
        except ImageError:
            outcomes.add("error")
    assert "error" in outcomes


@needs_shared
@pytest.mark.parametrize(("name", "hw"), [("bus.jpg", (1080, 810)), ("zidane.jpg", (720, 1280))])
def test_shared_photographs(name, hw):
    path = SHARED / "images" / name
    assert read_header(path).hw == hw
    np.testing.assert_array_equal(read_image(path), cv2.imread(str(path))[..., ::-1])


def _jpeg(scans: int) -> bytes:
    """A progressive JPEG whose last scan is there so many times more."""
    out = BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(pixels).save(out, "JPEG", progressive=True)
    data = out.getvalue()
    last = data.rfind(b"\xff\xda")
    return data[:-2] + data[last:-2] * scans + data[-2:]


def test_a_jpeg_of_many_scans_is_refused(tmp_path):
    path = tmp_path / "scans.jpg"
    path.write_bytes(_jpeg(0))
    assert read_image(path).shape == (16, 16, 3)
    path.write_bytes(_jpeg(300))
    with pytest.raises(ImageError, match="more than 64 scans"):
        read_header(path)


class Counted(BytesIO):
    """Counts the bytes that are read."""

    total = 0

    def read(self, size=-1):
        data = super().read(size)
        self.total += len(data)
        return data


def test_headers_of_padded_files_are_searched_to_a_bound(monkeypatch):
    monkeypatch.setattr(image_header, "MAX_SEARCHED_BYTES", 4 * 2**20)
    data = _jpeg(0)[:-2]
    stream = Counted(data + bytes(16 * 2**20))
    with pytest.raises(ImageError, match="truncated"):
        image_header.parse_header(stream, len(stream.getvalue()), "padded.jpg")
    assert stream.total < 12 * 2**20
    monkeypatch.setattr(image_header, "SLACK_BYTES", 2**20)
    stream = Counted(data + b"\xff\xd9" + bytes(16 * 2**20))
    with pytest.raises(ImageError, match=r"too large: .* for 16x16"):
        image_header.parse_header(stream, len(stream.getvalue()), "padded.jpg")


def test_a_png_of_many_chunks_is_refused(monkeypatch):
    monkeypatch.setattr(image_header, "MAX_CHUNKS", 1000)
    out = BytesIO()
    Image.new("RGB", (4, 4)).save(out, "PNG")
    data = out.getvalue()
    chunk = struct.pack(">I4s", 0, b"teST") + struct.pack(">I", zlib.crc32(b"teST"))
    stream = Counted(data[:-12] + chunk * 5000 + data[-12:])
    with pytest.raises(ImageError, match="more than 1,000 chunks"):
        image_header.parse_header(stream, len(stream.getvalue()), "chunks.png")
