"""Names of the outputs of exported graphs, in order (described in docs/architecture.md)."""

from __future__ import annotations

from itertools import chain

from tfyolo.models.contract import Contract
from tfyolo.models.network import PARTS

DETECTIONS = ("detection_boxes", "detection_classes", "detection_scores", "num_detections")
"""With NMS inside; in the order of TFLite_Detection_PostProcess."""
BOXES = ("boxes", "scores")
"""Without NMS."""
PROBABILITIES = "probabilities"
"""Of a classifier."""
OUTPUTS = (*DETECTIONS, *BOXES, PROBABILITIES)
"""All of them but raw heads."""
LOGITS = "logits"
"""The one raw head of a classifier."""


def raw_outputs(contract: Contract) -> list[tuple[str, ...]]:
    """Return the names of raw heads per feature map, or of a classifier's logits."""
    if contract.task == "classify":
        return [(LOGITS,)]
    return [tuple(f"{part}_{i}" for part in PARTS) for i in range(len(contract.strides))]


def known_outputs(contract: Contract) -> tuple[str, ...]:
    """Return all possible output names of an exported graph."""
    return (*OUTPUTS, *chain.from_iterable(raw_outputs(contract)))
