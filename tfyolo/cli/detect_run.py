"""Run a detector on sources, and write the results."""

from __future__ import annotations

import errno
import sys
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tfyolo.disk import OF_WRITING
from tfyolo.errors import BadOutputError, TfyoloError
from tfyolo.inference.detection import BoxPredictor
from tfyolo.inference.frames import Frame, Frames
from tfyolo.inference.nms import NmsOptions
from tfyolo.inference.results import Result
from tfyolo.inference.writers import OutputOptions, ResultWriter
from tfyolo.text import printable

_OF_ALL = (*OF_WRITING, errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE)
"""Errors that the next image would meet, too."""


@dataclass
class PredictionReport:
    """Summary of a run, printed at its end.

    Attributes:
        folder: folder of the results; None if no files are written.
        images: number of processed images and frames.
        boxes: number of boxes in all results.
        skipped: number of images that could not be read or processed.
        faulty: number of images for which the model's output contained invalid boxes.
        interrupted: whether the run was stopped by Ctrl-C.
        speeds_ms: milliseconds of each step for the last 1,000 images; a stream has no end.
    """

    folder: Path | None
    images: int = 0
    boxes: int = 0
    skipped: int = 0
    faulty: int = 0
    interrupted: bool = False
    speeds_ms: deque[dict[str, float]] = field(default_factory=lambda: deque(maxlen=1000))

    _told: object = None

    @property
    def is_complete(self) -> bool:
        """Whether no image was skipped."""
        return not (self.skipped or self.faulty)

    def skip(self, frame: Frame, reason: str) -> None:
        """Report and count a skipped image."""
        self.skipped += 1
        self.log([f"skipped {frame.path}: {reason}"])

    def written(self, frame: Frame, name: str) -> None:
        """Report a result whose name differs from its source, once per source."""
        if Path(name).stem != Path(frame.name).stem and (self._told is None or self._told is not frame.video):
            self.log([f"note: results of {frame.path} are named {Path(name).stem}"])
        self._told = frame.video

    def log(self, lines: Iterable[str]) -> None:
        """Print on stderr, with control characters escaped."""
        for line in lines:
            print(printable(line), file=sys.stderr)

    def __str__(self) -> str:
        lines = [f"{self.images} images, {self.boxes} boxes, {self.skipped} skipped"]
        if self.speeds_ms:
            parts = [
                f"{np.median([speed[key] for speed in self.speeds_ms]):.1f} ms {key}"
                for key in self.speeds_ms[0]
            ]
            lines.append("speed per image (median): " + ", ".join(parts))
        if self.folder:
            lines.append(f"results are in {printable(str(self.folder))}")
        return "\n".join(lines)


@dataclass(frozen=True)
class PredictionRun:
    """Detects objects in every frame of the sources.

    Attributes:
        detector: finds the boxes.
        nms: thresholds.
        outputs: files to write; None writes nothing.
        options: further arguments of the detector, such as `augment`.
    """

    detector: BoxPredictor
    nms: NmsOptions
    outputs: OutputOptions | None = None
    options: Mapping[str, bool] = field(default_factory=dict)

    def run(self, frames: Frames) -> PredictionReport:
        """Process all frames; unreadable frames are reported and skipped. Ctrl-C ends a stream."""
        from rich.console import Console
        from rich.progress import Progress, TextColumn, TimeRemainingColumn

        report = PredictionReport(self.outputs.folder if self.outputs else None)
        report.log(frames.notes)
        # Names are printed without interpreting markup or emoji codes.
        console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
        columns = (
            *Progress.get_default_columns()[:-1],
            TimeRemainingColumn(),
            TextColumn("{task.completed}"),
        )
        bar = Progress(*columns, console=console, transient=True, redirect_stderr=sys.stderr.isatty())
        with ResultWriter(self.outputs) if self.outputs else nullcontext() as writer, bar as progress:
            task = progress.add_task("detecting", total=frames.total)
            try:
                for number, frame in enumerate(frames, 1):
                    result = self._one(frame, writer, report)
                    if result is not None:
                        console.print(printable(_line(number, frames.total, frame, result)))
                    progress.advance(task)
            except KeyboardInterrupt:
                report.interrupted = True
                console.print("interrupted; results so far are saved")
        return report

    def _one(self, frame: Frame, writer: ResultWriter | None, report: PredictionReport) -> Result | None:
        """Process one frame; returns None if it is skipped."""
        if frame.image is None:
            report.skip(frame, frame.problem)
            return None
        try:
            if not report.images:  # the first call compiles the network, and is not measured
                with suppress(BadOutputError):
                    self._detect(np.zeros_like(frame.image))
            result = self._detect(frame.image)
            if writer:
                report.written(frame, writer.write(frame, result))
        except Exception as error:
            report.skip(frame, reason_to_skip(error))
            return None
        if result.problem:
            report.faulty += 1
            report.log([f"note: {frame.path}: {result.problem}"])
        report.images += 1
        report.boxes += len(result)
        report.speeds_ms.append(dict(result.speed_ms))
        return result

    def _detect(self, image: np.ndarray) -> Result:
        return self.detector(
            image,
            confidence=self.nms.confidence,
            iou_threshold=self.nms.iou_threshold,
            class_ids=self.nms.class_ids,
            agnostic=self.nms.agnostic,
            max_detections=self.nms.max_detections,
            **self.options,
        )[0]


def reason_to_skip(error: Exception) -> str:
    """Return the reason for skipping an image.

    Raises:
        Exception: `error` itself, if all images would fail: a full disk, or a model file that contradicts
            its contract.
    """
    cause = error.__cause__ if isinstance(error, TfyoloError) and error.__cause__ else error
    of_all = isinstance(cause, OSError) and cause.errno in _OF_ALL
    of_one = isinstance(error, BadOutputError) or isinstance(cause, OSError | ValueError | MemoryError)
    if of_all or not of_one:
        raise error
    return error.message if isinstance(error, TfyoloError) else str(error) or type(error).__name__


def _line(number: int, total: int | None, frame: Frame, result: Result) -> str:
    height, width = result.image.shape[:2]
    found = ", ".join(f"{count} {name}" for name, count in result.counts().items()) or "nothing"
    place = f"{number}/{total}" if total else str(number)
    return f"{place} {frame.path}: {width}x{height}, {found}, {milliseconds(result.speed_ms)}"


def milliseconds(speed_ms: Mapping[str, float]) -> str:
    """Format the time of an image and its parts.

    Example:
        >>> milliseconds({"preprocess": 1.0, "inference": 20.25, "nms": 0.5})
        '20.2 ms inference'
    """
    return f"{speed_ms['inference']:.1f} ms inference"
