"""Detect truncated videos, after all frames have been read.

Headers are inexact: Matroska and WebM state a duration and a frame rate, and MP4 counts frames that an edit
list hides. A video is therefore truncated if its container is incomplete, or a tenth of its frames is
missing.
"""

from __future__ import annotations

import struct
from pathlib import Path

from tfyolo.errors import TfyoloError
from tfyolo.inputs import VIDEO, open_input

MISSING = 0.1
"""Share of frames and of time that may be missing where the container is whole."""


def ends_early(address: str, frames: int, wanted: int, end_ms: float, wanted_ms: float) -> bool:
    """Whether a completely read video is shorter than its header states.

    Args:
        address: path of the file, or URL.
        frames: number of frames that were read.
        wanted: number of frames in the header; 0 if missing.
        end_ms: time of the last frame in milliseconds.
        wanted_ms: duration in the header.

    Returns:
        True if frames are missing at the end.
    """
    if frames >= wanted:
        return False
    if is_cut(Path(address)):
        return True
    return frames < (1 - MISSING) * wanted and end_ms < (1 - MISSING) * wanted_ms


def is_cut(path: Path) -> bool:
    """Whether a file is shorter than its container (MP4, MOV, AVI, Matroska, WebM) states."""
    try:
        with open_input(path, VIDEO) as file:
            size = file.seek(0, 2)
            file.seek(0)
            start = file.read(64)
            if start[:4] == b"RIFF":
                return 8 + int.from_bytes(start[4:8], "little") > size
            if start[:4] == b"\x1a\x45\xdf\xa3":
                return _ebml_end(start) > size
            if start[4:8] not in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
                return False
            place = 0
            for _ in range(10_000):  # boxes of the uppermost level, one after another
                file.seek(place)
                header = file.read(16)
                if len(header) < 8:
                    return False
                (length,) = struct.unpack(">I", header[:4])
                if length == 1 and len(header) == 16:
                    (length,) = struct.unpack(">Q", header[8:])
                if length < 8:  # 0 says: to the end
                    return False
                place += length
                if place > size:
                    return True
    except (TfyoloError, OSError):  # an address of the web
        pass
    return False


def _ebml_end(start: bytes) -> int:
    """Return the end of the segment of a Matroska file; 0 if unknown."""
    length, width = _ebml_size(start, 4)
    place = 4 + width + length
    if start[place : place + 4] != b"\x18\x53\x80\x67":
        return 0
    length, width = _ebml_size(start, place + 4)
    unknown = length == (1 << 7 * width) - 1
    return 0 if unknown or not width else place + 4 + width + length


def _ebml_size(data: bytes, place: int) -> tuple[int, int]:
    """Decode an EBML size, and the number of its bytes: the leading zeros of the first byte, plus one."""
    if place >= len(data) or not data[place]:
        return 0, 0
    width = 9 - data[place].bit_length()
    value = int.from_bytes(data[place : place + width], "big")
    return value & ((1 << 7 * width) - 1), width
