"""Settings of a run that goes on: its own, and not those of the day."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from tfyolo.errors import TfyoloError
from tfyolo.progress import Log

Model = TypeVar("Model", bound=BaseModel)
_MISSING = object()
_JSON: dict[str, tuple[type, ...]] = {
    "str": (str,), "Path": (str,), "int": (int,), "bool": (bool,), "float": (float, int),
    "tuple": (list,), "list": (list,), "dict": (dict,),
}  # fmt: skip
"""Types that JSON has for those of fields."""


def absolute(place: str) -> str:
    """A file's path that holds in every working directory; a name such as `yolov5n` stays as it is.

    Example:
        >>> absolute("yolov5n"), absolute("")
        ('yolov5n', '')
    """
    path, colon, entry = place.rpartition(":") if ".yaml:" in place or ".yml:" in place else (place, "", "")
    return f"{Path(path).absolute()}{colon}{entry}" if path and Path(path).is_file() else place


def check_kinds(kind: type[Any], values: Any, path: Path) -> dict[str, Any]:
    """The values that a run has saved for fields of a dataclass; fields of other versions are left out.

    Args:
        kind: the dataclass.
        values: as JSON holds them.
        path: of the file that they come from, for the message.

    Raises:
        TfyoloError: a value is of another kind than the field, or one without a default is missing.
    """
    if not isinstance(values, dict):
        raise TfyoloError("its notes are no mapping", path=path, fix="begin a new run")
    found = {}
    for field in dataclasses.fields(kind):
        name = str(field.type).partition("[")[0]  # `tuple` of `tuple[int, ...]`
        value = values.get(field.name, _MISSING)
        if value is _MISSING and field.default is dataclasses.MISSING is field.default_factory:
            raise TfyoloError(f"its `{field.name}` is missing", path=path, fix="begin a new run")
        if value is _MISSING:
            continue
        if type(value) not in _JSON.get(name, (type(value),)):
            raise TfyoloError(f"its `{field.name}` is {value!r:.60}", path=path, fix="begin a new run")
        found[field.name] = value
    return found


def validated(model: type[Model], values: Any, path: Path) -> Model:
    """Saved values as the model that has checked them before.

    Raises:
        TfyoloError: a value is missing or out of bounds.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise TfyoloError(f"its `{where}`: {first['msg']}", path=path, fix="begin a new run") from error


def tell_ignored(given: Mapping[str, Any], kept: Mapping[str, Any], log: Log) -> None:
    """Say which options of a call have no effect on a run that goes on with others.

    Args:
        given: options of the call, as plain values.
        kept: those of the run.
        log: is given a sentence for each that differs.
    """
    for name, value in given.items():
        if name in kept and value != kept[name]:
            log(
                f"`{name}` = {value!r} is ignored: a resumed run keeps its settings, here {kept[name]!r}; "
                "begin a new run for others"
            )


def check_names(run: Sequence[str], data: Sequence[str], path: Path) -> None:
    """Refuse a dataset whose classes are no longer those of the run, in the same order.

    Raises:
        TfyoloError: with both lists.
    """
    from tfyolo.data.detection.class_map import listed

    if tuple(run) != tuple(data):
        raise TfyoloError(
            f"the classes of the dataset have changed: it has {listed(data)}; the run was begun with "
            f"{listed(run)}",
            path=path,
            fix="give `names` back its order, or begin a new run with the run's best.keras as --weights",
        )
