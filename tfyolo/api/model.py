"""`TaskModel`: the base class of `Detector`, `Classifier` and `Segmenter`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfyolo.api.checks import as_budget, as_image_size, as_layers
from tfyolo.api.export import ExportMixin, Ranges
from tfyolo.api.fit import FitResult, epoch_log, read_history
from tfyolo.api.quantize import QuantizeMixin
from tfyolo.api.summary import layer_rows, summary_lines
from tfyolo.argument_checks import check_choice, check_whole
from tfyolo.deprecation import renamed_arguments, warn_renamed
from tfyolo.files import scratch
from tfyolo.inference.base_model import BaseModel
from tfyolo.progress import Log, Progress, no_log, no_progress
from tfyolo.python_errors import python_errors
from tfyolo.quantization.budget.options import BudgetOf

if TYPE_CHECKING:
    from tfyolo.benchmark.rows import BenchmarkRow
    from tfyolo.export.runtime.base import Runtime


class TaskModel(ExportMixin, QuantizeMixin, ABC):
    """A model for one task, with the verbs that all tasks share.

    `predict`, `evaluate`, `fit`, `quantize`, `export`, `benchmark`, `save` and `summary` do what the commands
    of the same names do. Exported files can be run, evaluated and benchmarked; `fit`, `quantize`, `export`
    and `save` require a Keras model, from a `.keras` or `.pt` file.

    Args:
        runtime: runs the model file.
        image_size: input size (height, width) in pixels; defaults to the model's own.
    """

    @renamed_arguments(image_hw="image_size")
    def __init__(self, runtime: Runtime, image_size: tuple[int, int] | None = None) -> None:
        BaseModel.__init__(self, runtime, image_size)

    @property
    def image_hw(self) -> tuple[int, int]:
        """Deprecated name of `image_size`."""
        warn_renamed("`image_hw`", "`image_size`")
        return self.image_size

    @abstractmethod
    def predict(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Predict on images; calling the model does the same."""

    @abstractmethod
    def evaluate(self, *args: Any, **kwargs: Any) -> Any:
        """Measure the metrics of the task on a split of a dataset."""

    @abstractmethod
    def fit(self, *args: Any, **kwargs: Any) -> FitResult:
        """Train on a dataset, and become the best model of the run."""

    @python_errors
    def benchmark(
        self,
        data: str | Path | None = None,
        formats: str | Sequence[str] = (),
        *,
        split: str = "val",
        image_size: int | tuple[int, int] | None = None,
        threads: int | Sequence[int] = (),
        rounds: int = 5,
        runs: int = 10,
        source: str | Path | None = None,
        calibration: int = 200,
        ranges: Ranges = "mse",
        keep_float: Sequence[str] = (),
        float_budget: float = 0.0,
        budget_of: BudgetOf = "latency",
        budget_images: int = 32,
        progress: Progress = no_progress,
        log: Log = no_log,
    ) -> list[BenchmarkRow]:
        """Compare size, mAP and latency of this model and its exports, as `tfyolo benchmark` does.

        Args:
            data: dataset YAML, or the folder of a classification dataset, that mAP (or top-1) is measured on
                and int8 ranges are calibrated on; without one, only size and latency are measured.
            formats: formats to export to and measure: `tflite`, `tflite:int8` or `all`; several as a list.
            split: split that mAP is measured on: `train`, `val` or `test`.
            image_size: input size in pixels, one number or (height, width); defaults to `image_size`.
            threads: numbers of CPU threads to time with; defaults to one, and all cores.
            rounds: number of rounds that each file is timed in.
            runs: number of timed inferences per file and round.
            source: image file that is timed; defaults to the first image of `data`.
            calibration: maximum number of images to calibrate int8 files on.
            ranges: method that chooses the range of each tensor.
            keep_float: names of layers that stay in float.
            float_budget: keep the parts that gain the most accuracy in float, within this
                cost: 0.15 is 15 % more latency, or 15 % of the multiply-adds.
            budget_of: what `float_budget` limits: `latency`, measured in LiteRT on this machine, or
                `multiply-adds`, for a file that another device runs.
            budget_images: number of calibration images that the parts are compared on.
            progress: called as `progress(label, done, total)` after each step.
            log: called with notes on what was left out.

        Returns:
            One row per file, this model first: `name`, `format`, `precision`, `megabytes`, `map50_95` (or
            `top1`), `latencies` by number of threads, and `error` where a file cannot be exported or run.

        Raises:
            TfyoloError: an unknown format, a wrong dataset, or this model is an exported file and `formats`
                are given.

        Example:
            >>> import tfyolo
            >>> detector = tfyolo.load("bccd-n")
            >>> for row in detector.benchmark("bccd-mini", ["tflite", "onnx"]):  # doctest: +SKIP
            ...     print(row.name, row.map50_95, row.latencies[1].median_ms)
        """
        check_choice("split", split, ("train", "val", "test"))
        check_whole(rounds=rounds, runs=runs, calibration=calibration)
        names = [formats] if isinstance(formats, str) else list(formats)
        if names:
            self._require_network("exported")

        from tfyolo.benchmark.run import BenchmarkOptions, run_benchmark
        from tfyolo.quantization.export_options import changed_flags

        budget = as_budget(float_budget, budget_of, budget_images)
        options = BenchmarkOptions(
            formats=names,
            data=data,
            split=split,
            source=source,
            image_size=as_image_size(image_size) or self.image_size,
            threads=[threads] if isinstance(threads, int) else threads,
            rounds=rounds,
            runs=runs,
            calibration=calibration,
            ranges=ranges,
            keep_float=as_layers(keep_float),
            budget=budget,
            given=changed_flags(calibration, ranges, as_layers(keep_float), budget),
        )
        with scratch() as folder:
            # Weights may have changed since the file was loaded, so that a Keras model is saved first.
            is_network = getattr(self.runtime, "model", None) is not None
            path = self.runtime.path
            if is_network or path is None:
                path = self.save(folder / f"{self._stem.name}.keras")
            result = run_benchmark([path], options, progress)
        for note in result.notes:
            log(note)
        return result.rows

    def summary(
        self, image_size: int | tuple[int, int] | None = None, print_fn: Callable[[str], Any] = print
    ) -> None:
        """Print the layers with their output shapes, parameters and GFLOPs, as `keras.Model.summary` does.

        Args:
            image_size: input size in pixels, one number or (height, width); defaults to `image_size`.
            print_fn: called with each line.

        Example:
            >>> import tfyolo
            >>> lines = []
            >>> tfyolo.load("bccd-n").summary(print_fn=lines.append)
            >>> lines[0]
            'bccd-n.keras: 3 classes (Platelets, RBC, WBC), 320x320 pixels, Keras'
            >>> lines[3]
            '0       Conv              160x160x16               1,760     0.092'
        """
        rows = layer_rows(self.contract.spec, as_image_size(image_size) or self.image_size)
        title = repr(self)[1:-1].partition(" ")[2]
        for line in summary_lines(title, rows):
            print_fn(line)

    @python_errors
    def save(self, path: str | Path) -> Path:
        """Write the Keras model, with class names, anchors and configuration, to a `.keras` file.

        `keras.saving.load_model` and `tfyolo.load` read the file.

        Args:
            path: file to write.

        Returns:
            `path`.

        Raises:
            TfyoloError: this model is an exported file, or the file cannot be written.

        Example:
            >>> import tfyolo
            >>> tfyolo.load("bccd-n").save("cells.keras").name
            'cells.keras'
        """
        return super().save(path)

    def _fit(
        self,
        train: Callable[..., Any],
        options: Any,
        folder: Path,
        resume: Path | None,
        callbacks: Sequence[Any],
        progress: Progress,
        log: Log,
    ) -> FitResult:
        """Run training, become the model of `best.keras`, and return the result with its history.

        Args:
            train: `tfyolo.training.train.train`, which the caller imports.
            options: options object of the run.
            folder: folder of the run.
            resume: `last.keras` of the run that continues, or None.
            callbacks: Keras callbacks of the user.
            progress: progress callback.
            log: log callback.
        """
        own = [] if log is no_log else [epoch_log(log, options.epochs)]
        hooks = [*own, *callbacks]
        result = train(options, folder, resume=resume, callbacks=hooks, log=log, progress=progress)
        if result.best.exists():  # of several workers only the first writes files
            self._replace(result.best)
        epoch, history = read_history(folder / "results.csv")
        return FitResult(result.folder, result.best, result.last, result.metrics, epoch, history)
