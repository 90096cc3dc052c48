"""Names of an exported graph's outputs, in their order (docs/architecture.md describes them)."""

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
    """Names of raw heads of box, objectness and classes, scale by scale; of a classifier its logits."""
    if contract.task == "classify":
        return [(LOGITS,)]
    return [tuple(f"{part}_{i}" for part in PARTS) for i in range(len(contract.strides))]


def known_outputs(contract: Contract) -> tuple[str, ...]:
    """All names that an exported graph's outputs may have."""
    return (*OUTPUTS, *chain.from_iterable(raw_outputs(contract)))
