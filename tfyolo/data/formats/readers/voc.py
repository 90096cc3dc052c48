"""Pascal VOC datasets: Annotations/*.xml, JPEGImages, and lists in ImageSets/Main."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path, PureWindowsPath

from tfyolo.data.detection.dataset import Dataset
from tfyolo.data.detection.label_rows import LabelRows
from tfyolo.data.detection.labels import Labels, Problem
from tfyolo.data.formats.readers.base import (
    Entry,
    Listing,
    Source,
    contained,
    is_image,
    place_error,
    read_rows,
    unreadable_kinds,
    walk,
)
from tfyolo.data.formats.readers.names import class_of, unknown_name
from tfyolo.data.formats.readers.voc_xml import XmlError, read_annotation
from tfyolo.data.images.header import ImageHeader
from tfyolo.data.images.read import IMAGE_SUFFIXES
from tfyolo.errors import TfyoloError
from tfyolo.files import suffix_of

DROPPED = "objects are marked as difficult and left out"
KEPT = (
    "objects are marked as difficult and used, although YOLOv5's VOC conversion leaves them out; "
    "write `difficult: drop` or `difficult: keep` into the dataset's YAML"
)


@dataclass(frozen=True)
class _Folders:
    """Folders and file names of annotations and images.

    Attributes:
        annotations: folder of the .xml files.
        images: folder of the images.
        xml: annotation files by stem, both relative to the folder.
        by_stem: images by stem; several if they differ only in their suffix.
        files: all files in the image folder.
    """

    annotations: Path
    images: Path
    xml: dict[str, str]
    by_stem: dict[str, list[str]]
    files: tuple[Path, ...]

    @staticmethod
    def of(root: Path) -> _Folders:
        """Read a folder with Annotations and JPEGImages, or with both kinds of files."""
        annotations = root / "Annotations" if (root / "Annotations").is_dir() else root
        wanted = (root / "JPEGImages", root / "images")
        images = next((folder for folder in wanted if folder.is_dir()), root)
        files = tuple(sorted(walk(images)))
        by_stem: dict[str, list[str]] = {}
        for path in filter(is_image, files):
            by_stem.setdefault(_stem(path, images), []).append(path.relative_to(images).as_posix())
        xml = {
            _stem(path, annotations): path.relative_to(annotations).as_posix()
            for path in sorted(files if annotations == images else walk(annotations), reverse=True)
            if suffix_of(path) == ".xml"
        }
        return _Folders(annotations, images, xml, by_stem, files)

    def entry(self, stem: str, suffix: str = "") -> Entry | str:
        """Return image and annotation of a name in a list, or a problem.

        Args:
            stem: the name without suffix.
            suffix: the suffix in the list, if any.
        """
        labels, image_path = contained(self.annotations, f"{stem}.xml"), contained(self.images, stem)
        if labels is None or image_path is None:
            return f"{stem[:60]!r} points outside the dataset"
        if stem in self.xml:
            labels = self.annotations / self.xml[stem]
        found = self.by_stem.get(stem, [])
        if len(found) == 1 and not suffix:
            return Entry(self.images / found[0], labels)
        written = suffix or _written(labels)
        if (file_name := self._pick(found, written)) is not None:
            return Entry(self.images / file_name, labels)
        if len(found) > 1:
            return f"there are {' and '.join(found)[:200]}, and the annotation does not name one of them"
        if found:
            return Entry(self.images / found[0], labels)
        file_name = self._elsewhere(stem, written)
        return Entry(
            self.images / file_name if file_name else image_path.with_name(image_path.name + ".jpg"), labels
        )

    def _elsewhere(self, stem: str, written: str) -> str | None:
        """Find the image that an annotation names if its stem differs: first in the same subfolder."""
        path = PureWindowsPath(written)
        beside = stem.rpartition("/")[0]
        relative = "" if path.anchor or ".." in path.parts else path.parent.as_posix().removeprefix(".")
        for folder in dict.fromkeys([_joined(beside, relative), beside, relative, ""]):
            if image := self._pick(self.by_stem.get(_joined(folder, path.stem), []), written):
                return image
        return None

    def _pick(self, found: list[str], written: str) -> str | None:
        """Choose between images that differ only in their suffix."""
        name = PureWindowsPath(written).name
        for key in (str, str.lower):
            fitting = [image for image in found if key(image).endswith(key(name))] if name else []
            if len(fitting) == 1:
                return fitting[0]
        return None


def _stem(path: Path, folder: Path) -> str:
    return path.relative_to(folder).with_suffix("").as_posix()


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder and name else folder or name


def _written(labels: Path) -> str:
    """Return the file name in an annotation; empty if missing or unreadable."""
    try:
        return read_annotation(labels).filename or ""
    except (FileNotFoundError, XmlError):
        return ""


def open_split(dataset: Dataset, split: str) -> Source:
    """Find the images and annotations of a split.

    A path is a list of names (ImageSets/Main/train.txt), the Annotations folder, its parent folder, or a
    folder with both images and annotations.

    Raises:
        TfyoloError: a path is missing, or has no Annotations.
    """
    problems: list[Problem] = []
    entries: dict[Path, Entry] = {}
    repeated = refused = 0
    places = [Path(os.path.normpath(place)) for place in dataset.splits[split]]
    folders = [_folders(dataset, split, place) for place in places]
    for place, here in zip(places, folders, strict=True):
        lines: dict[Path, int | None] = {}
        problems += (p for p in unreadable_kinds(here.images, here.files) if p not in problems)
        for line, stem, suffix in _stems(place, here):
            entry = here.entry(stem, suffix)
            if isinstance(entry, str):
                problems.append(Problem(place, line, entry, "error"))
                refused += 1
            elif entry.image in entries:
                before = lines.get(entry.image)
                where = "in an earlier path" if before is None else f"on line {before}"
                problems.append(Problem(place, line, f"the same image as {where}; used once", "warning"))
                repeated += 1
            else:
                entries[entry.image], lines[entry.image] = entry, line
    listed = tuple(entries.values())

    def read(entry: Entry, header: ImageHeader) -> Labels | None:
        return _labels(entry.labels, header, dataset)

    return Source(
        folder=folders[0].annotations.parent,
        watched=tuple(entry.labels for entry in listed),
        fingerprint="\n".join([f"difficult: {dataset.difficult}", *map(str, entries), *map(str, problems)]),
        listing=lambda: Listing(listed, read, tuple(problems), repeated, refused, folders[0].annotations),
    )


def _folders(dataset: Dataset, split: str, place: Path) -> _Folders:
    if place.is_file():
        root = next((parent for parent in place.parents if (parent / "Annotations").is_dir()), None)
        if root is None:
            fix = "put the list into ImageSets/Main next to Annotations and JPEGImages"
            raise TfyoloError(
                f"`{split}`: there is no Annotations folder above {place}", path=dataset.yaml_path, fix=fix
            )
        return _Folders.of(root)
    if not place.is_dir():
        raise place_error(dataset.yaml_path, split, place)
    return _Folders.of(place.parent if place.name == "Annotations" else place)


def _stems(place: Path, folders: _Folders) -> Iterator[tuple[int | None, str, str]]:
    """Return names in a list with lines and suffixes, or the sorted names of a folder's annotations."""
    if place.is_file():
        for line, row in read_rows(place):
            words = row.split()
            known = row in folders.by_stem or row in folders.xml
            flagged = len(words) > 1 and words[-1] in ("-1", "0", "1") and not known
            yield line, *_split_name(row[: -len(words[-1])].strip() if flagged else row, folders)
        return
    found = set(folders.xml)
    if folders.images == folders.annotations:  # an image without annotation beside it is a background
        found |= set(folders.by_stem)
    yield from ((None, stem, "") for stem in sorted(found))


def _split_name(name: str, folders: _Folders) -> tuple[str, str]:
    """Split a name of a list into stem and suffix; `a.jpg` can also be the stem of `a.jpg.jpg`."""
    parts = PureWindowsPath(name)
    stem = name if name in folders.xml else parts.as_posix()
    suffix = Path(stem).suffix
    if suffix_of(stem) not in IMAGE_SUFFIXES:
        return stem, ""
    plain = stem.removesuffix(suffix)
    if stem in folders.xml or (stem in folders.by_stem and plain not in folders.by_stem):
        return stem, ""
    return plain, suffix


def _labels(path: Path, header: ImageHeader, dataset: Dataset) -> Labels | None:
    """Return the boxes of an annotation, relative to the image size.

    Corners are divided by the size without correction, as common converters do: VOC counts pixels from 1 and
    includes both corners, but most annotation tools write plain corners.
    """
    rows = LabelRows(path)
    try:
        annotation = read_annotation(path)
    except FileNotFoundError:
        return None
    except XmlError as error:
        rows.report(error.line, error.message)
        return rows.labels()
    frame = rows.frame((annotation.width, annotation.height), header)
    if frame is None:
        return rows.labels()
    for item in annotation.objects:
        if item.is_difficult and dataset.difficult is not True:
            rows.count(KEPT if dataset.difficult is None else DROPPED)
            if dataset.difficult is False:
                continue
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
        rows.add(item.line, class_id, frame.box_to_shares((x1, y1, x2, y2)))
    return rows.labels()
