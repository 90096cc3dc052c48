"""Scan the images and labels of a split, without decoding images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np

from tfyolo.data.caches.scan_cache import file_states, load_scan, save_scan, scan_key
from tfyolo.data.detection.dataset import Dataset
from tfyolo.data.detection.dataset_yaml import read_dataset
from tfyolo.data.detection.duplicates import duplicates
from tfyolo.data.detection.labels import ClassRangeError, Labels, Problem
from tfyolo.data.detection.sample import Sample, Scan
from tfyolo.data.formats.readers.base import Entry, Listing
from tfyolo.data.formats.readers.table import reader_for
from tfyolo.data.images.header import ImageHeader, parse_header
from tfyolo.data.images.ordered_map import ordered_map
from tfyolo.data.images.read import IMAGE_SUFFIXES, ImageError, read_bytes, read_header
from tfyolo.data.segmentation.polygon_counts import boxes_without_polygon, images_with_polygons
from tfyolo.errors import TfyoloError

__all__ = ["Dataset", "Problem", "Sample", "Scan", "check_usable", "read_dataset", "scan_split"]

_Checked = tuple[str, Sample | None, Labels | None, tuple[Problem, ...]]


def scan_split(
    dataset: Dataset,
    split: str,
    *,
    progress: Callable[[int, int], None] | None = None,
    cache: bool = True,
    segmentation: bool = False,
) -> Scan:
    r"""List the images of a split, and check their headers and labels.

    Args:
        dataset: from `read_dataset`.
        split: "train", "val" or "test".
        progress: called as `progress(done, total)` after each image.
        cache: use and write a cache, which is valid while no file has changed.
        segmentation: warn about boxes without a polygon.

    Returns:
        Usable images with their labels, and problems.

    Raises:
        TfyoloError: the split is not in the YAML file, its folder or list is missing, it has no images, or a
            label has a class id without a name.

    Example:
        >>> scan = scan_split(read_dataset("bccd-mini"), "val")
        >>> len(scan.samples), scan.problems
        (24, ())
    """
    if split not in dataset.splits:
        has = ", ".join(f"`{name}`" for name in dataset.splits)
        fix = f"add `{split}:` with a folder of images, or use one of {has}"
        raise TfyoloError(f"has no `{split}`", path=dataset.yaml_path, fix=fix)
    log = progress or (lambda done, total: None)
    reader = reader_for(dataset, split)
    source = reader.open_split(dataset, split)
    key = scan_key(dataset, reader.name, source) if cache else ""
    if cache and (kept := load_scan(source.folder, split, key, dataset)):
        total = kept.found + kept.missing + kept.empty + kept.corrupt
        log(total, total)
        return _checked_polygons(dataset, split, kept) if segmentation else kept
    listing = source.listing()
    if not listing.entries:
        places = ", ".join(map(str, dataset.splits[split]))
        fix = f"put images there ({' '.join(sorted(IMAGE_SUFFIXES))}), or correct `{split}`"
        found = f" ({listing.problems[0]})" if listing.problems else ""
        raise TfyoloError(f"`{split}` has no images in {places}{found}", path=dataset.yaml_path, fix=fix)
    images = list(dict.fromkeys(entry.image for entry in listing.entries))
    states = dict(zip(images, file_states(images).tolist(), strict=True)) if cache else {}
    scan = _scan(dataset, listing, log)
    # A file that could not be read may be readable next time, although nothing has changed.
    if cache and not any(problem.message.startswith("cannot be read") for problem in scan.problems):
        save_scan(source.folder, split, key, states, scan)
    return _checked_polygons(dataset, split, scan) if segmentation else scan


def _checked_polygons(dataset: Dataset, split: str, scan: Scan) -> Scan:
    """Add a warning with the number of boxes without a polygon; not cached, since detectors need none."""
    count = boxes_without_polygon(scan.samples)
    if not count or not images_with_polygons(scan.samples):  # `check_usable` refuses the latter
        return scan
    boxes = "1 box" if count == 1 else f"{count:,} boxes"
    message = f"`{split}` has {boxes} without a polygon; the mask is the rectangle of the box"
    problem = Problem(dataset.yaml_path, None, message, "warning")
    return replace(scan, problems=(*scan.problems, problem))


def check_usable(
    dataset: Dataset, split: str, scan: Scan, *, labeled: bool = False, segmentation: bool = False
) -> None:
    """Refuse a split without usable images; the message has the first problem.

    Args:
        dataset: from `read_dataset`.
        split: "train", "val" or "test".
        scan: scan of the split.
        labeled: whether labels are required, too.
        segmentation: whether polygons are required, too.

    Raises:
        TfyoloError: no image can be used, or none has a label or polygon that is required.
    """
    wrong = [problem for problem in scan.problems if problem.severity == "error"]
    if not scan.samples:
        first = f": {wrong[0]}" if wrong else ""
        more = f" ({len(wrong)} problems in total)" if len(wrong) > 1 else ""
        raise TfyoloError(
            f"none of the images in `{split}` can be used{first}{more}",
            path=dataset.yaml_path,
            fix="fix the images or labels",
        )
    if labeled and not scan.found:
        message = f"none of the images in `{split}` has a label"
        raise TfyoloError(message, path=dataset.yaml_path, fix="check where the labels are")
    if segmentation and not images_with_polygons(scan.samples):
        raise TfyoloError(
            f"none of the labels in `{split}` is a polygon, which masks are learned from and measured with",
            path=dataset.yaml_path,
            fix="label the objects with polygons (in YOLO format: class x1 y1 x2 y2 x3 y3 ...), or train a "
            "detector",
        )


def _scan(dataset: Dataset, listing: Listing, progress: Callable[[int, int], None]) -> Scan:
    """Check every image and its labels."""
    counts = {"found": 0, "missing": 0, "empty": 0, "corrupt": listing.refused}
    problems: list[Problem] = list(listing.problems)
    samples: list[Sample] = []
    said: Counter[str] = Counter()

    def check(entry: Entry) -> _Checked:
        return _check(entry, listing)

    try:
        # Closing the generator ends its threads, even if `progress` raises.
        with closing(ordered_map(check, listing.entries)) as checked:
            for done, (kind, sample, labels, found) in enumerate(checked, start=1):
                counts[kind] += 1
                problems += found
                said.update(labels.counts if labels else {})
                if sample is not None:
                    samples.append(sample)
                progress(done, len(listing.entries))
    except ClassRangeError as error:
        raise _class_error(dataset, error) from None
    if samples and counts["missing"] == len(samples) and listing.unlabeled is not None:
        message = "no image has a label file; expected them here"
        problems.append(Problem(listing.unlabeled, None, message, "warning"))
    place = listing.entries[0].labels.parent
    problems += (Problem(place, None, f"{n} {what}", "warning") for what, n in sorted(said.items()))
    same = duplicates(samples)
    return Scan(tuple(samples), (*problems, *same), **counts, duplicates=listing.repeated + len(same))


def _check(entry: Entry, listing: Listing) -> _Checked:
    """Check one image: how it is counted, its sample if it is usable, and its problems."""
    try:
        header = _header(entry)
    except ImageError as error:
        return "corrupt", None, None, (Problem(entry.image, None, error.message, "error"),)
    labels = listing.read(entry, header)
    kind = "missing" if labels is None else "found" if len(labels.classes) else "empty"
    if labels is None:
        labels = Labels(np.zeros(0, np.int64), np.zeros((0, 4), np.float32), ())
    if any(problem.severity == "error" for problem in labels.problems):
        return "corrupt", None, None, labels.problems
    sample = Sample(
        entry.image,
        header.hw,
        labels.classes,
        labels.boxes_xywh_norm,
        labels.polygons_norm,
        entry.span,
        entry.record,
        labels.annotated_hw,
    )
    return kind, sample, labels, labels.problems


def _header(entry: Entry) -> ImageHeader:
    if entry.span is None:
        return read_header(entry.image)
    data = read_bytes(entry.image, entry.span)
    return parse_header(BytesIO(data), len(data), entry.record or entry.image)


def _class_error(dataset: Dataset, error: ClassRangeError) -> TfyoloError:
    """Return the error for labels that do not fit the class names, from the view of the YAML file."""
    place = Path(error.path or "")
    folder = dataset.yaml_path.absolute().parent
    shown = place.relative_to(folder) if place.is_relative_to(folder) else place
    wrong = error.message.split(" is ")[0]
    count = f"{len(dataset.names)} class" + ("es" if len(dataset.names) != 1 else "")
    return TfyoloError(
        f"`names` has {count}, but {shown} line {error.line} has {wrong}",
        path=dataset.yaml_path,
        fix="fix the label, or add the missing names",
    )
