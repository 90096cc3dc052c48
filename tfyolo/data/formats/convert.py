"""Convert a dataset to another format."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tfyolo.data.detection.dataset import SPLITS, Dataset
from tfyolo.data.detection.sample import Sample, Scan
from tfyolo.data.detection.scan import check_usable, scan_split
from tfyolo.data.formats.readers.names import class_of, unknown_name
from tfyolo.data.formats.writers.base import Names, Place, Split, fill_box
from tfyolo.data.formats.writers.table import WRITERS, Writer
from tfyolo.data.images.read import IMAGE_SUFFIXES
from tfyolo.errors import TfyoloError
from tfyolo.files import (
    TEMPORARY,
    Owned,
    atomic_folder,
    check_file_target,
    check_folder_target,
    put_folder,
    writing,
)
from tfyolo.inputs import CONFIGURATION, open_input
from tfyolo.progress import Progress

_HEADER = "# Written by `tfyolo convert-dataset`.\n"
_SPLIT = Owned(
    (
        *("*" + "".join(f"[{c}{c.upper()}]" for c in suffix) for suffix in sorted(IMAGE_SUFFIXES)),
        "*.txt",
        "*.cache.npz",
    ),
    marker="",
)
"""What a folder of a split holds, with the cache of its scan."""


@dataclass(frozen=True)
class ConvertOptions:
    """Options of `convert_dataset`.

    Attributes:
        splits: splits to convert; default to all splits of the dataset.
        names: classes to keep, in the order of their new ids; default to all.
        shards: number of TFRecord files; by default so many that each has about 256 MiB.
        link: make hard links to images instead of copies.
        exist_ok: write into a folder that is not empty; splits of an earlier conversion are replaced.
        polygons: keep every polygon in YOLO label files, for segmentation; boxes are then those of the
            polygons. By default a polygon that does not fill its box is saved as the box.
    """

    splits: Sequence[str] = ()
    names: Sequence[str] = ()
    shards: int | None = None
    link: bool = False
    exist_ok: bool = False
    polygons: bool = False


@dataclass(frozen=True)
class Converted:
    """Result of `convert_dataset`.

    Attributes:
        yaml_path: the new dataset's YAML file.
        scans: result of the scan of each split.
        boxes: number of boxes.
        polygons_lost: polygons that were not written; their boxes were.
    """

    yaml_path: Path
    scans: dict[str, Scan]
    boxes: int
    polygons_lost: int


def convert_dataset(
    dataset: Dataset,
    to: str,
    output: str | Path,
    options: ConvertOptions | None = None,
    progress: Progress | None = None,
) -> Converted:
    """Write a dataset in another format; the folder appears when it is complete.

    Boxes change by less than 1e-4 of their size, unless polygons replace them. Images that cannot be used
    are omitted.

    Args:
        dataset: from `read_dataset`.
        to: a key of `WRITERS`.
        output: the folder; its YAML file has the same name.
        options: options of the conversion.
        progress: called as `progress(label, done, total)` after each step.

    Returns:
        Numbers of images and boxes that were written, and problems.

    Raises:
        TfyoloError: the dataset is wrong, a split has no usable image, a name is unknown, or the folder is
            not empty or contains images of the dataset.

    Example:
        >>> from tfyolo.data.detection.scan import read_dataset
        >>> convert_dataset(read_dataset("bccd-mini"), "coco", "bccd-coco").boxes
        1387
    """
    options, log = options or ConvertOptions(), progress or (lambda *_: None)
    writer, output = WRITERS[to], Path(output).absolute()
    if output.exists() and not (output.is_dir() and (options.exist_ok or not any(output.iterdir()))):
        fix = "pass --exist-ok to replace what is there, or choose another folder"
        raise TfyoloError("is not an empty folder", path=output, fix=fix)
    if options.polygons and writer.polygons == "none":
        raise TfyoloError(f"{to} does not support polygons", fix="convert to yolo, coco or tfrecord")
    if options.link and not writer.links:
        raise TfyoloError(
            f"{to} stores the images themselves and cannot link to them", fix="leave out --link"
        )
    chosen = tuple(options.splits) or tuple(name for name in SPLITS if name in dataset.splits)
    scans = {
        name: scan_split(dataset, name, progress=lambda done, of: log("checking labels", done, of))
        for name in dict.fromkeys(chosen)
    }
    classes, numbers = _chosen(dataset, options.names)
    samples = {name: tuple(_renumbered(s, numbers) for s in scan.samples) for name, scan in scans.items()}
    for name, scan in scans.items():
        check_usable(dataset, name, scan)
    _check(samples, output)
    if not _is_ours(output):
        _check_splits(output)
    names, places = Names(), dict[str, Place]()
    total, done = sum(map(len, samples.values())), 0

    def step() -> None:
        nonlocal done
        done += 1
        log(f"writing {to}", done, total)

    with _destination(output) as folder:
        for name, part in samples.items():
            split = Split(
                name, part, classes, folder, names, options.link, options.shards, options.polygons, step
            )
            places[name] = writer.writer()(split)
        with writing(output / f"{output.name}.yaml", folder):
            (folder / f"{output.name}.yaml").write_text(_yaml(to, places, classes), encoding="utf-8")
    every = [sample for part in samples.values() for sample in part]
    lost = sum(_lost(sample, writer, options) for sample in every)
    return Converted(output / f"{output.name}.yaml", scans, sum(len(s.classes) for s in every), lost)


def _lost(sample: Sample, writer: Writer, options: ConvertOptions) -> int:
    """Return the number of polygons of an image that are not written."""
    has = sum(map(bool, map(len, sample.polygons_norm)))
    kept = {"all": has, "box": has if options.polygons else sum(fill_box(sample)), "none": 0}
    return has - kept[writer.polygons]


def _chosen(dataset: Dataset, names: Sequence[str]) -> tuple[tuple[str, ...], dict[int, int]]:
    """Return the classes to keep, and the new id of each old one."""
    if not names:
        return dataset.names, {number: number for number in range(len(dataset.names))}
    numbers: dict[int, int] = {}
    for name in dict.fromkeys(names):
        old = class_of(name, dataset.names)
        if old is None:
            raise unknown_name(name, dataset.names, "a class to keep", dataset.yaml_path)
        numbers[old] = len(numbers)
    return tuple(dataset.names[old] for old in numbers), numbers


def _renumbered(sample: Sample, numbers: Mapping[int, int]) -> Sample:
    """Return the sample with only the classes to keep, by their new ids."""
    kept = [index for index, old in enumerate(sample.classes.tolist()) if old in numbers]
    polygons = tuple(sample.polygons_norm[index] for index in kept) if sample.polygons_norm else ()
    return replace(
        sample,
        classes=np.array([numbers[int(sample.classes[index])] for index in kept], np.int64),
        boxes_xywh_norm=sample.boxes_xywh_norm[kept],
        polygons_norm=polygons if any(map(len, polygons)) else (),
    )


def _check(samples: Mapping[str, Sequence[Sample]], output: Path) -> None:
    """Refuse an output that would overwrite its own input."""
    for part in samples.values():
        if any(
            folder.resolve().is_relative_to(output.resolve()) for folder in {s.image.parent for s in part}
        ):
            raise TfyoloError("contains images of the dataset", path=output, fix="choose another folder")


def _yaml(to: str, places: Mapping[str, Place], classes: Sequence[str]) -> str:
    import yaml

    value = {"path": ".", "format": to, **places, "names": dict(enumerate(classes))}
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    return _HEADER + text


@contextmanager
def _destination(output: Path) -> Iterator[Path]:
    """Context manager: a folder to write to; on success it becomes `output`, or its files move there."""
    if not (output.is_dir() and any(output.iterdir())):
        with atomic_folder(output, durable=False) as folder:
            yield folder
        return
    with writing(output), tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=output) as temporary:
        yield Path(temporary)
        moves = list(_moves(Path(temporary), output))
        for new, target in moves:  # before anything is moved
            if new.is_dir():
                check_folder_target(target, _SPLIT)
            else:
                check_file_target(target)
        for new, target in moves:
            if new.is_dir():
                put_folder(new, target, _SPLIT)
            else:
                new.replace(target)


def _moves(source: Path, target: Path) -> Iterator[tuple[Path, Path]]:
    """Return what moves where into a folder that is not empty: splits as a whole, the YAML file last."""
    for path in sorted(source.iterdir(), key=lambda path: (path.suffix == ".yaml", path.name)):
        there = target / path.name
        if path.is_dir() and there.is_dir() and path.name not in SPLITS:
            yield from _moves(path, there)
        else:
            yield path, there


def _is_ours(output: Path) -> bool:
    """Whether an earlier conversion wrote a dataset into this folder."""
    for path in output.glob("*.yaml"):
        try:
            with open_input(path, CONFIGURATION) as file:
                if file.read(len(_HEADER)) == _HEADER.encode():
                    return True
        except TfyoloError:  # a folder, a FIFO
            continue
    return False


def _check_splits(output: Path) -> None:
    """Refuse to replace splits that no earlier conversion wrote."""
    for folder in (output, *output.glob("*/")):
        for name in SPLITS:
            if (folder / name).is_dir():
                check_folder_target(folder / name)
