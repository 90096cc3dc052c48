"""An export job: a model with its export options, the checks before it, and the function that runs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar, cast

from tfyolo.errors import TfyoloError
from tfyolo.export.graph.limits import effective_options, ineffective_options_note
from tfyolo.export.options import ExportOptions
from tfyolo.export.registry import Format, find_format
from tfyolo.libraries import require
from tfyolo.models.contract import Contract
from tfyolo.models.network import Network
from tfyolo.progress import Log, Progress, no_log, no_progress

Value = TypeVar("Value")


@dataclass(frozen=True)
class ExportJob:
    """A model and the options it is exported with: the argument of every exporter.

    Attributes:
        model: `keras.Model` from images to the raw heads.
        contract: contract of `model`. For int8 it holds the `quantization` that calibration or QAT made,
            unless the runtime calibrates.
        options: options of the export.
        calibration_images: uint8 (n, height, width, 3) RGB in the input size, for converters that calibrate:
            int16x8, and int8 with `calibrator="runtime"`.
        log: called with each note that a user should read.

    Example:
        >>> import tfyolo
        >>> detector = tfyolo.load("bccd-n")
        >>> job = ExportJob(detector.model, detector.contract, ExportOptions(image_size=64))
        >>> job.image_size, job.anchor_count
        ((64, 64), 252)
    """

    model: Any
    contract: Contract
    options: ExportOptions = field(default_factory=ExportOptions)
    calibration_images: Any = None
    log: Log = field(default=no_log, repr=False, compare=False)
    _shared: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) of the exported model's input, in pixels."""
        size = self.options.image_size
        if size is None:
            return self.contract.image_size
        return (size, size) if isinstance(size, int) else size

    @property
    def network(self) -> Network:
        """Weights and layers of the model, with batch normalization folded into convolutions.

        It is made once and shared by all formats and by copies of this job that export the same model.
        """
        cached = self._shared.get("network")
        if cached is None or cached[0] is not self.model:
            self._shared["network"] = cached = (self.model, Network.of(self.model, self.contract.spec))
        return cast(Network, cached[1])

    @property
    def anchor_count(self) -> int:
        """Number of boxes that the network predicts per image; 0 for a classifier."""
        height, width = self.image_size
        # A classifier has no anchors, but it may have strides.
        scales = zip(self.contract.anchors_px, self.contract.strides, strict=False)
        return sum(height // stride * (width // stride) * len(anchors) // 2 for anchors, stride in scales)

    def with_options(self, **changes: Any) -> ExportJob:
        """Return a copy with some options changed; it shares the caches of this job.

        Args:
            changes: fields of `ExportOptions`.

        Returns:
            The new job.

        Example:
            >>> import tfyolo
            >>> detector = tfyolo.load("bccd-n")
            >>> ExportJob(detector.model, detector.contract).with_options(nms="raw").options.nms
            'raw'
        """
        return replace(self, options=replace(self.options, **changes))

    def cached(self, name: str, make: Callable[[], Value]) -> Value:
        """Return an intermediate result that several formats and kinds of NMS share, such as an ONNX graph.

        Args:
            name: name of the result.
            make: computes it; called again only for another model, input size, precision or set of
                calibration images.

        Returns:
            The result of `make`.
        """
        objects = (self.model, self.contract, self.calibration_images)
        values = (self.image_size, self.options.precision)
        cached = self._shared.get(name)
        if cached is None or cached[1] != values or not _same_objects(cached[0], objects):
            self._shared[name] = cached = (objects, values, make())
        return cast(Value, cached[2])

    def module(self, *, halve: bool = False, uint8: bool = False) -> Any:
        """Return the TensorFlow graph to export, with fake quantization where the precision is int8.

        Args:
            halve: store weights as float16.
            uint8: take images of 0 to 255 (uint8) in place of 0 to 1 (float32).

        Returns:
            A `tf.Module` whose function `detect` takes images; see graph/module.py.

        Raises:
            TfyoloError: the precision is int8 and the contract has no ranges.
        """
        from tfyolo.export.graph.nodes import (
            FakeQuantization,
            Float16Weights,
            NoQuantization,
            Quantization,
            run_network,
        )
        from tfyolo.export.graph.tasks import make_module

        # The weights are read here, since inside a traced function a variable has no value to read.
        network = self.network
        quantization: Quantization = Float16Weights() if halve else NoQuantization()
        if self.options.precision == "int8":
            if self.contract.quantization is None:
                raise _no_ranges()
            quantization = FakeQuantization(network, self.contract.quantization)
        return make_module(
            lambda images: run_network(network, images, quantization),
            self.contract,
            self.image_size,
            self.options.nms,
            self.options.nms_options,
            uint8,
            None if self.options.dynamic_batch else 1,
        )

    def exported_contract(self, format_name: str, **more: Any) -> Contract:
        """Return the contract that the exported file carries.

        Args:
            format_name: name of the format.
            more: further entries of its `export` field.

        Returns:
            The model's contract with the input size of the file and, in `export`, its format, precision, NMS
            kind and the NMS options that are in effect.
        """
        options = self.options
        export = {"format": format_name, "nms": options.nms, "precision": options.precision, **more}
        if options.dynamic_batch:
            export["batch"] = "any"
        if options.nms not in ("none", "raw"):
            nms = effective_options(options.nms, options.nms_options, self.anchor_count)
            export |= {"conf_thres": nms.confidence, "iou_thres": nms.iou_threshold}
            export |= {"max_det": nms.max_detections, "candidates": nms.candidates}
            export |= {"multi_label": nms.multi_label, "agnostic": nms.agnostic}
            export["per_class"] = nms.per_class
        # Quantization ranges are left out: the exported graph has its own scales and zero points.
        update = {"export": export, "quantization": None}
        return self.contract.resized(self.image_size).model_copy(update=update)


def check_request(entry: Format, nms: str, precision: str, task: str, dynamic_batch: bool) -> str:
    """Check that a format supports a combination of options.

    Args:
        entry: the format.
        nms: kind of NMS, or `auto`.
        precision: a key of `PRECISIONS`.
        task: `detect` or `classify`.
        dynamic_batch: files are to take any number of images at once.

    Returns:
        The kind of NMS; for `auto` the format's default.

    Raises:
        TfyoloError: the format does not support the combination.
    """
    kind = entry.check("none" if dynamic_batch and nms == "auto" else nms, precision, task)
    if dynamic_batch and not entry.dynamic_batch:
        raise TfyoloError(
            f"{entry.label} does not support dynamic batch sizes", fix="leave out --dynamic-batch"
        )
    if dynamic_batch and kind not in ("none", "raw"):
        raise TfyoloError(
            f"--nms {kind} does not support --dynamic-batch", fix="pass --nms none with --dynamic-batch"
        )
    return kind


def check_export(job: ExportJob, formats: Sequence[str]) -> list[tuple[Format, str]]:
    """Check a job before anything is calibrated for it.

    Args:
        job: the job; its ranges and calibration images may still be missing.
        formats: names of formats.

    Returns:
        Each format with its kind of NMS.

    Raises:
        TfyoloError: a format is unknown, does not support the options or lacks its libraries, or the input
            size is not a multiple of the stride.
    """
    job.contract.check_size(job.image_size)
    options = job.options
    runtime_calibrates = options.calibrator == "runtime"
    if runtime_calibrates and options.precision != "int8":
        raise TfyoloError(
            "--calibrator runtime requires an integer precision", fix="add --int8, or leave it out"
        )
    entries = [find_format(name) for name in formats]
    require(*dict.fromkeys(module for entry in entries for module in entry.writes_with))
    task, dynamic_batch = job.contract.task, options.dynamic_batch
    kinds = [check_request(entry, options.nms, options.precision, task, dynamic_batch) for entry in entries]
    for entry in entries:
        if runtime_calibrates and not entry.calibrates:
            raise TfyoloError(f"{entry.label} has no calibrator of its own", fix="leave out --calibrator")
    return list(zip(entries, kinds, strict=True))


def export_model(
    job: ExportJob, formats: Sequence[str], stem: Path, progress: Progress = no_progress
) -> dict[str, Path]:
    """Write a model in one or more formats.

    Args:
        job: the model and its export options; `nms="auto"` is the default kind of each format.
        formats: names of formats, as in `tfyolo export --include`.
        stem: path without suffix, such as `runs/best`; each format adds its own.
        progress: called as `progress(label, done, total)` at the start and after each format.

    Returns:
        The path of each format's file or folder.

    Raises:
        TfyoloError: a check of `check_export` fails, ranges or calibration images are missing, or a path is
            taken by something that is not an earlier export.

    Example:
        >>> import tempfile, tfyolo
        >>> detector = tfyolo.load("bccd-n")
        >>> job = ExportJob(detector.model, detector.contract, ExportOptions(image_size=64))
        >>> export_model(job, ["saved_model"], Path(tempfile.mkdtemp()) / "cells")["saved_model"].name
        'cells_saved_model'
    """
    checked = check_export(job, formats)
    options = job.options
    if options.calibrator == "runtime":
        if job.calibration_images is None:
            raise TfyoloError("--calibrator runtime needs calibration images", fix="pass --data")
    elif options.precision == "int8" and job.contract.quantization is None:
        raise _no_ranges()
    paths = {entry.name: stem.with_name(stem.name + entry.suffix) for entry, _ in checked}
    for entry, _ in checked:
        entry.check_target(paths[entry.name])
    written: dict[str, Path] = {}
    progress("exporting", 0, len(checked))
    for entry, nms in checked:
        if note := ineffective_options_note(nms, options.nms_options, job.anchor_count):
            job.log(f"note: {entry.label}: {note}")
        path = paths[entry.name]
        entry.write(job.with_options(nms=nms), path)
        written[entry.name] = path
        progress("exporting", len(written), len(checked))
    return written


def _same_objects(first: tuple[Any, ...], second: tuple[Any, ...]) -> bool:
    """Compare two tuples by the identity of their elements, since models and arrays have no useful `==`."""
    return all(a is b for a, b in zip(first, second, strict=True))


def _no_ranges() -> TfyoloError:
    """Return the error for an int8 export without ranges."""
    return TfyoloError(
        "int8 needs the ranges of all tensors, which are calibrated on images",
        fix="pass --data, or weights that `tfyolo quantize` wrote",
    )
