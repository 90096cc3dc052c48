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
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from tfyolo.errors import TfyoloError

Progress = Callable[[str, int, int], None]


class Worker:
    """The asking end. As a context, it ends the process.

    Args:
        threads: of the CPU.
        progress: is told how far a measurement is.

    Example:
        >>> with Worker(threads=1) as worker:  # doctest: +SKIP
        ...     worker.ask("time", path="a.tflite", image_hw=None, image="picture.npy", runs=10)["total_ms"]
    """

    def __init__(self, threads: int, progress: Progress = lambda label, done, total: None) -> None:
        self.threads, self._progress = threads, progress
        self._process: subprocess.Popen[str] | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._log.close()

    def ask(self, what: str, **arguments: Any) -> dict[str, Any]:
        """Have something done in the process, which is started if need be.

        Args:
            what: a method of `_Deeds`.
            **arguments: of that method.

        Raises:
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
            self._end()
            raise TfyoloError(f"the process that ran it {reason}")
        if "error" in answer:
            raise TfyoloError(answer["error"])
        return answer

    def _start(self) -> subprocess.Popen[str]:
        # Without growth on demand the first of several processes takes all of a GPU's memory.
        more = {"OMP_NUM_THREADS": str(self.threads), "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tfyolo.evaluation.benchmark_worker", "--threads", str(self.threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**os.environ, **more},
        )
        return self._process

    def _end(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                with contextlib.suppress(OSError):  # what was not sent cannot be
                    if pipe is not None:
                        pipe.close()
            self._process = None

    def _why(self, code: int) -> str:
        if code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f"ended with exit code {code}: {last[:300]}"


class _Deeds:
    """What the process can be asked for.

    Args:
        threads: of the CPU.
        tell: is told how far it is.
    """

    def __init__(self, threads: int, tell: Progress) -> None:
        self._threads, self._tell = threads, tell
        self._kept: dict[str, Any] = {}

    def time(self, path: str, image_hw: list[int] | None, image: str, runs: int) -> dict[str, Any]:
        """A turn of a file, which stays loaded for its next one."""
        import numpy as np

        from tfyolo.evaluation.benchmark import take_turn

        if path not in self._kept:
            self._kept[path] = self._load(path, image_hw)
        detector = self._kept[path]
        total, inference = take_turn(detector, np.load(image), runs)
        return {
            "total_ms": total,
            "inference_ms": inference,
            "runtime": runs_in(detector.runtime, Path(path)),
            "input_hw": detector.image_hw,
            "format": detector.contract.export.get("format", "keras"),
            "precision": detector.contract.export.get("precision", "float32"),
        }

    def map(self, path: str, image_hw: list[int] | None, data: str, split: str) -> dict[str, Any]:
        """Mean average precision of a file, by YOLOv5's protocol on square input."""
        from tfyolo.evaluation.validator import ValOptions, validate
        from tfyolo.inference.nms import NmsOptions

        detector = self._load(path, image_hw)
        # Exported files see the whole square, so that Keras has to, too.
        options = ValOptions(split=split, rect=False, plots=False)
        metrics = validate(detector, data, options, progress=self._tell)
        limits = detector.limits(NmsOptions(options.confidence, options.iou))
        return {"map50": metrics.map50, "map50_95": metrics.map50_95, "limits": limits}

    def _load(self, path: str, image_hw: list[int] | None) -> Any:
        from tfyolo.inference.load import load

        return load(path, (image_hw[0], image_hw[1]) if image_hw else None, self._threads)


_KINDS = {"LiteRt": "LiteRT", "Keras": "Keras", "SavedModel": "TensorFlow", "GraphDef": "TensorFlow"}


def runs_in(runtime: Any, path: Path) -> str:
    """What computes, in words for a table."""
    name = type(runtime).__name__.removesuffix("Runtime")
    if name == "Tfjs":
        return f"Node ({runtime.backend})"
    if name == "EdgeTpu":
        from tfyolo.inference.runtimes.edgetpu import is_compiled

        return "Edge TPU" if is_compiled(path, runtime.contract) else "LiteRT"
    kind = _KINDS.get(name, name)
    if kind in ("Keras", "TensorFlow"):
        import tensorflow as tf

        return f"{kind} (GPU)" if tf.config.list_physical_devices("GPU") else kind
    return kind


def serve(requests: TextIO, answers: TextIO, threads: int) -> None:
    """Answer requests until there are no more."""

    def say(answer: dict[str, Any]) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    deeds = _Deeds(threads, lambda *told: say({"progress": told}))
    for line in requests:
        request = json.loads(line)
        try:
            answer = getattr(deeds, request.pop("what"))(**request)
        except TfyoloError as error:
            answer = {"error": error.message + (f" (fix: {error.fix})" if error.fix else "")}
        except Exception as error:  # whatever a runtime raises for this file; others go on
            first = (str(error).strip().splitlines() or [""])[0]
            answer = {"error": f"{type(error).__name__}: {first[:300]}"}
        say(answer)


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
