"""Classification data and models for Keras' `fit`, in a line each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfyolo.argument_checks import check_whole
from tfyolo.data.classification.augment import ClassificationAugmentationOptions
from tfyolo.data.classification.folders import check_trainable, read_folders, scan_folders
from tfyolo.data.classification.pipeline import ClassificationPipeline, ClassificationPipelineOptions
from tfyolo.deprecation import renamed_arguments
from tfyolo.python_errors import python_errors
from tfyolo.training.classification.initialization import build_training_model, plan_initial_weights
from tfyolo.training.classification.model import ClassifierTraining
from tfyolo.training.classification.validation import ClassifierValidation
from tfyolo.training.fit.source import SizedData, endless, warn_unusable


@renamed_arguments(batch="batch_size")
class ClassificationData(SizedData):
    """A folder of images for each class, ready for `fit`.

    Args:
        data: folder of the dataset, with `train` and, for `validation`, `val` or `test`.
        image_size: side of the images in pixels.
        batch_size: images per batch.
        augmentation: hyperparameters of augmentation, by default YOLOv5's.
        seed: seed of the pipeline.
        cache: keep decoded images in `ram`, on `disk`, or not (`none`); `auto` decides by their size.

    Raises:
        TfyoloError: the dataset is wrong.

    Example:
        >>> from tfyolo.data.classification.crops import crop_dataset
        >>> from tfyolo.data.detection.scan import read_dataset
        >>> cells = crop_dataset(read_dataset("bccd-mini"), "cells")  # a folder per class
        >>> data = ClassificationData("cells", image_size=64)
        >>> data.steps, data.names
        (12, ('Platelets', 'RBC', 'WBC'))
    """

    @python_errors
    def __init__(
        self,
        data: str | Path,
        image_size: int = 224,
        batch_size: int = 64,
        augmentation: ClassificationAugmentationOptions | None = None,
        seed: int = 0,
        cache: str = "auto",
    ) -> None:
        check_whole(image_size=image_size, batch_size=batch_size)
        self.dataset, self.image_size, self.batch_size = read_folders(data), image_size, batch_size
        check_trainable(self.dataset)
        scan = scan_folders(self.dataset, "train")
        warn_unusable(scan)
        self.samples = scan.samples
        options = ClassificationPipelineOptions(image_size, batch_size, seed, cache)
        self.pipeline = ClassificationPipeline(
            self.samples, len(self.names), augmentation or ClassificationAugmentationOptions(), options
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Class names."""
        return self.dataset.names

    @property
    def steps(self) -> int:
        """Batches per epoch."""
        return self.pipeline.steps_per_epoch

    def stream(self, first_epoch: int = 0) -> Any:
        """A `tf.data.Dataset` of batches without end; pass `steps_per_epoch` to `fit`.

        Images float32 (batch, size, size, 3) in 0..1, labels float32 (batch, classes): any Keras model with
        a categorical cross-entropy takes them.

        Args:
            first_epoch: epoch to begin with, counted from 0; each has its own order and augmentation.
        """
        return endless(self.pipeline.stream(first_epoch))

    def validation(self) -> ClassifierValidation:
        """A callback that measures the averaged weights on `val` after each epoch."""
        return ClassifierValidation(self.dataset)


@python_errors
def training_classifier(
    data: ClassificationData, model: str = "", pretrained: str | Path = "", dropout: float = 0.0
) -> ClassifierTraining:
    """Make a classifier for Keras' `fit`, with the classes of `data`.

    Args:
        data: training data.
        model: name or YAML file of a classifier; defaults to that of `pretrained`, or yolov5n-cls.
        pretrained: `.pt` or `.keras` file, or release name, of a classifier or detector to start from; "" for
            random weights.
        dropout: dropout rate before the last layer.

    Returns:
        A `keras.Model` to be compiled and fitted; `save` writes a file for `tfyolo.load`.

    Raises:
        TfyoloError: weights or configuration cannot be read.

    Example:
        >>> from tfyolo.data.classification.crops import crop_dataset
        >>> from tfyolo.data.detection.scan import read_dataset
        >>> cells = crop_dataset(read_dataset("bccd-mini"), "cells")  # a folder per class
        >>> model = training_classifier(ClassificationData("cells", image_size=64), "yolov5n-cls")
        >>> model.compile("Adam")
    """
    start = plan_initial_weights(model, str(pretrained), data.names, data.image_size, dropout)
    training = build_training_model(start, data.image_size)
    training.data = data
    return training
