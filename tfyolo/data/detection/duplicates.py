"""Duplicate images in a split: compared by size, then by their last bytes, then completely."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from hashlib import blake2b

from tfyolo.data.detection.labels import Problem
from tfyolo.data.detection.sample import Sample
from tfyolo.data.images.read import ImageError, read_bytes
from tfyolo.inputs import IMAGE, open_input

TAIL = 1024
"""Bytes looked at first: many images of a large dataset are of one size, few end alike."""


def duplicates(samples: Sequence[Sample]) -> list[Problem]:
    """Return a warning for each image with the same bytes as an earlier one.

    Example:
        >>> duplicates([])
        []
    """
    alike = _groups(list(enumerate(samples)), _size)
    alike = [part for group in alike for part in _groups(group, _tail)]
    same = [part for group in alike for part in _groups(group, _whole)]
    found = {}
    for (_, first), *others in same:
        for index, sample in others:
            message = f"the same image as {first.name}; both are used"
            found[index] = Problem(sample.image, None, f"{_record(sample)}{message}", "warning")
    return [found[index] for index in sorted(found)]


def _groups(
    samples: list[tuple[int, Sample]], key: Callable[[Sample], object]
) -> list[list[tuple[int, Sample]]]:
    """Return groups of samples with equal keys."""
    groups: dict[object, list[tuple[int, Sample]]] = defaultdict(list)
    for index, sample in samples:
        try:
            groups[key(sample)].append((index, sample))
        except (OSError, ImageError):  # gone since the scan
            continue
    return [group for group in groups.values() if len(group) > 1]


def _size(sample: Sample) -> int:
    return sample.image.stat().st_size if sample.span is None else sample.span[1]


def _tail(sample: Sample) -> bytes:
    if sample.span is not None:
        offset, length = sample.span
        return read_bytes(sample.image, (offset + max(length - TAIL, 0), min(length, TAIL)))
    with open_input(sample.image, IMAGE) as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(size - TAIL, 0))
        return stream.read(TAIL)


def _whole(sample: Sample) -> bytes:
    return blake2b(read_bytes(sample.image, sample.span), digest_size=20).digest()


def _record(sample: Sample) -> str:
    return "" if sample.record is None else f"{sample.record}: "
