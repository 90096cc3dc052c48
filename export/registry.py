"""The table of all formats of model files: those that `tfyolo export` writes and `tfyolo.load` runs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tfyolo.errors import TfyoloError
from tfyolo.export.coreml import entry as coreml
from tfyolo.export.edgetpu import entry as edgetpu
from tfyolo.export.format import OPSETS, PRECISIONS, Format
from tfyolo.export.graph_def import entry as graph_def
from tfyolo.export.keras import entry as keras
from tfyolo.export.onnx import entry as onnx
from tfyolo.export.openvino import entry as openvino
from tfyolo.export.pt import entry as pt
from tfyolo.export.saved_model import entry as saved_model
from tfyolo.export.tensorrt import entry as tensorrt
from tfyolo.export.tfjs import entry as tfjs
from tfyolo.export.tflite import entry as tflite
from tfyolo.export.torchscript import entry as torchscript

__all__ = [
    "FORMATS",
    "OPSETS",
    "PRECISIONS",
    "Format",
    "check_targets",
    "export_stem",
    "exportable",
    "find_format",
    "format_of",
]

FORMATS: tuple[Format, ...] = (
    keras.FORMAT,
    pt.FORMAT,
    torchscript.FORMAT,
    onnx.FORMAT,
    openvino.FORMAT,
    tensorrt.FORMAT,
    coreml.FORMAT,
    saved_model.FORMAT,
    graph_def.FORMAT,
    edgetpu.FORMAT,
    tflite.FORMAT,
    tfjs.FORMAT,
)
"""All formats. Where one suffix ends with another (`_edgetpu.tflite`, `.tflite`), the longer one is first."""


def exportable() -> tuple[Format, ...]:
    """Return the formats that `tfyolo export` writes.

    Example:
        >>> [entry.name for entry in exportable()][:3]
        ['pt', 'torchscript', 'onnx']
    """
    return tuple(entry for entry in FORMATS if entry.exporter)


def find_format(name: str) -> Format:
    """Return a format by its name.

    Args:
        name: name of a format, such as `tflite`.

    Raises:
        TfyoloError: there is no format of this name.

    Example:
        >>> find_format("onnx").label
        'ONNX'
    """
    for entry in FORMATS:
        if entry.name == name:
            return entry
    known = ", ".join(entry.name for entry in exportable())
    raise TfyoloError(f"unknown format `{name}`", fix=f"use one of {known}")


def export_stem(output: str | Path, name: str) -> Path:
    """Return the path to which each format adds its suffix.

    Args:
        output: path given by the user: a stem, a file name with the suffix of any format, or a folder, which
            ends in a slash, `.` or `..`.
        name: name of the files in a folder, without suffix.

    Returns:
        `output` without the suffix, or `name` in the folder.

    Example:
        >>> [export_stem(output, "best").as_posix() for output in ("cells.tflite", "v1.0", "models/", ".")]
        ['cells', 'v1.0', 'models/best', 'best']
    """
    path = Path(output)
    if str(output).endswith(("/", os.sep)) or path.name in ("", ".."):
        return path / name
    for entry in FORMATS:
        if path.name.lower().endswith(entry.suffix) and len(path.name) > len(entry.suffix):
            return path.with_name(path.name[: -len(entry.suffix)])
    return path


def check_targets(formats: Sequence[str], stem: Path, source: Path | None) -> dict[str, Path]:
    """Return the path that each format would be written to, after checking that nothing else is there.

    Args:
        formats: names of formats.
        stem: path without suffix; each format adds its own.
        source: file of the model to export; None for a model that was not loaded from a file.

    Returns:
        Paths by name of the format.

    Raises:
        TfyoloError: a format is unknown, or its path is that of `source`, has the suffix of another format
            (`best_edgetpu` + `.tflite`), or is that of something that is not an earlier export.

    Example:
        >>> check_targets(["tflite"], Path("runs/best"), None)["tflite"].name
        'best.tflite'
    """
    targets = {}
    for name in formats:
        entry = find_format(name)
        target = targets[name] = stem.with_name(stem.name + entry.suffix)
        if source is not None and target.resolve() == source.resolve():
            raise TfyoloError(
                f"--include {name} would overwrite the input file", path=source, fix="pass --output"
            )
        if (other := format_of(target)) is not entry:
            raise TfyoloError(
                f"would be taken for a file of the format {other.name}",
                path=target,
                fix="pass another --output",
            )
        entry.check_target(target)
    return targets


def format_of(path: Path) -> Format:
    """Return the format of a file or folder by its suffix; of a folder also by the files in it.

    Args:
        path: the file or folder.

    Raises:
        TfyoloError: it is not a model file of a known format.

    Example:
        >>> format_of(Path("best_edgetpu.tflite")).name, format_of(Path("best.tflite")).name
        ('edgetpu', 'tflite')
    """
    if path.name == "saved_model.pb":
        raise TfyoloError("is part of a SavedModel", path=path, fix=f"pass the folder {path.parent}")
    for entry in FORMATS:
        if entry.matches(path) or (entry.name == "pt" and path.suffix.lower() == ".pth"):
            return entry
    if path.is_dir():
        inside = [entry for entry in FORMATS if entry.holds and (path / entry.holds).is_file()]
        if len(inside) == 1:
            return inside[0]
    suffixes = ", ".join(entry.suffix for entry in FORMATS)
    raise TfyoloError(
        "is not a model file of a known format",
        path=path,
        fix=f"pass a file or folder that ends in {suffixes}",
    )
