"""`tfyolo.Detector`: finds objects, and is trained, measured, quantized and exported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfyolo.api.checks import as_image_size, check_choice, check_share, check_whole
from tfyolo.api.fit import OPTIMIZERS, FitArguments, epoch_log
from tfyolo.api.model import Log, Progress, TaskModel, ignore
from tfyolo.api.python_errors import python_errors
from tfyolo.deprecation import renamed_arguments
from tfyolo.files import run_folder
from tfyolo.inference.detection import DetectionPredictor

if TYPE_CHECKING:
    from tfyolo.data.detection.scan import Dataset
    from tfyolo.evaluation.detection_metrics import Metrics
    from tfyolo.training.train import TrainResult


class Detector(TaskModel, DetectionPredictor):
    """Finds objects in images, and is trained, measured, quantized and exported.

    `tfyolo.load` returns one for a detector's file of any format, `tfyolo.create` one with random weights.
    Exported files can be run and measured; the other methods need a Keras model, from a `.keras` or `.pt`
    file.

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

    predict = __call__ = renamed_arguments(classes="class_ids")(python_errors(DetectionPredictor.__call__))

    @python_errors
    def evaluate(
        self,
        data: Dataset | str | Path,
        split: str = "val",
        *,
        batch_size: int = 32,
        confidence: float = 0.001,
        iou: float = 0.6,
        max_detections: int = 300,
        image_size: int | tuple[int, int] | None = None,
        rect: bool = True,
        augment: bool = False,
        single_cls: bool = False,
        save_json: bool = False,
        annotations: str | Path | None = None,
        folder: str | Path | None = None,
        plots: bool = True,
        progress: Progress | None = None,
    ) -> Metrics:
        """Measure precision, recall and mAP on a dataset, as `tfyolo val` does.

        Args:
            data: dataset YAML, or a dataset that was read already.
            split: `train`, `val` or `test`.
            batch_size: number of images in one call of the model.
            confidence: confidence threshold; above 0.001, mAP comes out higher than it is.
            iou: IoU threshold of NMS.
            max_detections: maximum number of boxes per image.
            image_size: input size in pixels, one number or (height, width); defaults to `image_size`.
            rect: pad each batch only to whole grid cells, where the input size is not fixed.
            augment: test-time augmentation, three scales and a flip.
            single_cls: count all classes as one.
            save_json: compute the COCO protocol's figures too, and write `predictions.json` to `folder`.
            annotations: COCO JSON of the ground truth for `save_json`; made from the labels by default.
            folder: where `metrics.json` and plots go; nothing is written by default.
            plots: draw curves, the confusion matrix and mosaics into `folder`.
            progress: called as `progress(label, done, total)` after each step.

        Returns:
            Metrics, such as `map50` and `map50_95` (0 to 1), and `result` with the figures of each class.

        Raises:
            TfyoloError: the dataset is wrong, or has a class that the model does not have.

        Example:
            >>> import tfyolo
            >>> metrics = tfyolo.load("bccd-n").evaluate("bccd-mini", split="test")
            >>> round(metrics.map50, 2), len(metrics.scan.samples)
            (0.9, 24)
        """
        check_choice("split", split, ("train", "val", "test"))
        check_share(confidence=confidence, iou=iou)
        check_whole(batch_size=batch_size, max_detections=max_detections)

        from tfyolo.evaluation.detection_metrics import ValOptions
        from tfyolo.evaluation.validator import validate

        options = ValOptions(
            split=split,
            batch_size=batch_size,
            confidence=confidence,
            iou=iou,
            max_detections=max_detections,
            rect=rect,
            augment=augment,
            single_cls=single_cls,
            plots=plots,
            save_json=save_json,
            annotations=None if annotations is None else Path(annotations),
        )
        place = None if folder is None else Path(folder)
        return validate(self._resized(image_size), data, options, place, progress)

    @python_errors
    def fit(
        self,
        data: str | Path,
        *,
        epochs: int = 100,
        batch_size: int = 16,
        image_size: int | None = None,
        optimizer: str = "SGD",
        hyp: str | Path = "scratch-low",
        callbacks: Sequence[Any] = (),
        project: str | Path = "runs/train",
        name: str = "exp",
        exist_ok: bool = False,
        progress: Progress | None = None,
        log: Log | None = None,
        **options: Any,
    ) -> TrainResult:
        """Train from the present weights, as `tfyolo train` does, and become the best model of the run.

        The run is written into a new folder: `weights/best.keras` and `weights/last.keras`, `results.csv`,
        plots and TensorBoard's event files. Afterwards this detector has the weights of `best.keras`, the
        class names of the dataset and the image size of the training; `model` is a new `keras.Model`.
        A run that was interrupted is continued by `tfyolo train --resume FOLDER`.

        Args:
            data: dataset YAML with `train` and `val`.
            epochs: number of epochs.
            batch_size: number of images in a batch; -1 for as many as fit into the memory of the GPU.
            image_size: side of the training images in pixels; defaults to the longer side of `image_size`.
            optimizer: `SGD`, `Adam` or `AdamW`.
            hyp: hyperparameters, by name or file.
            callbacks: Keras callbacks, called after those of the run.
            project: folder of the run's folder.
            name: of the run's folder; a number is appended where it exists.
            exist_ok: write into an existing folder.
            progress: called as `progress(label, done, total)` while labels are checked and validation runs.
            log: called with each sentence of the log, one per epoch among them; `print` is one.
            options: single hyperparameters, such as `lr0=0.001` or `mosaic=0.5`, and further fields of
                `tfyolo.TrainOptions`, such as `freeze=10`, `cache="ram"` or `patience=20`.

        Returns:
            The folder, the paths of the best and the last model, and `metrics` of the best on `val`.

        Raises:
            TfyoloError: dataset or options are wrong, or this is an exported file.

        Example:
            >>> import tfyolo
            >>> detector = tfyolo.load("bccd-n")
            >>> result = detector.fit("bccd-mini", epochs=3, lr0=0.001, log=print)  # doctest: +SKIP
            >>> result.metrics.map50, detector.evaluate("bccd-mini").map50  # doctest: +SKIP
        """
        self._require_network("trained")
        if batch_size != -1:
            check_whole(batch_size=batch_size)
        check_whole(epochs=epochs)
        check_choice("optimizer", optimizer, OPTIMIZERS)
        side = max(as_image_size(image_size) or self.image_size)

        from tfyolo.data.detection.scan import read_dataset
        from tfyolo.libraries import require
        from tfyolo.training.hyps import Hyps, read_hyps
        from tfyolo.training.options import TrainOptions
        from tfyolo.training.train import train

        require("tensorflow", "keras", "matplotlib", "sklearn")
        arguments = FitArguments(options, TrainOptions, Hyps)
        overrides = {**arguments.take("hyp_overrides", {}), **arguments.hyperparameters}
        read_hyps(hyp, **overrides)  # these two refuse before a folder is made
        dataset = read_dataset(data)
        folder = run_folder(project, name, exist_ok)
        wanted = TrainOptions(
            data=dataset.yaml_path,
            weights=str(self.save(folder / "weights/initial.keras")),
            hyp=str(hyp),
            hyp_overrides=overrides,
            epochs=epochs,
            batch=batch_size,
            image_size=side,
            optimizer=optimizer,
            **arguments.fields,
        )
        result = train(
            wanted,
            folder,
            callbacks=[*([epoch_log(log, epochs)] if log else []), *callbacks],
            log=log or ignore,
            progress=progress,
        )
        self._replace(result.best)
        return result
