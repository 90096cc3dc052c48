"""What the detector asks of a runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Protocol

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.inference.decode import decode, join_parts, softmax
from tfyolo.inference.predictions import Candidates, Detections, Prediction, Probabilities
from tfyolo.models.contract import FILE_NAME, Contract
from tfyolo.models.outputs import BOXES, DETECTIONS, LOGITS, PROBABILITIES, raw_outputs


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


MAX_JSON_BYTES = 16 * 1024 * 1024
"""Of a contract in a file of its own."""


def pixels_of(image: np.ndarray, uint8: bool) -> np.ndarray:
    """A picture (height, width, 3) or several as an exported graph takes them: 0..255, or float32 in 0..1."""
    return image if uint8 else np.multiply(image, 1 / 255, dtype=np.float32)


def folder_contract(path: Path, format_name: str) -> Contract:
    """The contract in an exported folder.

    Raises:
        TfyoloError: there is none, or it is damaged.
    """
    try:
        with (path / FILE_NAME).open("rb") as file:
            text = file.read(MAX_JSON_BYTES + 1)
    except OSError as error:
        raise TfyoloError(
            f"holds no {FILE_NAME}, so its classes and anchors are unknown",
            path=path,
            fix=f"write it with `tfyolo export --include {format_name}`",
        ) from error
    if len(text) > MAX_JSON_BYTES:
        raise TfyoloError("is too large for what it is", path=path / FILE_NAME, fix="export the model again")
    return Contract.from_json(text, path / FILE_NAME)


def check_input(found: Sequence[tuple[str, tuple[object, ...]]], wanted: tuple[int, ...], path: Path) -> None:
    """Refuse a file whose inputs are not what its contract says.

    Args:
        found: name and shape of each, without the batch.
        wanted: shape of the one input, `images`.
        path: of the file.

    Raises:
        TfyoloError: several inputs, another name or shape.
    """
    if list(found) != [("images", wanted)]:
        shown = ", ".join(f"`{name}` {shape}" for name, shape in found) or "nothing"
        raise TfyoloError(f"its input is {shown[:200]}, not what its {FILE_NAME} says", path=path)


def check_outputs(names: Iterable[str], contract: Contract, path: Path) -> None:
    """Refuse a file whose outputs are none of the sets of names that exported graphs have.

    Raises:
        TfyoloError: outputs are missing, or there are others.
    """
    raw = chain.from_iterable(raw_outputs(contract))
    found = set(names)
    if found not in ({*DETECTIONS}, {*BOXES}, {PROBABILITIES}, {*raw}):
        shown = ", ".join(sorted(found))[:200] or "nothing"
        raise TfyoloError(
            f"its outputs are {shown}, which is not what tfyolo exports", path=path, fix="export it again"
        )


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
    if PROBABILITIES in outputs:
        return _probabilities(np.asarray(outputs[PROBABILITIES][0], np.float32), contract)
    if LOGITS in outputs:
        return _probabilities(softmax(outputs[LOGITS][0]), contract)
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


def _probabilities(values: np.ndarray, contract: Contract) -> Probabilities:
    """Of an image.

    Raises:
        TfyoloError: not one for each class.
    """
    if values.shape != (len(contract.names),):
        raise TfyoloError(
            f"the model gives {values.size} probabilities for {len(contract.names)} classes",
            fix="export it again",
        )
    return Probabilities(values)
