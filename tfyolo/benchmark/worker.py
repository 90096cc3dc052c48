"""A process that measures model files: both ends of its pipe.

TensorFlow takes its number of threads once a process, so each number of threads has a process of its own. A
file that brings its process down costs that file's row and no other: the next request starts a new process.

Requests and answers are lines of JSON on stdin and stdout.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any, TextIO

from tfyolo.errors import MissingExtraError, TfyoloError
from tfyolo.files import scratch
from tfyolo.progress import Progress, no_progress


class MissingHereError(TfyoloError):
    """A file cannot run here, because a library is not installed."""


class Worker:
    """The asking end. As a context, it ends the process.

    Args:
        threads: of the CPU.
        progress: is told how far a measurement is.

    Example:
        >>> with Worker(threads=1) as worker:  # doctest: +SKIP
        ...     worker.ask("time", path="a.tflite", image_size=None, image="image.npy", runs=10)["total_ms"]
    """

    def __init__(self, threads: int, progress: Progress = no_progress) -> None:
        self.threads, self._progress = threads, progress
        self._process: subprocess.Popen[str] | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        self._log.close()

    def ask(self, what: str, **arguments: Any) -> dict[str, Any]:
        """Have something done in the process, which is started if need be.

        Args:
            what: a method of `WorkerCommands`.
            **arguments: of that method.

        Raises:
            MissingHereError: a library is not installed.
            TfyoloError: it fails, or the process dies of it.
        """
        process = self._process or self._start()
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - pipes, for mypy
        answer = None
        with contextlib.suppress(OSError):  # it died before it read the request
            process.stdin.write(json.dumps({"what": what, **arguments}) + "\n")
            process.stdin.flush()
            while (line := process.stdout.readline()) and "progress" in (answer := json.loads(line)):
                self._progress(*answer["progress"])
            answer = answer if line else None
        if answer is None:
            reason = self._why(process.wait())
            self.end()
            raise TfyoloError(f"the process that ran it {reason}")
        return checked(answer)

    def _start(self) -> subprocess.Popen[str]:
        # Without growth on demand the first of several processes takes all of a GPU's memory.
        more = {"OMP_NUM_THREADS": str(self.threads), "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tfyolo.benchmark.worker", "--threads", str(self.threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**os.environ, **more},
        )
        return self._process

    def end(self) -> None:
        """End the process; the next request starts another."""
        process, self._process = self._process, None
        if process:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError, ValueError):  # what was not sent cannot be
                    if pipe is not None:
                        pipe.close()

    def _why(self, code: int) -> str:
        if code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f"ended with exit code {code}: {last[:300]}"


def checked(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer of `answer_to` itself.

    Raises:
        MissingHereError: it reports a library that is not installed.
        TfyoloError: it reports another error.
    """
    if "error" in answer:
        raise (MissingHereError if answer.get("missing") else TfyoloError)(answer["error"])
    return answer


class WorkerCommands:
    """What the process can be asked for.

    Args:
        threads: of the CPU.
        log: is told how far it is.
    """

    def __init__(self, threads: int, log: Progress) -> None:
        self._threads, self._log = threads, log
        self._kept: dict[str, Any] = {}
        self._seen: set[str] = set()
        self._exact: dict[str, Any] = {}

    def load(self, path: str, image_size: list[int] | None, image: str) -> dict[str, Any]:
        """Load a file, which stays loaded, and say how long it takes until it has found its first boxes.

        Libraries are no part of it: the first file of a runtime is loaded twice.
        """
        import numpy as np

        from tfyolo.benchmark.latency import detect_once

        self._exact.clear()  # what mAP needed
        pixels = np.load(image)
        if runtime_of(path) not in self._seen:
            detect_once(self._load(path, image_size), pixels)
        start = perf_counter()
        detector = self._load(path, image_size)
        detect_once(detector, pixels)
        seconds = perf_counter() - start
        self._kept[path] = detector
        return {"load_seconds": seconds}

    def time(self, path: str, image_size: list[int] | None, image: str, runs: int) -> dict[str, Any]:
        """A turn of a file, which stays loaded for its next one."""
        import numpy as np

        from tfyolo.benchmark.latency import take_turn

        if path not in self._kept:
            self._kept[path] = self._load(path, image_size)
        detector = self._kept[path]
        total, inference = take_turn(detector, np.load(image), runs)
        return {
            "total_ms": total,
            "inference_ms": inference,
            "runtime": runs_in(detector.runtime),
            "input_hw": detector.image_size,
            "format": detector.contract.export.get("format", "keras"),
            "precision": detector.contract.export.get("precision", "float32"),
        }

    def map(
        self,
        path: str,
        image_size: list[int] | None,
        data: str,
        split: str,
        boxes_of: tuple[str, str, str] | None = None,
    ) -> dict[str, Any]:
        """Mean average precision of a file, by YOLOv5's protocol on square input; top-1 of a classifier.

        With `boxes_of`, a `.keras` file, a format and a precision, it is that of a file exported here.
        """
        from tfyolo.evaluation.detection_metrics import ValOptions
        from tfyolo.evaluation.validator import validate
        from tfyolo.inference.classification import ClassificationPredictor
        from tfyolo.inference.nms import NmsOptions

        if boxes_of and image_size:
            with scratch() as folder:
                written = self._write_all_boxes(*boxes_of, (image_size[0], image_size[1]), folder)
                return self.map(str(written), image_size, data, split)
        detector = self._load(path, image_size)
        if isinstance(detector, ClassificationPredictor):
            from tfyolo.evaluation.classification import ClassifierValOptions, validate_classifier

            found = validate_classifier(
                detector, data, ClassifierValOptions(split, plots=False), progress=self._log
            )
            return {"top1": found.top1, "top5": found.top5, "limits": ""}
        # Exported files see the whole square, so that Keras has to, too.
        options = ValOptions(split=split, rect=False, plots=False)
        metrics = validate(detector, data, options, progress=self._log)
        limits = detector.limits(NmsOptions(options.confidence, options.iou))
        return {"map50": metrics.map50, "map50_95": metrics.map50_95, "limits": limits}

    def _write_all_boxes(
        self, source: str, format_name: str, precision: str, image_size: tuple[int, int], folder: Path
    ) -> Path:
        """An export whose boxes nothing suppresses but validation itself."""
        from tfyolo.export.job import ExportJob, export_model
        from tfyolo.export.keras.runtime import limit_threads
        from tfyolo.export.options import ExportOptions
        from tfyolo.weights import load_model

        if source not in self._exact:
            limit_threads(self._threads)
            self._exact[source] = ExportJob(*load_model(source), ExportOptions(image_size=image_size))
        request = self._exact[source].with_options(precision=precision, nms="none")
        return export_model(request, [format_name], folder / "all_boxes")[format_name]

    def _load(self, path: str, image_size: list[int] | None) -> Any:
        from tfyolo.inference.load import load_predictor

        loaded = load_predictor(path, (image_size[0], image_size[1]) if image_size else None, self._threads)
        self._seen.add(runtime_of(path))
        return loaded


_KINDS = {
    "LiteRt": "LiteRT",
    "Keras": "Keras",
    "SavedModel": "TensorFlow",
    "GraphDef": "TensorFlow",
    "Onnx": "ONNX Runtime",
    "OpenVino": "OpenVINO",
    "TorchScript": "PyTorch",
    "TensorRt": "TensorRT",
    "CoreMl": "CoreML",
}


def runtime_of(path: str) -> str:
    """Which class runs a file."""
    from tfyolo.export.registry import format_of

    return format_of(Path(path)).runtime


def runs_in(runtime: Any) -> str:
    """What computes, in words for a table."""
    name = type(runtime).__name__.removesuffix("Runtime")
    if name == "Tfjs":
        return f"Node ({runtime.backend})"
    if name == "EdgeTpu":
        return "Edge TPU" if runtime.compiled else "LiteRT"
    kind = _KINDS.get(name, name)
    if kind in ("Keras", "TensorFlow"):
        import tensorflow as tf

        return f"{kind} (GPU)" if tf.config.list_physical_devices("GPU") else kind
    return kind


def answer_to(deeds: WorkerCommands, request: dict[str, Any]) -> dict[str, Any]:
    """Run one request; errors become an answer.

    Args:
        deeds: whose method is called.
        request: `what`, the method's name, and its arguments.

    Returns:
        What the method returns, or `error` and `missing` (whether a library is not installed).
    """
    arguments = dict(request)
    try:
        answer: dict[str, Any] = getattr(deeds, arguments.pop("what"))(**arguments)
    except TfyoloError as error:
        message = error.message + (f" (fix: {error.fix})" if error.fix else "")
        return {"error": message, "missing": isinstance(error, MissingExtraError)}
    except Exception as error:  # whatever a runtime raises for this file; others go on
        first = (str(error).strip().splitlines() or [""])[0]
        return {"error": f"{type(error).__name__}: {first[:300]}", "missing": False}
    return answer


def serve(requests: TextIO, answers: TextIO, threads: int) -> None:
    """Answer requests until there are no more."""

    def say(answer: dict[str, Any]) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    deeds = WorkerCommands(threads, lambda *told: say({"progress": told}))
    for line in requests:
        say(answer_to(deeds, json.loads(line)))


def main() -> None:
    """The answering end."""
    import cv2

    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, required=True)
    threads = parser.parse_args().threads
    cv2.setNumThreads(threads)  # the letterbox counts, too
    # Libraries print to stdout as they like; answers keep a copy of it to themselves.
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        serve(sys.stdin, answers, threads)


if __name__ == "__main__":
    main()
