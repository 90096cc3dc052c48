"""Cases of classifiers: the center crop of an image, and the most probable classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfyolo.data.images.center_crop import center_crop
from tfyolo.export.runtime.decode import softmax
from tfyolo.inference.classification import Classification

Case = dict[str, Any]

_CROPS = {
    "landscape": ((21, 34), (8, 8)),
    "portrait": ((35, 18), (8, 8)),
    "halved exactly": ((16, 24), (8, 8)),
    "a third exactly": ((27, 24), (8, 8)),
    "a little smaller": ((17, 19), (16, 16)),
    "enlarged": ((5, 7), (16, 16)),
    "equal after the crop": ((8, 13), (8, 8)),
    "equal": ((9, 9), (9, 9)),
    "input not square, wide": ((30, 41), (6, 12)),
    "input not square, tall": ((25, 40), (12, 6)),
    "input not square, a third exactly": ((24, 50), (8, 12)),
    "one side of an odd remainder": ((22, 33), (11, 11)),
    "4.5 rounds to 4": ((3, 9), (2, 3)),
    "7.5 rounds to 8": ((5, 11), (2, 3)),
    "one pixel": ((1, 1), (4, 4)),
    "one row": ((1, 40), (4, 4)),
}
"""Sizes of image and input, (height, width) in pixels."""


def crop_cases() -> list[Case]:
    """Pixels of an image and of the classifier's input, RGB rows one after the other."""
    rng = np.random.default_rng(9)
    cases = []
    for name, (image_size, target_hw) in _CROPS.items():
        image = rng.integers(0, 256, (*image_size, 3), np.uint8)
        cases.append(
            {
                "name": name,
                "image_hw": image_size,
                "target_hw": target_hw,
                "pixels_in": image.ravel().tolist(),
                "pixels_out": center_crop(image, target_hw).ravel().tolist(),
            }
        )
    return cases


def top_cases() -> list[Case]:
    """Probabilities of classes, and the most probable ones; of raw files, logits instead of probabilities.

    Probabilities are multiples of 1/256; equal ones keep the order of the classes. Logits are the logarithms
    of whole numbers, so that their softmax can be checked by hand.
    """
    wanted = {
        "five of ten": ([0, 2, 120, 4, 30, 3, 60, 1, 20, 16], 5),
        "ties keep the order of the classes": ([32, 64, 32, 64, 32, 32], 5),
        "fewer classes than asked for": ([56, 200], 5),
        "one class": ([256], 5),
        "one of three": ([100, 101, 55], 1),
        "zeros": ([0, 0, 256, 0, 0, 0, 0], 5),
    }
    cases = [
        _top_case(name, count, probabilities=np.float32(np.array(values) / 256))
        for name, (values, count) in wanted.items()
    ]
    logits = np.round(np.log(np.array([1, 5, 2, 8, 4, 2])), 4)
    return [*cases, _top_case("logits", 3, logits=logits), _top_case("large logits", 2, logits=logits + 500)]


def _top_case(
    name: str, count: int, probabilities: np.ndarray | None = None, logits: np.ndarray | None = None
) -> Case:
    outputs = {"probabilities": probabilities} if logits is None else {"logits": logits}
    values = softmax(np.float32(logits)) if probabilities is None else probabilities
    names = tuple(f"class {i}" for i in range(len(values)))
    found = Classification(values, names, np.zeros((1, 1, 3), np.uint8), None, {})
    return {
        "name": name,
        **{key: np.asarray(value).tolist() for key, value in outputs.items() if value is not None},
        "count": count,
        "top": [
            {"class": index, "name": label, "probability": round(value, 4)}
            for index, label, value in found.top(count)
        ],
    }
