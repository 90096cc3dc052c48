"""Cases of segmentation models: cropped masks of the graph, and the masks of the image."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfyolo.data.images.letterbox import Letterbox
from tfyolo.inference.segmentation.masks import crop_masks, enlarge_masks

Case = dict[str, Any]

SCALE = 4
"""Pixels of the input per cell of a mask."""

_LETTERBOXES = {
    "padding above and below": ((30, 64), (64, 64)),
    "padding left and right": ((64, 30), (64, 64)),
    "odd padding": ((37, 61), (64, 64)),
    "image larger than the input": ((150, 200), (64, 64)),
    "image smaller than the input": ((13, 9), (64, 64)),
    "input not square": ((50, 90), (32, 64)),
    "no padding, equal size": ((64, 48), (64, 48)),
}
"""Sizes of image and input, (height, width) in pixels."""


def mask_cases() -> list[Case]:
    """Masks that a graph returns, their boxes in pixels of the input, and the patches of the image.

    `cells` are integers, row by row; a value is `cells / divisor`: 255 for the uint8 masks of integer models,
    and 256 for the float32 masks of float models, where it is exact. `bits` are the rows of a patch, of which
    each begins with a new byte, the leftmost pixel in the most significant bit.
    """
    rng = np.random.default_rng(10)
    cases = []
    for i, (name, (image_size, target_hw)) in enumerate(_LETTERBOXES.items()):
        divisor = (256, 255)[i % 2]
        fit = Letterbox.fit(image_size, target_hw)
        boxes = _boxes(rng, fit)
        cells = np.stack([_blob(rng, target_hw) for _ in boxes])
        cells = crop_masks(cells, boxes / SCALE)
        values = cells.astype(np.float32) / np.float32(divisor)
        found = enlarge_masks(values, boxes, fit)
        cases.append(
            {
                "name": name,
                "image_hw": image_size,
                "target_hw": target_hw,
                "mask_hw": list(cells.shape[1:]),
                "divisor": divisor,
                "boxes_xyxy_px": boxes.tolist(),
                "cells": [mask.ravel().tolist() for mask in cells],
                "corners_xy": found.corners_xy.tolist(),
                "patches_hw": [list(patch.shape) for patch in found.patches],
                "bits": [np.packbits(patch, axis=1).ravel().tolist() for patch in found.patches],
                "areas_px": found.areas_px.tolist(),
            }
        )
    return cases


def _boxes(rng: np.random.Generator, fit: Letterbox) -> np.ndarray:
    """Boxes in quarters of a pixel.

    One in the middle, two at corners of the image, one that extends beyond the input, a thin and an empty
    one.
    """
    height, width = fit.out_hw
    left, top = (4 * pad // 1 / 4 for pad in fit.pad_xy)
    middle = np.array([width, height]) / 2
    half = rng.integers(4, 4 * min(height, width) // 3, 2) / 4
    return np.float32(
        [
            [*(middle - half), *(middle + half)],
            [left, top, left + width / 2, top + height / 3],
            [width / 3 // 1, height / 2, width - left, height - top],
            [-6.5, -3.25, width + 9.75, height + 0.5],
            [middle[0], middle[1] - 6, middle[0] + 3.75, middle[1] + 6.25],
            [middle[0] + 0.25, middle[1], middle[0] + 0.25, middle[1] + 8],
        ]
    )


def _blob(rng: np.random.Generator, target_hw: tuple[int, int]) -> np.ndarray:
    """Smooth values of 0 to 255, as the probabilities of a real mask are, with some noise."""
    height, width = (size // SCALE for size in target_hw)
    y, x = np.mgrid[:height, :width]
    phase, speed = rng.uniform(0, 6, 2), rng.uniform(0.3, 0.8, 2)
    wave = np.sin(y * speed[0] + phase[0]) + np.cos(x * speed[1] + phase[1])
    noise = rng.normal(0, 0.3, (height, width))
    return np.clip(np.round(165 + 110 * (wave + noise)), 0, 255).astype(np.int64)
