"""Finding and checking the pictures and labels of a data set's split, without decoding a picture."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, thread_time

import numpy as np

from tfyolo.data.dataset_yaml import Dataset, read_dataset
from tfyolo.data.images import IMAGE_SUFFIXES, ImageError, read_header
from tfyolo.data.labels import ClassRangeError, Labels, Problem, label_path, read_labels
from tfyolo.errors import TfyoloError

__all__ = ["Dataset", "Problem", "Sample", "Scan", "read_dataset", "scan_split"]

_NOT_LABELS = {"classes.txt", "labels.txt", "readme.txt", "readme.dataset.txt", "readme.roboflow.txt"}
"""What annotation tools leave among label files."""


@dataclass(frozen=True)
class Sample:
    """A picture that can be used, with its labels.

    Args:
        image: the file.
        hw: height and width in pixels as shown, after the EXIF rotation.
        classes: int64 (n,).
        boxes_xywh_norm: float32 (n, 4) centre, width and height, 0..1; n is 0 for a background.
        polygons_norm: for each box its outline, float32 (k, 2) x, y in 0..1, with k 0 where the label is a
            plain box; an empty tuple where no box has one.
        span: offset and length in bytes of the picture inside `image`, where that is a file of many records.
    """

    image: Path
    hw: tuple[int, int]
    classes: np.ndarray
    boxes_xywh_norm: np.ndarray
    polygons_norm: tuple[np.ndarray, ...] = ()
    span: tuple[int, int] | None = None


@dataclass(frozen=True)
class Scan:
    """What was found in a split. Each picture is counted once, in `found`, `missing`, `empty` or `corrupt`.

    Args:
        samples: the usable pictures, in the order of their paths (of a .txt list: in its order).
        problems: what was wrong, in the same order.
        found: pictures with boxes.
        missing: pictures without a label file: backgrounds.
        empty: pictures with an empty label file: backgrounds.
        corrupt: pictures left out, for themselves or for their labels.
    """

    samples: tuple[Sample, ...]
    problems: tuple[Problem, ...]
    found: int
    missing: int
    empty: int
    corrupt: int


_Checked = tuple[str, Sample | None, tuple[Problem, ...]]
_PROBE = 64


def scan_split(dataset: Dataset, split: str, *, progress: Callable[[int, int], None] | None = None) -> Scan:
    """Find the pictures of a split and check them and their labels.

    Pictures are looked for in all subfolders; hidden files are passed over. Only headers are read.

    Args:
        dataset: from `read_dataset`.
        split: "train", "val" or "test".
        progress: called with the number of pictures done and of all pictures.

    Raises:
        TfyoloError: the split is not in the YAML file, its folder or list is missing, it has no picture, or a
            label has a class without a name.

    Example:
        >>> scan = scan_split(read_dataset("bccd.yaml"), "val")  # doctest: +SKIP
        >>> print(*scan.problems, sep="\\n")  # doctest: +SKIP
    """
    if split not in dataset.splits:
        has = ", ".join(f"`{name}`" for name in dataset.splits)
        fix = f"add `{split}:` with a folder of pictures, or use one of {has}"
        raise TfyoloError(f"has no `{split}`", path=dataset.yaml_path, fix=fix)
    problems: list[Problem] = []
    images: list[Path] = []
    for place in dataset.splits[split]:
        images += _images(dataset, split, place, problems)
    images = list(dict.fromkeys(images))
    if not images:
        places = ", ".join(map(str, dataset.splits[split]))
        fix = f"put pictures there ({' '.join(sorted(IMAGE_SUFFIXES))}), or correct `{split}`"
        raise TfyoloError(f"`{split}` has no pictures in {places}", path=dataset.yaml_path, fix=fix)
    problems += _labels_without_image(dataset.splits[split], images)

    counts = {"found": 0, "missing": 0, "empty": 0, "corrupt": 0}
    samples: list[Sample] = []

    def check(image: Path) -> _Checked:
        return _check(image, len(dataset.names))

    try:
        with closing(
            _in_order(check, images)
        ) as checked:  # closed, its threads end, whatever `progress` raises
            for done, (kind, sample, found) in enumerate(checked, start=1):
                counts[kind] += 1
                problems += found
                if sample is not None:
                    samples.append(sample)
                if progress is not None:
                    progress(done, len(images))
    except ClassRangeError as error:
        raise _class_error(dataset, error) from None
    return Scan(tuple(samples), tuple(problems), **counts)


def _in_order(check: Callable[[Path], _Checked], images: list[Path]) -> Generator[_Checked, None, None]:
    """`check` of every image, in order; by threads if the first images show that the disk is waited for.

    On a warm local disk threads only stand in each other's way; on a network disk they are many times faster.
    """
    wall = cpu = 0.0
    for image in images[:_PROBE]:
        wall, cpu = wall - perf_counter(), cpu - thread_time()
        checked = check(image)
        wall, cpu = wall + perf_counter(), cpu + thread_time()
        yield checked
    if wall < 3 * cpu:
        yield from map(check, images[_PROBE:])
        return
    with ThreadPoolExecutor(16) as pool:
        try:
            yield from pool.map(check, images[_PROBE:])
        finally:
            pool.shutdown(cancel_futures=True)


def _check(image: Path, class_count: int) -> _Checked:
    """One picture: what it counts as, the sample unless it is left out, and what was wrong."""
    try:
        hw = read_header(image).hw
    except ImageError as error:
        return "corrupt", None, (Problem(image, None, error.message, "error"),)
    try:
        labels = read_labels(label_path(image), class_count)
        kind = "found" if len(labels.classes) else "empty"
    except FileNotFoundError:
        labels = Labels(np.zeros(0, np.int64), np.zeros((0, 4), np.float32), ())
        kind = "missing"
    if any(problem.severity == "error" for problem in labels.problems):
        return "corrupt", None, labels.problems
    return kind, Sample(image, hw, labels.classes, labels.boxes_xywh_norm), labels.problems


def _class_error(dataset: Dataset, error: ClassRangeError) -> TfyoloError:
    """Names and labels that do not fit, told from the YAML file's side."""
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


def _images(dataset: Dataset, split: str, place: Path, problems: list[Problem]) -> list[Path]:
    """The pictures of one folder, sorted, or of one .txt list, in its order."""
    place = Path(os.path.normpath(place))
    if place.is_dir():
        return sorted(path for path in _walk(place) if path.suffix.lower() in IMAGE_SUFFIXES)
    if not place.is_file():
        fix = f"correct `path` or `{split}`, or put the data set there"
        raise TfyoloError(f"`{split}`: {place} does not exist", path=dataset.yaml_path, fix=fix)
    if place.suffix.lower() != ".txt":
        fix = "name a folder, or a .txt file with a picture's path on each line"
        raise TfyoloError(
            f"`{split}`: {place} is neither a folder nor a .txt list", path=dataset.yaml_path, fix=fix
        )
    try:
        rows = place.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TfyoloError(
            "is not a readable list of pictures", path=place, fix="save it as UTF-8 text"
        ) from error
    images: dict[Path, int] = {}
    for number, row in enumerate(rows, start=1):
        if not row.strip():
            continue
        written = Path(row.strip())
        image = Path(os.path.normpath(place.parent / written))
        if not image.exists() and written.exists():  # relative to the current directory
            image = Path(os.path.normpath(written.absolute()))
        if image.suffix.lower() not in IMAGE_SUFFIXES:
            problems.append(
                Problem(place, number, f"{written.name} is not a picture; passed over", "warning")
            )
        elif image in images:
            message = f"the same picture as on line {images[image]}; used once"
            problems.append(Problem(place, number, message, "warning"))
        else:
            images[image] = number
    return list(images)


def _walk(folder: Path) -> Iterator[Path]:
    """All files below a folder, links followed, but for hidden ones (such as macOS' `._1.jpg`)."""
    visited = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in visited:  # a link that leads back up
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(parent, name) for name in files if not name.startswith("."))


def _labels_without_image(places: tuple[Path, ...], images: list[Path]) -> Iterator[Problem]:
    """A warning for each label file that no picture asks for; a .txt list names but a part of a folder."""
    wanted = {label_path(image) for image in images}
    for place in places:
        if not place.is_dir():
            continue
        folder = label_path(Path(os.path.normpath(place)) / "_.txt").parent
        for path in sorted(_walk(folder)):
            if path.suffix == ".txt" and path not in wanted and path.name.lower() not in _NOT_LABELS:
                yield Problem(path, None, "no picture belongs to this label file", "warning")
