"""Finding the class of a name that stands in a label file."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from tfyolo.errors import TfyoloError


def class_of(name: str, names: Sequence[str]) -> int | None:
    """The class number of a name, None if there is none; blanks around it do not count, its case does.

    Example:
        >>> class_of("RBC", ("WBC", "RBC")), class_of("rbc", ("WBC", "RBC"))
        (1, None)
    """
    wanted = name.strip()
    return next((index for index, known in enumerate(names) if known.strip() == wanted), None)


def unknown_name(name: str, names: Sequence[str], where: str, yaml_path: Path) -> TfyoloError:
    """The error for a name that is not among `names`, with the nearest one that is.

    Args:
        name: as it stands in the label file.
        names: of the dataset.
        where: the file and line, for the message.
        yaml_path: of the dataset.
    """
    folded = {known.casefold(): known for known in names}
    near = difflib.get_close_matches(name.casefold(), folded, 1)
    hint = f"did you mean `{folded[near[0]]}`? " if near else ""
    return TfyoloError(
        f"`names` has no {name[:60]!r}, which {where} is labeled as",
        path=yaml_path,
        fix=f"{hint}correct the label, or add the missing name (upper and lower case count)",
    )
