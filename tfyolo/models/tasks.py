"""The table of tasks: what the network of each returns, which models, runtimes and exporters share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Task:
    """A task, and the outputs of its networks.

    Attributes:
        name: name of the task in contracts, such as `detect`.
        noun: what a model of this task is called in messages.
        parts: parts of the raw head of each feature map, in the order of an anchor's channels; empty for a
            network without anchors.
        shared: names of the outputs that belong to the whole image instead of a feature map.

    Example:
        >>> TASKS["segment"].parts, TASKS["segment"].shared
        (('box', 'objectness', 'classes', 'coefficients'), ('prototypes',))
    """

    name: str
    noun: str
    parts: tuple[str, ...]
    shared: tuple[str, ...] = ()

    @property
    def finds_boxes(self) -> bool:
        """Whether the network predicts boxes."""
        return bool(self.parts)


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("detect", "detector", ("box", "objectness", "classes")),
        Task("classify", "classifier", (), ("logits",)),
        Task(
            "segment", "segmentation model", ("box", "objectness", "classes", "coefficients"), ("prototypes",)
        ),
    )
}
"""By name, which is also that of the last layer of a configuration: `Detect`, `Classify`, `Segment`."""


def part_sizes(task: str, num_classes: int, num_coefficients: int = 0) -> dict[str, int]:
    """Return the number of channels per anchor of each part of a raw head, in the order of the channels.

    Args:
        task: a key of `TASKS`.
        num_classes: number of classes.
        num_coefficients: number of mask coefficients; only for segmentation.

    Returns:
        Number of channels by the name of the part; empty for a classifier.

    Example:
        >>> part_sizes("segment", num_classes=80, num_coefficients=32)
        {'box': 4, 'objectness': 1, 'classes': 80, 'coefficients': 32}
    """
    sizes = {"box": 4, "objectness": 1, "classes": num_classes, "coefficients": num_coefficients}
    return {part: sizes[part] for part in TASKS[task].parts}
