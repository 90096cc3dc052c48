"""Read images as uint8 RGB.

YOLOv5 decodes with OpenCV; JPEG decoders differ by a few gray levels, so equal results need OpenCV.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfyolo.data.images.header import MAX_BYTES, RESAVE, ImageError, ImageHeader, parse_header, read_header
from tfyolo.inputs import IMAGE, RECORDS, open_input

if TYPE_CHECKING:
    from tfyolo.data.detection.sample import Sample

__all__ = [
    "IMAGE_SUFFIXES",
    "UNSUPPORTED_SUFFIXES",
    "VIDEO_SUFFIXES",
    "ImageError",
    "decode_image",
    "read_bytes",
    "read_header",
    "read_image",
    "read_sample_image",
]

IMAGE_SUFFIXES = frozenset(
    {".bmp", ".dng", ".jpeg", ".jpg", ".mpo", ".pfm", ".png", ".tif", ".tiff", ".webp"}
)
VIDEO_SUFFIXES = frozenset(
    {".asf", ".avi", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".wmv"}
)
UNSUPPORTED_SUFFIXES = frozenset(
    {".3g2", ".3gp", ".arw", ".avif", ".cr2", ".cr3", ".dcm", ".divx", ".exr", ".f4v", ".flv", ".h264",
     ".hdr", ".heic", ".heif", ".hevc", ".hif", ".ico", ".j2k", ".jfif", ".jp2", ".jpe", ".jxl", ".m2ts",
     ".mts", ".mxf", ".nef", ".ogv", ".orf", ".pbm", ".pgm", ".pnm", ".ppm", ".psd", ".raf", ".raw", ".rm",
     ".rw2", ".svg", ".tga", ".vob", ".webm", ".y4m"}
)  # fmt: skip
"""Suffixes of images and videos that cannot be read."""


def read_image(path: str | Path) -> np.ndarray:
    """Read an image.

    EXIF rotation is applied; gray, palette and CMYK images are converted to RGB; transparency is dropped;
    16-bit images are scaled to 8 bits, float images (PFM) from 0..1 to 0..255.

    Returns:
        uint8 (height, width, 3), RGB, contiguous.

    Raises:
        ImageError: as `read_header`, or the pixels are damaged.

    Example:
        >>> from tfyolo.assets import SAMPLE_IMAGE
        >>> read_image(SAMPLE_IMAGE).shape
        (480, 640, 3)
    """
    path = Path(path)
    header = read_header(path)
    return _decode(read_bytes(path), header, path)


def read_sample_image(sample: Sample) -> np.ndarray:
    """Read the image of a sample: a file, or part of a TFRecord file.

    Returns:
        uint8 (height, width, 3), RGB, contiguous.

    Raises:
        ImageError: as `read_image`.

    Example:
        >>> from tfyolo.data.detection.scan import read_dataset, scan_split
        >>> read_sample_image(scan_split(read_dataset("bccd-mini"), "val").samples[0]).shape
        (480, 640, 3)
    """
    if sample.span is None:
        return read_image(sample.image)
    return decode_image(read_bytes(sample.image, sample.span), f"{sample.image} ({sample.name})")


def read_bytes(path: Path, span: tuple[int, int] | None = None) -> bytes:
    """Read the bytes of an image file, or of an image inside a larger file.

    Args:
        path: the file.
        span: offset and length in bytes; defaults to the whole file.

    Raises:
        ImageError: the file cannot be read, or is shorter than the span.
    """
    try:
        with open_input(path, IMAGE if span is None else RECORDS, ImageError) as stream:
            if span is None:
                return stream.read()
            offset, length = span
            stream.seek(offset)
            data = stream.read(min(length, MAX_BYTES))
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise ImageError(f"cannot be read: {reason}", path=path, fix="check the file") from error
    if len(data) < length:
        message = f"is truncated: expected {length} bytes at offset {offset}, found {len(data)}"
        raise ImageError(message, path=path, fix="write the dataset again")
    return data


def decode_image(data: bytes, name: str | Path = "image") -> np.ndarray:
    """Decode the bytes of an image file, as `read_image` does.

    Args:
        data: the whole file.
        name: name of the image, for messages.

    Returns:
        uint8 (height, width, 3), RGB, contiguous.

    Raises:
        ImageError: the bytes are not a complete image, or over 200 megapixels.
    """
    return _decode(data, parse_header(BytesIO(data), len(data), name), name)


def _decode(data: bytes, header: ImageHeader, name: str | Path) -> np.ndarray:
    """Decode with OpenCV, rotate, and make it uint8 RGB."""
    import cv2

    pfm = header.format == "PNM" and data[:2] == b"Pf"
    flags = (cv2.IMREAD_UNCHANGED if pfm else cv2.IMREAD_COLOR) | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise ImageError(f"cannot be decoded ({error.err})", path=name, fix=RESAVE) from error
    if pixels is None:
        raise ImageError(
            "cannot be decoded: damaged, or in a format that OpenCV cannot read", path=name, fix=RESAVE
        )
    if pixels.dtype != np.uint8:  # PFM
        pixels = (np.clip(np.nan_to_num(pixels), 0, 1) * 255).round().astype(np.uint8)
    rgb = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB if pixels.ndim == 2 else cv2.COLOR_BGR2RGB)
    rgb = _rotate(rgb, header.orientation)
    if rgb.shape[:2] != header.hw:
        raise ImageError(
            f"decodes to {rgb.shape[1]}x{rgb.shape[0]}, but its header says {header.hw[1]}x{header.hw[0]}",
            path=name,
            fix=RESAVE,
        )
    return rgb


def _rotate(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Apply an EXIF orientation (EXIF 2.32, tag 0112): 5 to 8 exchange rows and columns, then mirror."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):  # mirror left and right
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):  # mirror top and bottom
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
