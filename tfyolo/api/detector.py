"""`tfyolo.Detector`: predict, evaluate, train, quantize, export and benchmark an object detector."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfyolo.api.fit import FitResult
from tfyolo.api.fit_boxes import fit_boxes
from tfyolo.api.model import TaskModel
from tfyolo.deprecation import renamed_arguments
from tfyolo.inference.detection import DetectionPredictor, Image
from tfyolo.inference.results import Result
from tfyolo.progress import Log, Progress, no_log, no_progress
from tfyolo.python_errors import python_errors

if TYPE_CHECKING:
    from tfyolo.data.detection.scan import Dataset
    from tfyolo.evaluation.detection_metrics import Metrics


class Detector(TaskModel, DetectionPredictor):
    """An object detector: predicts boxes, and can be evaluated, trained, quantized, exported and benchmarked.

    `tfyolo.load` returns one for a detector's file of any format, `tfyolo.create` one with random weights.
    Exported files can predict and be evaluated and benchmarked; the other methods require a Keras model, from
    a `.keras` or `.pt` file.

    Args:
        runtime: runs the model file.
        image_size: input size (height, width) in pixels; defaults to the model's own.

    Example:
        >>> import tfyolo
        >>> detector = tfyolo.load("bccd-n")
        >>> detector
        <Detector bccd-n.keras: 3 classes (Platelets, RBC, WBC), 320x320 pixels, Keras>
        >>> from tfyolo.assets import SAMPLE_IMAGE
        >>> detector(SAMPLE_IMAGE, confidence=0.4)[0].counts()
        {'Platelets': 1, 'RBC': 7, 'WBC': 1}
    """

    @renamed_arguments(classes="class_ids", iou="iou_threshold")
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
        augment: bool = False,
    ) -> list[Result]:
        """Detect objects in images; `detector(images)` does the same.

        Args:
            images: one image or a list: paths, uint8 RGB arrays (height, width, 3), PIL images; or an array
                (n, height, width, 3) of several. Arrays may also be gray, or have an alpha channel.
            confidence: confidence threshold, 0 to 1; in files with NMS inside, at least that of the export.
            iou_threshold: IoU above which NMS suppresses the lower-scoring box, 0 to 1; in files with NMS
                inside, at most that of the export.
            class_ids: class ids to keep; None keeps all.
            agnostic: let boxes of different classes suppress each other.
            max_detections: maximum number of boxes per image.
            rect: pad images only to a multiple of the stride, which is faster, if the input size is not
                fixed.
            augment: test-time augmentation with three scales and a flip: slower, slightly more accurate.

        Returns:
            One `tfyolo.Result` per image, in input order, with `boxes_xyxy_px` (n, 4) float32 in pixels of
            the image, `scores` (n,) and `class_ids` (n,).

        Raises:
            TfyoloError: an image cannot be read or has an unsupported type, or a class id is out of range.

        Example:
            >>> import tfyolo
            >>> from tfyolo.assets import SAMPLE_IMAGE
            >>> result = tfyolo.load("bccd-n").predict(SAMPLE_IMAGE, class_ids=[2])[0]
            >>> result.counts(), result.boxes_xyxy_px.shape
            ({'WBC': 1}, (1, 4))
        """
        return super().__call__(
            images, confidence, iou_threshold, class_ids, agnostic, max_detections, rect, augment
        )

    __call__ = predict

    @renamed_arguments(iou="iou_threshold")
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
        augment: bool = False,
        single_cls: bool = False,
        save_json: bool = False,
        annotations: str | Path | None = None,
        folder: str | Path | None = None,
        plots: bool = True,
        progress: Progress = no_progress,
    ) -> Metrics:
        """Measure precision, recall and mAP on a dataset, as `tfyolo val` does.

        Args:
            data: dataset YAML, the name of one that ships, or a dataset that has been read.
            split: `train`, `val` or `test`.
            batch_size: number of images per batch.
            confidence: confidence threshold, 0 to 1. Above 0.001, the measured mAP is too high.
            iou_threshold: IoU above which NMS suppresses the lower-scoring box, 0 to 1.
            max_detections: maximum number of boxes per image.
            image_size: input size in pixels, one number or (height, width); defaults to `image_size`.
            rect: pad images only to multiples of the stride, if the input size of the model may vary.
            augment: use test-time augmentation: three scales and a flip.
            single_cls: treat all classes as one.
            save_json: also compute COCO's own metrics, and write `predictions.json` to `folder`.
            annotations: COCO JSON with the ground truth for `save_json`; made from the labels by default.
            folder: folder for `metrics.json` and plots; nothing is written by default.
            plots: draw curves, the confusion matrix and mosaics into `folder`.
            progress: called as `progress(label, done, total)` after each step.

        Returns:
            Metrics, with `map50` and `map50_95` (0 to 1), and `result` with the metrics of each class.

        Raises:
            TfyoloError: the dataset is wrong, or has a class that the model does not have.

        Example:
            >>> import tfyolo
            >>> metrics = tfyolo.load("bccd-n").evaluate("bccd-mini", split="test")
            >>> round(metrics.map50, 2), len(metrics.scan.samples)
            (0.9, 24)
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
            augment=augment,
            single_cls=single_cls,
            plots=plots,
            save_json=save_json,
            annotations=None if annotations is None else Path(annotations),
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
        project: str | Path = "runs/train",
        name: str = "exp",
        exist_ok: bool = False,
        progress: Progress = no_progress,
        log: Log = no_log,
        **options: Any,
    ) -> FitResult:
        """Train from the present weights, as `tfyolo train` does, and become the best model.

        The run is written into a new folder: `weights/best.keras` and `weights/last.keras`, `results.csv`,
        plots and TensorBoard's event files. Afterwards this detector has the weights of `best.keras`, the
        class names of the dataset and the image size of the training; `model` is a new `keras.Model`.

        Args:
            data: dataset YAML with `train` and `val`, or the name of one that ships; not used with `resume`.
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
                `tfyolo.TrainOptions`, such as `freeze=10`, `cache="ram"` or `patience=20`.

        Returns:
            The folder, the paths of the best and the last model, `metrics` of the best on `val`, and
            `history` with the losses and metrics of each epoch.

        Raises:
            TfyoloError: dataset or options are wrong, no run can be resumed, or this is an exported file.

        Example:
            >>> import tfyolo
            >>> detector = tfyolo.load("bccd-n")
            >>> result = detector.fit("bccd-mini", epochs=3, lr0=0.001, log=print)  # doctest: +SKIP
            >>> result.metrics.map50, result.history["metrics/mAP_0.5"]  # doctest: +SKIP
            >>> detector.fit(resume=True)  # doctest: +SKIP
        """
        return fit_boxes(
            self,
            "detect",
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
