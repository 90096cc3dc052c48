"""`Detector.export` and `Classifier.export`: files for other runtimes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tfyolo.api.checks import as_budget, as_image_size, as_layers
from tfyolo.api.network import NetworkModel
from tfyolo.argument_checks import check_choice, check_fraction, check_whole
from tfyolo.deprecation import renamed_arguments
from tfyolo.errors import TfyoloError
from tfyolo.export.registry import OPSETS, PRECISIONS, check_targets, export_stem, find_format
from tfyolo.progress import Log, Progress, no_log, no_progress
from tfyolo.python_errors import in_python, python_errors
from tfyolo.quantization.budget.options import BudgetOf

if TYPE_CHECKING:
    from tfyolo.export.job import ExportJob
    from tfyolo.quantization.export_options import ExportCalibrationOptions

Ranges = Literal["mse", "minmax", "percentile"]
"""Methods that choose the range of a tensor in calibration."""


class ExportMixin(NetworkModel):
    """Adds `export` to a model."""

    @renamed_arguments(iou="iou_threshold")
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
        float_budget: float = 0.0,
        budget_of: BudgetOf = "latency",
        budget_images: int = 32,
        calibrator: Literal["tfyolo", "runtime"] = "tfyolo",
        nms: str = "auto",
        confidence: float = 0.25,
        iou_threshold: float = 0.45,
        max_detections: int = 100,
        topk_per_class: int | None = None,
        candidates: int = 1000,
        agnostic: bool = False,
        multi_label: bool = False,
        image_size: int | tuple[int, int] | None = None,
        dynamic_batch: bool = False,
        opset: int = 17,
        simplify: bool = True,
        progress: Progress = no_progress,
        log: Log = no_log,
    ) -> Path | dict[str, Path]:
        """Write the model in one or several formats, as `tfyolo export` does.

        Args:
            formats: `tflite`, `edgetpu`, `saved_model`, `pb`, `tfjs`, `onnx`, `openvino`, `coreml`, `engine`,
                `torchscript` or `pt`; several as a list.
            output: path of the files, to which each format adds its suffix, or a folder, which ends in a
                slash. Defaults to the path of the model file, or to its name in the current folder where it
                ships with tfyolo or was downloaded.
            int8: write an int8 model, a quarter of the float32 size. Needs `data`, or a model that `quantize`
                returned.
            half: store weights as float16, at half the size.
            dynamic: store weights as int8 and compute in float (TensorFlow Lite).
            int16x8: 16-bit activations and 8-bit weights (TensorFlow Lite). Needs `data`.
            data: dataset whose training images int8 and int16x8 calibrate on: a YAML, or the folder of a
                classification dataset.
            calibration: maximum number of images to calibrate on.
            ranges: method that chooses the range of each tensor.
            keep_float: names of layers that stay in float, such as `model.24.m.0.box`.
            float_budget: keep the parts that gain the most accuracy in float, within this
                cost: 0.15 is 15 % more latency, or 15 % of the multiply-adds.
            budget_of: what `float_budget` limits: `latency`, measured in LiteRT on this machine, or
                `multiply-adds`, for a file that another device runs.
            budget_images: number of calibration images that the parts are compared on.
            calibrator: origin of the int8 ranges: `tfyolo` for the calibration of this method, or `runtime`
                for the calibration tool of ONNX Runtime or OpenVINO.
            nms: kind of non-maximum suppression (NMS) inside the file: `postprocess`, `builtin`, `combined`,
                `tensor`, `pipeline` or `efficient`; `none` returns all boxes, `raw` the logits of the heads.
                `auto` is the default kind of each format.
            confidence: confidence threshold of the NMS in the file, 0 to 1.
            iou_threshold: IoU above which the NMS in the file suppresses the lower-scoring box, 0 to 1.
            max_detections: maximum number of boxes per image.
            topk_per_class: maximum number of boxes per class and image; no limit by default.
            candidates: number of boxes with the highest objectness that enter NMS.
            agnostic: let boxes of different classes suppress each other.
            multi_label: let a box have several classes, as mAP is measured.
            image_size: input size in pixels, one number or (height, width); defaults to `image_size`.
            dynamic_batch: let the file take any number of images at once (ONNX, OpenVINO).
            opset: version of the ONNX operators.
            simplify: let onnxslim simplify ONNX graphs.
            progress: called as `progress(label, done, total)` after each step.
            log: called with notes, such as options without effect in a format.

        Returns:
            The path of the file or folder; for a list of `formats`, a dictionary of paths by format.

        Raises:
            TfyoloError: a format does not support an option, a library is missing, the dataset is wrong, or
                this model is an exported file.

        Example:
            >>> import tfyolo
            >>> detector = tfyolo.load("bccd-n")
            >>> path = detector.export("tflite", output="cells")
            >>> path.name
            'cells.tflite'
            >>> tfyolo.load(path).names
            ('Platelets', 'RBC', 'WBC')
            >>> detector.export("tflite", int8=True, data="bccd-mini")  # doctest: +SKIP
        """
        self._require_network("exported")
        precisions = {"int8": int8, "float16": half, "dynamic": dynamic, "int16x8": int16x8}
        chosen = [name for name, requested in precisions.items() if requested]
        if len(chosen) > 1:
            flags = " and ".join(PRECISIONS[name] for name in chosen)
            raise TfyoloError(f"{flags} are mutually exclusive", fix="pass only one of them")
        check_fraction(confidence=confidence, iou_threshold=iou_threshold)
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
        stem = self._stem if output is None else export_stem(output, self._stem.name)
        check_targets(names, stem, self.runtime.path)

        from tfyolo.export.graph.options import GraphNmsOptions
        from tfyolo.export.job import ExportJob
        from tfyolo.export.options import ExportOptions
        from tfyolo.quantization.export_options import ExportCalibrationOptions, changed_flags

        nms_options = GraphNmsOptions(
            confidence=confidence,
            iou_threshold=iou_threshold,
            max_detections=max_detections,
            candidates=candidates,
            multi_label=multi_label,
            agnostic=agnostic,
            per_class=topk_per_class,
        )
        job = ExportJob(
            self.model,
            self.contract,
            ExportOptions(
                image_size=as_image_size(image_size) or self.image_size,
                nms=nms,
                nms_options=nms_options,
                precision=chosen[0] if chosen else "float32",
                dynamic_batch=dynamic_batch,
                opset=opset,
                simplify=simplify,
                calibrator=calibrator,
            ),
            log=lambda sentence: log(in_python(sentence)),
        )
        budget = as_budget(float_budget, budget_of, budget_images)
        keep_float = as_layers(keep_float)
        given = changed_flags(calibration, ranges, keep_float, budget)
        calibration_options = ExportCalibrationOptions(
            data, calibration, ranges, keep_float, given, budget, report=stem
        )
        written = write_formats(job, names, stem, calibration_options, self.runtime.path, progress)
        return written[formats] if isinstance(formats, str) else written


def write_formats(
    job: ExportJob,
    formats: Sequence[str],
    stem: Path,
    calibration: ExportCalibrationOptions,
    source: Path | None,
    progress: Progress = no_progress,
) -> dict[str, Path]:
    """Check an export, calibrate if its precision requires it, and write the files.

    Args:
        job: the model and how to export it.
        formats: names of formats.
        stem: path without suffix, to which each format adds its own.
        calibration: dataset and options of calibration.
        source: model file, for error messages; None where there is none.
        progress: called as `progress(label, done, total)` after each step.

    Returns:
        The path of the file or folder of each format.

    Raises:
        TfyoloError: a format does not support an option, a library is missing, or the dataset is wrong.
    """
    from tfyolo.export.job import check_export, export_model
    from tfyolo.quantization.export import calibrated, check_calibration
    from tfyolo.quantization.export_options import check_budget
    from tfyolo.quiet import hidden_stderr

    names = list(formats)
    check_export(job, names)
    check_calibration(job, calibration, source)
    check_budget(calibration.budget, names)
    job = calibrated(job, calibration, progress)
    with hidden_stderr():
        return export_model(job, names, stem, progress)
