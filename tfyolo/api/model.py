"""What a detector and a classifier can both do beyond predicting: export and quantization."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from tfyolo.api.checks import as_image_size, check_choice, check_share, check_whole
from tfyolo.api.python_errors import in_python, python_errors
from tfyolo.assets import MODELS
from tfyolo.deprecation import renamed_arguments, warn_renamed
from tfyolo.errors import TfyoloError
from tfyolo.export.registry import OPSETS, PRECISIONS, check_targets, find_format
from tfyolo.export.runtime.base import Runtime
from tfyolo.files import cache_folder
from tfyolo.inference.base_model import BaseModel
from tfyolo.progress import Log, Progress

if TYPE_CHECKING:
    from tfyolo.export.job import ExportJob
    from tfyolo.quantization.export_options import ExportCalibrationOptions

Ranges = Literal["mse", "minmax", "percentile"]
Self = TypeVar("Self", bound="TaskModel")


class TaskModel(BaseModel):
    """A model that can be run, and as long as it is a Keras model also exported and quantized."""

    __init__ = renamed_arguments(image_hw="image_size")(BaseModel.__init__)

    @property
    def image_hw(self) -> tuple[int, int]:
        """Old name of `image_size`."""
        warn_renamed("`image_hw`", "`image_size`")
        return self.image_size

    @python_errors
    def export(
        self,
        formats: str | Sequence[str],
        *,
        output: str | Path | None = None,
        int8: bool = False,
        half: bool = False,
        dynamic: bool = False,
        int16x8: bool = False,
        data: str | Path | None = None,
        calibration: int = 200,
        ranges: Ranges = "mse",
        keep_float: Sequence[str] = (),
        calibrator: Literal["tfyolo", "runtime"] = "tfyolo",
        nms: str = "auto",
        confidence: float = 0.25,
        iou: float = 0.45,
        max_detections: int = 100,
        topk_per_class: int | None = None,
        candidates: int = 1000,
        agnostic: bool = False,
        multi_label: bool = False,
        image_size: int | tuple[int, int] | None = None,
        dynamic_batch: bool = False,
        opset: int = 17,
        simplify: bool = True,
        progress: Progress | None = None,
        log: Log | None = None,
    ) -> Path | dict[str, Path]:
        """Write the model in one format or several, as `tfyolo export` does.

        Args:
            formats: `tflite`, `edgetpu`, `saved_model`, `pb`, `tfjs`, `onnx`, `openvino`, `coreml`, `engine`,
                `torchscript` or `pt`; several as a list.
            output: path without suffix, to which each format adds its own. Defaults to the path of the model
                file, or to its name in the current folder where it ships with tfyolo or was downloaded.
            int8: write an integer network: a quarter of the size, and fastest. Needs `data`, or a model that
                `quantize` returned.
            half: store weights as float16: half the size.
            dynamic: store weights as int8 and compute in float (TensorFlow Lite).
            int16x8: 16-bit activations and 8-bit weights (TensorFlow Lite). Needs `data`.
            data: dataset whose training images int8 and int16x8 calibrate on: a YAML, or the folder of a
                classification dataset.
            calibration: maximum number of images to calibrate on.
            ranges: how a tensor's range is chosen.
            keep_float: names of layers that stay in float, such as `model.24.m.0.box`.
            calibrator: `tfyolo` for the ranges of the model, or `runtime` for those that ONNX Runtime or
                OpenVINO measures.
            nms: kind of non-maximum suppression inside the file; `auto` is the default of each format, `none`
                returns all boxes, `raw` the logits of the heads.
            confidence: confidence threshold of the NMS inside.
            iou: IoU threshold of the NMS inside.
            max_detections: maximum number of boxes per image.
            topk_per_class: maximum number of boxes per class and image; no limit by default.
            candidates: number of boxes of highest objectness that take part in NMS.
            agnostic: let boxes of different classes suppress each other.
            multi_label: let a box have several classes, as when mAP is measured.
            image_size: input size in pixels, one number or (height, width); defaults to `image_size`.
            dynamic_batch: let the file take any number of images at once (ONNX, OpenVINO).
            opset: version of the ONNX operators.
            simplify: let onnxslim simplify ONNX graphs.
            progress: called as `progress(label, done, total)` after each step.
            log: called with notes, such as settings that have no effect in a format.

        Returns:
            The path of the file or folder; a dictionary of paths by format where `formats` is a list.

        Raises:
            TfyoloError: a format cannot hold what is asked for, a library is missing, the dataset is wrong,
                or this is an exported file.

        Example:
            >>> import tfyolo, tempfile
            >>> detector = tfyolo.load("bccd-n")
            >>> folder = tempfile.mkdtemp()
            >>> path = detector.export("tflite", output=f"{folder}/cells")
            >>> path.name
            'cells.tflite'
            >>> tfyolo.load(path).names
            ('Platelets', 'RBC', 'WBC')
            >>> detector.export("tflite", int8=True, data="bccd-mini")  # doctest: +SKIP
        """
        self._require_network("exported")
        precisions = {"int8": int8, "float16": half, "dynamic": dynamic, "int16x8": int16x8}
        chosen = [name for name, asked in precisions.items() if asked]
        if len(chosen) > 1:
            flags = " and ".join(PRECISIONS[name] for name in chosen)
            raise TfyoloError(f"{flags} exclude each other", fix="pass one of them")
        check_share(confidence=confidence, iou=iou)
        check_whole(
            calibration=calibration,
            max_detections=max_detections,
            topk_per_class=topk_per_class,
            candidates=candidates,
        )
        check_choice("calibrator", calibrator, ("tfyolo", "runtime"))
        check_choice("ranges", ranges, ("mse", "minmax", "percentile"))
        check_choice("opset", opset, OPSETS)
        names = [formats] if isinstance(formats, str) else list(formats)
        for name in names:
            find_format(name)
        stem = self._stem if output is None else Path(output)
        check_targets(names, stem, self.runtime.path)

        from tfyolo.export.graph.options import GraphNmsOptions
        from tfyolo.export.job import ExportJob
        from tfyolo.export.options import ExportOptions
        from tfyolo.quantization.export_options import ExportCalibrationOptions

        settings = GraphNmsOptions(
            confidence=confidence,
            iou=iou,
            max_detections=max_detections,
            candidates=candidates,
            multi_label=multi_label,
            agnostic=agnostic,
            per_class=topk_per_class,
        )
        request = ExportJob(
            self.model,
            self.contract,
            ExportOptions(
                image_size=as_image_size(image_size) or self.image_size,
                nms=nms,
                nms_options=settings,
                precision=chosen[0] if chosen else "float32",
                dynamic_batch=dynamic_batch,
                opset=opset,
                simplify=simplify,
                calibrator=calibrator,
            ),
            log=lambda sentence: (log or ignore)(in_python(sentence)),
        )
        changed = {
            "--calibration": calibration != 200,
            "--ranges": ranges != "mse",
            "--keep-float": bool(keep_float),
        }
        given = tuple(flag for flag, differs in changed.items() if differs)
        how = ExportCalibrationOptions(data, calibration, ranges, keep_float, given)
        written = _write(request, names, stem, how, self.runtime.path, progress or ignore)
        return written[formats] if isinstance(formats, str) else written

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
        batch_size: int = 4,
        image_size: int | tuple[int, int] | None = None,
        seed: int = 0,
        hyp: str = "scratch-low",
        float_model: TaskModel | str | Path | None = None,
        output: str | Path | None = None,
        progress: Progress | None = None,
        log: Log | None = None,
    ) -> Self:
        """Make a model for int8: calibration, then quantization-aware training (QAT), as `tfyolo quantize`.

        This model stays as it is. Every exporter can write the returned one with `int8=True`, without `data`.

        Args:
            data: dataset whose training images are used: a YAML, or the folder of a classification dataset.
            steps: number of QAT steps; 0 calibrates only.
            epochs: number of QAT epochs, in place of `steps`.
            loss: `distill` follows the float model and needs no labels, `labels` is the training loss, `both`
                adds the two.
            learning_rate: of QAT, in quantization steps.
            calibration: maximum number of images to calibrate on.
            ranges: how a tensor's range is chosen.
            keep_float: names of layers that stay in float, such as `model.24.m.0.box`.
            batch_size: number of images per QAT step.
            image_size: input size in pixels, one number or (height, width); defaults to `image_size`.
            seed: of the order of images.
            hyp: hyperparameters of the training loss, by name or file.
            float_model: the float model, as an object or a path, where this one is quantized already and is
                to be trained further.
            output: `.keras` file to write. With it, a run that was killed continues when the same call is
                made again.
            progress: called as `progress(label, done, total)` after each step.
            log: called with each sentence of the log, such as the loss every 100 steps.

        Returns:
            A new detector or classifier with quantized weights, whose `contract.quantization` is set.

        Raises:
            TfyoloError: dataset or weights are wrong, or this is an exported file.

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
        from tfyolo.quantization.qat_options import QatOptions
        from tfyolo.quantization.run import QuantizeOptions, quantize

        trains = epochs is not None or steps > 0
        float_network: Any = None if float_model is None else str(float_model)
        if isinstance(float_model, TaskModel):
            float_network = float_model.model, float_model.contract
        with TemporaryDirectory() as name:
            options = QuantizeOptions(
                data=Path(data),
                weights=(self.model, self.contract),
                output=Path(name) / "quantized.keras" if output is None else Path(output),
                float_model=float_network,
                image_size=as_image_size(image_size) or self.image_size,
                calibration=calibration,
                calibrate=CalibrationOptions(ranges, keep_float=tuple(keep_float)),
                train=QatOptions(steps, learning_rate, loss=loss) if trains else None,
                epochs=epochs,
                batch_size=batch_size,
                seed=seed,
                hyp=hyp,
            )
            written = quantize(options, progress or ignore, log or ignore)
            runtime = _open_network(written)
        if output is None:
            runtime.path = None  # the file is gone
        return type(self)(runtime)

    def _require_network(self, participle: str) -> None:
        """Refuse an exported file.

        Args:
            participle: what is to be done, such as `trained`.

        Raises:
            TfyoloError: this is one.
        """
        if getattr(self.runtime, "model", None) is None:
            raise TfyoloError(
                f"an exported file ({self._format}) cannot be {participle}: it holds no Keras model",
                path=self.runtime.path,
                fix="load the .pt or .keras file that it was exported from",
            )

    def _resized(self: Self, image_size: int | tuple[int, int] | None) -> Self:
        """The same model with another input size."""
        return self if image_size is None else type(self)(self.runtime, as_image_size(image_size))

    def _replace(self, path: Path) -> None:
        """Become the model of a file."""
        BaseModel.__init__(self, _open_network(path))

    @property
    def _stem(self) -> Path:
        """Path without suffix for files made from this model."""
        path = self.runtime.path
        if path is None:
            return Path(self._file_name)
        known = path in MODELS.values() or path.parent == cache_folder()
        return Path(path.stem) if known else path.with_suffix("")


def ignore(*_: object) -> None:
    """Report nothing."""


def _open_network(path: Path) -> Runtime:
    from tfyolo.export.keras.runtime import open_keras_runtime

    return open_keras_runtime(path)


def _write(
    request: ExportJob,
    formats: list[str],
    stem: Path,
    how: ExportCalibrationOptions,
    source: Path | None,
    progress: Progress,
) -> dict[str, Path]:
    """Check everything, calibrate where the precision needs it, and write."""
    from tfyolo.export.job import check_export, export_model
    from tfyolo.quantization.export import calibrated, check_calibration
    from tfyolo.quiet import hidden_stderr

    check_export(request, formats)
    check_calibration(request, how, source)
    request = calibrated(request, how, progress)
    with hidden_stderr():
        return export_model(request, formats, stem, progress)
