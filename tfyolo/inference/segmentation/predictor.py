"""Instance segmentation with a model file of any format: from images to boxes with masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter

import numpy as np

from tfyolo.data.images.letterbox import Letterbox
from tfyolo.errors import TfyoloError
from tfyolo.export.runtime.predictions import Detections
from tfyolo.inference.detection import BoxPredictor, Image
from tfyolo.inference.nms import NmsOptions
from tfyolo.inference.segmentation.masks import Masks, crop_then_enlarge, enlarge_masks, enlarge_then_crop
from tfyolo.inference.segmentation.results import SegmentationResult


class SegmentationPredictor(BoxPredictor):
    """Finds objects and their masks in images with a runtime of any format.

    It can be called from any number of threads at once.

    Args:
        runtime: runs the model file.
        image_size: (height, width) of the input in pixels; defaults to the model's. Files with a fixed input
            refuse others.

    Example:
        >>> segmenter = tfyolo.load("yolov5n-seg.pt")  # doctest: +SKIP
        >>> segmenter("bus.jpg")[0].areas_px.tolist()  # doctest: +SKIP
        [231544, 80563, 66230, 54071, 11362]
    """

    def __call__(
        self,
        images: Image | Sequence[Image],
        confidence: float = 0.25,
        iou_threshold: float = 0.45,
        class_ids: Sequence[int] | None = None,
        agnostic: bool = False,
        max_detections: int = 300,
        rect: bool = True,
        retina_masks: bool = False,
    ) -> list[SegmentationResult]:
        """Find objects and their masks in images.

        Args:
            images: one image or a list: paths, arrays, PIL images; or an array (n, height, width, 3).
            confidence: confidence threshold.
            iou_threshold: IoU threshold of NMS.
            class_ids: class ids to keep; None keeps all.
            agnostic: let boxes of different classes suppress each other.
            max_detections: maximum number of boxes per image.
            rect: pad images only to a multiple of the stride, which is faster, if the input size is not
                fixed.
            retina_masks: enlarge masks to the image before they are cropped to their boxes, instead of after.

        Returns:
            One result per image, in input order.

        Raises:
            TfyoloError: an image cannot be read or has an unsupported type, or a class id is out of range.
        """

        def make(
            found: Detections,
            letterbox: Letterbox,
            image: np.ndarray,
            path: Path | None,
            speed: Mapping[str, float],
        ) -> SegmentationResult:
            start = perf_counter()
            boxes = letterbox.to_image(found.boxes_xyxy_px)
            instances = image_masks(found, letterbox, retina_masks)
            speed = {**speed, "masks": 1e3 * (perf_counter() - start)}
            return SegmentationResult(
                boxes, found.scores, found.class_ids, self.names, image, path, speed, found.problem, instances
            )

        options = NmsOptions(confidence, iou_threshold, class_ids, agnostic, False, max_detections)
        return self._predict(images, options, make, rect)


def image_masks(found: Detections, letterbox: Letterbox, retina_masks: bool = False) -> Masks:
    """Assemble the masks of the detections of one image.

    Args:
        found: detections with coefficients and prototypes, in pixels of the input.
        letterbox: mapping from the image to the input.
        retina_masks: enlarge masks before they are cropped, instead of after.

    Returns:
        One mask per detection, in pixels of the image.

    Raises:
        TfyoloError: `retina_masks`, and the file returns masks that are cropped already.
    """
    if found.masks is not None:
        if retina_masks:
            raise TfyoloError(
                "the file returns masks that are cropped already, which --retina-masks cannot use",
                fix="export it with --nms none, or leave out --retina-masks",
            )
        return enlarge_masks(found.masks, found.boxes_xyxy_px, letterbox)
    if not len(found) or found.coefficients is None or found.prototypes is None:
        return Masks.empty(letterbox.image_size)
    if retina_masks:  # YOLOv5 rounds these boxes
        boxes = letterbox.to_image(found.boxes_xyxy_px).round()
        # Batches of validation are padded on all sides, so that the image need not fill the letterbox.
        gain = letterbox.ratio * found.prototypes.shape[0] / letterbox.out_hw[0]
        return enlarge_then_crop(found.coefficients, found.prototypes, boxes, letterbox.image_size, gain)
    return crop_then_enlarge(found.coefficients, found.prototypes, found.boxes_xyxy_px, letterbox)
