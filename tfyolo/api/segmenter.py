"""`tfyolo.Segmenter`: predict boxes with instance masks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from tfyolo.api.model import TaskModel
from tfyolo.api.python_errors import python_errors
from tfyolo.errors import TfyoloError
from tfyolo.inference.detection import Image
from tfyolo.inference.segmentation.predictor import SegmentationPredictor
from tfyolo.inference.segmentation.results import SegmentationResult


class Segmenter(TaskModel, SegmentationPredictor):
    """An instance segmentation model: predicts boxes with masks.

    `tfyolo.load` returns one for the file of a segmentation model, `tfyolo.create` one with random weights.
    Training, validation, quantization and benchmarks of segmentation models do not exist yet; `export` writes
    `.pt` files, and `save` `.keras` files.

    Args:
        runtime: runs the model file.
        image_size: input size (height, width) in pixels; defaults to the model's own.

    Example:
        >>> import tfyolo
        >>> tfyolo.create("yolov5n-seg", names=["cat", "dog"], image_size=64)
        <Segmenter yolov5n-seg: 2 classes (cat, dog), 64x64 pixels, Keras>
    """

    @python_errors
    def predict(
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
        """Find objects and their masks in images; `segmenter(images)` does the same.

        Args:
            images: one image or a list: paths, uint8 RGB arrays (height, width, 3), PIL images.
            confidence: confidence threshold, 0 to 1.
            iou_threshold: IoU above which NMS suppresses the lower-scoring box, 0 to 1.
            class_ids: class ids to keep; None keeps all.
            agnostic: let boxes of different classes suppress each other.
            max_detections: maximum number of boxes per image.
            rect: pad images only to a multiple of the stride, which is faster, if the input size is not
                fixed.
            retina_masks: enlarge masks to the image before they are cropped to their boxes, instead of after.

        Returns:
            One `tfyolo.SegmentationResult` per image, in input order, with `masks` bool (n, height, width) at
            the size of the image beside the fields of `tfyolo.Result`.

        Raises:
            TfyoloError: an image cannot be read or has an unsupported type, or a class id is out of range.

        Example:
            >>> import tfyolo
            >>> from tfyolo.assets import SAMPLE_IMAGE
            >>> segmenter = tfyolo.create("yolov5n-seg", names=["cat", "dog"], image_size=64)
            >>> segmenter.predict(SAMPLE_IMAGE)[0].masks.shape
            (0, 480, 640)
        """
        return super().__call__(
            images, confidence, iou_threshold, class_ids, agnostic, max_detections, rect, retina_masks
        )

    __call__ = predict

    def evaluate(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not available yet.

        Raises:
            TfyoloError: always.
        """
        self._refuse("validated")

    def fit(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not available yet.

        Raises:
            TfyoloError: always.
        """
        self._refuse("trained")

    def quantize(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not available yet.

        Raises:
            TfyoloError: always.
        """
        self._refuse("quantized")

    def benchmark(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Not available yet.

        Raises:
            TfyoloError: always.
        """
        self._refuse("benchmarked")

    def _refuse(self, participle: str) -> NoReturn:
        path: Path | None = self.runtime.path
        raise TfyoloError(
            f"a segmentation model cannot be {participle} yet",
            path=path,
            fix="it can predict, be saved, and be exported to .pt",
        )
