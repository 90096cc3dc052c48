"""Folders beside a folder of images: where masks or labels of the same dataset are."""

from __future__ import annotations

from pathlib import Path


def folder_beside(images: Path, name: str) -> Path | None:
    """Return the path of a folder with its last part `images` replaced; None without such a part.

    Args:
        images: folder of images.
        name: what replaces `images`.

    Example:
        >>> folder_beside(Path("fruit/images/train"), "masks").as_posix()
        'fruit/masks/train'
    """
    parts = list(images.parts)
    if "images" not in parts:
        return None
    parts[len(parts) - 1 - parts[::-1].index("images")] = name
    return Path(*parts)
