"""Draw boxes and labels on images, with Pillow, which draws names that are not ASCII, too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfyolo.inference.drawing.palette import class_color, text_color

_MAX_SPREAD_LABELS = 100
"""Labels are moved apart in images with at most this many boxes; more have no free space anyway."""
Rectangle = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels."""


def draw_boxes(
    image: np.ndarray,
    boxes_xyxy_px: np.ndarray,
    class_ids: np.ndarray,
    labels: Sequence[str] | None,
    *,
    thickness: int,
    text_px: int,
) -> np.ndarray:
    """Draw boxes and their labels in the colors of their classes.

    Args:
        image: uint8 (height, width, 3) RGB.
        boxes_xyxy_px: (n, 4) float corners in pixels of the image, sorted by descending confidence.
        class_ids: (n,) integer class ids.
        labels: text of each box; None draws boxes only.
        thickness: line width in pixels.
        text_px: font size in pixels.

    Returns:
        uint8 (height, width, 3) RGB, a copy. A label is placed above its box if there is room, otherwise at
        another corner of the box, so that labels do not cover each other as long as one corner is free.

    Example:
        >>> image = np.zeros((48, 64, 3), np.uint8)
        >>> boxes = np.array([[8.0, 20, 40, 40]])
        >>> drawn = draw_boxes(image, boxes, np.array([0]), ["cell"], thickness=2, text_px=11)
        >>> drawn.shape, bool(drawn.any())
        ((48, 64, 3), True)
    """
    from PIL import Image, ImageDraw, ImageFont

    if not len(boxes_xyxy_px):
        return image.copy()
    scene = Image.fromarray(image)
    draw = ImageDraw.Draw(scene)
    colors = [class_color(int(index)) for index in class_ids]
    # In reverse, so that the most confident box is drawn last, on top of the others.
    order = range(len(colors))[::-1]
    for index in order:
        left, top, right, bottom = (round(float(v)) for v in boxes_xyxy_px[index])
        if right >= left and bottom >= top:
            draw.rectangle((left, top, right, bottom), outline=colors[index], width=thickness)
    if labels is None:
        return np.array(scene)
    font = ImageFont.load_default(text_px)
    pad = max(text_px // 5, 2)
    text_boxes = [draw.textbbox((0, 0), text, font=font) for text in labels]
    ascent, descent = font.getmetrics() if isinstance(font, ImageFont.FreeTypeFont) else (text_px, 0)
    height = ascent + descent + pad
    widths = [round(right - left) + 2 * pad for left, _, right, _ in text_boxes]
    places = place_labels(boxes_xyxy_px, widths, height, scene.size, spread=len(labels) <= _MAX_SPREAD_LABELS)
    for index in order:
        left, top, right, bottom = places[index]
        draw.rectangle((left, top, right - 1, bottom - 1), fill=colors[index])
        draw.text((left + pad, top + pad // 2), labels[index], fill=text_color(colors[index]), font=font)
    return np.array(scene)


def place_labels(
    boxes_xyxy_px: np.ndarray,
    widths: Sequence[int],
    height: int,
    image_wh: tuple[int, int],
    *,
    spread: bool = True,
) -> list[Rectangle]:
    """Choose the position of each label, inside the image.

    Args:
        boxes_xyxy_px: (n, 4) corners in pixels; labels of earlier boxes are placed first.
        widths: width of each label, in pixels.
        height: height of every label, in pixels.
        image_wh: (width, height) of the image in pixels.
        spread: avoid labels that are already placed.

    Returns:
        One rectangle per label, (left, top, right, bottom) in pixels: the first candidate around the box
        (above, below, inside at a corner) that covers no other label, or the one that covers least.

    Example:
        >>> place_labels(np.array([[10.0, 30, 50, 60]]), [20], 12, (64, 64))
        [(10, 18, 30, 30)]
    """
    taken = np.zeros((0, 4), np.int64)
    for box, width in zip(boxes_xyxy_px, widths, strict=True):
        left, top, right, bottom = (round(float(v)) for v in box)
        corners = np.array(
            [
                (left, top - height),
                (left, top),
                (left, bottom),
                (right - width, top - height),
                (right - width, bottom),
                (right - width, top),
                (left, bottom - height),
                (right - width, bottom - height),
            ]
        )
        room = np.maximum(np.array(image_wh) - (width, height), 0)
        # Candidates that lie inside the image without being moved are preferred.
        inside = ((corners >= 0) & (corners <= room)).all(1)
        corners = np.clip(corners, 0, room)
        candidates = np.concatenate([corners, corners + np.array([width, height])], 1)
        covered = _intersection_areas(candidates, taken).sum(1) if spread else np.zeros(len(candidates))
        best = np.lexsort((np.arange(len(candidates)), ~inside, covered))[0]
        taken = np.concatenate([taken, candidates[best : best + 1]])
    return [(int(a), int(b), int(c), int(d)) for a, b, c, d in taken]


def _intersection_areas(a_xyxy: np.ndarray, b_xyxy: np.ndarray) -> np.ndarray:
    """Intersection area of each rectangle of `a` with each of `b`, (n, m) in square pixels."""
    low = np.maximum(a_xyxy[:, None, :2], b_xyxy[None, :, :2])
    high = np.minimum(a_xyxy[:, None, 2:], b_xyxy[None, :, 2:])
    return np.prod(np.maximum(high - low, 0), axis=2)
