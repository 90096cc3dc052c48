"""Read a PNG mask, in which each color is one object, as an untrusted file."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np

from tfyolo.data.images.header import ImageError, parse_header
from tfyolo.data.images.read import read_bytes

MAX_OBJECTS = 2000
"""Colors of one mask; smoothed or compressed edges have thousands."""


def read_mask(path: Path) -> np.ndarray:
    """Read a mask: gray of 8 or 16 bits, palette or color; transparent pixels are background.

    Args:
        path: the file.

    Returns:
        int32 (height, width), a number from 1 per color, and 0 for black.

    Raises:
        ImageError: the file is not a PNG, damaged, too large, or has more than `MAX_OBJECTS` colors.
    """
    data = read_bytes(path)
    header = parse_header(BytesIO(data), len(data), path)  # limits the number of pixels
    if header.format != "PNG":
        raise ImageError(f"is not a PNG file but {header.format}", path=path, fix="save masks as PNG")
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None or pixels.shape[:2] != header.hw:
        raise ImageError("cannot be decoded: it is damaged", path=path, fix="save the mask again")
    colors = np.atleast_3d(pixels)
    code = np.zeros(header.hw, np.int64)
    for channel in range(min(colors.shape[2], 3) if colors.shape[2] != 2 else 1):
        code = code << 16 | colors[..., channel]
    if colors.shape[2] in (2, 4):
        code[colors[..., -1] == 0] = 0
    values, numbers = np.unique(code, return_inverse=True)
    if len(values) > MAX_OBJECTS:
        raise ImageError(
            f"has {len(values):,} colors, and each color is one object; at most {MAX_OBJECTS:,} are read",
            path=path,
            fix="draw masks without smooth edges, and never save them as JPEG",
        )
    return numbers.reshape(header.hw).astype(np.int32) + (0 if values[0] == 0 else 1)


def mask_objects(mask: np.ndarray) -> Iterator[tuple[int, int, np.ndarray]]:
    """Return each object of a mask with its position, in the order of the numbers.

    Args:
        mask: int (height, width), a number from 1 per object, and 0 for the background.

    Returns:
        For each object the x and y of its bounding box in pixels, and the mask in it, bool (h, w).

    Example:
        >>> [(x, y, part.tolist()) for x, y, part in mask_objects(np.array([[0, 2, 2], [1, 0, 2]]))]
        [(0, 1, [[True]]), (1, 0, [[True, True], [False, True]])]
    """
    places = np.flatnonzero(mask)
    numbers = mask.ravel()[places]
    order = np.argsort(numbers, kind="stable")
    starts = np.flatnonzero(np.diff(numbers[order], prepend=0))
    for group in np.split(places[order], starts[1:]) if len(starts) else []:
        rows, columns = np.divmod(group, mask.shape[1])
        top, left = rows[0], columns.min()
        part = mask[top : rows[-1] + 1, left : columns.max() + 1]
        yield int(left), int(top), part == mask[rows[0], columns[0]]
