"""Settings of a run that goes on: its own, and not those of the day."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tfyolo.errors import TfyoloError

Tell = Callable[[str], None]
Options = TypeVar("Options")


def absolute(place: str) -> str:
    """A file's path that holds in every working directory; a name such as `yolov5n` stays as it is.

    Example:
        >>> absolute("yolov5n"), absolute("")
        ('yolov5n', '')
    """
    path, colon, entry = place.rpartition(":") if ".yaml:" in place or ".yml:" in place else (place, "", "")
    return f"{Path(path).absolute()}{colon}{entry}" if path and Path(path).is_file() else place


def check_kinds(kind: type[Options], values: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The values that a run has saved for fields of `kind`; fields of other versions are left out.

    Raises:
        TfyoloError: a value is of another kind than the field.
    """
    found = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        if field.name not in values:
            continue
        value = values[field.name]
        plain = {"tuple": "list", "Path": "str"}.get(_kind(field), _kind(field))
        if plain in ("str", "int", "bool", "list", "dict") and type(value).__name__ != plain:
            raise TfyoloError(f"its option `{field.name}` is {value!r:.60}", path=path, fix="begin a new run")
        found[field.name] = value
    return found


def _kind(field: dataclasses.Field[Any]) -> str:
    """Name of a field's type without what it holds: `tuple` of `tuple[int, ...]`."""
    return str(field.type).partition("[")[0]


def tell_ignored(given: Mapping[str, Any], kept: Mapping[str, Any], tell: Tell) -> None:
    """Say which options of a call have no effect on a run that goes on with others.

    Args:
        given: options of the call, as plain values.
        kept: those of the run.
        tell: is given a sentence for each that differs.
    """
    for name, value in given.items():
        if name in kept and value != kept[name]:
            tell(
                f"`{name}` = {value!r} is ignored: a resumed run keeps its settings, here {kept[name]!r}; "
                "begin a new run for others"
            )


def check_names(run: Sequence[str], data: Sequence[str], path: Path) -> None:
    """Refuse a data set whose classes are no longer those of the run, in the same order.

    Raises:
        TfyoloError: with both lists.
    """
    from tfyolo.data.class_map import listed

    if tuple(run) != tuple(data):
        raise TfyoloError(
            f"the classes of the data set have changed: it has {listed(data)}; the run was begun with "
            f"{listed(run)}",
            path=path,
            fix="give `names` back its order, or begin a new run with the run's best.keras as --weights",
        )
