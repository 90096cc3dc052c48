"""Every format of a model file: what `tfyolo export` can write and `tfyolo.load` can run, one entry each."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfyolo.errors import TfyoloError
from tfyolo.files import Owned, check_file_target, check_folder_target
from tfyolo.inputs import MODEL, check_input, check_input_folder
from tfyolo.libraries import require

_TENSORFLOW = ("tensorflow", "keras")


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
    writes_with: tuple[str, ...] = _TENSORFLOW
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

_RUNTIMES = "tfyolo.inference.runtimes"
_COREML = "Data/com.apple.CoreML"

FORMATS: tuple[Format, ...] = (
    Format(
        name="keras",
        runs_with=_TENSORFLOW,
        label="Keras",
        suffix=".keras",
        exporter=None,
        runtime=f"{_RUNTIMES}.keras:open_file",
        inspector=f"{_RUNTIMES}.keras:inspect",
        nms=("raw",),
        precisions=("float32", "float16"),
        source=True,
    ),
    Format(
        name="pt",
        runs_with=_TENSORFLOW,
        label="PyTorch",
        suffix=".pt",
        exporter="tfyolo.export.pt:export",
        runtime=f"{_RUNTIMES}.keras:open_file",
        inspector=f"{_RUNTIMES}.keras:inspect",
        nms=("raw",),
        precisions=("float32", "float16"),
        source=True,
    ),
    Format(
        name="torchscript",
        label="TorchScript",
        suffix=".torchscript",
        exporter="tfyolo.export.torchscript:export",
        runtime=f"{_RUNTIMES}.torchscript:TorchScriptRuntime",
        inspector=f"{_RUNTIMES}.torchscript:inspect",
        nms=("none", "raw"),
        precisions=("float32",),
        writes_with=(*_TENSORFLOW, "tf2onnx", "onnx2torch", "torch", "torchvision"),
        runs_with=("torch", "torchvision"),
    ),
    Format(
        name="onnx",
        label="ONNX",
        suffix=".onnx",
        exporter="tfyolo.export.onnx:export",
        runtime=f"{_RUNTIMES}.onnx:OnnxRuntime",
        inspector=f"{_RUNTIMES}.onnx:inspect",
        nms=("builtin", "tensor", "none", "raw"),
        precisions=("float32", "float16", "int8"),
        writes_with=(*_TENSORFLOW, "tf2onnx", "onnxslim"),
        dynamic_batch=True,
        calibrates=True,
    ),
    Format(
        name="openvino",
        label="OpenVINO",
        suffix="_openvino_model",
        exporter="tfyolo.export.openvino:export",
        runtime=f"{_RUNTIMES}.openvino:OpenVinoRuntime",
        inspector=f"{_RUNTIMES}.openvino:inspect",
        nms=("builtin", "tensor", "none", "raw"),
        precisions=("float32", "float16", "int8"),
        writes_with=(*_TENSORFLOW, "openvino"),
        runs_with=("openvino",),
        holds="model.xml",
        owned=Owned(("model.xml", "model.bin", "tfyolo.json")),
        dynamic_batch=True,
        calibrates=True,
    ),
    Format(
        name="engine",
        label="TensorRT",
        suffix=".engine",
        exporter="tfyolo.export.tensorrt:export",
        runtime=f"{_RUNTIMES}.tensorrt:TensorRtRuntime",
        inspector=f"{_RUNTIMES}.tensorrt:inspect",
        nms=("efficient", "none", "raw"),
        precisions=("float32", "float16"),
        writes_with=(*_TENSORFLOW, "tf2onnx", "onnxslim", "tensorrt"),
    ),
    Format(
        name="coreml",
        label="CoreML",
        suffix=".mlpackage",
        exporter="tfyolo.export.coreml:export",
        runtime=f"{_RUNTIMES}.coreml:CoreMlRuntime",
        inspector=f"{_RUNTIMES}.coreml:inspect",
        nms=("pipeline", "none", "raw"),
        precisions=("float32", "float16"),
        writes_with=(*_TENSORFLOW, "coremltools"),
        runs_with=("coremltools",),
        holds="Manifest.json",
        owned=Owned(
            ("Manifest.json", f"{_COREML}/model.mlmodel", f"{_COREML}/weights/weight.bin"),
            marker=f"{_COREML}/model.mlmodel",
            mark=b"tfyolo",
        ),
    ),
    Format(
        name="saved_model",
        runs_with=_TENSORFLOW,
        label="SavedModel",
        suffix="_saved_model",
        holds="saved_model.pb",
        owned=Owned(
            ("saved_model.pb", "fingerprint.pb", "variables/variables.*", "tfyolo.json"),
            folders=("assets", "variables"),
        ),
        exporter="tfyolo.export.saved_model:export",
        runtime=f"{_RUNTIMES}.saved_model:SavedModelRuntime",
        inspector=f"{_RUNTIMES}.saved_model:inspect",
        nms=("combined", "postprocess", "builtin", "tensor", "none", "raw"),
        precisions=("float32", "float16", "int8"),
    ),
    Format(
        name="pb",
        runs_with=_TENSORFLOW,
        label="frozen GraphDef",
        suffix=".pb",
        exporter="tfyolo.export.graph_def:export",
        runtime=f"{_RUNTIMES}.graph_def:GraphDefRuntime",
        inspector=f"{_RUNTIMES}.graph_def:inspect",
        nms=("combined", "builtin", "tensor", "none", "raw"),
        precisions=("float32", "float16", "int8"),
    ),
    Format(
        name="edgetpu",
        label="Edge TPU",
        suffix="_edgetpu.tflite",
        exporter="tfyolo.export.edgetpu:export",
        runtime=f"{_RUNTIMES}.edgetpu:EdgeTpuRuntime",
        inspector=f"{_RUNTIMES}.edgetpu:inspect",
        nms=("postprocess", "builtin", "tensor", "none", "raw"),
        precisions=("int8",),
    ),
    Format(
        name="tflite",
        label="TensorFlow Lite",
        suffix=".tflite",
        exporter="tfyolo.export.tflite:export",
        runtime=f"{_RUNTIMES}.litert:LiteRtRuntime",
        inspector=f"{_RUNTIMES}.litert:inspect",
        nms=("postprocess", "builtin", "tensor", "none", "raw"),
        precisions=("float32", "float16", "dynamic", "int8", "int16x8"),
    ),
    Format(
        name="tfjs",
        label="TF.js",
        suffix="_web_model",
        holds="model.json",
        owned=Owned(("model.json", "group*-shard*of*.bin", "tfyolo.json")),
        exporter="tfyolo.export.tfjs:export",
        runtime=f"{_RUNTIMES}.tfjs:TfjsRuntime",
        inspector=f"{_RUNTIMES}.tfjs:inspect",
        nms=("builtin", "tensor", "none", "raw"),
        precisions=("float32", "float16", "int8"),
    ),
)
"""A suffix that is the end of another's stands after it."""


def exportable() -> tuple[Format, ...]:
    """Those that `tfyolo export` writes."""
    return tuple(entry for entry in FORMATS if entry.exporter)


def find_format(name: str) -> Format:
    """The format a user names.

    Raises:
        TfyoloError: there is none.
    """
    for entry in FORMATS:
        if entry.name == name:
            return entry
    known = ", ".join(entry.name for entry in exportable())
    raise TfyoloError(f"unknown format `{name}`", fix=f"one of {known}")


def check_targets(formats: Sequence[str], stem: Path, source: Path | None) -> dict[str, Path]:
    """Where the file of each format goes.

    Args:
        formats: names of formats.
        stem: path without suffix; formats add theirs.
        source: of the model; None where it comes from no file.

    Returns:
        Paths by format.

    Raises:
        TfyoloError: an unknown format, or a path at which the model itself or no earlier export stands.
    """
    targets = {}
    for name in formats:
        entry = find_format(name)
        target = targets[name] = stem.with_name(stem.name + entry.suffix)
        if source is not None and target.resolve() == source.resolve():
            raise TfyoloError(f"--include {name} would take its place", path=source, fix="pass --output")
        entry.check_target(target)
    return targets


def format_of(path: Path) -> Format:
    """The format of a file or folder: by its suffix, or for a folder by what it holds.

    Raises:
        TfyoloError: nothing here is named like it.
    """
    for entry in FORMATS:
        if entry.matches(path) or (entry.name == "pt" and path.suffix.lower() == ".pth"):
            return entry
    if path.is_dir():
        inside = [entry for entry in FORMATS if entry.holds and (path / entry.holds).is_file()]
        if len(inside) == 1:
            return inside[0]
    suffixes = ", ".join(entry.suffix for entry in FORMATS)
    raise TfyoloError(
        "is no model file that tfyolo knows", path=path, fix=f"pass one that ends in {suffixes}"
    )


def resolve(dotted: str) -> Any:
    """What `module:name` names, imported."""
    module, _, name = dotted.partition(":")
    return getattr(importlib.import_module(module), name)
