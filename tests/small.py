"""A small network that sees something: random weights, heads rescaled on two photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.shared import SHARED, require_shared
from tfyolo.data.images.center_crop import center_crop
from tfyolo.data.images.letterbox import Letterbox
from tfyolo.data.images.read import read_image
from tfyolo.inference.classification import ClassificationPredictor
from tfyolo.inference.detection import DetectionPredictor
from tfyolo.inference.segmentation.predictor import SegmentationPredictor
from tfyolo.models.build import call_heads

IMAGES = [SHARED / "images" / name for name in ("bus.jpg", "zidane.jpg")]


def letterboxed(hw: tuple[int, int]) -> np.ndarray:
    """The photographs, uint8 (2, height, width, 3)."""
    require_shared()
    images = [read_image(path) for path in IMAGES]
    return np.stack([Letterbox.fit(image.shape[:2], hw).apply(image) for image in images])


def confident(classes: int, hw: tuple[int, int], config: str = "tiny.yaml") -> DetectionPredictor:
    """A configuration of this folder with random weights, rescaled so that it sees things here and there."""
    import keras

    from tfyolo.inference.load import create_predictor

    keras.utils.set_random_seed(classes)
    names = tuple(f"thing{i}" for i in range(classes))
    detector = create_predictor(
        Path(__file__).with_name(config), num_classes=classes, image_size=hw, names=names
    )
    return rescaled(detector, hw)


def rescaled(
    detector: DetectionPredictor, hw: tuple[int, int], images: np.ndarray | None = None
) -> DetectionPredictor:
    """The same detector, its heads rescaled so that its outputs vary between the boxes of an image.

    Args:
        detector: with random weights.
        hw: size of the images in pixels.
        images: uint8 (n, height, width, 3); the photographs by default.
    """
    if images is None:
        images = letterboxed(hw)
    spec = detector.contract.spec
    anchors = spec.anchors_per_scale
    sizes = [4, 1 + len(detector.names), detector.contract.num_coefficients or 0]
    spread, middle = np.repeat([1.0, 2.0, 1.5], sizes), np.repeat([0.0, -3.0, 0.0], sizes)
    heads = call_heads(detector.model, images / np.float32(255))
    for i, head in enumerate(heads[: len(detector.contract.strides)]):
        layer = detector.model.get_layer(f"model.{spec.head.index}.m.{i}")
        values = np.asarray(head).reshape(-1, head.shape[-1])
        scale = np.tile(spread, anchors) / values.std(0)
        kernel, bias = layer.get_weights()
        layer.set_weights([kernel * scale, (bias - values.mean(0)) * scale + np.tile(middle, anchors)])
    return detector


def decided(names: tuple[str, ...], hw: tuple[int, int], paths: list[Path]) -> ClassificationPredictor:
    """`tiny-cls.yaml` with random weights, its last layer rescaled so that it tells some images apart."""
    import keras

    from tfyolo.inference.load import create_predictor

    keras.utils.set_random_seed(0)
    classifier = create_predictor(Path(__file__).with_name("tiny-cls.yaml"), names=names, image_size=hw)
    images = np.stack([center_crop(read_image(path), hw) for path in paths])
    for layer in classifier.model.layers:  # signals would vanish in the untrained normalization
        if type(layer).__name__ == "Conv2D":
            layer.set_weights([4 * layer.get_weights()[0], *layer.get_weights()[1:]])
    logits = np.asarray(classifier.model(images / np.float32(255))).reshape(len(paths), -1)
    layer = next(layer for layer in reversed(classifier.model.layers) if layer.weights)
    kernel, bias = layer.get_weights()
    scale = 1.5 / logits.std(0)
    layer.set_weights([kernel * scale, (bias - logits.mean(0)) * scale])
    return classifier


def finding(names: tuple[str, ...], hw: tuple[int, int], paths: list[Path]) -> SegmentationPredictor:
    """`tiny-seg.yaml` with random weights, rescaled so that it finds objects with masks in some images."""
    import keras

    from tfyolo.inference.load import create_predictor

    keras.utils.set_random_seed(0)
    path = Path(__file__).with_name("tiny-seg.yaml")
    segmenter = create_predictor(path, names=names, image_size=hw)
    for layer in segmenter.model.layers:  # signals would vanish in the untrained normalization
        if type(layer).__name__ == "Conv2D" and not layer.use_bias:
            layer.set_weights([4 * layer.get_weights()[0]])
    images = [read_image(path) for path in paths]
    return rescaled(segmenter, hw, np.stack([Letterbox.fit(i.shape[:2], hw).apply(i) for i in images]))
