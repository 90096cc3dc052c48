"""`tfyolo.Classifier`: predict, evaluate, train, quantize, export and benchmark an image classifier."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfyolo.api.fit import OPTIMIZERS, FitArguments, FitResult, square_side
from tfyolo.api.model import TaskModel
from tfyolo.api.resume import find_run
from tfyolo.argument_checks import check_choice, check_whole
from tfyolo.errors import TfyoloError
from tfyolo.files import run_folder
from tfyolo.inference.classification import Classification, ClassificationPredictor
from tfyolo.inference.detection import Image
from tfyolo.progress import Log, Progress, no_log, no_progress
from tfyolo.python_errors import python_errors

if TYPE_CHECKING:
    from tfyolo.evaluation.classification import ClassificationMetrics


class Classifier(TaskModel, ClassificationPredictor):
    """An image classifier, which can also be evaluated, trained, quantized, exported and benchmarked.

    `tfyolo.load` returns one for a classifier's file, `tfyolo.create` one with random weights.

    Args:
        runtime: runs the model file.
        image_size: input size (height, width) in pixels; defaults to the model's own.

    Example:
        >>> import tfyolo
        >>> tfyolo.create("yolov5n-cls", names=["cat", "dog"], image_size=64)
        <Classifier yolov5n-cls: 2 classes (cat, dog), 64x64 pixels, Keras>
    """

    @python_errors
    def predict(self, images: Image | Sequence[Image]) -> list[Classification]:
        """Classify images; `classifier(images)` does the same.

        Args:
            images: one image or a list: paths, uint8 RGB arrays (height, width, 3), PIL images; or an array
                (n, height, width, 3) of several. Arrays may also be gray, or have an alpha channel.

        Returns:
            One `tfyolo.Classification` per image, in input order, with `probabilities` (classes,) float32.

        Raises:
            TfyoloError: an image cannot be read or has an unsupported type.

        Example:
            >>> import tfyolo
            >>> from tfyolo.assets import SAMPLE_IMAGE
            >>> classifier = tfyolo.create("yolov5n-cls", names=["cat", "dog"], image_size=64)
            >>> classifier.predict(SAMPLE_IMAGE)[0].probabilities.shape
            (2,)
        """
        return super().__call__(images)

    __call__ = predict

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
        progress: Progress = no_progress,
    ) -> ClassificationMetrics:
        """Measure top-1 and top-5 accuracy on a dataset, as `tfyolo classify val` does.

        Args:
            data: folder of a dataset with `val/CLASS/*.jpg`.
            split: `train`, `val` or `test`; defaults to `val`, or to `test` if there is no `val`.
            batch_size: number of images per batch.
            image_size: input size in pixels, one number or (height, width); defaults to `image_size`.
            folder: folder for `metrics.json` and plots; nothing is written by default.
            plots: draw the confusion matrix and images into `folder`.
            progress: called as `progress(label, done, total)` after each step.

        Returns:
            Metrics, with `top1` and `top5` (0 to 1), and precision and recall of each class.

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
        target = None if folder is None else Path(folder)
        return validate_classifier(self._resized(image_size), data, options, target, progress)

    @python_errors
    def fit(
        self,
        data: str | Path | None = None,
        *,
        epochs: int = 10,
        batch_size: int = 64,
        image_size: int | None = None,
        optimizer: str = "Adam",
        callbacks: Sequence[Any] = (),
        resume: bool | str | Path = False,
        project: str | Path = "runs/train-cls",
        name: str = "exp",
        exist_ok: bool = False,
        progress: Progress = no_progress,
        log: Log = no_log,
        **options: Any,
    ) -> FitResult:
        """Train from the present weights, as `tfyolo classify train` does, and become the best model.

        The run is written into a new folder: `weights/best.keras` and `weights/last.keras`, `results.csv`,
        plots and TensorBoard's event files. Afterwards this classifier has the weights of `best.keras`, the
        class names of the dataset and the image size of the training; `model` is a new `keras.Model`.

        Args:
            data: folder of a dataset with `train/CLASS/*.jpg`, `val/CLASS/*.jpg`. Not used with `resume`.
            epochs: number of epochs.
            batch_size: number of images per batch.
            image_size: side of the images in pixels; defaults to the longer side of `image_size`.
            optimizer: `SGD`, `Adam` or `AdamW`.
            callbacks: Keras callbacks, called after those of the run.
            resume: continue an unfinished run: its folder or `last.keras`, or True for the newest one in
                `project`. The run keeps its own dataset and options; other arguments have no effect.
            project: folder that holds all runs.
            name: name of the run's folder; a number is appended where it exists.
            exist_ok: write into an existing folder.
            progress: called as `progress(label, done, total)` while images are checked and validation runs.
            log: called with each message of the log, including one per epoch; `print` is a good choice.
            options: single hyperparameters, such as `lr0=0.001` or `scale=0.5`, and further fields of
                `tfyolo.ClassifyOptions`, such as `freeze=5`, `cache="ram"` or `patience=20`.

        Returns:
            The folder, the paths of the best and the last model, `metrics` of the best on `val`, and
            `history` with the losses and metrics of each epoch.

        Raises:
            TfyoloError: dataset or options are wrong, no run can be resumed, or this is an exported file.

        Example:
            >>> import tfyolo
            >>> classifier = tfyolo.create("yolov5n-cls", names=["cat", "dog"], image_size=64)
            >>> classifier.fit("pets", epochs=20, scale=0.5).metrics.top1  # doctest: +SKIP
        """
        self._require_network("trained")
        check_whole(epochs=epochs, batch_size=batch_size)
        check_choice("optimizer", optimizer, OPTIMIZERS)

        from tfyolo.libraries import require

        require("tensorflow", "keras", "matplotlib")

        from tfyolo.data.classification.augment import ClassificationAugmentationOptions
        from tfyolo.data.classification.folders import read_folders
        from tfyolo.training.classification.options import ClassifyHyps, ClassifyOptions
        from tfyolo.training.fit.checks import listed_callbacks
        from tfyolo.training.state import read_state
        from tfyolo.training.train import train

        callbacks = listed_callbacks(callbacks)

        if resume:
            last = find_run(resume, project, "classify")
            run_options = ClassifyOptions.from_plain(read_state(last, "classify").options, last)
            return self._fit(train, run_options, last.parent.parent, last, callbacks, progress, log)
        if data is None:
            raise TfyoloError("`data` is missing", fix="pass the folder of a dataset, or resume=True")
        side = square_side(image_size, self.image_size)
        arguments = FitArguments(options, ClassifyOptions, ClassifyHyps, ClassificationAugmentationOptions)
        hyps, augmentation = arguments.model(ClassifyHyps), arguments.model(ClassificationAugmentationOptions)
        dataset = read_folders(data)  # fails before a folder is created
        folder = run_folder(project, name, exist_ok)
        run_options = ClassifyOptions(
            data=dataset.root,
            pretrained=str(self.save(folder / "weights/initial.keras")),
            epochs=epochs,
            batch_size=batch_size,
            image_size=side,
            optimizer=optimizer,
            hyps=hyps,
            augmentation=augmentation,
            **arguments.fields,
        )
        return self._fit(train, run_options, folder, None, callbacks, progress, log)
