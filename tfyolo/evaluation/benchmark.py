"""Latency of model files side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from tfyolo.inference.detector import Detector


@dataclass(frozen=True)
class Latency:
    """Milliseconds from one image to its boxes, batch 1.

    Attributes:
        name: of the model file.
        runtime: class that runs it.
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


def benchmark(
    detectors: Sequence[tuple[str, Detector]],
    image: np.ndarray | str | Path,
    rounds: int = 5,
    runs: int = 10,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[Latency]:
    """Time detectors in turn, round by round, so that a drifting machine hurts none more than another.

    Args:
        detectors: name and detector.
        image: what to detect on: pixels, or a file, which is read once.
        rounds: times that each detector has its turn.
        runs: timed detections in a turn, after two that are not counted: runtimes spin on their threads for a
            while, and would disturb the next one.
        progress: is told how far it is.
    """
    from tfyolo.data.images import read_image

    pixels = image if isinstance(image, np.ndarray) else read_image(image)
    total: list[list[float]] = [[] for _ in detectors]
    inference: list[list[float]] = [[] for _ in detectors]
    for turn in range(rounds):
        for index, (_, detector) in enumerate(detectors):
            for run in range(runs + 2):
                start = perf_counter()
                # The whole square: rectangular inference would compute less than exported files do.
                result = detector(pixels, rect=False)[0]
                if run >= 2:
                    total[index].append(1e3 * (perf_counter() - start))
                    inference[index].append(result.speed_ms["inference"])
            if progress:
                progress("timing", turn * len(detectors) + index + 1, rounds * len(detectors))
    return [
        Latency(name, type(detector.runtime).__name__, detector.image_hw, np.array(times), np.array(alone))
        for (name, detector), times, alone in zip(detectors, total, inference, strict=True)
    ]
