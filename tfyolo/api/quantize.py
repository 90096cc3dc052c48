"""`Detector.quantize` and `Classifier.quantize`: int8 models by calibration and QAT."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeVar

from tfyolo.api.checks import as_budget, as_image_size, as_layers
from tfyolo.api.export import Ranges
from tfyolo.api.network import NetworkModel, open_network
from tfyolo.argument_checks import check_choice, check_whole
from tfyolo.progress import Log, Progress, no_log, no_progress
from tfyolo.python_errors import python_errors
from tfyolo.quantization.budget.options import BudgetOf

Self = TypeVar("Self", bound="QuantizeMixin")


class QuantizeMixin(NetworkModel):
    """Adds `quantize` to a model."""

    @python_errors
    def quantize(
        self: Self,
        data: str | Path,
        *,
        steps: int = 1000,
        epochs: int | None = None,
        loss: Literal["distill", "labels", "both"] = "distill",
        learning_rate: float = 0.01,
        calibration: int = 200,
        ranges: Ranges = "mse",
        keep_float: Sequence[str] = (),
        float_budget: float = 0.0,
        budget_of: BudgetOf = "latency",
        budget_images: int = 32,
        batch_size: int = 4,
        image_size: int | tuple[int, int] | None = None,
        seed: int = 0,
        hyp: str = "scratch-low",
        float_model: NetworkModel | str | Path | None = None,
        output: str | Path | None = None,
        progress: Progress = no_progress,
        log: Log = no_log,
    ) -> Self:
        """Quantize to int8 by calibration and quantization-aware training (QAT), as `tfyolo quantize` does.

        This model does not change. Every format can hold the returned one with `int8=True`, without `data`.

        Args:
            data: dataset whose training images are used: a YAML, or the folder of a classification dataset.
            steps: number of QAT steps; 0 only calibrates.
            epochs: number of QAT epochs, instead of `steps`.
            loss: `distill` for knowledge distillation from the float model, which needs no labels; `labels`
                for the training loss; `both` for their sum.
            learning_rate: QAT learning rate, in quantization steps per update.
            calibration: maximum number of images to calibrate on.
            ranges: method that chooses the range of each tensor.
            keep_float: names of layers that stay in float, such as `model.24.m.0.box`.
            float_budget: keep the parts that gain the most accuracy in float, within this
                cost: 0.15 is 15 % more latency, or 15 % of the multiply-adds.
            budget_of: what `float_budget` limits: `latency`, measured in LiteRT on this machine, or
                `multiply-adds`, for a file that another device runs.
            budget_images: number of calibration images that the parts are compared on.
            batch_size: number of images per QAT step.
            image_size: input size in pixels, one number or (height, width); defaults to `image_size`.
            seed: seed of the image order.
            hyp: hyperparameters of the training loss, by name or file.
            float_model: the float model, as an object or a path, if this model is quantized already and QAT
                is to continue.
            output: `.keras` file to write. A run that was killed continues when the same call is repeated
                with the same `output`.
            progress: called as `progress(label, done, total)` after each step.
            log: called with each message of the log, such as the loss every 100 steps.

        Returns:
            A new detector or classifier with quantized weights, whose `contract.quantization` is set.

        Raises:
            TfyoloError: dataset or weights are wrong, or this model is an exported file.

        Example:
            >>> import tfyolo
            >>> detector = tfyolo.load("bccd-n")
            >>> quantized = detector.quantize("bccd-mini", steps=0, calibration=48)  # doctest: +SKIP
            >>> quantized.export("tflite", int8=True)  # doctest: +SKIP
        """
        self._require_network("quantized")
        check_whole(epochs=epochs, calibration=calibration, batch_size=batch_size)
        check_whole(0, steps=steps)
        check_choice("loss", loss, ("distill", "labels", "both"))
        check_choice("ranges", ranges, ("mse", "minmax", "percentile"))

        from tfyolo.quantization.calibration import CalibrationOptions
        from tfyolo.quantization.export_options import changed_flags
        from tfyolo.quantization.run import QuantizeOptions, quantize
        from tfyolo.quantization.training.qat_options import QatOptions
        from tfyolo.weights.keras_file import check_target

        budget = as_budget(float_budget, budget_of, budget_images)
        trains = epochs is not None or steps > 0
        float_weights: Any = None if float_model is None else str(float_model)
        if isinstance(float_model, NetworkModel):
            float_weights = float_model.model, float_model.contract
        if output is not None:
            models = (self, float_model)
            check_target(output, [m.runtime.path if isinstance(m, NetworkModel) else m for m in models])
        with TemporaryDirectory() as name:
            options = QuantizeOptions(
                data=Path(data),
                weights=(self.model, self.contract),
                output=Path(name) / "quantized.keras" if output is None else Path(output),
                float_model=float_weights,
                image_size=as_image_size(image_size) or self.image_size,
                calibration=calibration,
                calibrate=CalibrationOptions(ranges, keep_float=as_layers(keep_float), budget=budget),
                train=QatOptions(steps, learning_rate, loss=loss) if trains else None,
                epochs=epochs,
                batch_size=batch_size,
                seed=seed,
                hyp=hyp,
                given=changed_flags(calibration, ranges, as_layers(keep_float), budget),
            )
            written = quantize(options, progress, log)
            runtime = open_network(written)
        if output is None:
            runtime.path = None  # the temporary file is deleted
        return type(self)(runtime)
