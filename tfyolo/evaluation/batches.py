"""Validation images as letterboxed batches, decoded ahead in threads."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from tfyolo.data.dataset import Sample
from tfyolo.data.images import read_sample_image
from tfyolo.data.letterbox import Letterbox
from tfyolo.errors import TfyoloError


@dataclass(frozen=True)
class Batch:
    """Images of one input size."""

    samples: tuple[Sample, ...]
    letterboxes: tuple[Letterbox, ...]
    images: np.ndarray
    """uint8 (batch, height, width, 3) RGB."""
    preprocess_ms: float
    """Decoding and letterboxing, for the whole batch."""
    problems: tuple[str, ...] = ()
    """Images that could not be decoded after all, and are left out."""


@dataclass(frozen=True)
class Plan:
    """Which samples go together, and how large their input is."""

    samples: tuple[Sample, ...]
    input_hw: tuple[int, int]


def plan_batches(
    samples: Sequence[Sample], image_hw: tuple[int, int], batch: int, stride: int, rect: bool
) -> list[Plan]:
    """Group samples as YOLOv5's validation does.

    Rectangular batches hold images of similar proportions, sorted by them; each is as large as its least
    extreme image needs, plus half a cell, rounded up to whole cells. Square ones keep the data set's order.

    Args:
        samples: of the split.
        image_hw: input size in pixels; rectangular batches take its longer side as the image size.
        batch: images in one.
        stride: largest stride of the model.
        rect: rectangular batches.
    """
    if not rect:
        return [Plan(tuple(samples[i : i + batch]), image_hw) for i in range(0, len(samples), batch)]
    ordered = sorted(samples, key=lambda sample: sample.hw[0] / sample.hw[1])
    plans = []
    for start in range(0, len(ordered), batch):
        part = tuple(ordered[start : start + batch])
        ratios = [sample.hw[0] / sample.hw[1] for sample in part]
        height, width = min(1.0, max(ratios)), min(1.0, 1 / min(ratios))
        cells = [math.ceil(side * max(image_hw) / stride + 0.5) for side in (height, width)]
        plans.append(Plan(part, (cells[0] * stride, cells[1] * stride)))
    return plans


def load_batches(plans: Sequence[Plan], size: int, ahead: int = 2, threads: int = 2) -> Iterator[Batch]:
    """Decode and letterbox, a few batches ahead of whoever consumes them.

    Args:
        plans: from `plan_batches`.
        size: the longer side that images are scaled to, in pixels.
        ahead: batches in preparation.
        threads: that prepare.
    """
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Batch]] = deque()
        for plan in plans:
            waiting.append(pool.submit(_load, plan, size))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _load(plan: Plan, size: int) -> Batch:
    start = perf_counter()
    samples, boxes, images, problems = [], [], [], []
    for sample in plan.samples:
        try:
            image = read_sample_image(sample)
        except TfyoloError as error:
            problems.append(str(error))
            continue
        box = Letterbox.fit(
            (image.shape[0], image.shape[1]), plan.input_hw, max_ratio=size / max(image.shape[:2])
        )
        samples.append(sample)
        boxes.append(box)
        images.append(box.apply(image, area=True))
    stacked = np.stack(images) if images else np.zeros((0, *plan.input_hw, 3), np.uint8)
    milliseconds = 1e3 * (perf_counter() - start)
    return Batch(tuple(samples), tuple(boxes), stacked, milliseconds, tuple(problems))
