"""Image headers: format, size, rotation, and whether the file is complete, without decoding.

OpenCV alone is not enough: it decodes any size that a header claims, prints warnings instead of raising
errors, and some versions return the upper half of a truncated JPEG on gray.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from tfyolo.errors import TfyoloError
from tfyolo.inputs import IMAGE, open_input

MAX_PIXELS = 200_000_000
"""A header that claims more is refused: decoded, it would be over 600 MB."""
MAX_BYTES = 2**31 - 1
"""OpenCV counts the bytes of a buffer with a 32-bit integer."""

MAX_SCANS = 64
"""Of a JPEG; encoders write 10 for a progressive one, and each costs a pass over all pixels."""
MAX_CHUNKS = 300_000
"""Of a PNG; encoders write chunks of 8 KB at least, so that 2 GB have no more."""
MAX_SEARCHED_BYTES = 256 * 1024 * 1024
"""Of a JPEG whose end is looked for; 200 megapixels take less."""
MAX_PIXEL_BYTES = 16
SLACK_BYTES = 256 * 1024 * 1024
"""No file takes more bytes per pixel, but for previews, metadata and what else cameras add."""
_BLOCK = 1024 * 1024
_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"BM", "BMP"),
    (b"RIFF", "WEBP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"Pf", "PNM"),
    (b"P5", "PNM"),
    (b"P6", "PNM"),
)
_ORIENTATION = 0x0112  # the EXIF and TIFF tag
RESAVE = "save it again as JPEG or PNG, or remove it"


class ImageError(TfyoloError):
    """An image cannot be used: missing, empty, truncated, too large, or not an image."""


@dataclass(frozen=True)
class ImageHeader:
    """The header of an image.

    Attributes:
        format: JPEG, PNG, BMP, WEBP, TIFF or PNM.
        hw: (height, width) in pixels, after EXIF rotation.
        orientation: EXIF orientation to be applied to the decoded pixels, 1 (none) to 8.
    """

    format: str
    hw: tuple[int, int]
    orientation: int


def read_header(path: str | Path) -> ImageHeader:
    """Read the format, size and rotation of an image, and check that the file is complete.

    JPEG, PNG, WebP and TIFF files are checked by their structure, BMP and PNM files, which are uncompressed,
    by reading.

    Raises:
        ImageError: the file is missing, empty, truncated, over 200 megapixels, or not an image.

    Example:
        >>> from tfyolo.assets import SAMPLE_IMAGE
        >>> read_header(SAMPLE_IMAGE).hw
        (480, 640)
    """
    with open_input(path, IMAGE, ImageError) as stream:
        return parse_header(stream, os.fstat(stream.fileno()).st_size, Path(path))


def parse_header(stream: BinaryIO, size: int, name: str | Path) -> ImageHeader:
    """Parse the header of an image; every failure, Pillow's own included, becomes an `ImageError`.

    Args:
        stream: seekable content of the file, at its start.
        size: size of the content in bytes.
        name: path or name of the image, for messages.

    Returns:
        Format, size and EXIF orientation of the image.

    Raises:
        ImageError: the image is empty, truncated, too large, of an unsupported format, or damaged.
    """
    if size == 0:
        raise ImageError("is empty (zero bytes)", path=name, fix=RESAVE)
    if size > MAX_BYTES:
        raise ImageError(f"is too large ({size / 1e9:.1f} GB)", path=name, fix="make it smaller")
    start = stream.read(12)
    kind = next((kind for signature, kind in _SIGNATURES if start.startswith(signature)), None)
    if kind is None or (kind == "WEBP" and len(start) == 12 and start[8:] != b"WEBP"):
        raise ImageError("is not a readable image", path=name, fix=RESAVE)
    stream.seek(0)
    try:
        header, whole = _tiff(stream, size) if kind == "TIFF" else _other(kind, stream, size, name)
    except ImageError:
        raise
    except Exception as error:  # Pillow's parsers raise many kinds on damaged bytes
        raise ImageError(f"has a damaged header ({error})", path=name, fix=RESAVE) from error
    _check_size(header.hw, name)
    most = MAX_PIXEL_BYTES * header.hw[0] * header.hw[1] + SLACK_BYTES
    if size > most:
        raise ImageError(
            f"is too large: {size:,} bytes for {header.hw[1]}x{header.hw[0]}", path=name, fix=RESAVE
        )
    if not whole:
        raise ImageError("is truncated: the file ends before the image does", path=name, fix=RESAVE)
    return header


def _check_size(hw: tuple[int, int], name: str | Path) -> None:
    height, width = hw
    if height <= 0 or width <= 0:
        raise ImageError(f"has no pixels ({width}x{height})", path=name, fix=RESAVE)
    if height * width > MAX_PIXELS:
        size = f"{width}x{height}, {height * width / 1e6:.0f} megapixels"
        raise ImageError(f"is too large ({size}; the limit is 200)", path=name, fix="make it smaller")


def _other(kind: str, stream: BinaryIO, size: int, name: str | Path) -> tuple[ImageHeader, bool]:
    """Parse a header of any format except TIFF, and check completeness.

    Pillow's plugin is called directly, because `Image.open` applies a process-wide limit of its own.
    """
    from PIL.BmpImagePlugin import BmpImageFile
    from PIL.ImageFile import ImageFile
    from PIL.JpegImagePlugin import JpegImageFile
    from PIL.PngImagePlugin import PngImageFile
    from PIL.PpmImagePlugin import PpmImageFile
    from PIL.WebPImagePlugin import WebPImageFile

    openers: dict[str, Callable[[BinaryIO], ImageFile]] = {
        "JPEG": JpegImageFile,
        "PNG": PngImageFile,
        "BMP": BmpImageFile,
        "WEBP": WebPImageFile,
        "PNM": PpmImageFile,
    }
    if kind == "WEBP" and not _webp_is_whole(stream, size):
        return ImageHeader(kind, (1, 1), 1), False
    image = openers[kind](stream)
    # Pillow stops reading a JPEG at its first scan, after any thumbnail in the EXIF block.
    scan = stream.tell() if kind == "JPEG" else 0
    width, height = image.size
    _check_size((height, width), name)
    orientation = _exif_orientation(image.info.get("exif"))
    if kind == "JPEG":
        if _has_several_scans(image, stream, scan) and (scans := _scans(stream, size)) > MAX_SCANS:
            raise ValueError(f"more than {min(scans - 1, MAX_SCANS)} scans, which no encoder writes")
        whole = _jpeg_is_whole(stream, size, scan)
    elif kind == "PNG":
        whole = _png_is_whole(stream, size)
    elif kind == "WEBP":
        whole = True
    else:
        try:
            image.load()
            whole = True
        except (OSError, ValueError):
            whole = False
    hw = (width, height) if orientation >= 5 else (height, width)
    return ImageHeader(kind, hw, orientation), whole


def _exif_orientation(exif: bytes | None) -> int:
    """Return the EXIF orientation; 1 if it is missing or invalid."""
    from PIL.Image import Exif

    if not exif:
        return 1
    tags = Exif()
    try:
        tags.load(exif)
        value = tags.get(_ORIENTATION, 1)
    except Exception:  # a damaged block is common and harmless
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _jpeg_is_whole(stream: BinaryIO, size: int, scan: int) -> bool:
    """Whether an end-of-image marker follows the first scan; cameras and servers append bytes to it."""
    end = b"\xff\xd9"
    stream.seek(max(size - 2, 0))
    if stream.read(2) == end:
        return True
    # Other bytes can follow the image, such as zeros. The marker does not occur within the data of a scan,
    # where ff is always followed by 00 or d0..d7.
    stream.seek(scan)
    tail, read = b"", 0
    while read < MAX_SEARCHED_BYTES and (block := stream.read(_BLOCK)):
        if end in tail + block:
            return True
        tail, read = block[-1:], read + len(block)
    return False


def _has_several_scans(image: Any, stream: BinaryIO, scan: int) -> bool:
    """Whether a JPEG is progressive, or its first scan has only some of its components."""
    stream.seek(max(scan - 8 - 2 * image.layers, 0))  # a header that lists all components is so long
    whole = stream.read(5) == b"\xff\xda" + struct.pack(">HB", 6 + 2 * image.layers, image.layers)
    return bool(image.info.get("progressive")) or not whole


def _scans(stream: BinaryIO, size: int) -> int:
    """Count the scans of a JPEG, each a pass over all pixels, up to a little over `MAX_SCANS`."""
    stream.seek(0)
    mark, tail, found = b"\xff\xda", b"", 0
    for _ in range(0, min(size, MAX_SEARCHED_BYTES), _BLOCK):
        block = stream.read(_BLOCK)
        found += (tail + block).count(mark)
        tail = block[-1:]
        if found > MAX_SCANS or not block:
            break
    return found


def _png_is_whole(stream: BinaryIO, size: int) -> bool:
    """Whether a PNG has valid chunks up to IEND; OpenCV would trust a damaged length of gigabytes."""
    position, left = 8, MAX_CHUNKS
    while position + 8 <= size:
        if (left := left - 1) < 0:
            raise ValueError(f"more than {MAX_CHUNKS:,} chunks")
        stream.seek(position)
        length, kind = struct.unpack(">I4s", stream.read(8))
        if kind == b"IEND":
            return True
        position += 12 + length
    return False


def _webp_is_whole(stream: BinaryIO, size: int) -> bool:
    """Whether a WebP file has the length in its RIFF header."""
    if size < 20:
        return False
    stream.seek(4)
    whole = struct.unpack("<I", stream.read(4))[0] + 8 <= size
    stream.seek(0)
    return whole


def _tiff(stream: BinaryIO, size: int) -> tuple[ImageHeader, bool]:
    """Parse the tags of a TIFF or DNG file, and check completeness: Pillow cannot open 16-bit color TIFF."""
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    start = stream.read(8)
    if start[2:3] == b"+" or start[3:4] == b"+":  # BigTIFF has a header of 16 bytes
        start += stream.read(8)
    tags = ImageFileDirectory_v2(start)
    stream.seek(tags.next)
    tags.load(stream)
    width, height = int(tags[256]), int(tags[257])
    offsets, counts = (tags.get(273), tags.get(279)) if 273 in tags else (tags.get(324), tags.get(325))
    if isinstance(counts, int):
        offsets, counts = (offsets,), (counts,)
    whole = bool(offsets) and all(
        begin + count <= size for begin, count in zip(offsets or (), counts or (), strict=False)
    )
    hw = (width, height) if tags.get(_ORIENTATION, 1) in (5, 6, 7, 8) else (height, width)
    return ImageHeader("TIFF", hw, 1), whole  # OpenCV rotates a TIFF whatever it is asked
