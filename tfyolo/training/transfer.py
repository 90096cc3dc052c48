"""Initial weights: copied by the names and shapes of layers, and in the head by class names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tfyolo.data.detection.class_map import common_classes, is_unnamed, listed
from tfyolo.errors import TfyoloError
from tfyolo.models import Contract, build_model
from tfyolo.models.tasks import TASKS

_SHARED_PARTS = ("box", "objectness", "coefficients")
"""Parts of a raw head that do not depend on the classes."""


@dataclass(frozen=True)
class InitialArray:
    """Initial value of one array of a network.

    Attributes:
        value: the array.
        copied: share of its channels that was copied from the source, 0 to 1.
    """

    value: np.ndarray
    copied: float


@dataclass(frozen=True)
class InitialWeights:
    """Configuration of the model to train, and the network that its initial weights are copied from.

    Attributes:
        contract: contract of the model to train.
        source: network that weights are copied from; None for random weights.
        source_contract: contract of `source`.
        num_copied: number of arrays that are copied as a whole.
        num_arrays: number of arrays of the model.
    """

    contract: Contract
    source: Any = None
    source_contract: Contract | None = None
    num_copied: int = 0
    num_arrays: int = 0

    def arrays(self, target: Any) -> list[InitialArray]:
        """Return the initial values of a network.

        Args:
            target: built for `contract`.

        Returns:
            One `InitialArray` per array of `target.get_weights()`.

        Raises:
            TfyoloError: there is no source.
        """
        if self.source_contract is None:
            raise TfyoloError("there are no weights to copy", fix="pass weights")
        return transfer_weights(target, self.source, self.contract, self.source_contract)

    def count_copied(self, weights: str, flag: str) -> InitialWeights:
        """Return this object with the number of copied arrays.

        Args:
            weights: file of the source, for error messages.
            flag: option that selects another model, for error messages.

        Raises:
            TfyoloError: no array can be copied.
        """
        if self.source_contract is None:
            return self
        arrays = self.arrays(build_model(self.contract.spec))
        if not any(array.copied for array in arrays):
            raise TfyoloError("no weights fit the configuration", path=weights, fix=f"pass another {flag}")
        return replace(self, num_copied=sum(array.copied == 1 for array in arrays), num_arrays=len(arrays))

    def describe(self) -> str:
        """Return a sentence for the log."""
        if self.source_contract is None:
            return "weights: random"
        text = f"weights: {self.num_copied} of {self.num_arrays} arrays copied"
        if (
            not can_share_head(self.contract, self.source_contract)
            or self.contract.names == self.source_contract.names
        ):
            return text
        return f"{text}; {_describe_classes(self.contract.names, self.source_contract.names)}"


def transfer_weights(
    target: Any, source: Any, target_contract: Contract, source_contract: Contract
) -> list[InitialArray]:
    """Return initial values for a network, copied from another one where they fit.

    Arrays are copied between layers of the same name if their shapes are equal. The head has channels per
    class: each class takes the channels of the class of the same name, whatever its index in the source. If
    one side has no real names, classes are copied in order, provided that their numbers are equal. Classes
    that the source does not have keep their random values, and so does a head that shares no class with the
    source and has another number of classes.

    A segmentation model that starts from a detector takes its channels of boxes, objectness and classes, too;
    the mask coefficients and the prototypes keep their random values.

    Args:
        target: network to train.
        source: network that weights are copied from.
        target_contract: contract of `target`.
        source_contract: contract of `source`.

    Returns:
        One `InitialArray` per array of `target.get_weights()`.
    """
    known = {(layer.name, weight.name): weight for layer in source.layers for weight in layer.weights}
    heads = set()
    if can_share_head(target_contract, source_contract):
        heads = _head_names(target, target_contract) & _head_names(source, source_contract)
    classes = match_class_ids(target_contract.names, source_contract.names)
    if classes is None and target_contract.parts != source_contract.parts:
        classes = {index: index for index in range(len(target_contract.names))}
    arrays = []
    for layer in target.layers:
        for weight in layer.weights:
            own, other = weight.numpy(), known.get((layer.name, weight.name))
            if other is None:
                arrays.append(InitialArray(own, 0.0))
            elif layer.name in heads and classes is not None:
                arrays.append(_copy_by_class(own, other.numpy(), target_contract, source_contract, classes))
            elif tuple(other.shape) == own.shape:
                arrays.append(InitialArray(other.numpy(), 1.0))
            else:
                arrays.append(InitialArray(own, 0.0))
    return arrays


def match_class_ids(target: tuple[str, ...], source: tuple[str, ...]) -> dict[int, int] | None:
    """Return the class ids in the source of the classes that both sides have.

    Args:
        target: class names of the network to train.
        source: class names of the network that weights are copied from.

    Returns:
        Class ids of the source by class id of the target; None if arrays are copied as they are, because the
        names are equal, or one side has no real names and equally many classes.

    Example:
        >>> match_class_ids(("WBC", "RBC"), ("Platelets", "RBC", "WBC"))
        {0: 2, 1: 1}
    """
    if target == source or (len(target) == len(source) and (is_unnamed(target) or is_unnamed(source))):
        return None
    return common_classes(target, source)


def _copy_by_class(
    own: np.ndarray, other: np.ndarray, target: Contract, source: Contract, classes: Mapping[int, int]
) -> InitialArray:
    """Return the initial value of one array of the head, whose last dimension has channels per class.

    Args:
        own: array of the target; per anchor the channels of box, objectness and classes.
        other: array of the source.
        target: contract of the target.
        source: contract of the source.
        classes: result of `match_class_ids`.
    """
    own_parts, other_parts = _ranges(target), _ranges(source)
    channels = max(part.stop for part in own_parts.values())
    source_channels = max(part.stop for part in other_parts.values())
    anchors = own.shape[-1] // channels
    fits = own.shape[:-1] == other.shape[:-1] and other.shape[-1] == anchors * source_channels
    shared = [part for part in _SHARED_PARTS if part in own_parts and part in other_parts]
    if not fits or (not classes and (len(target.names) != len(source.names) or not shared)):
        return InitialArray(own, 0.0)
    value = own.reshape(*own.shape[:-1], anchors, channels).copy()
    copied = other.reshape(*own.shape[:-1], anchors, source_channels)
    count = len(classes)
    for part in shared:
        if len(own_parts[part]) == len(other_parts[part]):
            value[..., own_parts[part]] = copied[..., other_parts[part]]
            count += len(own_parts[part])
    first_class, source_class = own_parts["classes"].start, other_parts["classes"].start
    for class_id, source_id in classes.items():
        value[..., first_class + class_id] = copied[..., source_class + source_id]
    return InitialArray(value.reshape(own.shape), count / channels)


def can_share_head(target: Contract, source: Contract) -> bool:
    """Return whether heads have channels in common: those of one task, or both with boxes.

    Args:
        target: contract of the network to train.
        source: contract of the network that weights are copied from.
    """
    return target.task == source.task or (TASKS[target.task].finds_boxes and TASKS[source.task].finds_boxes)


def _ranges(contract: Contract) -> dict[str, range]:
    """Return the channels of an anchor by part of the head; a classifier has only classes."""
    sizes = contract.parts or {"classes": len(contract.names)}
    ends = np.cumsum(list(sizes.values()))
    return {
        part: range(end - size, end) for (part, size), end in zip(sizes.items(), ends.tolist(), strict=True)
    }


def _head_names(model: Any, contract: Contract) -> set[str]:
    """Return the names of the layers that compute raw heads or logits, and not the prototypes of masks."""
    heads = model.outputs[: len(contract.anchors_px) or None]
    return {output._keras_history.operation.name for output in heads}


def _describe_classes(target: tuple[str, ...], source: tuple[str, ...]) -> str:
    """Return words for the log on how the classes of the head are copied."""
    classes = match_class_ids(target, source)
    if classes is None:
        return "classes copied in order, since one side has no names"
    if not classes:
        return f"the weights have none of the classes (they have {listed(source)})"
    if len(classes) == len(target):
        return "classes copied by name, in the dataset's order"
    new = listed([name for index, name in enumerate(target) if index not in classes])
    return f"{len(classes)} of {len(target)} classes copied by name; new: {new}"
