"""A detection dataset as its YAML file describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Dataset:
    """A dataset as its YAML file describes it; no image or label has been read.

    Attributes:
        yaml_path: the YAML file.
        names: class names by class id.
        splits: absolute paths of folders, lists or annotation files of each of `train`, `val`, `test` in the
            file.
        format: a key of `formats.readers.table.READERS`; None to recognize it by the files.
        root: the folder that the splits are relative to.
        image_folders: folder of the images of an annotation file, if the YAML file names it.
        keypoint_shape: keypoints per object and values per keypoint, if label files contain keypoints.
        difficult: whether objects that Pascal VOC marks as difficult are used; None uses them with a note.
    """

    yaml_path: Path
    names: tuple[str, ...]
    splits: Mapping[str, tuple[Path, ...]]
    format: str | None = None
    root: Path | None = None
    image_folders: Mapping[Path, Path] = field(default_factory=dict)
    keypoint_shape: tuple[int, int] | None = None
    difficult: bool | None = None
