"""Commands of the child process that measures model files."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Any

from tfyolo.files import scratch
from tfyolo.progress import Progress


class WorkerCommands:
    """Commands of the child process; each method is one.

    Args:
        threads: number of CPU threads.
        log: called as `log(label, done, total)` after each step.
    """

    def __init__(self, threads: int, log: Progress) -> None:
        self._threads, self._log = threads, log
        self._loaded: dict[str, Any] = {}
        self._known_runtimes: set[str] = set()
        self._float_exports: dict[str, Any] = {}

    def load(self, path: str, image_size: list[int] | None, image: str) -> dict[str, Any]:
        """Load a model file, keep it loaded, and measure the time from opening it to its first result.

        The import of libraries is not measured: the first file of each runtime is loaded twice.

        Args:
            path: model file.
            image_size: input size [height, width] in pixels; None for the model's own.
            image: path of an `.npy` file, uint8 (height, width, 3) RGB.

        Returns:
            `load_seconds`.
        """
        import numpy as np

        from tfyolo.benchmark.latency import detect_once

        self._float_exports.clear()  # what mAP needed
        pixels = np.load(image)
        if runtime_class(path) not in self._known_runtimes:
            detect_once(self._load(path, image_size), pixels)
        start = perf_counter()
        detector = self._load(path, image_size)
        detect_once(detector, pixels)
        seconds = perf_counter() - start
        self._loaded[path] = detector
        return {"load_seconds": seconds}

    def time(self, path: str, image_size: list[int] | None, image: str, runs: int) -> dict[str, Any]:
        """Measure one round of latencies of a model file, and keep it loaded for the next round.

        Args:
            path: model file.
            image_size: input size [height, width] in pixels; None for the model's own.
            image: path of an `.npy` file, uint8 (height, width, 3) RGB.
            runs: number of timed detections.

        Returns:
            `total_ms` and `inference_ms` (lists, one value per run), `runtime`, `image_size`, `format`,
            `precision` and `task`.
        """
        import numpy as np

        from tfyolo.benchmark.latency import time_round

        if path not in self._loaded:
            self._loaded[path] = self._load(path, image_size)
        detector = self._loaded[path]
        total, inference = time_round(detector, np.load(image), runs)
        return {
            "total_ms": total,
            "inference_ms": inference,
            "runtime": runtime_label(detector.runtime),
            "image_size": detector.image_size,
            "format": detector.contract.export.get("format", "keras"),
            "precision": detector.contract.export.get("precision", "float32"),
            "task": detector.contract.task,
        }

    def map(
        self,
        path: str,
        image_size: list[int] | None,
        data: str,
        split: str,
        unsuppressed: tuple[str, str, str] | None = None,
    ) -> dict[str, Any]:
        """Measure mAP of boxes and masks by YOLOv5's protocol on square input, or top-1 of a classifier.

        Args:
            path: model file.
            image_size: input size [height, width] in pixels; None for the model's own.
            data: dataset YAML file, or folder of a classifier.
            split: split to validate on.
            unsuppressed: a `.keras` file, a format and a precision: if `image_size` is given, the model is
                exported here without NMS, and that file is measured in place of `path`.

        Returns:
            `map50`, `map50_95`, `mask_map50` and `mask_map50_95` (None for a detector), or `top1` and `top5`,
            in 0..1; and `limits`: thresholds inside the file that are stricter than those of validation.
        """
        from tfyolo.evaluation.detection_metrics import ValOptions
        from tfyolo.evaluation.validator import validate
        from tfyolo.inference.classification import ClassificationPredictor
        from tfyolo.inference.nms import NmsOptions

        if unsuppressed and image_size:
            with scratch() as folder:
                written = self._write_all_boxes(*unsuppressed, (image_size[0], image_size[1]), folder)
                return self.map(str(written), image_size, data, split)
        detector = self._load(path, image_size)
        if isinstance(detector, ClassificationPredictor):
            from tfyolo.evaluation.classification import ClassifierValOptions, validate_classifier

            found = validate_classifier(
                detector, data, ClassifierValOptions(split, plots=False), progress=self._log
            )
            return {"top1": found.top1, "top5": found.top5, "limits": ""}
        # Exported files run on the square input, so Keras has to as well.
        options = ValOptions(split=split, rect=False, plots=False)
        metrics = validate(detector, data, options, progress=self._log)
        limits = detector.limits(NmsOptions(options.confidence, options.iou_threshold))
        figures = ("map50", "map50_95", "mask_map50", "mask_map50_95")
        return {**{name: getattr(metrics, name) for name in figures}, "limits": limits}

    def _write_all_boxes(
        self, source: str, format_name: str, precision: str, image_size: tuple[int, int], folder: Path
    ) -> Path:
        """Export a file without NMS, so that validation applies its own; return its path."""
        from tfyolo.export.job import ExportJob, export_model
        from tfyolo.export.keras.runtime import limit_threads
        from tfyolo.export.options import ExportOptions
        from tfyolo.weights import load_model

        if source not in self._float_exports:
            limit_threads(self._threads)
            self._float_exports[source] = ExportJob(*load_model(source), ExportOptions(image_size=image_size))
        request = self._float_exports[source].with_options(precision=precision, nms="none")
        return export_model(request, [format_name], folder / "all_boxes")[format_name]

    def _load(self, path: str, image_size: list[int] | None) -> Any:
        from tfyolo.inference.load import load_predictor

        loaded = load_predictor(path, (image_size[0], image_size[1]) if image_size else None, self._threads)
        self._known_runtimes.add(runtime_class(path))
        return loaded


_RUNTIME_LABELS = {
    "LiteRt": "LiteRT",
    "Keras": "Keras",
    "SavedModel": "TensorFlow",
    "GraphDef": "TensorFlow",
    "Onnx": "ONNX Runtime",
    "OpenVino": "OpenVINO",
    "TorchScript": "PyTorch",
    "TensorRt": "TensorRT",
    "CoreMl": "Core ML",
}


def runtime_class(path: str) -> str:
    """Return the dotted path of the runtime class of a file."""
    from tfyolo.export.registry import format_of

    return format_of(Path(path)).runtime


def runtime_label(runtime: Any) -> str:
    """Return the name of the library that runs the model, for a table."""
    name = type(runtime).__name__.removesuffix("Runtime")
    if name == "Tfjs":
        return f"Node ({runtime.backend})"
    if name == "EdgeTpu":
        return "Edge TPU" if runtime.compiled else "LiteRT"
    kind = _RUNTIME_LABELS.get(name, name)
    if kind in ("Keras", "TensorFlow"):
        import tensorflow as tf

        return f"{kind} (GPU)" if tf.config.list_physical_devices("GPU") else kind
    return kind
