"""Instance masks: assembled from prototypes and coefficients, and stored as patches of the image.

The probability of a mask is the sigmoid of the prototypes, weighted by the coefficients of its box. Masks are
cropped to their boxes and enlarged; YOLOv5 has both orders. Cropping first is the default, as in its
predictions; enlarging first (`retina_masks`) gives the sharper borders, at a higher cost.

Source: Bolya et al. 2019, YOLACT, section 3.3; the rounding at borders is that of YOLOv5 v7.0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from tfyolo.data.images.letterbox import Letterbox
from tfyolo.export.runtime.decode import sigmoid
from tfyolo.export.runtime.predictions import Detections

THRESHOLD = 0.5
"""Probability above which a pixel belongs to the object."""
_MIN_POINTS = 3


@dataclass(frozen=True, eq=False)
class Masks:
    """Boolean instance masks of one image, of which only the patches around the objects are stored.

    Attributes:
        patches: one bool (height, width) array per object.
        corners_xy: (n, 2) int64, left and top of each patch in pixels of the image.
        image_size: (height, width) of the image in pixels.

    Example:
        >>> masks = Masks((np.ones((2, 3), bool),), np.array([[4, 1]]), (8, 8))
        >>> masks.dense().shape, masks.areas_px.tolist()
        ((1, 8, 8), [6])
        >>> masks.polygons()[0][0].tolist()
        [[4.0, 1.0], [4.0, 2.0], [6.0, 2.0], [6.0, 1.0]]
    """

    patches: tuple[np.ndarray, ...]
    corners_xy: np.ndarray
    image_size: tuple[int, int]

    @classmethod
    def empty(cls, image_size: tuple[int, int]) -> Masks:
        """Return no masks of an image of (height, width) pixels."""
        return cls((), np.zeros((0, 2), np.int64), image_size)

    @classmethod
    def of_index(cls, index: np.ndarray, order: np.ndarray) -> Masks:
        """Return the objects of an index mask, each in its bounding box.

        Args:
            index: int (height, width), where k marks the k-th object of `order` and 0 none.
            order: int (n,) positions that objects 1, 2, ... get in the result.

        Example:
            >>> masks = Masks.of_index(np.array([[2, 2, 1, 0]]), np.array([1, 0]))
            >>> [patch.shape for patch in masks.patches], masks.corners_xy.tolist()
            ([(1, 2), (1, 1)], [[0, 0], [2, 0]])
        """
        corners = np.zeros((len(order), 2), np.int64)
        patches = [np.zeros((0, 0), bool)] * len(order)
        for number, position in enumerate(order.tolist(), 1):
            mask = index == number
            x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
            corners[position], patches[position] = (x, y), mask[y : y + height, x : x + width]
        return cls(tuple(patches), corners, (index.shape[0], index.shape[1]))

    def __len__(self) -> int:
        return len(self.patches)

    def dense(self) -> np.ndarray:
        """Return all masks at the size of the image, bool (n, height, width)."""
        masks = np.zeros((len(self), *self.image_size), bool)
        for mask, patch, (left, top) in zip(masks, self.patches, self.corners_xy, strict=True):
            mask[top : top + patch.shape[0], left : left + patch.shape[1]] = patch
        return masks

    @property
    def areas_px(self) -> np.ndarray:
        """(n,) int64: number of pixels of each mask."""
        return np.array([int(patch.sum()) for patch in self.patches], np.int64)

    def polygons(self) -> list[list[np.ndarray]]:
        """Return the outlines of each mask, largest part first; holes are not outlined.

        Returns:
            For each object a list of its parts, float32 (k, 2) x and y of border pixels in pixels of the
            image. A part of fewer than three points is left out.
        """
        return [_parts(patch, corner) for patch, corner in zip(self.patches, self.corners_xy, strict=True)]


def _parts(patch: np.ndarray, corner_xy: np.ndarray) -> list[np.ndarray]:
    """Return the outlines of one mask, largest first."""
    if not patch.any():
        return []
    found, _ = cv2.findContours(patch.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    parts = [part.reshape(-1, 2) for part in found if len(part) >= _MIN_POINTS]
    parts.sort(key=cv2.contourArea, reverse=True)
    return [(part + corner_xy).astype(np.float32) for part in parts]


def mask_probabilities(coefficients: np.ndarray, prototypes: np.ndarray) -> np.ndarray:
    """Compute the probability of each mask at the size of the prototypes, not yet cropped.

    Args:
        coefficients: (n, k) float32.
        prototypes: (height, width, k) float32.

    Returns:
        (n, height, width) float32 in 0..1.

    Example:
        >>> mask_probabilities(np.float32([[0, 1]]), np.float32([[[5, 0], [5, 80]]])).tolist()
        [[[0.5, 1.0]]]
    """
    height, width, count = prototypes.shape
    logits = coefficients @ prototypes.reshape(-1, count).T
    return sigmoid(logits).reshape(-1, height, width)


def crop_masks(masks: np.ndarray, boxes_xyxy: np.ndarray) -> np.ndarray:
    """Set masks to zero outside of their boxes.

    Args:
        masks: (n, height, width).
        boxes_xyxy: (n, 4) corners in pixels of the masks; a pixel is inside if its index is not below the
            left and top, and is below the right and bottom.

    Returns:
        A copy, (n, height, width).

    Example:
        >>> crop_masks(np.ones((1, 1, 4)), np.array([[0.5, 0, 3, 1]])).tolist()
        [[[0.0, 1.0, 1.0, 0.0]]]
    """
    cropped = np.zeros_like(masks)
    for out, mask, (left, top, right, bottom) in zip(cropped, masks, boxes_xyxy, strict=True):
        inside = _span(top, bottom, mask.shape[0]), _span(left, right, mask.shape[1])
        out[inside] = mask[inside]
    return cropped


def prototype_masks(found: Detections, input_size: tuple[int, int]) -> Masks:
    """Return the masks of detections at the size of the prototypes, cropped to their boxes.

    These are the masks that validation compares with the ground truth.

    Args:
        found: detections with coefficients and prototypes, or with masks, in pixels of the input.
        input_size: (height, width) of the letterboxed input in pixels.

    Returns:
        Masks with the size of the prototypes; no masks if the detections have none.
    """
    if found.masks is not None:
        height, width = found.masks.shape[1:]
    elif found.coefficients is not None and found.prototypes is not None:
        height, width = found.prototypes.shape[:2]
    else:
        return Masks.empty(input_size)
    boxes = found.boxes_xyxy_px * np.tile([width / input_size[1], height / input_size[0]], 2)
    patches: list[np.ndarray] = []
    corners: list[tuple[int, int]] = []
    for number, (left, top, right, bottom) in enumerate(boxes.tolist()):
        rows, columns = _span(top, bottom, height), _span(left, right, width)
        patches.append(_patch(found, number, rows, columns))
        corners.append((columns.start, rows.start))
    return Masks(tuple(patches), np.array(corners, np.int64).reshape(-1, 2), (height, width))


def _patch(found: Detections, number: int, rows: slice, columns: slice) -> np.ndarray:
    """Return one mask inside of its box, bool; see `prototype_masks`.

    Args:
        found: the detections.
        number: index of the detection.
        rows: rows of the prototypes inside of its box.
        columns: columns of the prototypes inside of its box.
    """
    if found.masks is not None:
        return np.asarray(found.masks[number, rows, columns] > THRESHOLD)
    assert found.coefficients is not None
    assert found.prototypes is not None
    # Only the cells of the box are needed. One product for all masks would start the threads of BLAS,
    # which compete with those of the network and of the images.
    logits = np.einsum("hwk,k->hw", found.prototypes[rows, columns], found.coefficients[number])
    return np.asarray(logits > 0)  # where the sigmoid is over `THRESHOLD`


def crop_then_enlarge(
    coefficients: np.ndarray, prototypes: np.ndarray, boxes_xyxy_px: np.ndarray, letterbox: Letterbox
) -> Masks:
    """Assemble masks, crop them at the size of the prototypes, and enlarge them to the image.

    Args:
        coefficients: (n, k) float32.
        prototypes: (height / 4, width / 4, k) float32 of the letterboxed image.
        boxes_xyxy_px: (n, 4) corners in pixels of the input.
        letterbox: mapping from the image to the input.

    Returns:
        Masks of the image.
    """
    return enlarge_masks(mask_probabilities(coefficients, prototypes), boxes_xyxy_px, letterbox)


def enlarge_masks(masks: np.ndarray, boxes_xyxy_px: np.ndarray, letterbox: Letterbox) -> Masks:
    """Crop masks of the size of the prototypes to their boxes, and enlarge them to the image.

    Args:
        masks: (n, height / 4, width / 4) float32 in 0..1 of the letterboxed image, cropped or not.
        boxes_xyxy_px: (n, 4) corners in pixels of the input.
        letterbox: mapping from the image to the input.

    Returns:
        Masks of the image.
    """
    if not len(masks):
        return Masks.empty(letterbox.image_size)
    scale = letterbox.out_hw[0] // masks.shape[1]
    (image_height, image_width), (pad_x, pad_y) = letterbox.image_size, letterbox.pad_xy
    patches, corners = [], []
    for mask, box in zip(masks, boxes_xyxy_px / scale, strict=True):
        left, top, right, bottom = box
        rows = _Axis.of(_span(top, bottom, mask.shape[0]), mask.shape[0], scale)
        columns = _Axis.of(_span(left, right, mask.shape[1]), mask.shape[1], scale)
        cropped = np.zeros((rows.size, columns.size), np.float32)
        cropped[rows.kept, columns.kept] = mask[rows.inside, columns.inside]
        enlarged = _resample(cropped, rows.enlarged, columns.enlarged)
        y, row_positions = rows.in_image(letterbox.ratio, pad_y, image_height)
        x, column_positions = columns.in_image(letterbox.ratio, pad_x, image_width)
        patches.append(_resample(enlarged, row_positions, column_positions) > THRESHOLD)
        corners.append((x, y))
    return Masks(tuple(patches), np.array(corners, np.int64).reshape(-1, 2), letterbox.image_size)


def enlarge_then_crop(
    coefficients: np.ndarray,
    prototypes: np.ndarray,
    boxes_xyxy_px: np.ndarray,
    image_size: tuple[int, int],
    gain: float | None = None,
) -> Masks:
    """Assemble masks, enlarge them to the image, and crop them there (`retina_masks`).

    Args:
        coefficients: (n, k) float32.
        prototypes: (height / 4, width / 4, k) float32 of the letterboxed image; the border of the letterbox
            is cut off in whole cells, as in YOLOv5.
        boxes_xyxy_px: (n, 4) corners in pixels of the image.
        image_size: (height, width) of the image in pixels.
        gain: cells of the prototypes per pixel of the image; by default, the image fills the letterbox.

    Returns:
        Masks of the image.
    """
    (height, width), cells = image_size, prototypes.shape[:2]
    gain = gain or min(cells[0] / height, cells[1] / width)
    pads = [(cell - side * gain) / 2 for cell, side in zip(cells, image_size, strict=True)]
    rows, columns = (
        slice(int(pad), max(int(cell - pad), int(pad) + 1)) for pad, cell in zip(pads, cells, strict=True)
    )
    patches, corners = [], []
    for mask, box in zip(
        mask_probabilities(coefficients, prototypes[rows, columns]), boxes_xyxy_px, strict=True
    ):
        y, x = _span(box[1], box[3], height), _span(box[0], box[2], width)
        positions = (
            (np.arange(span.start, span.stop) + 0.5) * size / side - 0.5
            for span, size, side in zip((y, x), mask.shape, image_size, strict=True)
        )
        patches.append(_resample(mask, *positions) > THRESHOLD)
        corners.append((x.start, y.start))
    return Masks(tuple(patches), np.array(corners, np.int64).reshape(-1, 2), image_size)


@dataclass(frozen=True)
class _Axis:
    """One axis of a mask that is cropped and then enlarged.

    Attributes:
        inside: cells of the prototypes inside the box.
        start: first cell of the cut, which has a cell more on each side, since interpolation reaches it.
        size: number of cells of the cut.
        scale: pixels of the input per cell.
    """

    inside: slice
    start: int
    size: int
    scale: int

    @classmethod
    def of(cls, inside: slice, cells: int, scale: int) -> _Axis:
        start, stop = max(inside.start - 1, 0), min(inside.stop + 1, cells)
        return cls(inside, start, stop - start, scale)

    @property
    def kept(self) -> slice:
        """The cells inside the box, counted from the start of the cut."""
        return slice(self.inside.start - self.start, self.inside.stop - self.start)

    @property
    def enlarged(self) -> np.ndarray:
        """Positions of the pixels of the input in cells of the cut."""
        return (np.arange(self.size * self.scale) + 0.5) / self.scale - 0.5

    def in_image(self, ratio: float, pad: float, length: int) -> tuple[int, np.ndarray]:
        """Return the first pixel of the image in the cut, and the position of each in the enlarged cut."""
        low, high = (cell * self.scale - pad for cell in (self.start, self.start + self.size))
        first, last = (
            min(max(edge, 0), length) for edge in (math.floor(low / ratio), math.ceil(high / ratio))
        )
        positions = (np.arange(first, last) + 0.5) * ratio + pad - 0.5 - self.start * self.scale
        return first, positions


def _span(low: float, high: float, size: int) -> slice:
    """Return the indices from `low` up to, not including, `high`, within 0..size."""
    start, stop = (min(max(math.ceil(edge), 0), size) for edge in (low, high))
    return slice(start, max(start, stop))


def _resample(values: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Interpolate bilinearly between cell centers; outside of them the nearest value counts.

    Args:
        values: (height, width) float32.
        rows: positions along the height, in cells.
        columns: positions along the width.

    Returns:
        (len(rows), len(columns)) float32.
    """
    for axis, positions in enumerate((rows, columns)):
        last = values.shape[axis] - 1
        positions = np.clip(positions, 0, last)
        low = positions.astype(np.int64)
        weight = (positions - low).astype(np.float32)
        weight = weight[:, None] if axis == 0 else weight
        below, above = (np.take(values, index, axis) for index in (low, np.minimum(low + 1, last)))
        values = below + (above - below) * weight
    return values
