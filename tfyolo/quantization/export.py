"""Calibration as part of an export: what an integer file needs from training images, before it is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from tfyolo.errors import TfyoloError, refuse_given
from tfyolo.export.job import ExportJob
from tfyolo.progress import Progress, no_progress
from tfyolo.quantization.calibration import CalibrationOptions
from tfyolo.quantization.calibration_images import calibration_images, fitting_count
from tfyolo.quantization.model import calibrate_model
from tfyolo.quantization.requests import ExportCalibrationOptions


def check_calibration(request: ExportJob, how: ExportCalibrationOptions, path: Path | None) -> None:
    """Refuse a calibration on weights that are quantized already, and settings that would have no effect.

    Args:
        request: an export.
        how: how it is to be calibrated.
        path: of the model, for the message.

    Raises:
        TfyoloError: naming what to leave out.
    """
    own, precision = request.options.calibrator == "runtime", request.options.precision
    if precision not in ("int8", "int16x8"):
        refuse_given(how.given, (), "only integer networks are calibrated (--int8)")
    if precision == "int16x8":
        reason = "TensorFlow Lite's converter measures the ranges of int16x8"
        refuse_given(how.given, ("--calibration",), reason)
    if precision != "int8":
        return
    quantized = request.contract.quantization is not None
    if quantized and (own or how.data is not None):
        raise TfyoloError(
            "is quantized already, and new ranges would be measured on its rounded weights",
            path=path,
            fix="pass the float model" if own else "leave out --data",
        )
    if quantized:
        refuse_given(how.given, (), f"{path or 'the model'} is quantized already, with ranges of its own")
    if own:
        reason = "with --calibrator runtime the runtime's tool chooses ranges and what stays in float"
        refuse_given(how.given, ("--calibration",), reason)


def calibrated(
    request: ExportJob,
    how: ExportCalibrationOptions,
    progress: Progress = no_progress,
) -> ExportJob:
    """The request with what its precision needs: ranges in its contract, or images for the converter.

    Args:
        request: an export that `check_calibration` accepts.
        how: where the images come from, and how ranges are chosen.
        progress: called as `progress(label, done, total)` after each step.

    Returns:
        `request` itself where nothing is needed, as for float files and models that are quantized already.

    Raises:
        TfyoloError: there is no dataset, or none of its images can be read.
    """
    own = request.options.calibrator == "runtime"
    if request.options.precision == "int8" and not own:
        if request.contract.quantization is not None:
            return request
        count = fitting_count(request.network, request.image_size, how.images)
        images = _images(request, how, count, progress)
        options = CalibrationOptions(how.ranges, keep_float=tuple(how.keep_float))
        model, contract = calibrate_model(request.model, request.contract, images, options, progress)
        return replace(request, model=model, contract=contract)
    if request.options.precision == "int16x8" or own:
        return replace(request, calibration_images=_images(request, how, how.images, progress))
    return request


def _images(request: ExportJob, how: ExportCalibrationOptions, count: int, progress: Progress) -> Any:
    """At most `count` training images, uint8 (n, height, width, 3) RGB."""
    if how.data is None:
        raise TfyoloError(
            f"--{request.options.precision} needs --data: how large the network's values get is measured on "
            "training images",
            fix="pass the dataset's YAML, or weights that `tfyolo quantize` wrote",
        )
    task = request.contract.task
    return calibration_images(task, how.data, "train", request.image_size, count, progress)
