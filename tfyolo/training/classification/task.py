"""Training of classifiers, as a task of the trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from tfyolo.data.classification.folders import check_trainable, read_folders, scan_folders
from tfyolo.data.classification.pipeline import ClassificationPipeline, ClassificationPipelineOptions
from tfyolo.errors import TfyoloError
from tfyolo.evaluation.classification import ClassificationMetrics, ClassifierValOptions, validate_classifier
from tfyolo.inference.load import load_classification_predictor
from tfyolo.models import Contract
from tfyolo.training.classification import plots
from tfyolo.training.classification.initialization import build_training_model, plan_initial_weights
from tfyolo.training.classification.model import ClassifierTraining
from tfyolo.training.classification.options import ClassifyOptions
from tfyolo.training.classification.validation import TOP1, TOP5, ClassifierValidation
from tfyolo.training.loop import BatchSource
from tfyolo.training.model import TrainingModel
from tfyolo.training.resume import check_class_names
from tfyolo.training.state import RunState
from tfyolo.training.task import PRECISIONS, TrainingTask
from tfyolo.training.transfer import InitialWeights
from tfyolo.weights.keras_file import read_contract


class ClassificationTask(TrainingTask[ClassifyOptions, ClassificationMetrics]):
    """Training of classifiers; see `TrainingTask`."""

    name = "classify"
    results_columns = ("train/loss", "train/accuracy", "val/loss", TOP1, TOP5)

    def scan(self) -> None:
        """Read the dataset, and check the images of `train` and of `val` (or `test`)."""
        dataset = self.dataset = read_folders(self.options.data)
        check_trainable(dataset)
        self.val_split = next((name for name in ("val", "test") if name in dataset.splits), "")
        if not self.val_split:
            raise TfyoloError(
                "has no `val`", path=dataset.root, fix="add a folder val with validation images"
            )
        for split in ("train", self.val_split):
            progress = self.labeled_progress(f"checking {split} images")
            self.scans[split] = scan_folders(dataset, split, progress=progress)
            if not self.scans[split].samples:
                raise TfyoloError(f"none of the images in `{split}` can be used", path=dataset.splits[split])

    def initial_weights(self) -> InitialWeights:
        """Return configuration and weights."""
        options = self.options
        initial = plan_initial_weights(
            options.model, options.pretrained, self.dataset.names, options.image_size, options.hyps.dropout
        )
        self.log(initial.describe())
        return initial

    def resumed_weights(self, path: Path, state: RunState) -> InitialWeights:
        """Return the configuration of a resumed run."""
        initial = InitialWeights(read_contract(path))
        check_class_names(initial.contract.names, self.dataset.names, self.dataset.root)
        return initial

    def build_model(self, initial: InitialWeights) -> ClassifierTraining:
        """Return the model to train."""
        size = self.options.image_size
        initial.contract.check_size((size, size))
        return build_training_model(initial, size, PRECISIONS[self.options.amp])

    def make_pipeline(self, contract: Contract) -> ClassificationPipeline:
        """Return augmented batches of the training split."""
        options = self.options
        pipeline_options = ClassificationPipelineOptions(
            options.image_size, options.batch_size, options.seed, options.cache
        )
        return ClassificationPipeline(
            self.scans["train"].samples,
            len(self.dataset.names),
            options.augmentation,
            pipeline_options,
            self.labeled_progress("caching images"),
        )

    def compile(self, model: TrainingModel, steps_per_epoch: int) -> None:
        """Compile the model with optimizer, schedule and loss."""
        options = self.options
        cast(ClassifierTraining, model).compile(
            options.optimizer,
            epochs=options.epochs,
            steps_per_epoch=steps_per_epoch,
            batch_size=options.batch_size,
            hyps=options.hyps,
            cos_lr=options.cos_lr,
        )

    def option_files(self) -> dict[str, dict[str, Any]]:
        """Return the options, hyperparameters included."""
        return {"opt.yaml": self.options.to_plain()}

    def validation(self) -> ClassifierValidation:
        """Return a callback that computes top-1 and top-5 accuracy."""
        return ClassifierValidation(
            self.dataset,
            self.scans[self.val_split],
            ClassifierValOptions(self.val_split, self.options.batch_size, plots=False),
            self.options.val,
            self.progress,
        )

    def save_data_plots(self, pipeline: BatchSource, folder: Path) -> None:
        """Draw `train_batch0.jpg` to `train_batch2.jpg`."""
        plots.save_batches(cast(ClassificationPipeline, pipeline), self.dataset.names, folder)

    def save_result_plots(self, folder: Path) -> None:
        """Draw `results.png`."""
        plots.save_results(folder / "results.csv", folder / "results.png")

    def evaluate(self, model: Path, folder: Path) -> ClassificationMetrics:
        """Return top-1 and top-5 accuracy of a model file on the validation split."""
        options = ClassifierValOptions(self.val_split, self.options.batch_size, plots=self.options.plots)
        scan = self.scans[self.val_split]
        return validate_classifier(
            load_classification_predictor(model), self.dataset, options, folder, self.progress, scan
        )
