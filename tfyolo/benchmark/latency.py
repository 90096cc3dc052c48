"""Latency of model files side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from tfyolo.inference.classification import ClassificationPredictor
from tfyolo.inference.detection import DetectionPredictor
from tfyolo.progress import Progress

TURN_SECONDS = 1.0
"""What a turn takes at most, but for the first `LEAST_RUNS`: slow files are timed less often."""
LEAST_RUNS = 3
WARM_UP = 2
"""Runs at the start of a turn that are not counted: runtimes spin on their threads for a while, and would
disturb the next one."""


@dataclass(frozen=True)
class Latency:
    """Milliseconds from one image to its boxes, batch 1.

    Attributes:
        name: of the model file.
        runtime: class that runs it, or in words what runs it.
        input_hw: in pixels.
        total_ms: of each run: letterbox, inference and suppression.
        inference_ms: of each run, inference alone (with suppression, where the graph holds it).
    """

    name: str
    runtime: str
    input_hw: tuple[int, int]
    total_ms: np.ndarray
    inference_ms: np.ndarray

    @property
    def median_ms(self) -> float:
        """Median of `total_ms`."""
        return float(np.median(self.total_ms))

    @property
    def p90_ms(self) -> float:
        """What nine of ten runs stay below."""
        return float(np.percentile(self.total_ms, 90))


def benchmark(
    detectors: Sequence[tuple[str, DetectionPredictor | ClassificationPredictor]],
    image: np.ndarray | str | Path,
    rounds: int = 5,
    runs: int = 10,
    progress: Progress | None = None,
) -> list[Latency]:
    """Time detectors in turn, round by round, so that a drifting machine hurts none more than another.

    All run in this process; `Bench` (bench.py) measures files in processes of their own.

    Args:
        detectors: name and detector.
        image: what to detect on: pixels, or a file, which is read once.
        rounds: times that each detector has its turn.
        runs: timed detections in a turn, after `WARM_UP` that are not counted.
        progress: is told how far it is.
    """
    from tfyolo.data.images.read import read_image

    pixels = image if isinstance(image, np.ndarray) else read_image(image)
    total: list[list[float]] = [[] for _ in detectors]
    inference: list[list[float]] = [[] for _ in detectors]
    for turn in range(rounds):
        for index, (_, detector) in enumerate(detectors):
            times, alone = take_turn(detector, pixels, runs)
            total[index] += times
            inference[index] += alone
            if progress:
                progress("timing", turn * len(detectors) + index + 1, rounds * len(detectors))
    return [
        Latency(name, type(detector.runtime).__name__, detector.image_size, np.array(times), np.array(alone))
        for (name, detector), times, alone in zip(detectors, total, inference, strict=True)
    ]


def take_turn(
    detector: DetectionPredictor | ClassificationPredictor, pixels: np.ndarray, runs: int
) -> tuple[list[float], list[float]]:
    """Detect again and again.

    Args:
        detector: whose turn it is.
        pixels: uint8 (height, width, 3) RGB.
        runs: timed detections; fewer where they take longer than `TURN_SECONDS`.

    Returns:
        Milliseconds of each run: `total_ms` and `inference_ms` of `Latency`.
    """
    total: list[float] = []
    inference: list[float] = []
    begin = perf_counter()
    for run in range(runs + WARM_UP):
        start = perf_counter()
        if len(total) >= LEAST_RUNS and start - begin > TURN_SECONDS:
            break
        speed_ms = detect_once(detector, pixels)
        if run >= WARM_UP:
            total.append(1e3 * (perf_counter() - start))
            inference.append(speed_ms["inference"])
    return total, inference


def detect_once(
    detector: DetectionPredictor | ClassificationPredictor, pixels: np.ndarray
) -> Mapping[str, float]:
    """Run on one image, uint8 (height, width, 3) RGB; milliseconds of the steps."""
    if isinstance(detector, ClassificationPredictor):
        return detector(pixels)[0].speed_ms
    # The whole square: rectangular inference would compute less than exported files do.
    return detector(pixels, rect=False)[0].speed_ms
