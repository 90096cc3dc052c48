"""Export jobs of one model in several precisions, as the benchmark writes them."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tfyolo.data.classification.folders import FolderDataset
from tfyolo.data.detection.class_map import match_classes
from tfyolo.data.detection.scan import Dataset
from tfyolo.errors import TfyoloError
from tfyolo.models.contract import Contract
from tfyolo.progress import Progress, no_progress
from tfyolo.quantization.export_options import ExportCalibrationOptions

if TYPE_CHECKING:
    from tfyolo.export.job import ExportJob

INT16X8_IMAGES = 32
"""Maximum number of calibration images for int16x8: TensorFlow Lite's converter takes half a second for each,
and the ranges of 16-bit activations need not be precise."""


class ExportJobs:
    """Export jobs of a `.pt` or `.keras` file, one per precision.

    The model is calibrated when the first integer job is asked for, and only once.

    Args:
        path: the model file.
        image_size: input size (height, width) in pixels; defaults to the model's own.
        options: how integer jobs are calibrated.
        dataset: the dataset of `options.data`, already read, to be checked against the model.
        progress: called as `progress(label, done, total)` after each step.

    Raises:
        TfyoloError: the file is an exported one, or the dataset is for another task or has other classes.
    """

    def __init__(
        self,
        path: Path,
        image_size: tuple[int, int] | None,
        options: ExportCalibrationOptions,
        dataset: Dataset | FolderDataset | None,
        progress: Progress = no_progress,
    ) -> None:
        from tfyolo.export.job import ExportJob
        from tfyolo.export.options import ExportOptions
        from tfyolo.export.registry import format_of
        from tfyolo.inference.load import load_predictor

        if not format_of(path).source:
            raise TfyoloError(
                "is already an exported file",
                path=path,
                fix="list the .pt or .keras file to export first",
            )
        loaded = load_predictor(path, image_size)
        _check_dataset(loaded.contract, dataset)
        self._options, self._progress = options, progress
        self._job = ExportJob(loaded.model, loaded.contract, ExportOptions(image_size=loaded.image_size))

    @property
    def quantized(self) -> bool:
        """True if the file itself is quantized, so that int8 needs no calibration."""
        return self._job.contract.quantization is not None

    def float_parts(self) -> tuple[str, ...]:
        """Return the names of the layers that int8 files keep in float; calibrates if need be."""
        spec = self("int8").contract.quantization
        return () if spec is None else spec.keep_float

    def __call__(self, precision: str) -> ExportJob:
        """Return the job for a precision, such as `float16` or `int8`.

        Raises:
            TfyoloError: the precision needs calibration, and there is no dataset or no readable image.
        """
        if precision == "int8":
            return self._int8_job
        return self._calibrated(precision)

    @cached_property
    def _int8_job(self) -> ExportJob:
        return self._calibrated("int8")

    def _calibrated(self, precision: str) -> ExportJob:
        from tfyolo.quantization.export import calibrated

        options = self._options
        if precision == "int16x8":
            options = replace(options, calibration_images=min(options.calibration_images, INT16X8_IMAGES))
        return calibrated(self._job.with_options(precision=precision), options, self._progress)


def _check_dataset(contract: Contract, dataset: Dataset | FolderDataset | None) -> None:
    """Refuse a dataset that the model was not trained for.

    Raises:
        TfyoloError: the dataset is for another task, or has other classes.
    """
    if dataset is None:
        return
    if isinstance(dataset, FolderDataset) != (contract.task == "classify"):
        kind = "a classifier, which takes a folder" if contract.task == "classify" else "a detector"
        raise TfyoloError(f"--data is for another task: the model is {kind}", fix="pass data for this task")
    if isinstance(dataset, FolderDataset):
        dataset.with_names(contract.names)
    else:
        match_classes(dataset.names, contract.names, dataset.yaml_path)
