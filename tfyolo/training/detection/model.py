"""A detector in training: YOLOv5's loss and metrics for `TrainingModel`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfyolo.training.detection.box_model import BoxTraining
from tfyolo.training.detection.loss import LOSSES, DetectionLoss, Losses, LossOptions


class DetectorTraining(BoxTraining):
    """A detector in training; see `TrainingModel`.

    Example:
        >>> import tfyolo
        >>> data = tfyolo.TrainingData("bccd-mini", image_size=64, batch_size=8)
        >>> model = tfyolo.training_model("bccd-n", data)
        >>> model.compile("SGD")
        >>> history = model.fit(data, epochs=1, validation_data=data)  # doctest: +SKIP
        >>> history.history["val_map50_95"]  # doctest: +SKIP
        [0.51]
    """

    kind = "detector"
    loss_names = LOSSES
    mean_names = ("loss", *LOSSES)

    def make_loss(self, options: LossOptions) -> DetectionLoss:
        """Create the loss of boxes, objectness and classes."""
        spec = self.contract.spec
        return DetectionLoss(self.contract.anchors_px, spec.strides, spec.num_classes, options)

    def head_losses(self, outputs: Sequence[Any], targets: Any, balance: Any = None) -> Losses:
        """Compute the losses of raw heads.

        Args:
            outputs: raw heads, one per feature map.
            targets: float32 (batch, boxes, 5): class id, then center x, center y, width and height relative
                to the image; rows with class id -1 are padding.
            balance: (scales,) weights of the objectness losses; default to those of YOLOv5.
        """
        return self.box_loss(outputs, targets, balance)

    def validation_of(self, data: Any, frequency: int = 1) -> Any:
        """Return a callback that computes mAP on `data` and adds `val_*` metrics to the logs.

        Args:
            data: `TrainingData` (its `val` split), the path of a dataset, or batches of images and labels.
            frequency: epochs between validations.
        """
        from tfyolo.training.detection.batch_validation import validation_of

        return validation_of(data, frequency)
