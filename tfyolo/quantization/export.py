"""Calibration as part of an export: what an integer file needs from training images before it is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tfyolo.errors import TfyoloError, refuse_given
from tfyolo.export.job import ExportJob
from tfyolo.progress import Progress, no_progress
from tfyolo.quantization.budget.report import save_report
from tfyolo.quantization.budget.search import FloatSearch
from tfyolo.quantization.calibration import CalibrationOptions
from tfyolo.quantization.calibration_images import calibration_images
from tfyolo.quantization.export_options import ExportCalibrationOptions
from tfyolo.quantization.keras_model import quantized_model
from tfyolo.quantization.model import calibrate_on_dataset


def check_calibration(job: ExportJob, options: ExportCalibrationOptions, path: Path | None) -> None:
    """Refuse to calibrate a model that is quantized already, and options that would have no effect.

    Args:
        job: an export.
        options: how it would be calibrated.
        path: the model file, for the message.

    Raises:
        TfyoloError: naming the option to leave out.
    """
    own, precision = job.options.calibrator == "runtime", job.options.precision
    if precision not in ("int8", "int16x8"):
        given = (*options.given, *(["--data"] if options.data is not None else []))
        refuse_given(given, (), "only integer networks are calibrated (--int8)")
    if precision == "int16x8":
        reason = "TensorFlow Lite's converter calibrates the ranges of int16x8"
        refuse_given(options.given, ("--calibration",), reason)
    quantized = job.contract.quantization is not None
    calibrates_again = precision == "int16x8" or (own and precision == "int8")
    if quantized and (calibrates_again or (precision == "int8" and options.data is not None)):
        raise TfyoloError(
            "is already quantized, and new ranges would be calibrated on its rounded weights",
            path=path,
            fix="pass the float model" if calibrates_again else "leave out --data",
        )
    if precision != "int8":
        return
    if quantized:
        refuse_given(options.given, (), f"{path or 'the model'} is already quantized, with its own ranges")
    if own:
        reason = (
            "with --calibrator runtime, the runtime's tool chooses the ranges and the layers kept in float"
        )
        refuse_given(options.given, ("--calibration",), reason)


def calibrated(
    job: ExportJob,
    options: ExportCalibrationOptions,
    progress: Progress = no_progress,
) -> ExportJob:
    """Add to a job what its precision needs: ranges in its contract, or images for the converter.

    Args:
        job: an export that `check_calibration` accepts.
        options: source of the images, and options of calibration.
        progress: called as `progress(label, done, total)` after each step.

    Returns:
        `job` itself where nothing is needed, as for float files and models that are quantized already.

    Raises:
        TfyoloError: there is no dataset, or none of its images can be read.
    """
    own, precision = job.options.calibrator == "runtime", job.options.precision
    quantized = job.contract.quantization is not None
    if precision not in ("int8", "int16x8") or (precision == "int8" and quantized and not own):
        return job
    if options.data is None:
        raise TfyoloError(
            f"--{precision} needs --data: quantization is calibrated on training images",
            fix="pass the dataset's YAML, or weights that `tfyolo quantize` wrote",
        )
    count, size = options.calibration_images, job.image_size
    if precision == "int16x8" or own:
        images = calibration_images(job.contract.task, options.data, "train", size, count, progress, job.log)
        return replace(job, calibration_images=images)
    how = CalibrationOptions(options.ranges, keep_float=tuple(options.keep_float), budget=options.budget)

    def searched(found: FloatSearch) -> None:
        if options.report is not None:
            save_report(found, options.report, job.log)

    network, spec = calibrate_on_dataset(
        job.network, job.contract, options.data, size, count, how, progress, job.log, searched
    )
    model, contract = quantized_model(network, spec, job.contract)
    return replace(job, model=model, contract=contract)
