"""Weights to begin with: layers by name and shape, classes of the head by their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfyolo.data.detection.class_map import common_classes, is_unnamed, listed
from tfyolo.models import Contract

_BOX_VALUES = 5
"""Channels of an anchor before its classes: x, y, width, height, objectness."""


@dataclass(frozen=True)
class Array:
    """What one array of a network begins with.

    Args:
        value: the array.
        share: how much of it is the source's: 0 for none, 1 for all.
    """

    value: np.ndarray
    share: float


@dataclass(frozen=True)
class InitialWeights:
    """Where training begins.

    Args:
        contract: of the model to be trained.
        source: the network that weights are taken from, or None.
        origin: its contract.
        taken: how many of its arrays fit as a whole.
        total: how many arrays the model has.
    """

    contract: Contract
    source: Any = None
    origin: Contract | None = None
    taken: int = 0
    total: int = 0

    def arrays(self, target: Any) -> list[Array]:
        """For each array of `target`, built for `contract`, in order, what it begins with."""
        assert self.origin is not None  # noqa: S101 - there is a source
        return transferred(target, self.source, self.contract, self.origin)

    def describe(self) -> str:
        """A sentence for the log."""
        if self.origin is None:
            return "weights: random"
        text = f"weights: {self.taken} of {self.total} arrays taken over"
        if self.contract.task != self.origin.task or self.contract.names == self.origin.names:
            return text
        return f"{text}; {_describe_classes(self.contract.names, self.origin.names)}"


def transferred(target: Any, source: Any, ours: Contract, theirs: Contract) -> list[Array]:
    """For each array of a network, in order, what it begins with.

    Layers are found by name, and their arrays taken where shapes agree. The head's channels are those of
    classes: each takes the channels of the class of the same name, wherever that stands in the source. Where
    one side has no names of its own, equally many classes are taken in order. Classes that the source does
    not have stay as they are, and so does all of a head that shares no class and has another number of them.

    Args:
        target: the network to be trained.
        source: the network that weights are taken from.
        ours: contract of `target`.
        theirs: contract of `source`.
    """
    known = {(layer.name, weight.name): weight for layer in source.layers for weight in layer.weights}
    heads = _heads(target) & _heads(source) if ours.task == theirs.task else set()
    classes = matched_classes(ours.names, theirs.names)
    arrays = []
    for layer in target.layers:
        for weight in layer.weights:
            own, other = weight.numpy(), known.get((layer.name, weight.name))
            if other is None:
                arrays.append(Array(own, 0.0))
            elif layer.name in heads and classes is not None:
                arrays.append(_by_class(own, other.numpy(), ours, theirs, classes))
            elif tuple(other.shape) == own.shape:
                arrays.append(Array(other.numpy(), 1.0))
            else:
                arrays.append(Array(own, 0.0))
    return arrays


def matched_classes(ours: tuple[str, ...], theirs: tuple[str, ...]) -> dict[int, int] | None:
    """Indices of the classes that both sides have, ours to theirs; None where arrays are taken as they are.

    Example:
        >>> matched_classes(("WBC", "RBC"), ("Platelets", "RBC", "WBC"))
        {0: 2, 1: 1}
    """
    if ours == theirs or (len(ours) == len(theirs) and (is_unnamed(ours) or is_unnamed(theirs))):
        return None
    return common_classes(ours, theirs)


def _by_class(
    own: np.ndarray, other: np.ndarray, ours: Contract, theirs: Contract, classes: Mapping[int, int]
) -> Array:
    """One array of the head, whose last dimension is, anchor by anchor, box, objectness and classes."""
    before = _BOX_VALUES if ours.task == "detect" else 0
    count, other_count = before + len(ours.names), before + len(theirs.names)
    anchors = own.shape[-1] // count
    fits = own.shape[:-1] == other.shape[:-1] and other.shape[-1] == anchors * other_count
    if not fits or (not classes and (count != other_count or not before)):
        return Array(own, 0.0)
    value = own.reshape(*own.shape[:-1], anchors, count).copy()
    taken = other.reshape(*own.shape[:-1], anchors, other_count)
    value[..., :before] = taken[..., :before]
    for index, origin in classes.items():
        value[..., before + index] = taken[..., before + origin]
    return Array(value.reshape(own.shape), (before + len(classes)) / count)


def _heads(model: Any) -> set[str]:
    """Names of the layers that give the network's outputs."""
    return {output._keras_history.operation.name for output in model.outputs}


def _describe_classes(ours: tuple[str, ...], theirs: tuple[str, ...]) -> str:
    """How the head's classes are taken over."""
    classes = matched_classes(ours, theirs)
    if classes is None:
        return "classes in order, since one side has no names"
    if not classes:
        return f"the weights know none of the classes ({listed(theirs)})"
    if len(classes) == len(ours):
        return "classes by their names, in the dataset's order"
    new = listed([name for index, name in enumerate(ours) if index not in classes])
    return f"{len(classes)} of {len(ours)} classes by their names; new: {new}"
