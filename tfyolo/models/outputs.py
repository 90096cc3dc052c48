"""Names of the outputs of exported graphs, in order (described in docs/architecture.md)."""

from __future__ import annotations

from itertools import chain

from tfyolo.models.contract import Contract
from tfyolo.models.tasks import TASKS

DETECTIONS = ("detection_boxes", "detection_classes", "detection_scores", "num_detections")
"""With NMS inside; in the order of TFLite_Detection_PostProcess."""
MASKS = "detection_masks"
"""Of a segmentation model with NMS inside: a mask for each detection, cropped to its box."""
BOXES = ("boxes", "scores")
"""Without NMS."""
COEFFICIENTS = "coefficients"
"""Of a segmentation model without NMS: mask coefficients of each box, weighted by objectness."""
PROBABILITIES = "probabilities"
"""Of a classifier."""
OUTPUTS = (*DETECTIONS, MASKS, *BOXES, COEFFICIENTS, PROBABILITIES)
"""All of them but raw heads."""
LOGITS = "logits"
"""The one raw head of a classifier."""
PROTOTYPES = "prototypes"
"""Of a segmentation model: what its masks are sums of."""


def raw_outputs(contract: Contract) -> list[tuple[str, ...]]:
    """Return the names of the outputs of a network, in the order of `Network.heads`.

    Returns:
        One tuple per feature map with the names of its parts, such as `box_0`; then one per output of the
        whole image: `logits` or `prototypes`.
    """
    task = TASKS[contract.task]
    scales = range(len(contract.anchors_px))
    return [tuple(f"{part}_{i}" for part in task.parts) for i in scales] + [(name,) for name in task.shared]


def known_outputs(contract: Contract) -> tuple[str, ...]:
    """Return all possible output names of an exported graph."""
    return (*OUTPUTS, *chain.from_iterable(raw_outputs(contract)))
