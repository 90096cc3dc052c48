"""Checks of the outputs of a graph: names, shapes and types, then each row.

A model file may be damaged, or have a wrong contract. An output that is unusable as a whole (its name, its
shape, a number of detections greater than the number of rows) raises a `TfyoloError`. Single rows that are
not valid boxes are removed, and `problem` of the prediction describes them. Later code relies on these
checks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np

from tfyolo.errors import BadOutputError, TfyoloError
from tfyolo.export.runtime.decode import decode, join_parts, softmax
from tfyolo.export.runtime.predictions import Candidates, Detections, Prediction, Probabilities
from tfyolo.models.contract import Contract
from tfyolo.models.outputs import BOXES as CANDIDATES
from tfyolo.models.outputs import (
    COEFFICIENTS,
    DETECTIONS,
    LOGITS,
    MASKS,
    PROBABILITIES,
    PROTOTYPES,
    raw_outputs,
)
from tfyolo.models.tasks import TASKS
from tfyolo.text import printable

BOXES, CLASSES, SCORES, COUNT = DETECTIONS

_FAR = 1e4
"""Maximum coordinate of a valid box, in sizes of the input; decoded boxes have at most four anchor sizes."""
_DECODED: dict[str, tuple[set[str], ...]] = {
    "detect": ({*DETECTIONS}, {*CANDIDATES}),
    "classify": ({PROBABILITIES},),
    "segment": ({*DETECTIONS, MASKS}, {*CANDIDATES, COEFFICIENTS, PROTOTYPES}),
}
"""Sets of outputs of exported graphs by task, besides the raw outputs."""
_ROUNDING = 1e-3
"""Tolerance for scores outside of 0..1, which float16 graphs can give."""


def joined_heads(contract: Contract) -> list[str]:
    """Return the names of the outputs of a Keras model: one raw head per scale, then those of the image."""
    heads = [f"head_{i}" for i in range(len(contract.anchors_px))]
    return [*heads, *TASKS[contract.task].shared]


def check_outputs(names: Iterable[str], contract: Contract, path: Path | None = None) -> None:
    """Check that the names of outputs are one of the sets that exported graphs have.

    Args:
        names: names of the outputs.
        contract: contract of the file.
        path: path of the file, for the message.

    Raises:
        TfyoloError: outputs are missing, or there are other ones.
    """
    found = set(names)
    raw = set(chain.from_iterable(raw_outputs(contract)))
    if found not in (*_DECODED[contract.task], raw):
        shown = printable(", ".join(sorted(map(str, found)))[:200]) or "nothing"
        raise TfyoloError(
            f"its outputs are {shown}, which differ from those of exported models",
            path=path,
            fix="export it again",
        )


def check_arrays(
    outputs: Mapping[str, object], contract: Contract, batch: int, input_hw: tuple[int, int]
) -> dict[str, np.ndarray]:
    """Check that names, shapes and types of outputs match the contract.

    Args:
        outputs: outputs for a batch of images, by name.
        contract: contract of the file.
        batch: number of images.
        input_hw: height and width of the images in pixels.

    Returns:
        The outputs as arrays of numbers.

    Raises:
        TfyoloError: naming the output that does not match.
    """
    if set(outputs) != set(joined_heads(contract)):
        check_outputs(outputs, contract)
    arrays = {name: np.asarray(values) for name, values in outputs.items()}
    for name, wanted in _shapes(arrays, contract, input_hw).items():
        found = arrays[name]
        if found.dtype.kind not in "fiu" or found.shape != (batch, *wanted):
            raise TfyoloError(
                f"its output `{name}` is {found.dtype} {found.shape}, "
                f"but its metadata declares numbers of shape {(batch, *wanted)}",
                fix="export it again",
            )
    return arrays


def _shapes(
    arrays: Mapping[str, np.ndarray], contract: Contract, input_hw: tuple[int, int]
) -> dict[str, tuple[int, ...]]:
    """Return the shape of each output for one image; the number of rows is taken from the arrays."""
    classes = len(contract.names)
    if PROBABILITIES in arrays or LOGITS in arrays:
        return dict.fromkeys(arrays, (classes,))
    if COUNT in arrays:
        rows = arrays[SCORES].shape[1] if arrays[SCORES].ndim == 2 else 0
        shapes: dict[str, tuple[int, ...]] = {BOXES: (rows, 4), CLASSES: (rows,), SCORES: (rows,), COUNT: ()}
        if MASKS in arrays:
            shapes[MASKS] = (rows, *_mask_size(contract, input_hw))
        return shapes
    grids, anchors = _grids(contract, input_hw)
    if CANDIDATES[0] in arrays:
        most = sum(_boxes_per_scale(contract, input_hw))
        rows = min(arrays["boxes"].shape[1], most) if arrays["boxes"].ndim == 3 else 0
        shapes = {"boxes": (rows, 4), "scores": (rows, classes)}
        if COEFFICIENTS in arrays:
            shapes[COEFFICIENTS] = (rows, contract.parts["coefficients"])
            shapes[PROTOTYPES] = (*_mask_size(contract, input_hw), contract.parts["coefficients"])
        return shapes
    shapes = {}
    sizes = contract.parts
    if PROTOTYPES in arrays:
        shapes[PROTOTYPES] = (*_mask_size(contract, input_hw), sizes["coefficients"])
    for i, (grid, count) in enumerate(zip(grids, anchors, strict=True)):
        if f"head_{i}" in arrays:
            shapes[f"head_{i}"] = (*grid, count * sum(sizes.values()))
        else:
            for part, values in sizes.items():
                shapes[f"{part}_{i}"] = (*grid, count * values)
    return shapes


def _grids(contract: Contract, input_hw: tuple[int, int]) -> tuple[list[tuple[int, int]], list[int]]:
    """Return the (height, width) of each feature map, and its number of anchors per grid cell."""
    grids = [(input_hw[0] // stride, input_hw[1] // stride) for stride in contract.strides]
    return grids, [len(row) // 2 for row in contract.anchors_px]


def _boxes_per_scale(contract: Contract, input_hw: tuple[int, int]) -> list[int]:
    """Return the number of boxes that each feature map predicts."""
    grids, anchors = _grids(contract, input_hw)
    return [height * width * count for (height, width), count in zip(grids, anchors, strict=True)]


def _mask_size(contract: Contract, input_hw: tuple[int, int]) -> tuple[int, int]:
    """Return (height, width) of the prototypes, and of masks before they are enlarged."""
    return input_hw[0] // contract.prototype_stride, input_hw[1] // contract.prototype_stride


def from_signature(
    outputs: Mapping[str, np.ndarray],
    contract: Contract,
    confidence: float,
    input_hw: tuple[int, int] | None = None,
) -> Prediction:
    """Convert the outputs of a graph for one image to a prediction.

    Args:
        outputs: outputs by their names in the signature, with a batch axis of 1.
        contract: contract of the file.
        confidence: boxes of lower objectness may be omitted.
        input_hw: height and width of the input in pixels; defaults to the image size of the contract.

    Returns:
        `Probabilities` for a classifier, `Detections` for a graph with NMS, otherwise `Candidates`.

    Raises:
        TfyoloError: the number of detections is not valid.
        BadOutputError: the probabilities are not numbers in 0..1.
    """
    if PROBABILITIES in outputs or LOGITS in outputs:
        return _probabilities(outputs)
    height, width = input_hw or contract.image_size
    scale = np.array([width, height, width, height], np.float32)
    if COUNT in outputs:
        return _detections(outputs, scale, len(contract.names))
    lost = 0
    if CANDIDATES[0] in outputs:
        candidates = _candidates(outputs, contract, (height, width), scale)
    else:
        heads = _heads(outputs, contract)
        lost = sum(_not_numbers(head, sum(contract.parts.values())) for head in heads)
        masks = contract.num_coefficients or 0
        candidates = decode(heads, contract.anchors_px, contract.strides, confidence, masks)
    keep, problem = _usable(candidates.boxes_xyxy_px, candidates.scores, scale, lost=lost)
    if keep is not None:
        candidates = candidates[keep]
    prototypes = np.asarray(outputs[PROTOTYPES][0], np.float32) if PROTOTYPES in outputs else None
    return replace(candidates, scores=_clipped(candidates.scores), problem=problem, prototypes=prototypes)


def _candidates(
    outputs: Mapping[str, np.ndarray], contract: Contract, input_hw: tuple[int, int], scale: np.ndarray
) -> Candidates:
    """Return the boxes of a graph without NMS; feature map follows feature map if none are missing."""
    boxes = np.asarray(outputs["boxes"][0], np.float32)[:, [1, 0, 3, 2]] * scale
    counts = _boxes_per_scale(contract, input_hw)
    return Candidates(
        boxes,
        np.asarray(outputs["scores"][0], np.float32),
        coefficients=np.asarray(outputs[COEFFICIENTS][0], np.float32) if COEFFICIENTS in outputs else None,
        strides=np.repeat(contract.strides, counts) if len(boxes) == sum(counts) else None,
    )


def _detections(outputs: Mapping[str, np.ndarray], scale: np.ndarray, classes: int) -> Detections:
    """Return the valid detections of a graph with NMS."""
    scores = np.asarray(outputs[SCORES][0], np.float32)
    count = outputs[COUNT][0]
    if not 0 <= count <= len(scores) or count != int(count):  # also refuses NaN
        raise TfyoloError(f"it returns {count} detections in {len(scores)} rows", fix="export it again")
    rows = int(count)
    boxes = np.asarray(outputs[BOXES][0, :rows], np.float32)[:, [1, 0, 3, 2]] * scale
    scores, indices = scores[:rows], np.asarray(outputs[CLASSES][0, :rows], np.float64)
    known = (indices >= 0) & (indices < classes) & (indices == np.floor(indices))
    masks = _masks(outputs[MASKS][0, :rows]) if MASKS in outputs else None
    keep, problem = _usable(boxes, scores[:, None], scale, known)
    if keep is not None:
        boxes, scores, indices = boxes[keep], scores[keep], indices[keep]
        masks = None if masks is None else masks[keep]
    return Detections(boxes, _clipped(scores), indices.astype(np.int64), problem, masks=masks)


def _masks(values: np.ndarray) -> np.ndarray:
    """Return masks as float32 in 0..1; integer graphs return them as 0..255."""
    return (
        np.asarray(values, np.float32) / 255 if values.dtype == np.uint8 else np.asarray(values, np.float32)
    )


def _heads(outputs: Mapping[str, np.ndarray], contract: Contract) -> list[np.ndarray]:
    """Return the raw heads of one image, (height, width, anchors * values per anchor)."""
    scales = len(contract.anchors_px)
    if "head_0" in outputs:
        return [outputs[name][0] for name in joined_heads(contract)[:scales]]
    return [join_parts([outputs[name][0] for name in names]) for names in raw_outputs(contract)[:scales]]


def _not_numbers(head: np.ndarray, values: int) -> int:
    """Return how many boxes of a raw head with so many values per anchor have an objectness of NaN."""
    return int(np.isnan(head.reshape(*head.shape[:2], -1, values)[..., 4]).sum())


def _usable(
    boxes_xyxy_px: np.ndarray,
    scores: np.ndarray,
    scale: np.ndarray,
    known: np.ndarray | None = None,
    lost: int = 0,
) -> tuple[np.ndarray | None, str]:
    """Find the rows that are valid boxes.

    Args:
        boxes_xyxy_px: (n, 4) corners.
        scores: (n, k) scores.
        scale: (4,) width, height, width, height of the input in pixels.
        known: (n,) bool, True for a class of the model.
        lost: number of further boxes that are already known to be invalid.

    Returns:
        (n,) bool, True for valid rows, or None if all are valid; and a description of the invalid ones.
    """
    known = np.ones(len(boxes_xyxy_px), bool) if known is None else known
    with np.errstate(invalid="ignore"):
        near = np.abs(boxes_xyxy_px).max(initial=0) <= _FAR * scale.max()
        ordered = (boxes_xyxy_px[:, 2:] >= boxes_xyxy_px[:, :2]).all()
        within = scores.min(initial=0) >= -_ROUNDING and scores.max(initial=0) <= 1 + _ROUNDING
        if near and ordered and within and known.all() and not lost:
            return None, ""
        finite = np.isfinite(boxes_xyxy_px).all(1)
        faults = {
            "that are not numbers": ~finite,
            "far outside of the image": finite & (np.abs(boxes_xyxy_px) > _FAR * scale).any(1),
            "of negative size": finite & (boxes_xyxy_px[:, 2:] < boxes_xyxy_px[:, :2]).any(1),
            "with a score outside of 0 to 1": ~((scores >= -_ROUNDING) & (scores <= 1 + _ROUNDING)).all(1),
            "of a class that the model does not have": ~known,
        }
    counts = {text: int(wrong.sum()) for text, wrong in faults.items()}
    counts["that are not numbers"] += lost
    keep = ~np.any(list(faults.values()), axis=0)
    total = len(keep) + lost
    description = ", ".join(f"{count} {text}" for text, count in counts.items() if count)
    return keep, f"{total - int(keep.sum())} of {total} boxes are left out: {description}"


def _clipped(scores: np.ndarray) -> np.ndarray:
    """Clip scores to 0..1; they are copied only if necessary."""
    if scores.min(initial=0) < 0 or scores.max(initial=0) > 1:
        return np.clip(scores, 0, 1)
    return scores


def _probabilities(outputs: Mapping[str, np.ndarray]) -> Probabilities:
    """Return the class probabilities of an image.

    Raises:
        BadOutputError: they are not numbers in 0..1.
    """
    if LOGITS in outputs:
        with np.errstate(invalid="ignore"):
            values = softmax(np.asarray(outputs[LOGITS][0], np.float32))
    else:
        values = np.asarray(outputs[PROBABILITIES][0], np.float32)
    if not (values.min() >= -_ROUNDING and values.max() <= 1 + _ROUNDING):
        raise BadOutputError("the model's probabilities are not numbers between 0 and 1")
    return Probabilities(_clipped(values))
