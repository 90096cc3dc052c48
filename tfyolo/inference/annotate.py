"""Drawing boxes and labels, with Pillow, which also draws names that are not ASCII."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfyolo.inference.palette import class_color, text_color

if TYPE_CHECKING:
    from tfyolo.inference.results import Result

_SPREAD_UP_TO = 100
"""Labels are moved apart in images with at most this many boxes; more of them have no free places anyway."""
Rectangle = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels."""


def annotate(
    result: Result, *, labels: bool = True, confidences: bool = True, thickness: int | None = None
) -> np.ndarray:
    """The image of a result with its boxes and labels.

    Args:
        result: what to draw.
        labels: write class names.
        confidences: write scores after them.
        thickness: line width in pixels; chosen from the size of the image by default.

    Returns:
        uint8 (height, width, 3) RGB, a copy.
    """
    texts = None
    if labels:
        texts = [
            f"{result.names[index]} {score:.2f}" if confidences else result.names[index]
            for index, score in zip(result.class_ids, result.scores, strict=True)
        ]
    mean_side = sum(result.image.shape[:2]) / 2
    return draw_boxes(
        result.image,
        result.boxes_xyxy_px,
        result.class_ids,
        texts,
        thickness=thickness or max(round(mean_side * 0.003), 2),
        text_px=max(round(mean_side * 0.024), 11),
    )


def draw_boxes(
    image: np.ndarray,
    boxes_xyxy_px: np.ndarray,
    class_ids: np.ndarray,
    labels: Sequence[str] | None,
    *,
    thickness: int,
    text_px: int,
) -> np.ndarray:
    """Draw boxes in the colors of their classes.

    Args:
        image: uint8 (height, width, 3) RGB.
        boxes_xyxy_px: (n, 4) corners in pixels of the image, best first.
        class_ids: (n,) class indices.
        labels: text of each box, or None.
        thickness: line width in pixels.
        text_px: font size in pixels.

    Returns:
        uint8 (height, width, 3) RGB, a copy. Each label is above its box where there is room, else at another
        corner of it; labels do not cover each other as long as one of these places is free.
    """
    from PIL import Image, ImageDraw, ImageFont

    if not len(boxes_xyxy_px):
        return image.copy()
    scene = Image.fromarray(image)
    draw = ImageDraw.Draw(scene)
    colors = [class_color(int(index)) for index in class_ids]
    # The last one drawn is on top: the best.
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
    places = place_labels(boxes_xyxy_px, widths, height, scene.size, spread=len(labels) <= _SPREAD_UP_TO)
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
    """Places for the labels of boxes, inside of the image.

    Args:
        boxes_xyxy_px: (n, 4) corners; earlier boxes choose first.
        widths: of each label, in pixels.
        height: of every label, in pixels.
        image_wh: width and height of the image.
        spread: avoid the labels placed before.

    Returns:
        A rectangle per label: above the box, below it, or inside at one of its corners, whichever comes first
        without covering another label; where all do, the one that covers least.
    """
    taken = np.zeros((0, 4), np.int64)
    for box, width in zip(boxes_xyxy_px, widths, strict=True):
        left, top, right, bottom = (round(float(v)) for v in box)
        corners = np.array(
            [
                (left, top - height), (left, top), (left, bottom), (right - width, top - height),
                (right - width, bottom), (right - width, top), (left, bottom - height),
                (right - width, bottom - height),
            ]
        )  # fmt: skip
        room = np.maximum(np.array(image_wh) - (width, height), 0)
        # Places that fit without being moved come first.
        inside = ((corners >= 0) & (corners <= room)).all(1)
        corners = np.clip(corners, 0, room)
        candidates = np.concatenate([corners, corners + np.array([width, height])], 1)
        covered = _overlap(candidates, taken).sum(1) if spread else np.zeros(len(candidates))
        best = np.lexsort((np.arange(len(candidates)), ~inside, covered))[0]
        taken = np.concatenate([taken, candidates[best : best + 1]])
    return [(int(a), int(b), int(c), int(d)) for a, b, c, d in taken]


def _overlap(a_xyxy: np.ndarray, b_xyxy: np.ndarray) -> np.ndarray:
    """(n, m) areas of intersection in pixels."""
    low = np.maximum(a_xyxy[:, None, :2], b_xyxy[None, :, :2])
    high = np.minimum(a_xyxy[:, None, 2:], b_xyxy[None, :, 2:])
    return np.prod(np.maximum(high - low, 0), axis=2)
