"""Export requests by precision; ranges are measured when a precision first asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfyolo.data.classification.folders import FolderDataset
from tfyolo.data.detection.class_map import match_classes
from tfyolo.data.detection.scan import Dataset
from tfyolo.errors import TfyoloError
from tfyolo.models.contract import Contract
from tfyolo.progress import Progress, no_progress

if TYPE_CHECKING:
    from tfyolo.export.job import ExportJob

INT16X8_IMAGES = 32
"""Most images for int16x8: its converter takes half a second for each, and 16 bits forgive rough ranges."""


@dataclass(frozen=True)
class ExportCalibrationOptions:
    """How ranges are measured.

    Attributes:
        data: dataset YAML, or a classifier's folder; None where there is none.
        images: most of them.
        ranges: what a range is chosen by.
        keep_float: names of layers that stay in float.
        given: flags of these that the user gave, to be refused where they would have no effect.
    """

    data: str | Path | None
    images: int
    ranges: str
    keep_float: Sequence[str] = ()
    given: tuple[str, ...] = ()


class Requests:
    """The network of a `.pt` or `.keras` file, to be exported in several precisions.

    Args:
        path: the file.
        image_size: input size in pixels; the file's own by default.
        how: ranges are measured.
        dataset: of `how.data`, read.
        progress: is told how far it is.

    Raises:
        TfyoloError: the file is exported already, or the dataset is not for it.
    """

    def __init__(
        self,
        path: Path,
        image_size: tuple[int, int] | None,
        how: ExportCalibrationOptions,
        dataset: Dataset | FolderDataset | None,
        progress: Progress = no_progress,
    ) -> None:
        from tfyolo.export.job import ExportJob
        from tfyolo.export.options import ExportOptions
        from tfyolo.export.registry import format_of
        from tfyolo.inference.load import load_predictor

        if not format_of(path).source:
            raise TfyoloError(
                "is exported already",
                path=path,
                fix="put the .pt or .keras file first, which --include exports",
            )
        loaded = load_predictor(path, image_size)
        _check_data(loaded.contract, dataset)
        self._how, self._progress = how, progress
        self._exact = ExportJob(loaded.model, loaded.contract, ExportOptions(image_size=loaded.image_size))

    @property
    def quantized(self) -> bool:
        """Whether the file itself has the ranges that int8 needs."""
        return self._exact.contract.quantization is not None

    def __call__(self, precision: str) -> ExportJob:
        """The request for a precision.

        Raises:
            TfyoloError: it is measured on images, and none can be read.
        """
        if precision == "int8" and not self.quantized:
            return self._integer
        images = self._images[:INT16X8_IMAGES] if precision == "int16x8" else None
        return replace(self._exact, calibration_images=images).with_options(precision=precision)

    @cached_property
    def _images(self) -> np.ndarray:
        from tfyolo.quantization.calibration_images import calibration_images, fitting_count

        exact, how = self._exact, self._how
        assert how.data is not None  # noqa: S101 - without_images has left those out
        count = fitting_count(exact.network, exact.image_size, how.images)
        return calibration_images(
            exact.contract.task, how.data, "train", exact.image_size, count, self._progress
        )

    @cached_property
    def _integer(self) -> ExportJob:
        from tfyolo.export.job import ExportJob
        from tfyolo.export.options import ExportOptions
        from tfyolo.quantization.calibration import CalibrationOptions
        from tfyolo.quantization.model import calibrate_model

        exact, how = self._exact, self._how
        options = CalibrationOptions(how.ranges, keep_float=tuple(how.keep_float))
        model, contract = calibrate_model(exact.model, exact.contract, self._images, options, self._progress)
        return ExportJob(model, contract, ExportOptions(image_size=exact.image_size, precision="int8"))


def _check_data(contract: Contract, dataset: Dataset | FolderDataset | None) -> None:
    """Refuse data that the model was not trained for.

    Raises:
        TfyoloError: of another task, or with other classes.
    """
    if dataset is None:
        return
    if isinstance(dataset, FolderDataset) != (contract.task == "classify"):
        kind = "a classifier, which takes a folder" if contract.task == "classify" else "a detector"
        raise TfyoloError(f"--data is of another task: the model is {kind}", fix="pass the data it is for")
    if isinstance(dataset, FolderDataset):
        dataset.with_names(contract.names)
    else:
        match_classes(dataset.names, contract.names, dataset.yaml_path)
