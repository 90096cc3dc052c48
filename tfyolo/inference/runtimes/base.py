"""What the detector asks of a runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain
from pathlib import Path
from typing import Protocol

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.inference.decode import decode, join_parts, softmax
from tfyolo.inference.predictions import Candidates, Detections, Prediction, Probabilities
from tfyolo.models.contract import FILE_NAME, Contract
from tfyolo.models.network import PARTS


class Runtime(Protocol):
    """Runs one model file."""

    contract: Contract
    input_hw: tuple[int, int] | None
    """Height and width that the input is fixed to; None where any multiple of the largest stride will do."""
    max_batch: int
    """Most images in one call."""

    def __call__(self, images: np.ndarray, confidence: float) -> list[Prediction]:
        """Predict.

        Args:
            images: uint8 (batch, height, width, 3) RGB, letterboxed.
            confidence: candidates of lower objectness may be left out.

        Returns:
            One prediction an image, in pixels of the input.
        """


OUTPUTS = (
    "detection_boxes", "detection_classes", "detection_scores", "num_detections", "boxes", "scores",
    "probabilities",
)  # fmt: skip
"""Names of an exported graph's outputs (docs/architecture.md); raw heads have `raw_outputs`."""
LOGITS = "logits"
"""The one raw output of a classifier."""


def raw_outputs(contract: Contract) -> list[tuple[str, ...]]:
    """Names of raw heads of box, objectness and classes, scale by scale; of a classifier its logits."""
    if contract.task == "classify":
        return [(LOGITS,)]
    return [tuple(f"{part}_{i}" for part in PARTS) for i in range(len(contract.strides))]


def known_outputs(contract: Contract) -> tuple[str, ...]:
    """All names that an exported graph's outputs may have."""
    return (*OUTPUTS, *chain.from_iterable(raw_outputs(contract)))


def pixels_of(image: np.ndarray, uint8: bool) -> np.ndarray:
    """A picture (height, width, 3) or several as an exported graph takes them: 0..255, or float32 in 0..1."""
    return image if uint8 else np.multiply(image, 1 / 255, dtype=np.float32)


def folder_contract(path: Path, format_name: str) -> Contract:
    """The contract in an exported folder.

    Raises:
        TfyoloError: there is none, or it is damaged.
    """
    try:
        text = (path / FILE_NAME).read_bytes()
    except OSError as error:
        raise TfyoloError(
            f"holds no {FILE_NAME}, so its classes and anchors are unknown",
            path=path,
            fix=f"write it with `tfyolo export --include {format_name}`",
        ) from error
    return Contract.from_json(text, path / FILE_NAME)


def check_input(name: str, shape: tuple[object, ...], wanted: tuple[int, ...], path: Path) -> None:
    """Refuse a file whose one input is not what its contract says.

    Raises:
        TfyoloError: another name or shape (both without the batch).
    """
    if name != "images" or shape != wanted:
        raise TfyoloError(f"its input is `{name}` {shape}, not what its {FILE_NAME} says", path=path)


def predict(
    images: np.ndarray,
    run: Callable[[np.ndarray], Mapping[str, np.ndarray]],
    contract: Contract,
    confidence: float,
    max_batch: int = 1,
) -> list[Prediction]:
    """`Runtime.__call__` of an exported graph.

    Args:
        images: uint8 (batch, height, width, 3) RGB.
        run: from some of them, `max_batch` at most, to the graph's outputs by signature name.
        contract: of the file.
        confidence: candidates of lower objectness may be left out.
        max_batch: most images at once.
    """
    predictions: list[Prediction] = []
    for start in range(0, len(images), max_batch):
        part = images[start : start + max_batch]
        outputs = run(part)
        for i in range(len(part)):
            one = {name: values[i : i + 1] for name, values in outputs.items()}
            predictions.append(from_signature(one, contract, confidence))
    return predictions


def channels_first(images: np.ndarray) -> np.ndarray:
    """(batch, height, width, 3) as (batch, 3, height, width), contiguous."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def from_signature(outputs: Mapping[str, np.ndarray], contract: Contract, confidence: float) -> Prediction:
    """An exported graph's outputs, by signature name, as a prediction.

    Args:
        outputs: float arrays of one image.
        contract: of the file.
        confidence: candidates of lower objectness may be left out.
    """
    if "probabilities" in outputs:
        return Probabilities(np.asarray(outputs["probabilities"][0], np.float32))
    if LOGITS in outputs:
        return Probabilities(softmax(outputs[LOGITS][0]))
    height, width = contract.image_size
    scale = np.array([width, height, width, height], np.float32)
    if "num_detections" in outputs:
        count = int(outputs["num_detections"][0])
        boxes = outputs["detection_boxes"][0, :count][:, [1, 0, 3, 2]] * scale
        classes = outputs["detection_classes"][0, :count].astype(np.int64)
        return Detections(boxes, outputs["detection_scores"][0, :count], classes)
    if "boxes" in outputs:
        return Candidates(outputs["boxes"][0][:, [1, 0, 3, 2]] * scale, outputs["scores"][0])
    heads = [join_parts([outputs[name][0] for name in names]) for names in raw_outputs(contract)]
    return decode(heads, contract.anchors_px, contract.strides, confidence)
