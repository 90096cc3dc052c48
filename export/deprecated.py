"""Exports of earlier releases, which still work: use `Detector.export` with `ExportOptions` instead."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfyolo.export import job as jobs
from tfyolo.export.graph.options import GraphNmsOptions
from tfyolo.export.job import ExportJob
from tfyolo.export.options import ExportOptions
from tfyolo.models.contract import Contract
from tfyolo.progress import Log, Progress, no_log, no_progress


@dataclass(frozen=True)
class ExportRequest:
    """A model and its export options in one object: deprecated, use `Detector.export` or `ExportOptions`.

    Attributes:
        model: `keras.Model` from images to the raw heads.
        contract: contract of `model`.
        image_size: fixed input size (height, width) in pixels.
        nms: kind of NMS in the file.
        settings: thresholds and limits of the NMS in the file.
        precision: a key of `PRECISIONS`.
        images: calibration images, uint8 (n, height, width, 3) RGB.
        dynamic_batch: let the file take any number of images at once.
        opset: version of the ONNX operators.
        simplify: let onnxslim simplify ONNX graphs.
        calibrator: `tfyolo` or `runtime`.
        log: called with each note that a user should read.
    """

    model: Any
    contract: Contract
    image_size: tuple[int, int]
    nms: str = "auto"
    settings: GraphNmsOptions = field(default_factory=GraphNmsOptions)
    precision: str = "float32"
    images: Any = None
    dynamic_batch: bool = False
    opset: int = 17
    simplify: bool = True
    calibrator: str = "tfyolo"
    log: Log = field(default=no_log, repr=False, compare=False)

    def job(self) -> ExportJob:
        """Return the export job that replaces this request."""
        options = ExportOptions(
            image_size=self.image_size,
            nms=self.nms,
            nms_options=self.settings,
            precision=self.precision,
            dynamic_batch=self.dynamic_batch,
            opset=self.opset,
            simplify=self.simplify,
            calibrator=self.calibrator,
        )
        return ExportJob(self.model, self.contract, options, self.images, self.log)


def export_model(
    request: ExportRequest, formats: list[str], stem: Path, progress: Progress | None = None
) -> dict[str, Path]:
    """Write a model in one or more formats: deprecated, use `Detector.export`.

    Args:
        request: the model and its export options.
        formats: names of formats.
        stem: path without suffix; each format adds its own.
        progress: called as `progress(label, done, total)` before each format.

    Returns:
        The path of each format's file or folder.

    Raises:
        TfyoloError: the format does not support the options, or the path is taken.
    """
    return jobs.export_model(request.job(), formats, stem, progress or no_progress)
