"""`tfyolo.Classifier`: names what is in images, and is trained, measured, quantized and exported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfyolo.api.checks import as_image_size, check_choice, check_whole
from tfyolo.api.fit import OPTIMIZERS, FitArguments, epoch_log
from tfyolo.api.model import Log, Progress, TaskModel, ignore
from tfyolo.api.python_errors import python_errors
from tfyolo.files import run_folder
from tfyolo.inference.classification import ClassificationPredictor

if TYPE_CHECKING:
    from tfyolo.evaluation.classification import ClassificationMetrics
    from tfyolo.training.classify.train import ClassifyResult


class Classifier(TaskModel, ClassificationPredictor):
    """Names what is in images, and is trained, measured, quantized and exported.

    `tfyolo.load` returns one for a classifier's file, `tfyolo.create` one with random weights.

    Args:
        runtime: runs the model file.
        image_size: input size (height, width) in pixels; defaults to the model's own.

    Example:
        >>> import tfyolo
        >>> tfyolo.create("yolov5n-cls", names=["cat", "dog"], image_size=64)
        <Classifier yolov5n-cls: 2 classes (cat, dog), 64x64 pixels, Keras>
    """

    predict = __call__ = python_errors(ClassificationPredictor.__call__)

    @python_errors
    def evaluate(
        self,
        data: str | Path,
        split: str = "",
        *,
        batch_size: int = 64,
        image_size: int | tuple[int, int] | None = None,
        folder: str | Path | None = None,
        plots: bool = True,
        progress: Progress | None = None,
    ) -> ClassificationMetrics:
        """Measure top-1 and top-5 accuracy on a dataset, as `tfyolo classify val` does.

        Args:
            data: folder of a dataset: `val/CLASS/*.jpg`.
            split: `train`, `val` or `test`; defaults to `val`, or `test` where there is no `val`.
            batch_size: number of images in one call of the model.
            image_size: input size in pixels, one number or (height, width); defaults to `image_size`.
            folder: where `metrics.json` and plots go; nothing is written by default.
            plots: draw the confusion matrix and images into `folder`.
            progress: called as `progress(label, done, total)` after each step.

        Returns:
            Metrics, such as `top1` and `top5` (0 to 1), and precision and recall of each class.

        Raises:
            TfyoloError: the dataset is wrong, or has a class that the model does not have.

        Example:
            >>> import tfyolo
            >>> tfyolo.load("cells.keras").evaluate("cells", split="test").top1  # doctest: +SKIP
        """
        check_choice("split", split, ("", "train", "val", "test"))
        check_whole(batch_size=batch_size)

        from tfyolo.evaluation.classification import ClassifierValOptions, validate_classifier

        options = ClassifierValOptions(split, batch_size, plots)
        place = None if folder is None else Path(folder)
        return validate_classifier(self._resized(image_size), data, options, place, progress)

    @python_errors
    def fit(
        self,
        data: str | Path,
        *,
        epochs: int = 10,
        batch_size: int = 64,
        image_size: int | None = None,
        optimizer: str = "Adam",
        callbacks: Sequence[Any] = (),
        project: str | Path = "runs/train-cls",
        name: str = "exp",
        exist_ok: bool = False,
        progress: Progress | None = None,
        log: Log | None = None,
        **options: Any,
    ) -> ClassifyResult:
        """Train from the present weights, as `tfyolo classify train`, and become the best model of the run.

        The run is written into a new folder: `weights/best.keras` and `weights/last.keras`, `results.csv`,
        plots and TensorBoard's event files. Afterwards this classifier has the weights of `best.keras`, the
        class names of the dataset and the image size of the training; `model` is a new `keras.Model`.
        A run that was interrupted is continued by `tfyolo classify train --resume FOLDER`.

        Args:
            data: folder of a dataset: `train/CLASS/*.jpg`, `val/CLASS/*.jpg`.
            epochs: number of epochs.
            batch_size: number of images in a batch.
            image_size: side of the images in pixels; defaults to the longer side of `image_size`.
            optimizer: `SGD`, `Adam` or `AdamW`.
            callbacks: Keras callbacks, called after those of the run.
            project: folder of the run's folder.
            name: of the run's folder; a number is appended where it exists.
            exist_ok: write into an existing folder.
            progress: called as `progress(label, done, total)` while images are checked and validation runs.
            log: called with each sentence of the log, one per epoch among them; `print` is one.
            options: single hyperparameters, such as `lr0=0.001` or `scale=0.5`, and further fields of
                `tfyolo.ClassifyOptions`, such as `freeze=5`, `cache="ram"` or `patience=20`.

        Returns:
            The folder, the paths of the best and the last model, and `metrics` of the best on `val`.

        Raises:
            TfyoloError: dataset or options are wrong, or this is an exported file.

        Example:
            >>> import tfyolo
            >>> classifier = tfyolo.create("yolov5n-cls", names=["cat", "dog"], image_size=64)
            >>> classifier.fit("pets", epochs=20, scale=0.5).metrics.top1  # doctest: +SKIP
        """
        self._require_network("trained")
        check_whole(epochs=epochs, batch_size=batch_size)
        check_choice("optimizer", optimizer, OPTIMIZERS)
        side = max(as_image_size(image_size) or self.image_size)

        from tfyolo.data.classification.augment import ClassificationAugmentation
        from tfyolo.data.classification.folders import read_folders
        from tfyolo.libraries import require
        from tfyolo.training.classify.options import ClassifyHyps, ClassifyOptions
        from tfyolo.training.classify.train import train_classifier

        require("tensorflow", "keras", "matplotlib")
        arguments = FitArguments(options, ClassifyOptions, ClassifyHyps, ClassificationAugmentation)
        hyps, augmentation = arguments.model(ClassifyHyps), arguments.model(ClassificationAugmentation)
        dataset = read_folders(data)  # refuses before a folder is made
        folder = run_folder(project, name, exist_ok)
        wanted = ClassifyOptions(
            data=dataset.root,
            pretrained=str(self.save(folder / "weights/initial.keras")),
            epochs=epochs,
            batch=batch_size,
            image_size=side,
            optimizer=optimizer,
            hyps=hyps,
            augmentation=augmentation,
            **arguments.fields,
        )
        result = train_classifier(
            wanted,
            folder,
            callbacks=[*([epoch_log(log, epochs)] if log else []), *callbacks],
            log=log or ignore,
            progress=progress,
        )
        self._replace(result.best)
        return result
