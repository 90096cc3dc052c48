"""Running the detector over sources and writing what it finds."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tfyolo.inference.detector import Detector
from tfyolo.inference.nms import NmsOptions
from tfyolo.inference.results import Result
from tfyolo.inference.sources import Frame, Frames
from tfyolo.inference.writers import Outputs, Writer
from tfyolo.text import printable


@dataclass
class Report:
    """What a run did; printed as its last lines."""

    folder: Path | None
    """Where the results are; None where none were wanted."""
    images: int = 0
    boxes: int = 0
    skipped: int = 0
    interrupted: bool = False
    speeds_ms: deque[dict[str, float]] = field(default_factory=lambda: deque(maxlen=1000))
    """Of the last images; a stream has no end."""

    def __str__(self) -> str:
        lines = [f"{self.images} images, {self.boxes} boxes, {self.skipped} skipped"]
        if self.speeds_ms:
            parts = [
                f"{np.median([speed[key] for speed in self.speeds_ms]):.1f} ms {key}"
                for key in self.speeds_ms[0]
            ]
            lines.append("speed per image (median; without reading and writing files): " + ", ".join(parts))
        if self.folder:
            lines.append(f"results are in {printable(str(self.folder))}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Predictor:
    """Detects on every frame of a source.

    Attributes:
        detector: finds the boxes.
        nms: thresholds.
        augment: test-time augmentation.
        outputs: what to write, and where; None writes nothing.
    """

    detector: Detector
    nms: NmsOptions
    augment: bool
    outputs: Outputs | None = None

    def run(self, frames: Frames) -> Report:
        """Detect on all frames; those that cannot be read are reported and skipped. Ctrl-C ends a stream."""
        from rich.console import Console
        from rich.progress import Progress, TextColumn, TimeRemainingColumn

        report = Report(self.outputs.folder if self.outputs else None)
        # Names are shown as they are: no markup, no emoji codes.
        console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
        columns = (
            *Progress.get_default_columns()[:-1],
            TimeRemainingColumn(),
            TextColumn("{task.completed}"),
        )
        bar = Progress(*columns, console=console, transient=True, redirect_stderr=sys.stderr.isatty())
        with Writer(self.outputs) if self.outputs else nullcontext() as writer, bar as progress:
            task = progress.add_task("detecting", total=frames.total)
            try:
                for number, frame in enumerate(frames, 1):
                    if frame.image is None:
                        report.skipped += 1
                        print(printable(f"skipped {frame.path}: {frame.problem}"), file=sys.stderr)
                    else:
                        if not report.images:  # the first call compiles the network, and is not measured
                            self._detect(np.zeros_like(frame.image))
                        result = self._detect(frame.image)
                        if writer:
                            writer.write(frame, result)
                        report.images += 1
                        report.boxes += len(result)
                        report.speeds_ms.append(dict(result.speed_ms))
                        console.print(printable(_line(number, frames.total, frame, result)))
                    progress.advance(task)
            except KeyboardInterrupt:
                report.interrupted = True
                console.print("interrupted; what was found so far is written")
        return report

    def _detect(self, image: np.ndarray) -> Result:
        return self.detector(
            image,
            confidence=self.nms.confidence,
            iou=self.nms.iou,
            classes=self.nms.classes,
            agnostic=self.nms.agnostic,
            max_detections=self.nms.max_detections,
            augment=self.augment,
        )[0]


def _line(number: int, total: int | None, frame: Frame, result: Result) -> str:
    height, width = result.image.shape[:2]
    found = ", ".join(f"{count} {name}" for name, count in result.counts().items()) or "nothing"
    place = f"{number}/{total}" if total else str(number)
    return f"{place} {frame.path}: {width}x{height}, {found}, {milliseconds(result.speed_ms)}"


def milliseconds(speed_ms: Mapping[str, float]) -> str:
    """The time of an image and what it counts.

    Example:
        >>> milliseconds({"preprocess": 1.0, "inference": 20.25, "nms": 0.5})
        '20.2 ms inference'
    """
    return f"{speed_ms['inference']:.1f} ms inference"
