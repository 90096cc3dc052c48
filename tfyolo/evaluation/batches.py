"""Letterboxed validation batches, prefetched by threads."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from tfyolo.data.detection.scan import Sample
from tfyolo.data.images.letterbox import Letterbox
from tfyolo.data.images.read import read_sample_image
from tfyolo.errors import TfyoloError


@dataclass(frozen=True)
class Batch:
    """Images with one input size.

    Attributes:
        samples: images with their labels, in the order of the batch.
        letterboxes: mapping from each image to the input.
        images: uint8 (batch, height, width, 3) RGB, letterboxed.
        preprocess_ms: milliseconds of decoding and letterboxing, for the whole batch.
        problems: one sentence per image that could not be decoded and was left out.
    """

    samples: tuple[Sample, ...]
    letterboxes: tuple[Letterbox, ...]
    images: np.ndarray
    preprocess_ms: float
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """Samples of a batch, and its input size.

    Attributes:
        samples: images with their labels.
        input_hw: (height, width) of the letterboxed images in pixels.
    """

    samples: tuple[Sample, ...]
    input_hw: tuple[int, int]


def plan_batches(
    samples: Sequence[Sample], image_size: tuple[int, int], batch: int, stride: int, rect: bool
) -> list[Plan]:
    """Group samples to batches, as YOLOv5's validation does.

    Rectangular batches contain images with similar aspect ratios, sorted by aspect ratio; the size of a batch
    is that of its squarest image, plus half a stride, rounded up to a multiple of the stride. Square batches
    keep the order.

    Args:
        samples: images of the split, with their labels.
        image_size: (height, width) in pixels of square batches, and the maximum of rectangular ones.
        batch: images per batch.
        stride: largest stride of the model.
        rect: rectangular batches.

    Returns:
        Batches in order; the last one can be smaller.
    """
    if not rect:
        return [Plan(tuple(samples[i : i + batch]), image_size) for i in range(0, len(samples), batch)]
    height, width = image_size
    ordered = sorted(samples, key=lambda sample: sample.hw[0] / sample.hw[1])
    plans = []
    for start in range(0, len(ordered), batch):
        part = tuple(ordered[start : start + batch])
        ratios = [sample.hw[0] / sample.hw[1] for sample in part]
        sides = min(height, width * max(ratios)), min(width, height * (1 / min(ratios)))
        cells = [math.ceil(side / stride + 0.5) for side in sides]
        plans.append(Plan(part, (cells[0] * stride, cells[1] * stride)))
    return plans


def load_batches(
    plans: Sequence[Plan], image_size: tuple[int, int], ahead: int = 2, threads: int = 2
) -> Iterator[Batch]:
    """Decode and letterbox images, a few batches ahead.

    Args:
        plans: from `plan_batches`.
        image_size: (height, width) in pixels that images are scaled to.
        ahead: number of prefetched batches.
        threads: number of threads.

    Returns:
        Batches in the order of `plans`.
    """
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Batch]] = deque()
        for plan in plans:
            waiting.append(pool.submit(_load, plan, image_size))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _load(plan: Plan, image_size: tuple[int, int]) -> Batch:
    start = perf_counter()
    samples, boxes, images, problems = [], [], [], []
    for sample in plan.samples:
        try:
            image = read_sample_image(sample)
        except TfyoloError as error:
            problems.append(str(error))
            continue
        height, width = image.shape[:2]
        # A batch is half a stride larger than its images, which must not be enlarged to fill it.
        ratio = min(image_size[0] / height, image_size[1] / width)
        box = Letterbox.fit((height, width), plan.input_hw, max_ratio=ratio)
        samples.append(sample)
        boxes.append(box)
        images.append(box.apply(image, area=True))
    stacked = np.stack(images) if images else np.zeros((0, *plan.input_hw, 3), np.uint8)
    milliseconds = 1e3 * (perf_counter() - start)
    return Batch(tuple(samples), tuple(boxes), stacked, milliseconds, tuple(problems))
