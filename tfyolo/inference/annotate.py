"""Drawing results, by supervision's annotators."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tfyolo.inference.results import Result


def annotate(
    result: Result, *, labels: bool = True, confidences: bool = True, thickness: int | None = None
) -> np.ndarray:
    """Boxes in one colour a class and labels that do not cover each other.

    Args:
        result: what to draw.
        labels: write class names.
        confidences: write scores after them.
        thickness: of lines, in pixels; chosen by the image's size by default.

    Returns:
        uint8 (height, width, 3) RGB, a copy.
    """
    import supervision as sv

    height, width = result.image.shape[:2]
    detections = result.to_supervision()
    scene = np.ascontiguousarray(result.image).copy()
    thickness = thickness or max(round((height + width) / 2 * 0.003), 2)
    # The annotators think in BGR; their colours must come out right in RGB.
    palette = sv.ColorPalette([sv.Color(c.b, c.g, c.r) for c in sv.ColorPalette.DEFAULT.colors])
    scene = sv.BoxAnnotator(color=palette, thickness=thickness).annotate(scene, detections)
    if not labels or not len(result):
        return scene
    texts = [
        f"{result.names[index]} {score:.2f}" if confidences else result.names[index]
        for index, score in zip(result.classes, result.scores, strict=True)
    ]
    scale = max((height + width) / 2 * 0.0008, 0.4)
    annotator = sv.LabelAnnotator(
        color=palette,
        text_color=sv.Color.BLACK,
        text_scale=scale,
        text_thickness=max(thickness // 2, 1),
        text_padding=max(thickness, 3),
        smart_position=len(result) <= 100,
    )
    return annotator.annotate(scene, detections, texts)
