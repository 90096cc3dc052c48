"""Crop the labeled boxes of a detection dataset into a classification dataset."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfyolo.data.detection.dataset import SPLITS, Dataset
from tfyolo.data.detection.labels import Problem
from tfyolo.data.detection.sample import Sample, Scan
from tfyolo.data.detection.scan import check_usable, scan_split
from tfyolo.data.formats.writers.base import Names, corners_px, shortened
from tfyolo.data.images.read import ImageError, read_sample_image
from tfyolo.errors import TfyoloError
from tfyolo.files import atomic_folder
from tfyolo.progress import Progress

FORMATS = ("jpg", "png")
_JPEG_QUALITY = 95


@dataclass(frozen=True)
class CropOptions:
    """Options of `crop_dataset`.

    Attributes:
        splits: splits to crop; default to all splits of the dataset.
        margin: added on each side of a box, relative to its width or height.
        square: crop a square with the longer side and its margin, so that a center crop of a classifier loses
            nothing; it is shifted to stay inside the image.
        min_size: minimum length in pixels of the shorter side of a box.
        format: format of the files, `jpg` (quality 95) or `png`.
        workers: threads.
    """

    splits: Sequence[str] = ()
    margin: float = 0.1
    square: bool = False
    min_size: int = 4
    format: str = "jpg"
    workers: int = 2


@dataclass(frozen=True)
class Cropped:
    """Result of `crop_dataset`.

    Attributes:
        folder: the new dataset.
        counts: number of crops per split and class.
        scans: result of the scan of each split.
        small: number of boxes below the minimum size.
        problems: images that could not be decoded.
    """

    folder: Path
    counts: dict[str, dict[str, int]]
    scans: dict[str, Scan]
    small: int
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class _Cut:
    """Result of one image: number of crops per class, number of small boxes, and a problem."""

    classes: np.ndarray
    small: int = 0
    problem: Problem | None = None


def crop_dataset(
    dataset: Dataset, output: str | Path, options: CropOptions | None = None, progress: Progress | None = None
) -> Cropped:
    """Write each labeled box as `SPLIT/CLASS/IMAGE_I.jpg`; the folder appears when it is complete.

    Args:
        dataset: from `read_dataset`, of any format.
        output: a new or empty folder.
        options: options of cropping.
        progress: called as `progress(label, done, total)` after each step.

    Returns:
        Number of crops per split and class, and what was left out.

    Raises:
        TfyoloError: the dataset or an option is wrong, the folder is not empty, two classes would share a
            folder, or a split has no boxes.

    Example:
        >>> from tfyolo.data.detection.scan import read_dataset
        >>> crop_dataset(read_dataset("bccd-mini"), "cells").counts["test"]
        {'Platelets': 36, 'RBC': 277, 'WBC': 23}
    """
    options, log, output = options or CropOptions(), progress or (lambda *_: None), Path(output).absolute()
    _check(options, output)
    folders = class_folders(dataset)
    chosen = tuple(options.splits) or tuple(name for name in SPLITS if name in dataset.splits)
    scans = {
        name: scan_split(dataset, name, progress=lambda done, of: log("checking labels", done, of))
        for name in dict.fromkeys(chosen)
    }
    for name, scan in scans.items():
        check_usable(dataset, name, scan)
    done, total = 0, sum(len(scan.samples) for scan in scans.values())
    cuts: dict[str, list[_Cut]] = {}
    with atomic_folder(output, durable=False) as root, ThreadPoolExecutor(options.workers) as pool:
        for split, scan in scans.items():
            places, names = [root / split] * len(scan.samples), Names()
            stems = [Path(names.of(sample)).stem for sample in scan.samples]
            cutter = _Cutter(folders, options)
            cuts[split] = []
            try:
                for cut in pool.map(cutter, scan.samples, places, stems):
                    cuts[split].append(cut)
                    done += 1
                    log("cropping boxes", done, total)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
            if not any(cut.classes.any() for cut in cuts[split]):
                fix = "choose other --splits, or a lower --min-size"
                raise TfyoloError(f"`{split}` has no boxes to crop", path=dataset.yaml_path, fix=fix)
    every = [cut for part in cuts.values() for cut in part]
    counts = {
        split: dict(zip(dataset.names, np.sum([cut.classes for cut in part], 0).tolist(), strict=True))
        for split, part in cuts.items()
    }
    problems = tuple(cut.problem for cut in every if cut.problem)
    return Cropped(output, counts, scans, sum(cut.small for cut in every), problems)


def _check(options: CropOptions, output: Path) -> None:
    if not 0 <= options.margin <= 10:
        raise TfyoloError(
            f"--margin must be between 0 and 10, not {options.margin:g}",
            fix="pass a fraction of the box size",
        )
    if options.format not in FORMATS:
        raise TfyoloError(f"unsupported crop format `{options.format}`", fix=f"use {' or '.join(FORMATS)}")
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise TfyoloError("is not an empty folder", path=output, fix="choose another --out, or remove it")


def class_folders(dataset: Dataset) -> tuple[str, ...]:
    """Return a folder name per class: letters, digits and a few marks, so that no name is a path.

    Raises:
        TfyoloError: two classes would share a folder.
    """
    folders: dict[str, str] = {}
    for name in dataset.names:
        folder = re.sub(r"[^\w .()+=@&,-]", "_", shortened(name, 120)).strip(". ") or "unnamed"
        if (other := folders.get(folder.casefold())) is not None:
            raise TfyoloError(
                f"the classes `{other}` and `{name}` would share the folder `{folder}`",
                path=dataset.yaml_path,
                fix="give them names that differ in more than case and punctuation",
            )
        folders[folder.casefold()] = folder
    return tuple(folders.values())


def crop_places(sample: Sample, margin: float, square: bool) -> np.ndarray:
    """Return the crop regions of an image.

    Args:
        sample: the image and its boxes.
        margin: added on each side, as a share of the box's width or height.
        square: crop squares.

    Returns:
        int64 (n, 4) left, top, right, bottom in pixels, inside the image; a region is not square only if the
        image is too small.

    Example:
        >>> box = np.array([[0.5, 0.5, 0.5, 0.25]], np.float32)
        >>> sample = Sample(Path("a.jpg"), (100, 100), np.zeros(1, np.int64), box)
        >>> crop_places(sample, 0.1, False).tolist(), crop_places(sample, 0.0, True).tolist()
        ([[20, 35, 80, 65]], [[25, 25, 75, 75]])
    """
    size = np.array(sample.hw[::-1], np.float64)  # width, height
    corners = corners_px(sample)
    center, sides = (
        (corners[:, :2] + corners[:, 2:]) / 2,
        (corners[:, 2:] - corners[:, :2]) * (1 + 2 * margin),
    )
    if square:
        sides = np.minimum(np.repeat(np.ceil(sides.max(1, keepdims=True)), 2, 1), size)
        first = np.clip(np.round(center - sides / 2), 0, size - sides)
        return np.concatenate([first, first + sides], 1).astype(np.int64)
    # Rounding errors of labels must not add a pixel to a crop.
    first = np.clip(np.floor(center - sides / 2 + 1e-3), 0, size - 1)
    last = np.clip(np.ceil(center + sides / 2 - 1e-3), first + 1, size)
    return np.concatenate([first, last], 1).astype(np.int64)


@dataclass(frozen=True)
class _Cutter:
    """Crops images, in threads."""

    folders: tuple[str, ...]
    options: CropOptions

    def __call__(self, sample: Sample, folder: Path, stem: str) -> _Cut:
        """Write the crops of an image into `folder`."""
        counts = np.zeros(len(self.folders), np.int64)
        if not len(sample.classes):
            return _Cut(counts)
        try:
            image = read_sample_image(sample)
        except ImageError as error:
            return _Cut(counts, 0, Problem(sample.image, None, error.message, "error"))
        corners = corners_px(sample)
        large = (corners[:, 2:] - corners[:, :2]).min(1) >= self.options.min_size
        places = crop_places(sample, self.options.margin, self.options.square)
        for index in np.flatnonzero(large):
            left, top, right, bottom = places[index]
            target = (
                folder / self.folders[sample.classes[index]] / f"{stem}_{index + 1}.{self.options.format}"
            )
            _write(image[top:bottom, left:right], target)
            counts[sample.classes[index]] += 1
        return _Cut(counts, int((~large).sum()))


def _write(pixels: np.ndarray, path: Path) -> None:
    import cv2

    quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if path.suffix == ".jpg" else []
    done, data = cv2.imencode(path.suffix, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), quality)
    if not done:
        raise TfyoloError(f"cannot be encoded as {path.suffix}", path=path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.tobytes())
