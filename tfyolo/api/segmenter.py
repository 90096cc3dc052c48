"""`tfyolo.Segmenter`: predict, evaluate, train, quantize, export and benchmark a segmentation model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfyolo.api.fit import FitResult
from tfyolo.api.fit_boxes import fit_boxes
from tfyolo.api.model import TaskModel
from tfyolo.inference.detection import Image
from tfyolo.inference.segmentation.predictor import SegmentationPredictor
from tfyolo.inference.segmentation.results import SegmentationResult
from tfyolo.progress import Log, Progress, no_log, no_progress
from tfyolo.python_errors import python_errors

if TYPE_CHECKING:
    from tfyolo.data.detection.scan import Dataset
    from tfyolo.evaluation.detection_metrics import Metrics


class Segmenter(TaskModel, SegmentationPredictor):
    """A segmentation model: predicts boxes with masks; can be trained, quantized, exported and so on.

    `tfyolo.load` returns one for a segmentation model's file of any format, `tfyolo.create` one with random
    weights. Exported files can predict and be evaluated and benchmarked; the other methods require a Keras
    model, from a `.keras` or `.pt` file.

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
            images: one image or a list: paths, uint8 RGB arrays (height, width, 3), PIL images; or an array
                (n, height, width, 3) of several. Arrays may also be gray, or have an alpha channel.
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
            the size of the image in addition to the fields of `tfyolo.Result`.

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

    @python_errors
    def evaluate(
        self,
        data: Dataset | str | Path,
        split: str = "val",
        *,
        batch_size: int = 32,
        confidence: float = 0.001,
        iou_threshold: float = 0.6,
        max_detections: int = 300,
        image_size: int | tuple[int, int] | None = None,
        rect: bool = True,
        single_cls: bool = False,
        save_json: bool = False,
        annotations: str | Path | None = None,
        retina_masks: bool = False,
        folder: str | Path | None = None,
        plots: bool = True,
        progress: Progress = no_progress,
    ) -> Metrics:
        """Measure precision, recall and mAP of boxes and masks on a dataset, as `tfyolo segment val` does.

        Args:
            data: dataset YAML with polygons as labels, or a dataset that has been read.
            split: `train`, `val` or `test`.
            batch_size: number of images per batch.
            confidence: confidence threshold, 0 to 1. Above 0.001, the measured mAP is too high.
            iou_threshold: IoU of boxes above which NMS suppresses the lower-scoring one, 0 to 1.
            max_detections: maximum number of boxes per image.
            image_size: input size in pixels, one number or (height, width); defaults to `image_size`.
            rect: pad images only to multiples of the stride, if the input size of the model may vary.
            single_cls: treat all classes as one.
            save_json: also compute COCO's own metrics, and write `predictions.json` to `folder`.
            annotations: COCO JSON with the ground truth for `save_json`; made from the labels by default.
            retina_masks: enlarge the masks of `predictions.json` and mosaics to the image before they are
                cropped to their boxes, instead of after; the metrics do not change.
            folder: folder for `metrics.json` and plots; nothing is written by default.
            plots: draw curves, the confusion matrix and mosaics into `folder`.
            progress: called as `progress(label, done, total)` after each step.

        Returns:
            Metrics, with `map50` and `map50_95` of boxes, `mask_map50` and `mask_map50_95` (0 to 1), and
            `result` and `mask_result` with the metrics of each class.

        Raises:
            TfyoloError: the dataset is wrong, has no polygons, or has a class that the model does not have.

        Example:
            >>> import tfyolo
            >>> metrics = tfyolo.load("yolov5n-seg.pt").evaluate("coco128-seg.yaml")  # doctest: +SKIP
            >>> metrics.map50_95, metrics.mask_map50_95  # doctest: +SKIP
        """
        from tfyolo.evaluation.detection_metrics import ValOptions
        from tfyolo.evaluation.validator import validate

        options = ValOptions(
            split=split,
            batch_size=batch_size,
            confidence=confidence,
            iou_threshold=iou_threshold,
            max_detections=max_detections,
            rect=rect,
            single_cls=single_cls,
            plots=plots,
            save_json=save_json,
            annotations=None if annotations is None else Path(annotations),
            retina_masks=retina_masks,
        )
        target = None if folder is None else Path(folder)
        return validate(self._resized(image_size), data, options, target, progress)

    @python_errors
    def fit(
        self,
        data: str | Path | None = None,
        *,
        epochs: int = 100,
        batch_size: int = 16,
        image_size: int | None = None,
        optimizer: str = "SGD",
        hyp: str | Path = "scratch-low",
        callbacks: Sequence[Any] = (),
        resume: bool | str | Path = False,
        project: str | Path = "runs/train-seg",
        name: str = "exp",
        exist_ok: bool = False,
        progress: Progress = no_progress,
        log: Log = no_log,
        **options: Any,
    ) -> FitResult:
        """Train from the present weights, as `tfyolo segment train` does, and become the best model.

        The run is written into a new folder: `weights/best.keras` and `weights/last.keras`, `results.csv`,
        plots and TensorBoard's event files. Afterwards this model has the weights of `best.keras`, the class
        names of the dataset and the image size of the training; `model` is a new `keras.Model`.

        Args:
            data: dataset YAML with `train` and `val`, whose labels are polygons; not used with `resume`.
            epochs: number of epochs.
            batch_size: number of images per batch; -1 measures how many fit the memory of the GPU.
            image_size: side of the training images in pixels; defaults to the longer side of `image_size`.
            optimizer: `SGD`, `Adam` or `AdamW`.
            hyp: hyperparameters, by name or file.
            callbacks: Keras callbacks, called after those of the run.
            resume: continue an unfinished run: its folder or `last.keras`, or True for the newest one in
                `project`. The run keeps its own dataset and options; other arguments have no effect.
            project: folder that holds all runs.
            name: name of the run's folder; a number is appended where it exists.
            exist_ok: write into an existing folder.
            progress: called as `progress(label, done, total)` while labels are checked and validation runs.
            log: called with each message of the log, including one per epoch; `print` is a good choice.
            options: single hyperparameters, such as `lr0=0.001` or `mosaic=0.5`, and further fields of
                `tfyolo.SegmentOptions`, such as `overlap=False`, `freeze=10` or `cache="ram"`.

        Returns:
            The folder, the paths of the best and the last model, `metrics` of the best on `val`, and
            `history` with the losses and metrics of each epoch.

        Raises:
            TfyoloError: dataset or options are wrong, no label has a polygon, no run can be resumed, or this
                is an exported file.

        Example:
            >>> import tfyolo
            >>> segmenter = tfyolo.load("yolov5n-seg.pt")  # doctest: +SKIP
            >>> result = segmenter.fit("fruit.yaml", epochs=30, log=print)  # doctest: +SKIP
            >>> result.metrics.mask_map50, result.history["metrics/mAP_0.5(M)"]  # doctest: +SKIP
            >>> segmenter.fit(resume=True)  # doctest: +SKIP
        """
        return fit_boxes(
            self,
            "segment",
            data,
            epochs=epochs,
            batch_size=batch_size,
            image_size=image_size,
            optimizer=optimizer,
            hyp=hyp,
            callbacks=callbacks,
            resume=resume,
            project=project,
            name=name,
            exist_ok=exist_ok,
            progress=progress,
            log=log,
            options=options,
        )
