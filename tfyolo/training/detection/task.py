"""Training of detectors, as a task of the trainer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, cast

from tfyolo.data.detection.pipeline import Pipeline, PipelineOptions
from tfyolo.data.detection.sample import Sample
from tfyolo.data.detection.scan import check_usable, read_dataset, scan_split
from tfyolo.errors import TfyoloError
from tfyolo.evaluation.detection_metrics import Metrics, ValOptions
from tfyolo.evaluation.validator import validate
from tfyolo.inference.load import load_box_predictor
from tfyolo.models import Contract
from tfyolo.progress import Log, Progress
from tfyolo.training.detection import plots
from tfyolo.training.detection.box_model import BoxTraining
from tfyolo.training.detection.hyps import Hyps, read_hyps
from tfyolo.training.detection.image_sampling import ImageSampling
from tfyolo.training.detection.initialization import build_training_model, fit_anchors, plan_initial_weights
from tfyolo.training.detection.loss import LOSSES
from tfyolo.training.detection.options import TrainOptions
from tfyolo.training.detection.validation import METRICS, Validation
from tfyolo.training.loop import BatchSource
from tfyolo.training.model import TrainingModel
from tfyolo.training.resume import check_class_names, validate_saved
from tfyolo.training.state import RunState
from tfyolo.training.task import PRECISIONS, TrainingTask
from tfyolo.training.transfer import InitialWeights
from tfyolo.weights.keras_file import read_contract


class DetectionTask(TrainingTask[TrainOptions, Metrics]):
    """Training of detectors; see `TrainingTask`."""

    name = "detect"
    results_columns = (
        *(f"train/{name}" for name in LOSSES),
        *METRICS,
        *(f"val/{name}" for name in LOSSES),
    )
    tensorboard_losses: ClassVar[tuple[str, ...]] = LOSSES
    validation_type: ClassVar[type[Validation]] = Validation
    needs_polygons: ClassVar[bool] = False

    def __init__(self, options: TrainOptions, log: Log, progress: Progress | None) -> None:
        super().__init__(options, log, progress)
        self.hyps = Hyps()

    @property
    def strategy(self) -> str:
        """Name of the `tf.distribute` strategy."""
        return self.options.strategy

    def scan(self) -> None:
        """Read the dataset, and check the images and labels of `train` and `val`."""
        self.dataset = read_dataset(self.options.data)
        self.names = ("object",) if self.options.single_cls else self.dataset.names
        for split in ("train", "val"):
            if split == "val" and split not in self.dataset.splits:
                raise TfyoloError(
                    "has no `val`", path=self.dataset.yaml_path, fix="add `val:` with validation images"
                )
            progress = self.labeled_progress(f"checking {split} labels")
            polygons = self.needs_polygons
            scan = scan_split(self.dataset, split, progress=progress, segmentation=polygons)
            check_usable(self.dataset, split, scan, labeled=split == "train", segmentation=polygons)
            self.scans[split] = scan

    @property
    def samples(self) -> Sequence[Sample]:
        """Images of the training split."""
        return self.scans["train"].samples

    def initial_weights(self) -> InitialWeights:
        """Return configuration, weights, and anchors that fit the labels."""
        options = self.options
        self.hyps = read_hyps(options.hyp, **options.hyp_overrides)
        initial = plan_initial_weights(
            options.weights, options.cfg, self.names, options.image_size, self.hyps.anchors, self.name
        )
        self.log(initial.describe())
        return fit_anchors(
            initial,
            self.samples,
            options.image_size,
            self.hyps.anchor_t,
            check=options.autoanchor,
            seed=options.seed,
            log=self.log,
            progress=self.labeled_progress("evolving anchors"),
        )

    def resumed_weights(self, path: Path, state: RunState) -> InitialWeights:
        """Return the configuration of a resumed run, and restore its hyperparameters."""
        self.hyps = validate_saved(Hyps, state.hyps, path)
        self._log_changed_hyps()
        initial = InitialWeights(read_contract(path))
        check_class_names(initial.contract.names, self.names, self.dataset.yaml_path)
        return initial

    def _log_changed_hyps(self) -> None:
        """Log the hyperparameters that the file has now and a resumed run does not use."""
        options = self.options
        try:
            now = read_hyps(options.hyp, **options.hyp_overrides)
        except TfyoloError:  # moved, or no longer valid: it is not needed
            return
        changed = [name for name in Hyps.model_fields if getattr(now, name) != getattr(self.hyps, name)]
        if changed:
            values = ", ".join(f"{name} = {getattr(self.hyps, name)}" for name in changed)
            self.log(f"{options.hyp} has changed, but a resumed run keeps its hyperparameters: {values}")

    def build_model(self, initial: InitialWeights) -> BoxTraining:
        """Return the model to train."""
        options = self.options
        return build_training_model(initial, options.image_size, PRECISIONS[options.amp], options.sync_bn)

    def choose_batch_size(self, model: TrainingModel) -> int:
        """Return the option, or measure how many images fit the memory of the GPU."""
        if self.options.batch_size > 0:
            return self.options.batch_size
        if self.strategy == "multiworker":
            raise TfyoloError(
                "--batch-size -1 measures one machine, and all workers need the same number",
                fix="pass a number",
            )
        from tfyolo.training.detection.autobatch import measure_batch_size

        batch_size = measure_batch_size(model, self.options.image_size)
        self.log(f"batch size: {batch_size} fits the GPU's memory")
        return batch_size

    def pipeline_options(self, contract: Contract) -> PipelineOptions:
        """Return the options of the batches of the training split."""
        options = self.options
        return PipelineOptions(
            image_size=options.image_size,
            batch=options.batch_size,
            seed=options.seed,
            rect=options.rect,
            multi_scale=options.multi_scale,
            cache=options.cache,
            stride=max(contract.strides),
            single_cls=options.single_cls,
        )

    def make_pipeline(self, contract: Contract) -> Pipeline:
        """Return augmented batches of the training split."""
        progress = self.labeled_progress(f"caching images ({self.options.cache})")
        return Pipeline(self.samples, self.hyps.augmentation(), self.pipeline_options(contract), progress)

    def compile(self, model: TrainingModel, steps_per_epoch: int) -> None:
        """Compile the model with optimizer, schedule and loss."""
        options = self.options
        cast(BoxTraining, model).compile(
            options.optimizer,
            epochs=options.epochs,
            steps_per_epoch=steps_per_epoch,
            batch_size=options.batch_size,
            hyps=self.hyps,
            cos_lr=options.cos_lr,
            autobalance=options.autobalance,
            nominal_batch=options.nominal_batch,
        )

    def option_files(self) -> dict[str, dict[str, Any]]:
        """Return options and hyperparameters."""
        return {"opt.yaml": self.options.to_plain(), "hyp.yaml": self.hyps.model_dump()}

    def new_state(self) -> RunState:
        """Return the state of a run before its first epoch."""
        return RunState(options=self.options.to_plain(), hyps=self.hyps.model_dump(), task=self.name)

    def validation(self) -> Validation:
        """Return a callback that computes mAP."""
        options = self.options
        # Validation needs no memory for gradients: a batch can be twice as large.
        val_options = ValOptions(
            single_cls=options.single_cls, plots=False, batch_size=2 * max(options.batch_size, 8)
        )
        return self.validation_type(
            self.dataset,
            self.scans.get("val"),
            val_options,
            options.image_size,
            options.val,
            self.progress,
        )

    def image_sampling(self, validation: Validation, state: RunState) -> ImageSampling | None:
        """Return the callback of `--image-weights`, or None."""
        if not self.options.image_weights:
            return None
        return ImageSampling(self.samples, validation, state, len(self.names))

    def save_data_plots(self, pipeline: BatchSource, folder: Path) -> None:
        """Draw `labels.jpg` and `train_batch0.jpg` to `train_batch2.jpg`."""
        plots.save_labels(self.samples, self.dataset.names, folder / "labels.jpg")
        plots.save_batches(cast(Pipeline, pipeline), self.names, folder)

    def save_result_plots(self, folder: Path) -> None:
        """Draw `results.png`."""
        plots.save_results(folder / "results.csv", folder / "results.png")

    def evaluate(self, model: Path, folder: Path) -> Metrics:
        """Return precision, recall and mAP of a model file on `val`."""
        options = ValOptions(single_cls=self.options.single_cls, plots=self.options.plots)
        return validate(
            load_box_predictor(model), self.dataset, options, folder, self.progress, self.scans["val"]
        )
