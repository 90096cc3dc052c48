"""Run a classifier on sources, and write images, videos, text files and a table."""

from __future__ import annotations

import csv
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfyolo.cli.detect_run import PredictionReport, milliseconds, reason_to_skip
from tfyolo.errors import BadOutputError
from tfyolo.files import atomic
from tfyolo.inference.classification import Classification, ClassificationPredictor
from tfyolo.inference.frames import Frames
from tfyolo.inference.writers import OutputOptions, ResultWriter, open_table
from tfyolo.text import printable


class ClassificationReport(PredictionReport):
    """Summary of a run, printed at its end."""

    def __str__(self) -> str:
        lines = super().__str__().split("\n")
        return "\n".join([f"{self.images} images, {self.skipped} skipped", *lines[1:]])


def predict_classes(
    classifier: ClassificationPredictor, frames: Frames, outputs: OutputOptions | None = None, top: int = 5
) -> ClassificationReport:
    """Classify all frames and print one line per frame; unreadable frames are reported and skipped.

    Args:
        classifier: from `tfyolo.load`.
        frames: from `open_sources`. Ctrl-C ends a stream.
        outputs: files to write: `labels/NAME.txt` with a line `probability class` per most probable class,
            and `predictions.csv` with a row per frame. None writes nothing.
        top: number of classes to report.

    Returns:
        Summary of the run.
    """
    from rich.console import Console

    report = ClassificationReport(outputs.folder if outputs else None)
    report.log(frames.notes)
    # Names are printed without interpreting markup or emoji codes.
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    with _ClassificationWriter(outputs) if outputs else nullcontext() as writer:
        try:
            for number, frame in enumerate(frames, 1):
                if frame.image is None:
                    report.skip(frame, frame.problem)
                    continue
                try:
                    if not report.images:  # the first call compiles the network, and is not measured
                        with suppress(BadOutputError):
                            classifier(np.zeros_like(frame.image))
                    found = classifier(frame.image)[0]
                    if writer:
                        report.written(frame, writer.write(frame, _Found(found, top)))  # type: ignore[arg-type]
                except Exception as error:
                    report.skip(frame, reason_to_skip(error))
                    continue
                report.images += 1
                report.speeds_ms.append(dict(found.speed_ms))
                place = f"{number}/{frames.total}" if frames.total else str(number)
                names = ", ".join(f"{name} {value:.2f}" for _, name, value in found.top(top))
                height, width = frame.image.shape[:2]
                took = milliseconds(found.speed_ms)
                console.print(printable(f"{place} {frame.path}: {width}x{height}, {names}, {took}"))
        except KeyboardInterrupt:
            report.interrupted = True
            console.print("interrupted; results so far are saved")
    return report


@dataclass(frozen=True)
class _Found:
    """Adapts a classification to `ResultWriter`."""

    found: Classification
    top: int

    def plot(self, **_: Any) -> np.ndarray:
        """Return the image with the names of its classes."""
        return self.found.plot(top=self.top)


class _ClassificationWriter(ResultWriter):
    """Writes images and videos like the detector's writer, with texts and rows of a classifier."""

    def _write_txt(self, stem: str, result: Any) -> None:
        text = "".join(f"{value:.2f} {printable(name)}\n" for _, name, value in result.found.top(result.top))
        with atomic(self.outputs.folder / "labels" / f"{stem}.txt", durable=False) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def _write_csv(self, name: str, result: Any) -> None:
        if self._rows is None:
            path = self._table.enter_context(atomic(self.outputs.folder / "predictions.csv"))
            self._rows = csv.writer(self._table.enter_context(open_table(path)))
            self._rows.writerow(["Image Name", "Prediction", "Probability"])
        for _, prediction, value in result.found.top(result.top):
            self._rows.writerow([name, prediction, f"{value:.4f}"])
