"""Mosaic plots of up to sixteen images with boxes and masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.export.runtime.predictions import Detections
from tfyolo.files import atomic
from tfyolo.inference.boxes import Array
from tfyolo.inference.drawing.annotate import draw_boxes
from tfyolo.inference.drawing.draw_masks import draw_masks
from tfyolo.inference.segmentation.masks import Masks

MAX_TILES = 16
MAX_WIDTH = 1920
MIN_CONFIDENCE = 0.25
"""Less confident predictions are not drawn."""
_GAP = 4  # pixels between tiles
_GRAY = 114  # the letterbox's


@dataclass(frozen=True)
class Example:
    """An image of a validation with its ground truth and predictions, in pixels of the input.

    Attributes:
        image: uint8 (height, width, 3) RGB, letterboxed.
        title: name of the image.
        labels_xyxy_px: (n, 4) corners of the labels.
        label_classes: (n,) class ids of the labels.
        found: predictions.
        label_masks: masks of the labels; None for a detector.
        found_masks: masks of the predictions.
    """

    image: Array
    title: str
    labels_xyxy_px: Array
    label_classes: Array
    found: Detections
    label_masks: Masks | None = None
    found_masks: Masks | None = None


def save_examples(examples: Sequence[Example], names: Sequence[str], folder: Path) -> None:
    """Write mosaics of 16 images each: val_batch0_labels.jpg with the ground truth, val_batch0_pred.jpg.

    Args:
        examples: images; their predictions are all drawn.
        names: class names.
        folder: output folder.
    """
    for number, start in enumerate(range(0, len(examples), MAX_TILES)):
        shown = examples[start : start + MAX_TILES]
        images, titles = [one.image for one in shown], [one.title for one in shown]
        mosaic(
            images,
            [one.labels_xyxy_px for one in shown],
            [one.label_classes for one in shown],
            names,
            folder / f"val_batch{number}_labels.jpg",
            titles=titles,
            masks=[one.label_masks for one in shown],
        )
        mosaic(
            images,
            [one.found.boxes_xyxy_px for one in shown],
            [one.found.class_ids for one in shown],
            names,
            folder / f"val_batch{number}_pred.jpg",
            confidences=[one.found.scores for one in shown],
            titles=titles,
            masks=[one.found_masks for one in shown],
        )


def mosaic(
    images: Sequence[Array],
    boxes_xyxy_px: Sequence[Array],
    classes: Sequence[Array],
    names: Sequence[str],
    path: str | Path,
    *,
    confidences: Sequence[Array] | None = None,
    titles: Sequence[str] | None = None,
    masks: Sequence[Masks | None] | None = None,
) -> Path:
    """Write up to 16 images with boxes and masks as one JPEG, such as val_batch0_labels.jpg.

    Args:
        images: uint8 (height, width, 3) RGB, of any sizes; only the first 16 are used.
        boxes_xyxy_px: (n, 4) corners in pixels per image.
        classes: (n,) class ids per image.
        names: class names.
        path: the file to write.
        confidences: (n,) confidences per image, drawn after the names.
        titles: a line of text per image, such as the file name.
        masks: n masks per image, at its size; None for an image without.

    Returns:
        `path`.

    Raises:
        TfyoloError: there are no images, or the file cannot be written.
    """
    import cv2

    if not len(images):
        raise TfyoloError("a mosaic needs at least one image", path=path)
    count = min(len(images), MAX_TILES)
    columns = int(np.ceil(np.sqrt(count)))
    rows = int(np.ceil(count / columns))
    largest = max(max(image.shape[:2]) for image in images[:count])
    tile = min(largest, (MAX_WIDTH - _GAP * (columns + 1)) // columns)
    step = tile + _GAP
    canvas = np.full((rows * step + _GAP, columns * step + _GAP, 3), 255, np.uint8)
    for index in range(count):
        image = images[index]
        if masks is not None and (drawn := masks[index]) is not None:
            image = draw_masks(image, drawn.patches, drawn.corners_xy, np.asarray(classes[index]))
        tile_image, ratio, pad_xy = _fit(image, tile)
        boxes = np.asarray(boxes_xyxy_px[index], np.float32).reshape(-1, 4) * ratio + np.tile(pad_xy, 2)
        conf = None if confidences is None else np.asarray(confidences[index], np.float32)
        tile_image = _draw(tile_image, boxes, np.asarray(classes[index], np.int64), conf, names)
        if titles is not None:
            _title(tile_image, titles[index])
        row, column = divmod(index, columns)
        top, left = _GAP + row * step, _GAP + column * step
        canvas[top : top + tile, left : left + tile] = tile_image
    path = Path(path)
    done, data = cv2.imencode(".jpg", cv2.cvtColor(canvas, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])
    if not done:
        raise TfyoloError("cannot be encoded as JPEG", path=path)
    with atomic(path) as temporary:
        temporary.write_bytes(data.tobytes())
    return path


def _fit(image: Array, tile: int) -> tuple[Array, float, Array]:
    """Center the image in a gray square, without enlarging it; returns it with ratio and padding."""
    import cv2

    height, width = image.shape[:2]
    ratio = min(tile / height, tile / width, 1.0)
    size = max(round(width * ratio), 1), max(round(height * ratio), 1)
    left, top = (tile - size[0]) // 2, (tile - size[1]) // 2
    square = np.full((tile, tile, 3), _GRAY, np.uint8)
    resized = image if ratio == 1 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    square[top : top + size[1], left : left + size[0]] = resized
    return square, ratio, np.array([left, top], np.float32)


def _draw(image: Array, boxes: Array, classes: Array, conf: Array | None, names: Sequence[str]) -> Array:
    """Draw boxes, class names and optional confidences."""
    labels = [
        str(names[class_id]) + ("" if conf is None else f" {conf[index]:.2f}")
        for index, class_id in enumerate(classes)
    ]
    return draw_boxes(image, boxes, classes, labels, thickness=2, text_px=11)


def _title(image: Array, text: str) -> None:
    """Draw white text on a dark strip at the lower edge; the upper edge has labels of tall boxes."""
    import cv2

    height = image.shape[0]
    text = text[: image.shape[1] // 7]  # a letter is about 7 pixels wide
    image[height - 18 :] = image[height - 18 :] // 3
    cv2.putText(image, text, (5, height - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255, 255, 255), 1, cv2.LINE_AA)
