"""The description of one format of model files; each `export/<format>/entry.py` has one."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfyolo.errors import TfyoloError
from tfyolo.files import check_file_target, check_folder_target
from tfyolo.inputs import MODEL, check_input, check_input_folder
from tfyolo.libraries import require
from tfyolo.owned_files import Owned

TENSORFLOW = ("tensorflow", "keras")
OPSETS = range(13, 19)
"""Versions of the ONNX operators that can be chosen; tf2onnx supports none above them."""
PRECISIONS = {
    "float32": "",
    "float16": "--half",
    "dynamic": "--dynamic",
    "int8": "--int8",
    "int16x8": "--int16x8",
}
"""Precisions of exported files, and the command-line flag of each."""
_KINDS_WITHOUT_NMS = ("none", "raw")
_KINDS_WITH_MASKS = ("builtin", "tensor", *_KINDS_WITHOUT_NMS)
"""Kinds that return the index of each box, from which its mask follows. TFLite_Detection_PostProcess,
CombinedNonMaxSuppression, EfficientNMS and Core ML's NMS return boxes only."""

_KINDS_OF_TASK = {
    "classify": (_KINDS_WITHOUT_NMS, " for a classifier"),
    "segment": (_KINDS_WITH_MASKS, " for a segmentation model, since it returns no indices of boxes"),
}
"""Kinds of NMS that make sense for a task, and the end of the message about others."""


@dataclass(frozen=True)
class Format:
    """A format of model files: what it supports, and which modules write, run and inspect it.

    Modules are given as dotted paths and imported when they are needed, so that unsupported options are
    refused before TensorFlow or another large library is imported.

    Attributes:
        name: name of the format in `Detector.export` and after `--include`.
        label: name of the format in messages.
        suffix: end of the names of its files or folders.
        exporter: `module:function` that is called as `function(job, path)`; None for a format that `export`
            does not write.
        runtime: `module:class` that is called with the path and the number of threads or None.
        nms: kinds of non-maximum suppression (NMS) it supports; the first one is the default.
        precisions: keys of `PRECISIONS` that it supports.
        inspector: `module:function` that returns the `Inspection` of a path.
        writes_with: optional libraries that the exporter needs.
        runs_with: optional libraries that the runtime needs.
        holds: name of a file that every folder of this format has; None for a format of single files.
        owned: all files of an exported folder; a folder with other files is not replaced. None for a format
            of single files.
        source: whether its files contain the Keras model itself, which can be trained and exported.
        dynamic_batch: whether its files accept any number of images at once.
        calibrates: whether its libraries have their own calibration (`calibrator="runtime"`).

    Example:
        >>> from tfyolo.export.registry import find_format
        >>> find_format("tflite").suffix, find_format("onnx").dynamic_batch
        ('.tflite', True)
    """

    name: str
    label: str
    suffix: str
    exporter: str | None
    runtime: str
    nms: tuple[str, ...]
    precisions: tuple[str, ...]
    inspector: str
    writes_with: tuple[str, ...] = TENSORFLOW
    runs_with: tuple[str, ...] = ()
    holds: str | None = None
    owned: Owned | None = None
    source: bool = False
    dynamic_batch: bool = False
    calibrates: bool = False

    def matches(self, path: Path) -> bool:
        """Return True if the name of `path` has the suffix of this format."""
        return path.name.lower().endswith(self.suffix)

    def check(self, nms: str, precision: str = "float32", task: str = "detect") -> str:
        """Check that the format supports a combination of NMS, precision and task.

        Args:
            nms: kind of NMS, or `auto` for the default one.
            precision: a key of `PRECISIONS`.
            task: `detect`, `classify` or `segment`.

        Returns:
            The kind of NMS.

        Raises:
            TfyoloError: the format does not support the combination, or cannot be exported.

        Example:
            >>> from tfyolo.export.registry import find_format
            >>> find_format("tflite").check("auto"), find_format("tflite").check("auto", task="segment")
            ('postprocess', 'builtin')
        """
        if self.exporter is None:
            raise TfyoloError(f"`tfyolo export` does not write {self.label}", fix="use `tfyolo convert`")
        if precision not in self.precisions:
            raise self._unsupported_precision(precision)
        kinds, reason = self.nms, ""
        if task in _KINDS_OF_TASK:
            possible, reason = _KINDS_OF_TASK[task]
            kinds = tuple(kind for kind in kinds if kind in possible)
        if nms == "auto":
            return kinds[0]
        if nms not in kinds:
            raise TfyoloError(
                f"{self.label} does not support --nms {nms}{reason}", fix=f"use one of {', '.join(kinds)}"
            )
        return nms

    def open(self, path: Path, threads: int | None = None) -> Any:
        """Load a file of this format.

        Args:
            path: the file or folder.
            threads: number of CPU threads; chosen by the runtime by default.

        Returns:
            The `Runtime` of the file.

        Raises:
            TfyoloError: the file is damaged or not one of tfyolo's, or a library is not installed.
        """
        self._check_input(path)
        require(*self.runs_with)
        return import_attribute(self.runtime)(path, threads)

    def check_target(self, path: Path) -> None:
        """Check that an export may be written to `path`: nothing or an earlier export is there.

        Raises:
            TfyoloError: a folder is in the place of a file, or has files that tfyolo did not write.
        """
        if self.owned is None:
            check_file_target(path)
        else:
            check_folder_target(path, self.owned)

    def write(self, job: Any, path: Path) -> None:
        """Write a model in this format.

        Args:
            job: an `ExportJob` whose options `check` accepts.
            path: file or folder to write.

        Raises:
            MissingExtraError: a library that the exporter needs is not installed.
            TfyoloError: the format cannot be exported, or the exporter fails.
        """
        require(*self.writes_with)
        if self.exporter is None:
            raise TfyoloError(f"`tfyolo export` does not write {self.label}", fix="use `tfyolo convert`")
        import_attribute(self.exporter)(job, path)

    def inspect(self, path: Path) -> Any:
        """Return the `Inspection` of a file: its contract, inputs, outputs and operators.

        Raises:
            TfyoloError: the file is damaged or not one of tfyolo's, or a library is not installed.
        """
        self._check_input(path)
        return import_attribute(self.inspector)(path)

    def _unsupported_precision(self, precision: str) -> TfyoloError:
        """Return the error for a precision that this format does not support."""
        if precision == "dynamic":  # in YOLOv5 `--dynamic` means dynamic axes of an ONNX graph
            batch = f"pass --dynamic-batch for {self.label} files with any batch size"
            return TfyoloError(
                f"{self.label} does not support --dynamic: files have a fixed image size, and the "
                "flag selects TensorFlow Lite's dynamic-range quantization",
                fix=f"{batch if self.dynamic_batch else 'leave it out'}; --img sets the image size",
            )
        flags = ", ".join(PRECISIONS[name] or "none of these flags" for name in self.precisions)
        chosen = PRECISIONS[precision]
        problem = f"cannot be written with {chosen}" if chosen else "cannot be written in float32"
        return TfyoloError(f"{self.label} {problem}", fix=f"pass {flags}")

    def _check_input(self, path: Path) -> None:
        """Refuse devices, pipes and the like, before a library opens the file by its name."""
        if self.holds and path.is_dir():
            check_input_folder(path, MODEL)
        else:
            check_input(path, MODEL)


def import_attribute(dotted_path: str) -> Any:
    """Import a module and return one of its attributes.

    Args:
        dotted_path: `module:name`.

    Example:
        >>> import_attribute("math:sqrt")(9)
        3.0
    """
    module, _, name = dotted_path.partition(":")
    return getattr(importlib.import_module(module), name)
