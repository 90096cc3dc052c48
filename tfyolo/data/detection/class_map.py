"""Match the classes of a dataset to those of a model, by name."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfyolo.errors import TfyoloError

_SHOWN = 12
"""Names listed in a message."""
_PLACEHOLDER = re.compile(r"(?:class|cls|label|category)?[ _-]?(\d+)", re.IGNORECASE | re.ASCII)
_ANY_OBJECT = frozenset({"object", "item"})
"""What a detector trained with --single-cls calls its class, here and in YOLOv5."""


@dataclass(frozen=True)
class ClassMap:
    """Mapping between the class ids of a dataset and of a model.

    Attributes:
        model_ids: class id of the model for each class of the dataset.
        num_model_classes: number of classes of the model.
        by_name: whether classes were matched by name; otherwise one side has no names, and class ids are
            equal.

    Example:
        >>> classes = ClassMap((2, 0), 3)
        >>> classes.to_model(np.array([0, 1, 1])).tolist(), classes.to_data(np.array([0, 1, 2])).tolist()
        ([2, 0, 0], [1, -1, 0])
    """

    model_ids: tuple[int, ...]
    num_model_classes: int
    by_name: bool = True

    @property
    def is_identity(self) -> bool:
        """Whether class ids of dataset and model are equal."""
        return self.model_ids == tuple(range(self.num_model_classes))

    def to_model(self, class_ids: np.ndarray) -> np.ndarray:
        """Convert class ids of the dataset to those of the model, int64."""
        return np.array(self.model_ids, np.int64)[np.asarray(class_ids, np.int64)]

    def to_data(self, class_ids: np.ndarray) -> np.ndarray:
        """Convert class ids of the model to those of the dataset, int64; -1 for others."""
        table = np.full(self.num_model_classes, -1, np.int64)
        table[list(self.model_ids)] = np.arange(len(self.model_ids))
        return table[np.asarray(class_ids, np.int64)]


def match_classes(
    data_names: Sequence[str], model_names: Sequence[str], path: str | Path | None = None
) -> ClassMap:
    """Match the classes of a dataset to those of a model.

    Classes are matched by name: a different order is permuted, and a dataset may have a subset of the model's
    classes. If one side has no names (`class0`, `class1`, ... or `0`, `1`, ...), class ids are matched, and
    both sides need the same number of classes.

    Args:
        data_names: class names of the dataset.
        model_names: class names of the model.
        path: path of the dataset, for the message.

    Returns:
        Mapping from class ids of the dataset to those of the model.

    Raises:
        TfyoloError: a class of the dataset is not a class of the model; with both lists.

    Example:
        >>> match_classes(["WBC", "RBC"], ["Platelets", "RBC", "WBC"]).model_ids
        (2, 1)
        >>> match_classes(["cat", "dog"], ["class0", "class1"]).by_name
        False
    """
    count = len(model_names)
    if tuple(data_names) == tuple(model_names):
        return ClassMap(tuple(range(count)), count)
    found = common_classes(data_names, model_names)
    if len(found) == len(data_names):
        return ClassMap(tuple(found[index] for index in range(len(data_names))), count)
    if len(data_names) == count and (is_unnamed(data_names) or is_unnamed(model_names)):
        return ClassMap(tuple(range(count)), count, by_name=False)
    unknown = [name for index, name in enumerate(data_names) if index not in found]
    shown = ", ".join(f"`{name}`" for name in unknown[:3]) + (", ..." if len(unknown) > 3 else "")
    fix = "pass the data the model was trained for, or use the model's class names in `names`"
    if count == 1:
        fix = "pass --single-cls to count all classes as one, or the data the model was trained for"
    what = "is not a class" if len(unknown) == 1 else "are not classes"
    raise TfyoloError(
        f"{shown} {what} of the model; the dataset has: {listed(data_names)}; "
        f"the model has: {listed(model_names)}",
        path=path,
        fix=fix,
    )


def common_classes(data_names: Sequence[str], model_names: Sequence[str]) -> dict[int, int]:
    """Match class names of a dataset and a model: class ids of the dataset to class ids of the model.

    Names are compared exactly and then, where that is unambiguous, ignoring case, the encoding of accents
    (macOS decomposes file names) and the separator of words (blank, `_` or `-`). Duplicate names match
    nothing.

    Example:
        >>> common_classes(["Traffic_Light", "dog"], ["person", "traffic light"])
        {0: 1}
    """
    found: dict[int, int] = {}
    for key in (str.strip, _folded):
        ours, theirs = _unique(data_names, key), _unique(model_names, key)
        taken = set(found.values())
        for name, index in ours.items():
            if index not in found and name in theirs and theirs[name] not in taken:
                found[index] = theirs[name]
    return dict(sorted(found.items()))


def is_unnamed(names: Sequence[str]) -> bool:
    """Whether names are only numbers: `class0`, `class1`, ..., or numbers from 0 or 1.

    Example:
        >>> is_unnamed(["class0", "class1"]), is_unnamed(["1", "2"]), is_unnamed(["cat", "class1"])
        (True, True, False)
    """
    if len(names) == 1 and names[0].strip().lower() in _ANY_OBJECT:
        return True
    matches = [_PLACEHOLDER.fullmatch(name.strip()) for name in names]
    numbers = [int(found[1][:9]) for found in matches if found]
    return bool(names) and numbers in (list(range(len(names))), list(range(1, len(names) + 1)))


def distinct_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return unique names: duplicates get a number.

    Example:
        >>> distinct_names(["car", "bus", "car"])
        ('car', 'bus', 'car (2)')
    """
    seen: set[str] = set()
    distinct = []
    for name in names:
        own, number = name, 2
        while own in seen or (own != name and own in names):
            own, number = f"{name} ({number})", number + 1
        seen.add(own)
        distinct.append(own)
    return tuple(distinct)


def listed(names: Sequence[str]) -> str:
    """Format names for a message: the first few, and their number."""
    more = f", ... ({len(names)} in all)" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _folded(name: str) -> str:
    return " ".join(re.split(r"[\s_-]+", unicodedata.normalize("NFC", name).casefold().strip()))


def _unique(names: Sequence[str], key: Callable[[str], str]) -> dict[str, int]:
    """Return the index of each key that only one name has."""
    keys = [key(name) for name in names]
    counts = Counter(keys)
    return {name: index for index, name in enumerate(keys) if counts[name] == 1}
