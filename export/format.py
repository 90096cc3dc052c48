"""The description of one format of model files; each `export/<format>/entry.py` has one."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfyolo.errors import TfyoloError
from tfyolo.files import Owned, check_file_target, check_folder_target
from tfyolo.inputs import MODEL, check_input, check_input_folder
from tfyolo.libraries import require

TENSORFLOW = ("tensorflow", "keras")


@dataclass(frozen=True)
class Format:
    """One format. What it cannot do is refused before a heavy library is imported."""

    name: str
    """What the user types after --include."""
    label: str
    suffix: str
    """How its files or folders end."""
    exporter: str | None
    """`module:function`, called as `function(request, path)`, imported when asked for; None: not exported."""
    runtime: str
    """`module:class`, called with the path and a number of threads or None."""
    nms: tuple[str, ...]
    """Kinds of non-maximum suppression it can hold, its default first (nms.py)."""
    precisions: tuple[str, ...]
    """Of `PRECISIONS`."""
    inspector: str
    """`module:function` from a path to an `Inspection` (inspection.py)."""
    writes_with: tuple[str, ...] = TENSORFLOW
    """Optional libraries that write it, by module (libraries.py)."""
    runs_with: tuple[str, ...] = ()
    """Optional libraries that run it."""
    holds: str | None = None
    """A file that every folder of this format has, where it is a folder."""
    owned: Owned | None = None
    """All that an exported folder holds: one with anything else is not replaced. None for files."""
    source: bool = False
    """Holds the network itself, to be trained and exported."""
    dynamic_batch: bool = False
    """Its files can take any number of images at once (`--dynamic-batch`)."""
    calibrates: bool = False
    """Its libraries have a calibration of their own (`--calibrator runtime`)."""

    def matches(self, path: Path) -> bool:
        """Whether `path` is named like a file of this format."""
        return path.name.lower().endswith(self.suffix)

    def check(self, nms: str, precision: str = "float32", task: str = "detect") -> str:
        """The kind of NMS for a request (`auto` is the default one).

        Raises:
            TfyoloError: the format cannot hold it, or not in this precision, or not for this task.
        """
        if self.exporter is None:
            raise TfyoloError(f"{self.label} is no format of `export`", fix="`tfyolo convert` writes it")
        if precision not in self.precisions:
            if precision == "dynamic":  # in YOLOv5 a flag of ONNX
                fix = f"pass --dynamic-batch for {self.label} of any number of images"
                raise TfyoloError(
                    f"{self.label} cannot be written with --dynamic: files have a fixed image size, and the "
                    "flag stands for TensorFlow Lite's dynamic-range quantization",
                    fix=f"{fix if self.dynamic_batch else 'leave it out'}; --img sets the size",
                )
            flags = ", ".join(PRECISIONS[name] or "none of these flags" for name in self.precisions)
            asked = PRECISIONS[precision] or "--int8, --half and the like all absent"
            raise TfyoloError(f"{self.label} cannot be written with {asked}", fix=f"pass {flags}")
        kinds = self.nms
        if precision in _WITHOUT_SUPPRESSION or task == "classify":
            kinds = tuple(kind for kind in kinds if kind in ("none", "raw"))
        if nms == "auto":
            return kinds[0]
        if nms not in kinds:
            how = f" with {PRECISIONS[precision]}" if precision in _WITHOUT_SUPPRESSION else ""
            how = " in a classifier" if task == "classify" else how
            raise TfyoloError(f"{self.label} cannot hold --nms {nms}{how}", fix=f"one of {', '.join(kinds)}")
        return nms

    def open(self, path: Path, threads: int | None = None) -> Any:
        """The runtime for a file, on so many threads of the CPU."""
        self._check_input(path)
        require(*self.runs_with)
        return resolve(self.runtime)(path, threads)

    def check_target(self, path: Path) -> None:
        """Refuse a path at which something stands that is no earlier export of this format.

        Raises:
            TfyoloError: a folder in the place of a file, or a folder with files that are not tfyolo's.
        """
        if self.owned is None:
            check_file_target(path)
        else:
            check_folder_target(path, self.owned)

    def write(self, request: Any, path: Path) -> None:
        """Export.

        Raises:
            MissingExtraError: a library that writes it is not installed.
        """
        require(*self.writes_with)
        assert self.exporter is not None  # noqa: S101 - `check` has refused it
        resolve(self.exporter)(request, path)

    def inspect(self, path: Path) -> Any:
        """What a file holds."""
        self._check_input(path)
        return resolve(self.inspector)(path)

    def _check_input(self, path: Path) -> None:
        """Refuse devices, pipes and the like: libraries open files and parts of folders by their names."""
        if self.holds and path.is_dir():
            check_input_folder(path, MODEL)
        else:
            check_input(path, MODEL)


OPSETS = range(13, 19)
"""Versions of ONNX's operations that can be asked for; tf2onnx knows no higher one."""
PRECISIONS = {
    "float32": "",
    "float16": "--half",
    "dynamic": "--dynamic",
    "int8": "--int8",
    "int16x8": "--int16x8",
}
"""Kinds of numbers in exported files, and the flag that asks for each."""
_WITHOUT_SUPPRESSION = ("int16x8",)
"""The converter calibrates all operations of these, and fails at those of suppression."""


def resolve(dotted: str) -> Any:
    """What `module:name` names, imported."""
    module, _, name = dotted.partition(":")
    return getattr(importlib.import_module(module), name)
