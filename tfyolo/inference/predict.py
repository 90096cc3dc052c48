"""Running the detector over sources and writing what it finds."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import numpy as np

from tfyolo.inference.detector import Detector
from tfyolo.inference.nms import NmsOptions
from tfyolo.inference.results import Result
from tfyolo.inference.sources import Frame, Frames
from tfyolo.inference.writers import Outputs, Writer


@dataclass
class Report:
    """What a run did; printed as its last lines."""

    folder: Path
    images: int = 0
    boxes: int = 0
    skipped: list[str] = field(default_factory=list)
    speeds_ms: list[dict[str, float]] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{self.images} images, {self.boxes} boxes, {len(self.skipped)} skipped"]
        if self.speeds_ms:
            parts = [
                f"{np.median([speed[key] for speed in self.speeds_ms]):.1f} ms {key}"
                for key in self.speeds_ms[0]
            ]
            lines.append("speed (median an image): " + ", ".join(parts))
        lines.append(f"results are in {self.folder}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Predictor:
    """Detects on every frame of a source.

    Attributes:
        detector: finds the boxes.
        nms: thresholds.
        augment: test-time augmentation.
        outputs: what to write, and where.
    """

    detector: Detector
    nms: NmsOptions
    augment: bool
    outputs: Outputs

    def run(self, frames: Frames) -> Report:
        """Detect on all frames; those that cannot be read are reported and skipped. Ctrl-C ends a stream."""
        from rich.console import Console
        from rich.progress import Progress, TextColumn, TimeRemainingColumn

        report = Report(self.outputs.folder)
        console = Console(highlight=False, soft_wrap=True)
        columns = (
            *Progress.get_default_columns()[:-1],
            TimeRemainingColumn(),
            TextColumn("{task.completed}"),
        )
        with Writer(self.outputs) as writer, Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("detecting", total=frames.total)
            try:
                for number, frame in enumerate(frames, 1):
                    if frame.image is None:
                        report.skipped.append(frame.path)
                        print(f"skipped {frame.path}: {frame.problem}", file=sys.stderr)
                    else:
                        start = perf_counter()
                        result = self._detect(frame, frame.image)
                        writer.write(frame, result)
                        report.images += 1
                        report.boxes += len(result)
                        report.speeds_ms.append(dict(result.speed_ms))
                        console.print(
                            _line(number, frames.total, frame, result, perf_counter() - start), markup=False
                        )
                    progress.advance(task)
            except KeyboardInterrupt:
                console.print("interrupted; what was found so far is written")
        return report

    def _detect(self, frame: Frame, image: np.ndarray) -> Result:
        return self.detector(
            image,
            confidence=self.nms.confidence,
            iou=self.nms.iou,
            classes=self.nms.classes,
            agnostic=self.nms.agnostic,
            max_detections=self.nms.max_detections,
            augment=self.augment,
        )[0]


def _line(number: int, total: int | None, frame: Frame, result: Result, seconds: float) -> str:
    height, width = result.image.shape[:2]
    found = ", ".join(f"{count} {name}" for name, count in result.counts().items()) or "nothing"
    place = f"{number}/{total}" if total else str(number)
    return f"{place} {frame.path}: {width}x{height}, {found}, {1e3 * seconds:.0f} ms"
