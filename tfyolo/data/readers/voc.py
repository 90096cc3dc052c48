"""Pascal VOC data sets: Annotations/*.xml, JPEGImages, and lists in ImageSets/Main."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from tfyolo.data.dataset_yaml import Dataset
from tfyolo.data.images import IMAGE_SUFFIXES
from tfyolo.data.label_rows import LabelRows
from tfyolo.data.labels import Labels, Problem
from tfyolo.data.readers.base import (
    Entry,
    Listing,
    Source,
    contained,
    is_picture,
    place_error,
    read_rows,
    walk,
)
from tfyolo.data.readers.names import class_of, unknown_name
from tfyolo.data.readers.voc_xml import Annotation, XmlError, read_annotation
from tfyolo.errors import TfyoloError


@dataclass(frozen=True)
class _Folders:
    """Where annotations and pictures are, and what the pictures are called."""

    annotations: Path
    pictures: Path
    by_stem: dict[str, str]

    @staticmethod
    def of(root: Path) -> _Folders:
        """Of a folder with Annotations and JPEGImages, or with both kinds of files in one."""
        annotations = root / "Annotations" if (root / "Annotations").is_dir() else root
        wanted = (root / "JPEGImages", root / "images")
        pictures = next((folder for folder in wanted if folder.is_dir()), root)
        with os.scandir(pictures) as found:
            names = sorted(entry.name for entry in found if not entry.name.startswith("."))
        return _Folders(
            annotations, pictures, {Path(n).stem: n for n in reversed(names) if is_picture(Path(n))}
        )

    def entry(self, stem: str) -> Entry | None:
        """The picture and annotation of a name from a list; None if the name leads out of the folders."""
        labels, picture = contained(self.annotations, f"{stem}.xml"), contained(self.pictures, stem)
        if labels is None or picture is None:
            return None
        if stem in self.by_stem:
            return Entry(self.pictures / self.by_stem[stem], labels)
        for suffix in sorted(IMAGE_SUFFIXES):
            if (image := picture.with_name(picture.name + suffix)).is_file():
                return Entry(image, labels)
        return Entry(self._as_annotated(labels) or picture.with_name(picture.name + ".jpg"), labels)

    def _as_annotated(self, labels: Path) -> Path | None:
        """The picture an annotation names, where it is not called like the annotation."""
        try:
            written = read_annotation(labels).filename
        except (FileNotFoundError, XmlError):
            return None
        image = contained(self.pictures, written) if written else None
        return image if image and image.is_file() and is_picture(image) else None


def open_split(dataset: Dataset, split: str) -> Source:
    """Find the pictures and annotations of a split.

    A place is a list of names (ImageSets/Main/train.txt), the Annotations folder, the folder around it, or a
    folder with pictures and annotations side by side.

    Raises:
        TfyoloError: a place is missing, or has no Annotations.
    """
    problems: list[Problem] = []
    entries: dict[Path, Entry] = {}
    repeated = refused = 0
    places = [Path(os.path.normpath(place)) for place in dataset.splits[split]]
    folders = [_folders(dataset, split, place) for place in places]
    for place, here in zip(places, folders, strict=True):
        lines: dict[Path, int | None] = {}
        for line, stem in _stems(place, here):
            entry = here.entry(stem)
            if entry is None:
                problems.append(Problem(place, line, f"{stem[:60]!r} leads out of the data set", "error"))
                refused += 1
            elif entry.image in entries:
                before = lines.get(entry.image)
                where = "in an earlier place" if before is None else f"on line {before}"
                problems.append(Problem(place, line, f"the same picture as {where}; used once", "warning"))
                repeated += 1
            else:
                entries[entry.image], lines[entry.image] = entry, line
    listed = tuple(entries.values())

    def read(entry: Entry, hw: tuple[int, int]) -> Labels | None:
        return _labels(entry.labels, hw, dataset)

    return Source(
        folder=folders[0].annotations.parent,
        watched=tuple(entry.labels for entry in listed),
        outline="\n".join([*map(str, entries), *map(str, problems)]),
        listing=lambda: Listing(listed, read, tuple(problems), repeated, refused, folders[0].annotations),
    )


def _folders(dataset: Dataset, split: str, place: Path) -> _Folders:
    if place.is_file():
        root = next((parent for parent in place.parents if (parent / "Annotations").is_dir()), None)
        if root is None:
            fix = "put the list into ImageSets/Main beside Annotations and JPEGImages"
            raise TfyoloError(
                f"`{split}`: there is no Annotations folder above {place}", path=dataset.yaml_path, fix=fix
            )
        return _Folders.of(root)
    if not place.is_dir():
        raise place_error(dataset.yaml_path, split, place)
    return _Folders.of(place.parent if place.name == "Annotations" else place)


def _stems(place: Path, folders: _Folders) -> Iterator[tuple[int | None, str]]:
    """Names in a list, with their lines, or those of a folder's annotations, sorted."""
    if place.is_file():
        for line, row in read_rows(place):
            words = row.split()
            flagged = len(words) > 1 and words[-1] in ("-1", "0", "1") and row not in folders.by_stem
            name = row[: -len(words[-1])].strip() if flagged else row
            suffix = Path(name).suffix
            yield line, name[: -len(suffix)] if suffix.lower() in IMAGE_SUFFIXES else name
        return
    found = {path.relative_to(folders.annotations).with_suffix("").as_posix()
             for path in walk(folders.annotations) if path.suffix.lower() == ".xml"}  # fmt: skip
    if folders.pictures == folders.annotations:  # a picture without annotation beside it is a background
        found |= set(folders.by_stem)
    yield from ((None, stem) for stem in sorted(found))


def _labels(path: Path, hw: tuple[int, int], dataset: Dataset) -> Labels | None:
    """The boxes of an annotation, as shares of the picture's size.

    Corners are divided by the size as they stand, as converters in wide use do: the standard counts pixels
    from 1 and includes both corners, but most annotation tools write plain corners.
    """
    rows = LabelRows(path)
    try:
        annotation = read_annotation(path)
    except FileNotFoundError:
        return None
    except XmlError as error:
        rows.report(error.line, error.message)
        return rows.labels()
    height, width = hw
    if (annotation.width or annotation.height) and not _says(annotation, hw):
        said = f"{annotation.width}x{annotation.height}"
        rows.report(None, f"says {said[:40]}, but the picture is {width}x{height}; used as that", "warning")
    for item in annotation.objects:
        class_id = class_of(item.name or "", dataset.names)
        if class_id is None:
            where = f"{path.name} line {item.line}"
            raise unknown_name(item.name or "", dataset.names, where, dataset.yaml_path)
        try:
            x1, y1, x2, y2 = (float(text or "") for text in item.corners)
        except ValueError:
            rows.report(item.line, "the object has no `bndbox` of xmin, ymin, xmax, ymax in pixels")
            continue
        if not all(map(isfinite, (x1, y1, x2, y2))):
            rows.report(item.line, "a corner is not finite (nan or inf)")
            continue
        rows.add(item.line, class_id, (x1 / width, y1 / height, x2 / width, y2 / height))
    return rows.labels()


def _says(annotation: Annotation, hw: tuple[int, int]) -> bool:
    """Whether the annotation names this size, be it as 480 or 480.0."""
    try:
        return (float(annotation.height or ""), float(annotation.width or "")) == hw
    except ValueError:
        return False
