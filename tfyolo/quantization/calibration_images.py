"""Evenly sampled, preprocessed images of a dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tfyolo.data.classification.folders import read_folders, scan_folders
from tfyolo.data.detection.sample import Sample, Scan
from tfyolo.data.detection.scan import Dataset, read_dataset, scan_split
from tfyolo.data.images.center_crop import center_crop
from tfyolo.data.images.letterbox import Letterbox
from tfyolo.data.images.read import read_sample_image
from tfyolo.errors import TfyoloError
from tfyolo.memory import available_memory_bytes
from tfyolo.models.network import Network
from tfyolo.progress import Log, Progress, no_log, no_progress

_UNKNOWN_MEMORY = 4 << 30
"""Bytes that are taken to be free where the system does not report it."""


def dataset_images(
    dataset: Dataset,
    split: str,
    image_size: tuple[int, int],
    count: int,
    progress: Progress = no_progress,
    log: Log = no_log,
) -> np.ndarray:
    """Load letterboxed images, sampled evenly from a split.

    Args:
        dataset: dataset, from `read_dataset`.
        split: `train` for calibration, another one for comparison.
        image_size: input size in pixels.
        count: maximum number of images.
        progress: called as `progress(label, done, total)` after each step.
        log: called with a note on images that cannot be read.

    Returns:
        uint8 (n, height, width, 3) RGB.

    Raises:
        TfyoloError: no image can be read.
    """
    scan = scan_split(dataset, split, progress=lambda done, total: progress("checking labels", done, total))

    def letterboxed(image: np.ndarray) -> np.ndarray:
        return Letterbox.fit((image.shape[0], image.shape[1]), image_size).apply(image, area=True)

    return _read(scan, count, letterboxed, progress, log, dataset.yaml_path, split)


def folder_images(
    root: str | Path,
    split: str,
    image_size: tuple[int, int],
    count: int,
    progress: Progress = no_progress,
    log: Log = no_log,
) -> np.ndarray:
    """Load center-cropped images, sampled evenly from a split of a classification dataset.

    Args:
        root: folder of the dataset.
        split: `train` for calibration, another one for comparison.
        image_size: input size (height, width) in pixels.
        count: maximum number of images.
        progress: called as `progress(label, done, total)` after each step.
        log: called with a note on images that cannot be read.

    Returns:
        uint8 (n, height, width, 3) RGB.

    Raises:
        TfyoloError: the dataset is wrong, or no image can be read.
    """
    dataset = read_folders(root)
    scan = scan_folders(dataset, split, progress=lambda done, total: progress("checking images", done, total))
    return _read(
        scan, count, lambda image: center_crop(image, image_size), progress, log, dataset.root, split
    )


def calibration_images(
    task: str,
    data: str | Path,
    split: str,
    image_size: tuple[int, int],
    count: int,
    progress: Progress = no_progress,
    log: Log = no_log,
) -> np.ndarray:
    """Load preprocessed images, sampled evenly from a split of a dataset.

    Args:
        task: `detect` or `classify`.
        data: dataset YAML file of a detector, or folder of a classifier.
        split: `train` for calibration, another one for comparison.
        image_size: input size (height, width) in pixels.
        count: maximum number of images.
        progress: called as `progress(label, done, total)` after each step.
        log: called with a note on images that cannot be read.

    Returns:
        uint8 (n, height, width, 3) RGB: letterboxed for a detector, center-cropped for a classifier.

    Raises:
        TfyoloError: the dataset is wrong, or no image can be read.
    """
    if task == "classify":
        return folder_images(data, split, image_size, count, progress, log)
    return dataset_images(read_dataset(data), split, image_size, count, progress, log)


def _read(
    scan: Scan,
    count: int,
    shape: Callable[[np.ndarray], np.ndarray],
    progress: Progress,
    log: Log,
    place: Path,
    split: str,
) -> np.ndarray:
    """Read samples, and skip unreadable ones with a note."""
    if wrong := [str(problem) for problem in scan.problems if problem.severity == "error"]:
        log(f"{scan.corrupt} of {scan.corrupt + len(scan.samples)} images cannot be used: {wrong[0]}")
    chosen = spread(scan.samples, count)
    images: list[np.ndarray] = []
    unreadable: list[Path] = []
    for done, sample in enumerate(chosen):
        try:
            images.append(shape(read_sample_image(sample)))
        except TfyoloError:  # the scan has read headers only
            unreadable.append(sample.image)
        progress("reading images", done + 1, len(chosen))
    if not images:
        raise TfyoloError(f"none of the images in `{split}` can be read", path=place)
    if unreadable:
        log(f"{unreadable[0]}: cannot be read; {len(unreadable)} of {len(chosen)} images are left out")
    return np.stack(images)


def spread(samples: Sequence[Sample], count: int) -> list[Sample]:
    """Return `count` evenly spaced samples."""
    places = np.linspace(0, len(samples), min(count, len(samples)), endpoint=False)
    return [samples[int(place)] for place in places]


def fitting_count(network: Network, image_size: tuple[int, int], count: int) -> int:
    """Return how many of `count` images fit in half of the free memory during calibration.

    Calibration stores each needed tensor of every image twice in float16: float and quantized.

    Args:
        network: the network to calibrate.
        image_size: input size (height, width) in pixels.
        count: wanted number of images.

    Returns:
        A number from 1 to `count`.
    """
    free = available_memory_bytes() or _UNKNOWN_MEMORY
    return max(min(count, int(free / 2 / _bytes_a_image(network, image_size))), 1)


def _bytes_a_image(network: Network, image_size: tuple[int, int]) -> float:
    """Return the peak memory of calibration per image in bytes."""
    left, sizes = network.consumers, {"images": 4.0 * 3 * image_size[0] * image_size[1]}
    strides = {"images": 1.0}
    held = most = sizes["images"]
    for node in network.nodes:
        arguments = node.arguments
        step = arguments.get("stride", 1) / arguments.get("scale", 1)
        strides[node.name] = strides[node.inputs[0]] * step
        area = image_size[0] * image_size[1] / strides[node.name] ** 2
        sizes[node.name] = 4.0 * node.channels * area
        held += sizes[node.name]
        most = max(most, held)
        for name in node.inputs:
            left[name] -= 1
            if not left[name]:
                held -= sizes[name]
    return most
