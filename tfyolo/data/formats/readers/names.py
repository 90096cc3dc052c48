"""Look up class names of label files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tfyolo.errors import TfyoloError
from tfyolo.text import closest


def class_of(name: str, names: Sequence[str]) -> int | None:
    """Return the class id of a name, ignoring surrounding blanks but not case; None if there is none.

    Example:
        >>> class_of("RBC", ("WBC", "RBC")), class_of("rbc", ("WBC", "RBC"))
        (1, None)
    """
    wanted = name.strip()
    return next((index for index, known in enumerate(names) if known.strip() == wanted), None)


def unknown_name(name: str, names: Sequence[str], where: str, yaml_path: Path) -> TfyoloError:
    """Return the error for an unknown class name, with the most similar known one.

    Args:
        name: class name as written in the label file.
        names: class names of the dataset.
        where: file and line, for the message.
        yaml_path: YAML file of the dataset.

    Returns:
        The error, for the caller to raise.
    """
    near = closest(name, names)
    hint = f"did you mean `{near}`? " if near else ""
    return TfyoloError(
        f"`names` does not contain {name[:60]!r} ({where})",
        path=yaml_path,
        fix=f"{hint}correct the label, or add the missing name (case-sensitive)",
    )
