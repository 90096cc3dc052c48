"""A segmentation model in training: YOLOv5's loss and metrics for `TrainingModel`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfyolo.errors import TfyoloError
from tfyolo.training.detection.box_model import BoxTraining
from tfyolo.training.detection.loss import DetectionLoss, LossOptions
from tfyolo.training.segmentation.loss import LOSSES, SegmentationLoss, SegmentationLosses


class SegmenterTraining(BoxTraining):
    """A segmentation model in training; see `TrainingModel`.

    Example:
        >>> import tfyolo
        >>> data = tfyolo.TrainingData("coco128-seg.yaml", image_size=320, masks=True)  # doctest: +SKIP
        >>> model = tfyolo.training_model("yolov5n-seg.pt", data)  # doctest: +SKIP
        >>> model.compile("SGD")  # doctest: +SKIP
        >>> history = model.fit(data, epochs=60, validation_data=data)  # doctest: +SKIP
        >>> history.history["val_mask_map50_95"]  # doctest: +SKIP
    """

    kind = "segmentation model"
    loss_names = LOSSES
    mean_names = ("loss", *LOSSES)

    def make_loss(self, options: LossOptions) -> DetectionLoss:
        """Create the loss of boxes and masks, and return that of boxes."""
        if self.jit_compile:
            raise TfyoloError(
                "jit_compile does not support segmentation models: the number of masks in the loss varies",
                fix="leave it out",
            )
        contract, spec = self.contract, self.contract.spec
        self.segmentation_loss = SegmentationLoss(
            contract.anchors_px, spec.strides, spec.num_classes, spec.num_coefficients, options
        )
        return self.segmentation_loss.boxes

    def head_losses(self, outputs: Sequence[Any], targets: Any, balance: Any = None) -> SegmentationLosses:
        """Compute the losses of raw heads and prototypes.

        Args:
            outputs: raw heads, one per feature map, followed by the prototypes.
            targets: `labels`, float32 (batch, boxes, 5): class id, then center x, center y, width and height
                relative to the image, rows with class id -1 are padding; and `masks`, either int32 (batch,
                height, width), where k marks the pixels of row k - 1 of `labels`, or (batch, boxes, height,
                width) in 0..1. Masks of another size than the prototypes are resized.
            balance: (scales,) weights of the objectness losses; default to those of YOLOv5.

        Raises:
            TfyoloError: `targets` are not labels and masks.
        """
        if not isinstance(targets, Mapping) or not {"labels", "masks"} <= targets.keys():
            raise TfyoloError(
                "batches of a segmentation model are pairs of images and a dict with `labels` and `masks`",
                fix="make the data with tfyolo.TrainingData(..., masks=True)",
            )
        *heads, prototypes = outputs
        return self.segmentation_loss(heads, prototypes, targets["labels"], targets["masks"], balance)

    def validation_of(self, data: Any, frequency: int = 1) -> Any:
        """Return a callback that computes mAP of boxes and masks on `data` and adds `val_*` metrics.

        Args:
            data: `TrainingData` with masks (its `val` split), the path of a dataset, or batches of images and
                targets.
            frequency: epochs between validations.
        """
        from tfyolo.training.segmentation.validation import validation_of

        return validation_of(data, frequency)
