"""Training of segmentation models, as a task of the trainer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar, cast

from tfyolo.data.detection.pipeline import Pipeline, PipelineOptions
from tfyolo.data.segmentation.options import MaskOptions
from tfyolo.data.segmentation.polygons import check_polygons
from tfyolo.models import Contract
from tfyolo.training.detection import plots as detection_plots
from tfyolo.training.detection.task import DetectionTask
from tfyolo.training.detection.validation import Validation
from tfyolo.training.loop import BatchSource
from tfyolo.training.segmentation import plots
from tfyolo.training.segmentation.loss import LOSSES
from tfyolo.training.segmentation.options import SegmentOptions
from tfyolo.training.segmentation.validation import COLUMNS, SegmentationValidation


class SegmentationTask(DetectionTask):
    """Training of segmentation models: that of detectors, with masks."""

    name = "segment"
    results_columns = (
        *(f"train/{name}" for name in LOSSES),
        *COLUMNS.values(),
        *(f"val/{name}" for name in LOSSES),
    )
    tensorboard_losses: ClassVar[tuple[str, ...]] = LOSSES
    validation_type: ClassVar[type[Validation]] = SegmentationValidation

    def scan(self) -> None:
        """Read the dataset, and check that the labels of `train` have polygons."""
        super().scan()
        check_polygons(self.scans["train"].samples, self.dataset.yaml_path)

    def pipeline_options(self, contract: Contract) -> PipelineOptions:
        """Return the options of the batches, with masks."""
        options = cast(SegmentOptions, self.options)
        masks = MaskOptions(ratio=options.mask_ratio, overlap=options.overlap)
        return replace(super().pipeline_options(contract), masks=masks)

    def save_data_plots(self, pipeline: BatchSource, folder: Path) -> None:
        """Draw `labels.jpg`, and `train_batch0.jpg` to `train_batch2.jpg` with masks."""
        detection_plots.save_labels(self.samples, self.dataset.names, folder / "labels.jpg")
        plots.save_batches(cast(Pipeline, pipeline), self.names, folder)

    def save_result_plots(self, folder: Path) -> None:
        """Draw `results.png`."""
        plots.save_results(folder / "results.csv", folder / "results.png")
