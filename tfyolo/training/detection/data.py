"""Training data and models for Keras' `fit`, in a line each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfyolo.argument_checks import check_whole
from tfyolo.data.detection.pipeline import Pipeline, PipelineOptions
from tfyolo.data.detection.scan import check_usable, read_dataset, scan_split
from tfyolo.data.segmentation.options import MaskOptions
from tfyolo.deprecation import renamed_arguments
from tfyolo.errors import TfyoloError
from tfyolo.evaluation.detection_metrics import ValOptions
from tfyolo.progress import Log, no_log
from tfyolo.python_errors import python_errors
from tfyolo.training.detection.box_model import BoxTraining
from tfyolo.training.detection.hyps import DEFAULT, read_hyps
from tfyolo.training.detection.initialization import build_training_model, fit_anchors, plan_initial_weights
from tfyolo.training.detection.validation import Validation
from tfyolo.training.fit.source import SizedData, endless, warn_unusable
from tfyolo.training.segmentation.validation import SegmentationValidation


@renamed_arguments(batch="batch_size")
class TrainingData(SizedData):
    """A dataset for `fit`: batches of its `train` split, and validation on its `val` split.

    Args:
        data: dataset YAML file, or the name of a dataset that ships, such as `bccd-mini`.
        image_size: side of the training images in pixels.
        batch_size: images per batch.
        hyp: hyperparameters, by name or file; here those of augmentation count.
        seed: seed of shuffling and augmentation.
        cache: cache decoded images in `ram` or on `disk`; `none` disables it.
        masks: batches have masks, too, for a segmentation model; the labels must have polygons.
        mask_ratio: pixels of the images per pixel of the masks.
        overlap: one index mask per image, in which smaller objects are drawn over larger ones; False for one
            mask per object.

    Attributes:
        samples: labeled images of the `train` split.
        hyps: hyperparameters.
        masks: whether batches have masks.

    Raises:
        TfyoloError: the dataset is wrong, no image of `train` has a label, or none has a polygon for a mask.

    Warns:
        UserWarning: images or labels cannot be used and are left out; with the first of them.

    Example:
        >>> data = TrainingData("bccd-mini", image_size=320, batch_size=16)
        >>> data.steps, data.names
        (3, ('Platelets', 'RBC', 'WBC'))
    """

    @python_errors
    def __init__(
        self,
        data: str | Path,
        image_size: int = 640,
        batch_size: int = 16,
        hyp: str | Path = DEFAULT,
        seed: int = 0,
        cache: str = "none",
        *,
        masks: bool = False,
        mask_ratio: int = 4,
        overlap: bool = True,
    ) -> None:
        check_whole(image_size=image_size, batch_size=batch_size)
        self.dataset, self.image_size, self.batch_size = read_dataset(data), image_size, batch_size
        self.hyps, self.seed, self.masks = read_hyps(hyp), seed, masks
        options = PipelineOptions(
            image_size=image_size,
            batch=batch_size,
            seed=seed,
            cache=cache,
            masks=MaskOptions(mask_ratio, overlap) if masks else None,
        )
        scan = scan_split(self.dataset, "train", segmentation=masks)
        check_usable(self.dataset, "train", scan, labeled=True, segmentation=masks)
        warn_unusable(scan)
        self.samples = scan.samples
        self.pipeline = Pipeline(self.samples, self.hyps.augmentation(), options)

    @property
    def names(self) -> tuple[str, ...]:
        """Class names."""
        return self.dataset.names

    @property
    def steps(self) -> int:
        """Batches per epoch."""
        return self.pipeline.steps_per_epoch

    def stream(self, first_epoch: int = 0) -> Any:
        """Return an endless `tf.data.Dataset` of batches.

        Args:
            first_epoch: epoch to begin with, counted from 0; each has its own order and augmentation.

        Returns:
            Pairs of uint8 images (batch, image_size, image_size, 3) RGB and float32 labels (batch, boxes, 5):
            class id, then center x, center y, width and height relative to the image; rows with class id -1
            are padding. With masks, a dict with `labels` and `masks` takes the place of the labels: `masks`
            is int32 (batch, height, width), where k marks the pixels of row k - 1 of `labels`, or without
            `overlap` uint8 (batch, boxes, height, width).
        """
        return endless(self.pipeline.stream(first_epoch))

    def validation(self) -> Validation:
        """Return a callback that validates the EMA weights on `val` after each epoch."""
        kind = SegmentationValidation if self.masks else Validation
        return kind(self.dataset, None, ValOptions(plots=False), self.image_size)


@python_errors
def training_model(
    weights: str | Path,
    data: TrainingData,
    cfg: str = "",
    *,
    autoanchor: bool = True,
    log: Log = no_log,
) -> BoxTraining:
    """Make a model for Keras' `fit`, with the classes of `data` and anchors that fit its boxes.

    Args:
        weights: `.pt` or `.keras` file, release name or `bccd-n` to start from; "" for random weights.
        data: training data; with masks for a segmentation model, which can start from a detector's weights.
        cfg: model name or YAML file; defaults to that of `weights`.
        autoanchor: check the anchors against the labels, and replace them if they do not fit.
        log: called with each sentence about copied weights and anchors, such as `print`.

    Returns:
        A `keras.Model` to be compiled and fitted; `save` writes a file for `tfyolo.load`.

    Raises:
        TfyoloError: weights or configuration cannot be read, or the model is a segmentation model and the
            data has no masks.

    Example:
        >>> data = TrainingData("bccd-mini", image_size=64, batch_size=8)
        >>> model = training_model("bccd-n", data)
        >>> model.compile("SGD")
    """
    task = "segment" if data.masks else None
    start = plan_initial_weights(str(weights), cfg, data.names, data.image_size, data.hyps.anchors, task)
    if start.contract.task == "segment" and not data.masks:
        raise TfyoloError(
            "is a segmentation model, but the data has no masks",
            path=cfg or weights,
            fix="pass masks=True to tfyolo.TrainingData",
        )
    log(start.describe())
    start = fit_anchors(
        start, data.samples, data.image_size, data.hyps.anchor_t, check=autoanchor, seed=data.seed, log=log
    )
    model = build_training_model(start, data.image_size)
    model.data = data
    return model
