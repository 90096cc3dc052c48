"""Detection with a model file of any format: from images to boxes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import numpy as np

from tfyolo.argument_checks import check_fraction, check_whole
from tfyolo.data.images.letterbox import Letterbox
from tfyolo.data.images.read import read_image
from tfyolo.errors import TfyoloError
from tfyolo.export.runtime.predictions import Candidates, Detections, Prediction, Probabilities
from tfyolo.inference.base_model import BaseModel
from tfyolo.inference.nms import NmsOptions, non_max_suppression, refine
from tfyolo.inference.results import Result

Image = Any
"""A path, a PIL image, or a uint8 array: (height, width, 3) RGB, (height, width) or (height, width, 1) gray,
or (height, width, 4) RGBA, whose transparency is dropped."""


Made = TypeVar("Made", bound=Result)
MakeResult = Callable[[Detections, Letterbox, np.ndarray, Path | None, Mapping[str, float]], Made]
"""Makes the result of an image from its detections, its letterbox, its pixels, its path and milliseconds."""


class BoxPredictor(BaseModel):
    """Finds boxes in images: what detectors and segmentation models have in common.

    Args:
        runtime: runs the model file.
        image_size: (height, width) of the input in pixels; defaults to the model's. Files with a fixed input
            refuse others.
    """

    @abstractmethod
    def __call__(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Predict on images; returns one result per image, in input order."""

    def _predict(
        self,
        images: Image | Sequence[Image],
        options: NmsOptions,
        make: MakeResult[Made],
        rect: bool,
        augment: bool = False,
    ) -> list[Made]:
        """Predict on images, and make a result of the detections of each.

        Args:
            images: one image or a list: paths, arrays, PIL images; or an array (n, height, width, 3).
            options: thresholds of non-maximum suppression.
            make: makes a result.
            rect: pad images only to a multiple of the stride, if the input size is not fixed.
            augment: test-time augmentation.
        """
        options = self._checked(options)
        listed = list_images(images)
        pixels, paths = zip(*map(read_pixels, listed), strict=True) if listed else ((), ())
        boxes = [self.letterbox(image.shape[:2], rect) for image in pixels]
        results: list[Made | None] = [None] * len(pixels)
        for group in self._groups(boxes):
            start = perf_counter()
            batch = np.stack([boxes[i].apply(pixels[i]) for i in group])
            prepared = perf_counter() - start
            found, speed = self.detect_batch(batch, options, augment)
            speed = {"preprocess": 1e3 * prepared / len(group), **speed}
            for i, detections in zip(group, found, strict=True):
                results[i] = make(detections, boxes[i], pixels[i], paths[i], speed)
        return [result for result in results if result is not None]

    def _checked(self, options: NmsOptions) -> NmsOptions:
        """Return the options with class ids as a tuple, and without numbers of NumPy.

        Raises:
            TfyoloError: a threshold, a number or a class id is out of range.
        """
        numbers = ("confidence", "iou_threshold", "max_detections")
        given: dict[str, Any] = {name: getattr(options, name) for name in numbers}
        given = {name: x.item() if isinstance(x, np.generic) else x for name, x in given.items()}
        ids: Any = options.class_ids
        if ids is not None:
            given["class_ids"] = (ids,) if isinstance(ids, int | np.integer) else tuple(ids)
        options = replace(options, **given)
        check_fraction(confidence=options.confidence, iou_threshold=options.iou_threshold)
        check_whole(max_detections=options.max_detections)
        self.check_class_ids(options.class_ids)
        return options

    def check_class_ids(self, class_ids: Sequence[int] | None) -> None:
        """Check that class ids exist in the model.

        Raises:
            TfyoloError: a class id is out of range, or not a whole number.
        """
        last = len(self.names) - 1
        for index in () if class_ids is None else class_ids:
            if not isinstance(index, int | np.integer) or not 0 <= index <= last:
                raise TfyoloError(f"unknown class id {index!s}", fix=f"pass --classes from 0 to {last}")

    def limits(self, options: NmsOptions) -> str:
        """Describe thresholds of NMS inside the file that are stricter than `options`, if any."""
        note = self.contract.export
        parts = []
        if note.get("conf_thres", 0) > options.confidence:
            parts.append(f"confidence over {note['conf_thres']:g}")
        if note.get("iou_thres", 1) < options.iou_threshold:
            parts.append(f"IoU up to {note['iou_thres']:g}")
        most, asked = note.get("max_det", options.max_detections), options.max_detections
        # Report fewer boxes than requested, but not fewer than the default.
        if most < asked and (parts or asked != NmsOptions.max_detections):
            parts.append(f"at most {most} boxes")
        kept = ", ".join([*parts[:-2], " and ".join(parts[-2:])])
        return f"the file was exported with NMS that keeps {kept}" if parts else ""

    def letterbox(self, image_size: tuple[int, int], rect: bool = True) -> Letterbox:
        """Return the letterbox of an image of this size."""
        rectangular = rect and self.runtime.input_hw is None
        return Letterbox.fit(image_size, self.image_size, stride=self.stride if rectangular else None)

    def detect_batch(
        self, batch: np.ndarray, options: NmsOptions, augment: bool = False
    ) -> tuple[list[Detections], dict[str, float]]:
        """Detect objects in letterboxed images; boxes are in pixels of the input.

        Args:
            batch: uint8 (batch, height, width, 3) RGB; at most `runtime.max_batch` images.
            options: thresholds of non-maximum suppression.
            augment: test-time augmentation.

        Returns:
            Detections per image, and milliseconds per image of `inference` and `nms`.
        """
        start = perf_counter()
        if augment:
            from tfyolo.inference.augment import predict_augmented

            predictions: Sequence[Prediction] = predict_augmented(self.runtime, batch, options.confidence)
        else:
            predictions = self.runtime(batch, options.confidence)
        middle = perf_counter()
        found = [
            non_max_suppression(p, options) if isinstance(p, Candidates) else refine(p, options)
            for p in predictions
            if not isinstance(p, Probabilities)
        ]
        end = perf_counter()
        return found, {
            "inference": 1e3 * (middle - start) / len(batch),
            "nms": 1e3 * (end - middle) / len(batch),
        }

    def _groups(self, boxes: list[Letterbox]) -> list[list[int]]:
        """Group indices of images by input size, up to the maximum batch size of the runtime."""
        by_size: dict[tuple[int, int], list[int]] = {}
        for index, box in enumerate(boxes):
            by_size.setdefault(box.out_hw, []).append(index)
        step = min(self.runtime.max_batch, 16)
        return [same[i : i + step] for same in by_size.values() for i in range(0, len(same), step)]


class DetectionPredictor(BoxPredictor):
    """Detects objects in images with a runtime of any format.

    It can be called from any number of threads at once: each call returns the boxes of its own images. Calls
    run in parallel or wait for each other, depending on the runtime (docs/architecture.md).

    Args:
        runtime: runs the model file.
        image_size: (height, width) of the input in pixels; defaults to the model's. Files with a fixed input
            refuse others.

    Example:
        >>> import tfyolo
        >>> from tfyolo.assets import SAMPLE_IMAGE
        >>> tfyolo.load("bccd-n")(SAMPLE_IMAGE, confidence=0.6)[0].counts()
        {'Platelets': 1, 'RBC': 4, 'WBC': 1}
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
        augment: bool = False,
    ) -> list[Result]:
        """Detect objects in images.

        Args:
            images: one image or a list: paths, arrays, PIL images; or an array (n, height, width, 3).
            confidence: confidence threshold; in files with NMS inside, at least that of the export.
            iou_threshold: IoU threshold of NMS; in files with NMS inside, at most that of the export.
            class_ids: class ids to keep, or one class id; None keeps all.
            agnostic: let boxes of different classes suppress each other.
            max_detections: maximum number of boxes per image.
            rect: pad images only to a multiple of the stride, which is faster, if the input size is not
                fixed.
            augment: test-time augmentation with three scales and a flip: slower, slightly more accurate.

        Returns:
            One result per image, in input order.

        Raises:
            TfyoloError: an image cannot be read or has an unsupported type, or a class id is out of range.
        """
        options = NmsOptions(confidence, iou_threshold, class_ids, agnostic, False, max_detections)
        return self._predict(images, options, self._result, rect, augment)

    def _result(
        self,
        found: Detections,
        letterbox: Letterbox,
        image: np.ndarray,
        path: Path | None,
        speed: Mapping[str, float],
    ) -> Result:
        boxes = letterbox.to_image(found.boxes_xyxy_px)
        return Result(boxes, found.scores, found.class_ids, self.names, image, path, speed, found.problem)


def _eight_bits(gray: np.ndarray) -> np.ndarray:
    """Return gray values of a PIL image of another type as uint8; Pillow would clip them at 255."""
    highest = gray.max(initial=0)
    if gray.dtype.kind == "f":
        return (gray * 255 if highest <= 1 else gray).clip(0, 255).round().astype(np.uint8)
    bits = 8 if highest > 255 or gray.dtype.kind == "u" else 0  # of 16 bits
    return (gray >> bits).clip(0, 255).astype(np.uint8)


def list_images(images: Image | Sequence[Image]) -> list[Image]:
    """Return one image, a sequence of images, or an array (n, height, width, channels) as a list."""
    if isinstance(images, str | Path):
        return [images]
    batch = getattr(images, "ndim", None) == 4
    return list(images) if batch or isinstance(images, Sequence) else [images]


def read_pixels(image: Image) -> tuple[np.ndarray, Path | None]:
    """Return the RGB uint8 pixels of an image argument, and its path, if any."""
    if isinstance(image, str | Path):
        return read_image(image), Path(image)
    path = Path(name) if (name := getattr(image, "filename", "")) else None
    if hasattr(image, "convert"):  # PIL
        from PIL import ImageOps

        image = ImageOps.exif_transpose(image)
        image = _eight_bits(np.asarray(image)) if image.mode[0] in "IF" else image.convert("RGB")
    array = np.asarray(image)
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or array.dtype != np.uint8 or not array.size:
        raise TfyoloError(
            "an image must be uint8 (height, width, 3) RGB, (height, width) or (height, width, 1) gray, or "
            f"(height, width, 4) RGBA, not {array.dtype} {np.shape(image)}",
            fix="pass a path, a PIL image or such an array",
        )
    if array.shape[2] == 1:
        array = np.repeat(array, 3, 2)
    elif array.shape[2] == 4:
        array = np.ascontiguousarray(array[..., :3])  # drops transparency, as `read_image` does
    return array, path
