"""Sampling of training images by class frequency and mAP (`--image-weights`)."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from tfyolo.data.detection.sample import Sample
from tfyolo.training.detection.validation import Validation
from tfyolo.training.state import RunState


class ImageSampling(keras.callbacks.Callback):
    """Samples images of rare classes and of classes with low mAP more often.

    The weight of an image is the sum over its labels of (1 - mAP of the class)^2 / frequency of the class.

    Args:
        samples: images of the training split.
        validation: callback that measures the mAP per class; it is called before this one.
        state: state of the run, which keeps the mAP for a resumed run.
        num_classes: number of classes.

    Source: image weights of YOLOv5 (`labels_to_class_weights`, `labels_to_image_weights`).
    """

    def __init__(
        self, samples: Sequence[Sample], validation: Validation, state: RunState, num_classes: int
    ) -> None:
        super().__init__()
        self.validation, self.state, self.num_classes = validation, state, num_classes
        last = num_classes - 1  # with --single-cls all labels are of class 0
        self._counts = np.stack(
            [np.bincount(np.minimum(s.classes, last), minlength=num_classes) for s in samples]
        )
        rarity = 1.0 / np.maximum(self._counts.sum(0), 1)
        self._rarity = rarity / rarity.sum()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Keep the mAP of each class."""
        self.state.class_maps = self.validation.map_per_class(self.num_classes).tolist()

    def weights(self) -> np.ndarray:
        """Return float64 (samples,) sampling weights for the next epoch."""
        maps = np.array(self.state.class_maps or np.zeros(self.num_classes))
        # The small constant lets images without labels appear, too.
        return (self._counts * (self._rarity * (1.0 - maps) ** 2)).sum(1) + 1e-6
