"""Table of the dataset formats that can be written."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tfyolo.data.formats.writers.base import Place, Split


@dataclass(frozen=True)
class Writer:
    """One format of datasets.

    Attributes:
        name: a key of `READERS`.
        write: dotted path of `write_split(split: Split) -> Place`, imported when asked for.
        polygons: which polygons are written: `all`, those that fill their `box` (others only if asked for),
            or `none`.
        links: whether images are separate files, which can be hard links.
    """

    name: str
    write: str
    polygons: Literal["all", "box", "none"] = "all"
    links: bool = True

    def writer(self) -> Callable[[Split], Place]:
        """Return the function that writes a split and returns its entry for the YAML file."""
        module, _, function = self.write.partition(":")
        found: Callable[[Split], Place] = getattr(importlib.import_module(module), function)
        return found


_WRITERS = (
    Writer("yolo", "tfyolo.data.formats.writers.yolo:write_split", polygons="box"),
    Writer("voc", "tfyolo.data.formats.writers.voc:write_split", polygons="none"),
    Writer("coco", "tfyolo.data.formats.writers.coco:write_split"),
    Writer("tfrecord", "tfyolo.data.formats.writers.tfrecord:write_split", links=False),
)
WRITERS = {writer.name: writer for writer in _WRITERS}
