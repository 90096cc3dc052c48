"""Latency of several model files in one run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from tfyolo.inference.classification import ClassificationPredictor
from tfyolo.inference.detection import BoxPredictor
from tfyolo.progress import Progress

MAX_ROUND_SECONDS = 1.0
"""A round ends after this time if `MIN_RUNS` are done: slow files are timed less often."""
MIN_RUNS = 3
WARM_UP_RUNS = 2
"""Runs at the start of a round that are not counted: the threads of the previous runtime still spin and
would slow them down."""


@dataclass(frozen=True)
class Latency:
    """Milliseconds from one image to its boxes, with masks if the model has them, batch 1.

    Attributes:
        name: name of the model file.
        runtime: class that runs it, or a description.
        image_size: input size in pixels.
        total_ms: milliseconds of each run: letterbox, inference, NMS and masks.
        inference_ms: milliseconds of inference in each run, with NMS if it is inside the graph.
    """

    name: str
    runtime: str
    image_size: tuple[int, int]
    total_ms: np.ndarray
    inference_ms: np.ndarray

    @property
    def median_ms(self) -> float:
        """Median of `total_ms`."""
        return float(np.median(self.total_ms))

    @property
    def p90_ms(self) -> float:
        """90th percentile of `total_ms`."""
        return float(np.percentile(self.total_ms, 90))


def benchmark(
    detectors: Sequence[tuple[str, BoxPredictor | ClassificationPredictor]],
    image: np.ndarray | str | Path,
    rounds: int = 5,
    runs: int = 10,
    progress: Progress | None = None,
) -> list[Latency]:
    """Time detectors round by round, so that a change of the machine's speed affects all alike.

    All run in this process; `FileBenchmark` measures files in child processes.

    Args:
        detectors: pairs of name and detector.
        image: uint8 (height, width, 3) RGB, or the path of an image.
        rounds: number of rounds; each times every detector.
        runs: timed detections per round, after `WARM_UP_RUNS` that are not counted.
        progress: called as `progress(label, done, total)` after each step.

    Returns:
        One `Latency` per detector.
    """
    from tfyolo.data.images.read import read_image

    pixels = image if isinstance(image, np.ndarray) else read_image(image)
    total: list[list[float]] = [[] for _ in detectors]
    inference: list[list[float]] = [[] for _ in detectors]
    for turn in range(rounds):
        for index, (_, detector) in enumerate(detectors):
            times, alone = time_round(detector, pixels, runs)
            total[index] += times
            inference[index] += alone
            if progress:
                progress("timing", turn * len(detectors) + index + 1, rounds * len(detectors))
    return [
        Latency(name, type(detector.runtime).__name__, detector.image_size, np.array(times), np.array(alone))
        for (name, detector), times, alone in zip(detectors, total, inference, strict=True)
    ]


def time_round(
    detector: BoxPredictor | ClassificationPredictor, pixels: np.ndarray, runs: int
) -> tuple[list[float], list[float]]:
    """Time one detector for one round.

    Args:
        detector: detector, segmentation model or classifier.
        pixels: uint8 (height, width, 3) RGB.
        runs: timed detections; fewer where they take longer than `MAX_ROUND_SECONDS`.

    Returns:
        Milliseconds of each run: `total_ms` and `inference_ms` of `Latency`.
    """
    inference: list[float] = []
    total = time_calls(lambda: inference.append(detect_once(detector, pixels)["inference"]), runs)
    return total, inference[WARM_UP_RUNS:]


def time_calls(call: Callable[[], object], runs: int) -> list[float]:
    """Time a function for one round, after `WARM_UP_RUNS` calls that are not counted.

    Args:
        call: the function.
        runs: timed calls; fewer where they take longer than `MAX_ROUND_SECONDS`.

    Returns:
        Milliseconds of each call.
    """
    times: list[float] = []
    begin = perf_counter()
    for run in range(runs + WARM_UP_RUNS):
        start = perf_counter()
        if len(times) >= MIN_RUNS and start - begin > MAX_ROUND_SECONDS:
            break
        call()
        if run >= WARM_UP_RUNS:
            times.append(1e3 * (perf_counter() - start))
    return times


def detect_once(detector: BoxPredictor | ClassificationPredictor, pixels: np.ndarray) -> Mapping[str, float]:
    """Run on one image, uint8 (height, width, 3) RGB; return the milliseconds of each step."""
    if isinstance(detector, ClassificationPredictor):
        return detector(pixels)[0].speed_ms
    # rect=False: exported files run on the square input, too.
    return detector(pixels, rect=False)[0].speed_ms
