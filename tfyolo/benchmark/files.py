"""Size, mAP and latency of model files, measured in one process per number of threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from tfyolo.benchmark.latency import Latency
from tfyolo.benchmark.rows import BenchmarkRow
from tfyolo.benchmark.variants import CALIBRATED_PRECISIONS, Variant, runnable_variants
from tfyolo.benchmark.worker import MissingHereError, Worker
from tfyolo.errors import MissingExtraError, TfyoloError
from tfyolo.files import megabytes, scratch
from tfyolo.progress import Progress, no_progress

if TYPE_CHECKING:
    from tfyolo.export.job import ExportJob

Step = TypeVar("Step")


@dataclass(frozen=True)
class UnsuppressedExport:
    """An export without NMS, which the process that measures mAP writes itself.

    Attributes:
        source: a `.keras` file.
        format: name of the format.
        precision: a key of the registry's `PRECISIONS`.
    """

    source: Path
    format: str
    precision: str


class FileBenchmark:
    """Measures model files one at a time; a context manager that ends its processes.

    A file that fails gets a row with the reason, and the others are still measured. mAP is measured on one
    thread while the caller exports the next file; load time and latency are measured when nothing else runs.

    Args:
        pixels: uint8 (height, width, 3) RGB image to detect on.
        threads: numbers of threads to measure with.
        data: dataset YAML, or a classifier's folder; mAP or top-1 is not measured without.
        split: split of the dataset to validate on.
        progress: called as `progress(label, done, total)` after each step.

    Attributes:
        rows: one per file, in the order in which they were added.
        left_out: names of optional files that cannot run here, with the reason; they have no row.

    Example:
        >>> with FileBenchmark(pixels, threads=(1, 4)) as bench:  # doctest: +SKIP
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
        progress: Progress = no_progress,
    ) -> None:
        self.rows: list[BenchmarkRow] = []
        self.left_out: list[tuple[str, str]] = []
        self.threads, self.data, self._split, self._progress = tuple(threads), data, split, progress
        self._sizes: dict[Path, tuple[int, int] | None] = {}
        # Rows by identity, since files in different folders may have the same name.
        self._optional: set[int] = set()
        self._left_out: set[int] = set()
        self._accuracy_jobs: list[Future[None]] = []
        self._pixels, self._stack = pixels, ExitStack()

    def __enter__(self) -> FileBenchmark:
        folder = self._stack.enter_context(scratch())
        self._image = str(folder / "image.npy")
        np.save(self._image, self._pixels)
        self._workers = {
            count: self._stack.enter_context(Worker(count, self._progress))
            for count in {1, *self.threads}  # on one thread mAP leaves a core to what runs beside it
        }
        self._queue = ThreadPoolExecutor(1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._queue.shutdown(wait=False, cancel_futures=True)
        self._workers[1].end()  # what waits for its answer, gets none
        self._queue.shutdown()
        self._stack.close()

    def add(
        self,
        name: str,
        path: Path,
        image_size: tuple[int, int] | None = None,
        unsuppressed: UnsuppressedExport | None = None,
        optional: bool = False,
    ) -> BenchmarkRow:
        """Add a file, measure its size, and start to measure its mAP.

        Args:
            name: name of the row.
            path: path of the file.
            image_size: (height, width) of the input in pixels; defaults to that of the file.
            unsuppressed: export without NMS for mAP, if the file contains NMS.
            optional: skip the file if its library is not installed.

        Returns:
            The row of the file, which is filled in by the measurements.
        """
        row = BenchmarkRow(name, path, megabytes(path))
        self.rows.append(row)
        self._sizes[path] = image_size
        if optional:
            self._optional.add(id(row))
        if self.data is not None:
            self._accuracy_jobs.append(self._queue.submit(self._measure_accuracy, row, unsuppressed))
        return row

    def time(self, rounds: int = 5, runs: int = 10) -> None:
        """Measure load time and latency, after the mAP of all files.

        Files alternate, so that a drifting clock rate affects all equally.

        Args:
            rounds: number of rounds per file and number of threads.
            runs: timed detections per round.
        """
        for future in self._steps("measuring mAP", self._accuracy_jobs):
            future.result()
        for row in self._steps("loading", self.rows):
            if answer := self._request(row, max(self.threads), "load", image=self._image):
                row.load_seconds = answer["load_seconds"]
        turns = [(turn, count, row) for turn in range(rounds) for count in self.threads for row in self.rows]
        for _, count, row in self._steps("timing", turns):
            self._time_round(row, count, runs)
        self.rows = [row for row in self.rows if id(row) not in self._left_out]

    def _steps(self, label: str, steps: Sequence[Step]) -> Iterator[Step]:
        """Iterate over the steps of a piece of work; report progress at the start and after each."""
        for done, step in enumerate(steps):
            if done == 0:
                self._progress(label, 0, len(steps))
            yield step
            self._progress(label, done + 1, len(steps))

    def _request(
        self, row: BenchmarkRow, threads: int, command: str, **arguments: Any
    ) -> dict[str, Any] | None:
        """Run a command on a row's file; return None if the file has failed, now or earlier."""
        if row.error:
            return None
        asked = {"path": str(row.path), "image_size": self._sizes[row.path], **arguments}
        try:
            return self._workers[threads].request(command, **asked)
        except TfyoloError as error:
            row.fail(error.message)
            if isinstance(error, MissingHereError) and id(row) in self._optional:
                self.left_out.append((row.name, error.message))
                self._left_out.add(id(row))
            return None

    def _measure_accuracy(self, row: BenchmarkRow, unsuppressed: UnsuppressedExport | None) -> None:
        source = unsuppressed and [str(unsuppressed.source), unsuppressed.format, unsuppressed.precision]
        if answer := self._request(
            row, 1, "map", data=str(self.data), split=self._split, unsuppressed=source
        ):
            for key, value in answer.items():
                setattr(row, key, value)

    def _time_round(self, row: BenchmarkRow, count: int, runs: int) -> None:
        answer = self._request(row, count, "time", image=self._image, runs=runs)
        if answer is None:
            return
        row.format, row.precision, row.task = answer["format"], answer["precision"], answer["task"]
        before = row.latencies.get(count)
        height, width = answer["image_size"]
        total, inference = np.array(answer["total_ms"]), np.array(answer["inference_ms"])
        if before:
            total = np.concatenate([before.total_ms, total])
            inference = np.concatenate([before.inference_ms, inference])
        row.latencies[count] = Latency(row.name, answer["runtime"], (height, width), total, inference)


def add_exports(
    bench: FileBenchmark,
    requests: Callable[[str], ExportJob],
    variants: Sequence[Variant],
    stem: str,
    folder: Path,
    progress: Progress = no_progress,
) -> list[tuple[Variant, str]]:
    """Export variants, and add them to a benchmark.

    mAP needs all boxes: it is measured on a second file without NMS, which is exported while the next one is
    written. The file of `tfyolo export` is timed. Calibrated precisions are exported last, while mAP of the
    others is measured; the rows keep the order of the variants.

    Args:
        bench: benchmark that files are added to; a failed export has a row with the reason.
        requests: returns the export job of a precision.
        variants: variants to export.
        stem: file name without suffix and precision.
        folder: folder that keeps the files until they are timed.
        progress: called as `progress(label, done, total)` after each step.

    Returns:
        Optional variants that were skipped, with the reason.
    """
    variants, left_out = runnable_variants(variants)
    sources: dict[int, Path] = {}
    first, places = len(bench.rows), []
    order = sorted(range(len(variants)), key=lambda index: variants[index].precision in CALIBRATED_PRECISIONS)
    for done, index in enumerate(order):
        variant = variants[index]
        progress("exporting", done, len(variants))
        own, name = requests(variant.precision), variant.stem(stem)
        try:
            path = _write(own, variant, folder / name)
        except MissingExtraError as error:
            reason = f"{error.message} (fix: {error.fix})"
            if variant.named:
                bench.rows.append(_failed(name, variant, reason))
            else:
                left_out.append((variant, reason))
                continue
        except TfyoloError as error:
            bench.rows.append(_failed(name, variant, error.message))
        except Exception as error:  # converters raise many kinds; the other files are measured
            reason = " ".join(str(error).split())[:300]
            bench.rows.append(_failed(name, variant, f"{type(error).__name__}: {reason}"))
        else:
            unsuppressed = None
            if bench.data is not None and not _holds_all_boxes(own, variant):
                unsuppressed = UnsuppressedExport(
                    _saved(own, sources, folder), variant.format.name, variant.precision
                )
            bench.add(path.name, path, own.image_size, unsuppressed, optional=not variant.named)
        places.append(index)
    added = zip(places, bench.rows[first:], strict=True)
    bench.rows[first:] = [row for _, row in sorted(added, key=lambda pair: pair[0])]
    progress("exporting", len(variants), len(variants))
    return left_out


def _holds_all_boxes(request: ExportJob, variant: Variant) -> bool:
    """Whether the files of a variant contain no NMS, so that thresholds have no effect."""
    return variant.format.check("auto", variant.precision, request.contract.task) in ("none", "raw")


def _saved(request: ExportJob, sources: dict[int, Path], folder: Path) -> Path:
    """Write the network of a job to a file, which another process exports; each is written once."""
    from tfyolo.weights.keras_file import save_keras

    key = id(request.contract)
    if key not in sources:
        sources[key] = save_keras(request.model, request.contract, folder / f"network{len(sources)}.keras")
    return sources[key]


def _write(request: ExportJob, variant: Variant, stem: Path) -> Path:
    from tfyolo.export.job import export_model
    from tfyolo.quiet import hidden_stderr

    caught: list[Any] = []
    with hidden_stderr():
        try:
            return export_model(request, [variant.format.name], stem)[variant.format.name]
        except Exception as error:  # raised outside: the output of a failing converter does not help a user
            caught.append(error)
    raise caught[0]


def _failed(name: str, variant: Variant, reason: str) -> BenchmarkRow:
    row = BenchmarkRow(name + variant.format.suffix, Path(name), None, variant.format.name, variant.precision)
    row.fail(f"cannot be exported: {reason}")
    return row
