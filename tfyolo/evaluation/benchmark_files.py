"""Size, mAP and latency of model files, each measured in a process that knows its number of threads."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from tfyolo.errors import MissingExtraError, TfyoloError
from tfyolo.evaluation.benchmark import Latency
from tfyolo.evaluation.benchmark_rows import Row
from tfyolo.evaluation.benchmark_variants import Variant
from tfyolo.evaluation.benchmark_worker import Worker
from tfyolo.files import megabytes

if TYPE_CHECKING:
    from tfyolo.export.request import ExportRequest

Progress = Callable[[str, int, int], None]


class Bench:
    """Measures files one at a time; as a context, it ends its processes.

    A file that fails has a row with the reason, and the others go on.

    Args:
        pixels: uint8 (height, width, 3) RGB picture to detect on.
        threads: numbers of threads to measure with.
        data: data set YAML; mAP is not measured without.
        split: of the data set.
        progress: is told how far it is.

    Example:
        >>> with Bench(pixels, threads=(1, 4)) as bench:  # doctest: +SKIP
        ...     for path in (Path("best.keras"), Path("best.tflite")):
        ...         bench.add(path.name, path)
        ...     bench.time(rounds=5, runs=10)
        >>> [row.latencies[1].median_ms for row in bench.rows]  # doctest: +SKIP
        [52.1, 31.7]
    """

    def __init__(
        self,
        pixels: np.ndarray,
        threads: Sequence[int],
        data: str | Path | None = None,
        split: str = "val",
        progress: Progress = lambda label, done, total: None,
    ) -> None:
        self.rows: list[Row] = []
        self.threads, self.data, self._split, self._progress = tuple(threads), data, split, progress
        self._sizes: dict[Path, tuple[int, int] | None] = {}
        self._pixels, self._stack = pixels, ExitStack()

    def __enter__(self) -> Bench:
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self._image = str(folder / "picture.npy")
        np.save(self._image, self._pixels)
        self._workers = {
            count: self._stack.enter_context(Worker(count, self._progress)) for count in self.threads
        }
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def add(
        self, name: str, path: Path, image_hw: tuple[int, int] | None = None, judged: Path | None = None
    ) -> Row:
        """Add a file, and measure its size and mAP.

        Args:
            name: of the row.
            path: of the file.
            image_hw: input size in pixels; the file's own by default.
            judged: the file whose mAP counts, where another one than is timed.
        """
        row = Row(name, path, megabytes(path))
        self.rows.append(row)
        self._sizes[path] = image_hw
        if self.data is not None:
            worker = self._workers[max(self.threads)]
            asked = {"path": str(judged or path), "image_hw": image_hw}
            try:
                answer = worker.ask("map", **asked, data=str(self.data), split=self._split)
            except TfyoloError as error:
                row.fail(error.message)
            else:
                row.map50, row.map50_95 = answer["map50"], answer["map50_95"]
                row.limits = answer["limits"]
        return row

    def time(self, rounds: int = 5, runs: int = 10) -> None:
        """Measure latency in turns, so that a drifting machine hurts none more than another.

        Args:
            rounds: times that each file has its turn with each number of threads.
            runs: timed detections in a turn.
        """
        turns = [(turn, count, row) for turn in range(rounds) for count in self.threads for row in self.rows]
        for done, (_, count, row) in enumerate(turns):
            if not row.error:
                try:
                    self._take_turn(row, count, runs)
                except TfyoloError as error:
                    row.fail(error.message)
            self._progress("timing", done + 1, len(turns))

    def _take_turn(self, row: Row, count: int, runs: int) -> None:
        size = self._sizes[row.path]
        answer = self._workers[count].ask(
            "time", path=str(row.path), image_hw=size, image=self._image, runs=runs
        )
        row.format, row.precision = answer["format"], answer["precision"]
        before = row.latencies.get(count)
        height, width = answer["input_hw"]
        total, inference = np.array(answer["total_ms"]), np.array(answer["inference_ms"])
        if before:
            total = np.concatenate([before.total_ms, total])
            inference = np.concatenate([before.inference_ms, inference])
        row.latencies[count] = Latency(row.name, answer["runtime"], (height, width), total, inference)


def add_exports(
    bench: Bench,
    requests: Mapping[str, ExportRequest],
    variants: Sequence[Variant],
    stem: str,
    folder: Path,
    progress: Progress = lambda label, done, total: None,
) -> list[tuple[Variant, str]]:
    """Export and add.

    mAP needs all boxes, which nobody ships: where it is measured, it is that of a second file, exported with
    the thresholds of validation. What is timed is what `tfyolo export` writes.

    Args:
        bench: that files are added to; one that cannot be written has a row that says why.
        requests: by precision.
        variants: what to write.
        stem: name of the files before suffix and precision.
        folder: where they stay until they are timed.
        progress: is told how far it is.

    Returns:
        Variants that were not asked for by name and are left out, with the reason.
    """
    from tfyolo.export.nms import NmsSettings
    from tfyolo.inference.nms import MAX_CANDIDATES

    # As many candidates as in Python: with the default of 1,000 mAP moves by up to half a point, which is no
    # fault of the format.
    loose = NmsSettings(0.001, 0.6, max_detections=300, candidates=MAX_CANDIDATES, multi_label=True)
    left_out = []
    for done, variant in enumerate(variants):
        progress("exporting", done, len(variants))
        own, name = requests[variant.precision], variant.stem(stem)
        judged = None
        try:
            if bench.data is not None:
                judged = _write(replace(own, settings=loose), variant, folder / "judged" / name)
            path = _write(replace(own, settings=NmsSettings()), variant, folder / name)
        except MissingExtraError as error:
            if not variant.named:
                left_out.append((variant, f"{error.message}, {error.fix}"))
                continue
            bench.rows.append(_failed(name, variant, f"{error.message} (fix: {error.fix})"))
        except TfyoloError as error:
            bench.rows.append(_failed(name, variant, error.message))
        except Exception as error:  # converters raise many kinds; others go on
            reason = " ".join(str(error).split())[:300]
            bench.rows.append(_failed(name, variant, f"{type(error).__name__}: {reason}"))
        else:
            bench.add(path.name, path, judged=judged)
        if judged is not None:
            shutil.rmtree(judged.parent)
    progress("exporting", len(variants), len(variants))
    return left_out


def _write(request: ExportRequest, variant: Variant, stem: Path) -> Path:
    from tfyolo.export.request import export_model
    from tfyolo.quiet import hidden_stderr

    caught: list[Any] = []
    with hidden_stderr():
        try:
            return export_model(request, [variant.format.name], stem)[variant.format.name]
        except Exception as error:  # raised outside: what a failing converter writes is no help to a user
            caught.append(error)
    raise caught[0]


def _failed(name: str, variant: Variant, reason: str) -> Row:
    row = Row(name + variant.format.suffix, Path(name), None, variant.format.name, variant.precision)
    row.fail(f"cannot be exported: {reason}")
    return row


def cores() -> int:
    """Cores of the CPU that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
