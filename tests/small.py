"""A small network that sees something: random weights, heads rescaled on two photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.shared import SHARED
from tfyolo.data.images import read_image
from tfyolo.data.letterbox import Letterbox
from tfyolo.inference.detector import Detector

PICTURES = [SHARED / "images" / name for name in ("bus.jpg", "zidane.jpg")]


def letterboxed(hw: tuple[int, int]) -> np.ndarray:
    """The photographs, uint8 (2, height, width, 3)."""
    images = [read_image(path) for path in PICTURES]
    return np.stack([Letterbox.fit(image.shape[:2], hw).apply(image) for image in images])


def confident(classes: int, hw: tuple[int, int]) -> Detector:
    """tests/tiny.yaml with random weights, its heads rescaled so that they see things here and there."""
    import keras

    from tfyolo.inference.load import create

    keras.utils.set_random_seed(classes)
    names = tuple(f"thing{i}" for i in range(classes))
    detector = create(Path(__file__).with_name("tiny.yaml"), classes=classes, image_size=hw, names=names)
    spread = np.repeat([1.0, 2.0], [4, 1 + classes])
    middle = np.repeat([0.0, -3.0], [4, 1 + classes])
    for i, head in enumerate(detector.model(letterboxed(hw) / np.float32(255))):
        layer = detector.model.get_layer(f"model.12.m.{i}")
        values = np.asarray(head).reshape(-1, head.shape[-1])
        scale = np.tile(spread, 3) / values.std(0)
        kernel, bias = layer.get_weights()
        layer.set_weights([kernel * scale, (bias - values.mean(0)) * scale + np.tile(middle, 3)])
    return detector
