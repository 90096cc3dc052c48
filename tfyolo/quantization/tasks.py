"""Quantization of each task: data, loss, validation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfyolo.data.augment.options import AugmentationOptions
from tfyolo.data.classification.augment import ClassificationAugmentationOptions
from tfyolo.data.classification.folders import read_folders, scan_folders
from tfyolo.data.classification.pipeline import ClassificationPipeline, ClassificationPipelineOptions
from tfyolo.data.detection.class_map import match_classes
from tfyolo.data.detection.pipeline import Pipeline, PipelineOptions
from tfyolo.data.detection.scan import read_dataset, scan_split
from tfyolo.data.segmentation.options import MaskOptions
from tfyolo.evaluation.classification import ClassificationMetrics, ClassifierValOptions, validate_classifier
from tfyolo.evaluation.detection_metrics import Metrics
from tfyolo.evaluation.validator import validate
from tfyolo.export.graph.options import GraphNmsOptions
from tfyolo.export.job import ExportJob
from tfyolo.export.options import ExportOptions
from tfyolo.inference.load import load_box_predictor, load_classification_predictor
from tfyolo.inference.nms import MAX_CANDIDATES
from tfyolo.models.contract import Contract
from tfyolo.progress import Progress, no_progress
from tfyolo.quantization.calibration_images import calibration_images
from tfyolo.quantization.training.objectives import (
    ClassificationObjective,
    DetectionObjective,
    Objective,
    SegmentationObjective,
)
from tfyolo.training.detection.hyps import read_hyps
from tfyolo.training.detection.loss import LossOptions

CROP = 0.7
"""Share of the image's side that a step of a detector's distillation sees: half of the pixels."""
LABEL_SMOOTHING = 0.1
"""As a classifier is trained."""
_PLAIN = AugmentationOptions(hsv_h=0.0, hsv_s=0.0, hsv_v=0.0, translate=0.0, scale=0.1, mosaic=0.0)
_PLAIN_CLASSIFIER = ClassificationAugmentationOptions(scale=0.6, jitter=0.0)


@dataclass(frozen=True)
class BatchOptions:
    """Options of training batches.

    Attributes:
        image_size: input size in pixels.
        batch_size: number of images per step.
        seed: seed of the order of images.
        loss: `loss` of `QatOptions`.
        hyp: hyperparameters of YOLOv5's loss.
    """

    image_size: tuple[int, int]
    batch_size: int
    seed: int
    loss: str
    hyp: str


@dataclass(frozen=True)
class Training:
    """Data and loss of QAT.

    Attributes:
        side: image size of a batch in pixels.
        steps_per_epoch: batches in an epoch.
        objective: the loss.
        batches: endless batches from a step on, counted from 0: images float32 (batch, side, side, 3) in
            0..1, and labels for `objective`.
    """

    side: int
    steps_per_epoch: int
    objective: Objective
    batches: Callable[[int], Iterator[Any]]


class QuantizationTask(ABC):
    """Task-specific part of quantization.

    Args:
        data: dataset YAML file of a detector, or folder of a classifier.
        contract: contract of the model.

    Raises:
        TfyoloError: the dataset is wrong, or has other classes than the model.
    """

    def __init__(self, data: str | Path, contract: Contract) -> None:
        self._data, self._contract = data, contract

    def images(
        self,
        split: str,
        image_size: tuple[int, int],
        count: int,
        progress: Progress = no_progress,
    ) -> np.ndarray:
        """Load preprocessed images, sampled evenly from a split; see `calibration_images`.

        Args:
            split: `train` for calibration, another one for comparison.
            image_size: input size (height, width) in pixels.
            count: maximum number of images.
            progress: called as `progress(label, done, total)` after each step.

        Returns:
            uint8 (n, height, width, 3) RGB.

        Raises:
            TfyoloError: no image can be read.
        """
        return calibration_images(self._contract.task, self._data, split, image_size, count, progress)

    @abstractmethod
    def training(self, how: BatchOptions) -> Training:
        """Return batches of the training split, and the loss."""

    @abstractmethod
    def request(self, model: Any, contract: Contract) -> ExportJob:
        """Return the export job of the int8 file that is measured."""

    @abstractmethod
    def measure(self, file: Path, folder: Path, progress: Progress) -> Metrics | ClassificationMetrics:
        """Validate a model file on `val`.

        Args:
            file: model file.
            folder: folder that metrics and plots are written to.
            progress: called as `progress(label, done, total)` after each step.

        Returns:
            Metrics of the validation.
        """


class DetectionTask(QuantizationTask):
    """Quantization of detectors."""

    objective: type[DetectionObjective] = DetectionObjective
    masks: MaskOptions | None = None

    def __init__(self, data: str | Path, contract: Contract) -> None:
        super().__init__(data, contract)
        self._dataset = read_dataset(data)
        self._classes = match_classes(self._dataset.names, contract.names, self._dataset.yaml_path)

    def training(self, how: BatchOptions) -> Training:
        """Return letterboxed images, or random crops for distillation, which needs no labels."""
        contract = self._contract
        size, stride = max(how.image_size), max(contract.strides)
        crop = how.loss == "distill"  # labels would have to be cropped, too
        side = max(round(CROP * size / stride), 1) * stride if crop else size
        gains = LossOptions.of(read_hyps(how.hyp))
        objective = self.objective(contract, gains.scaled(len(contract.names), len(contract.strides), size))
        shape = PipelineOptions(
            image_size=size,
            batch=how.batch_size,
            seed=how.seed,
            stride=stride,
            masks=None if crop else self.masks,
        )
        samples = [
            replace(sample, classes=self._classes.to_model(sample.classes))
            for sample in scan_split(self._dataset, "train").samples
        ]
        pipeline = Pipeline(samples, _PLAIN, shape)

        def prepare(number: Any, batch: tuple[Any, Any]) -> tuple[Any, Any]:
            images, labels = batch
            if crop:
                seeds = tf.stack([tf.constant(how.seed, tf.int64), number])
                images = tf.image.stateless_random_crop(images, [how.batch_size, side, side, 3], seeds)
            return tf.cast(images, tf.float32) / 255.0, labels

        def batches(done: int) -> Iterator[Any]:
            return iter(_from_step(pipeline, done).enumerate(done).map(prepare).prefetch(2))

        return Training(side, pipeline.steps_per_epoch, objective, batches)

    def request(self, model: Any, contract: Contract) -> ExportJob:
        """Use as many candidates as for Keras models, so that quantization is the only difference."""
        settings = GraphNmsOptions(
            confidence=0.001,
            iou_threshold=0.6,
            max_detections=300,
            candidates=MAX_CANDIDATES,
            multi_label=True,
        )
        return ExportJob(
            model,
            contract,
            ExportOptions(image_size=contract.image_size, nms_options=settings, precision="int8"),
        )

    def measure(self, file: Path, folder: Path, progress: Progress) -> Metrics:
        """Compute mAP."""
        return validate(load_box_predictor(file), self._data, folder=folder, progress=progress)


class SegmentationTask(DetectionTask):
    """Quantization of segmentation models."""

    objective = SegmentationObjective
    masks = MaskOptions()

    def request(self, model: Any, contract: Contract) -> ExportJob:
        """Leave NMS out: 300 masks an image would take more time than the network."""
        return super().request(model, contract).with_options(nms="none", nms_options=GraphNmsOptions())


class ClassificationTask(QuantizationTask):
    """Quantization of classifiers."""

    def __init__(self, data: str | Path, contract: Contract) -> None:
        super().__init__(data, contract)
        self._dataset = read_folders(data).with_names(contract.names)

    def training(self, how: BatchOptions) -> Training:
        """Return random crops of at least half of the image."""
        options = ClassificationPipelineOptions(max(how.image_size), how.batch_size, how.seed)
        samples = scan_folders(self._dataset, "train").samples
        pipeline = ClassificationPipeline(samples, len(self._contract.names), _PLAIN_CLASSIFIER, options)
        return Training(
            options.image_size,
            pipeline.steps_per_epoch,
            ClassificationObjective(LABEL_SMOOTHING),
            lambda done: iter(_from_step(pipeline, done)),
        )

    def request(self, model: Any, contract: Contract) -> ExportJob:
        """Return the export job, with probabilities as output."""
        return ExportJob(model, contract, ExportOptions(image_size=contract.image_size, precision="int8"))

    def measure(self, file: Path, folder: Path, progress: Progress) -> ClassificationMetrics:
        """Compute top-1 and top-5 accuracy."""
        options = ClassifierValOptions()
        return validate_classifier(
            load_classification_predictor(file), self._dataset, options, folder, progress
        )


_TASKS: dict[str, type[QuantizationTask]] = {
    "detect": DetectionTask,
    "classify": ClassificationTask,
    "segment": SegmentationTask,
}


def find_task(data: str | Path, contract: Contract) -> QuantizationTask:
    """Return the quantization task of a model and its dataset.

    Raises:
        TfyoloError: the dataset is wrong, or has other classes than the model.
    """
    return _TASKS[contract.task](data, contract)


def _from_step(pipeline: Pipeline | ClassificationPipeline, done: int) -> tf.data.Dataset:
    """Yield batches from the step `done` on."""
    epoch, skip = divmod(done, pipeline.steps_per_epoch)
    return pipeline.stream(epoch).skip(skip)
