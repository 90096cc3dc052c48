"""The interface of dataset readers, and helpers that they share."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from tfyolo.data.detection.labels import Labels, Problem
from tfyolo.data.images.header import ImageHeader
from tfyolo.data.images.read import IMAGE_SUFFIXES, UNSUPPORTED_SUFFIXES, VIDEO_SUFFIXES
from tfyolo.errors import TfyoloError
from tfyolo.files import suffix_of
from tfyolo.inputs import LIST, read_input


@dataclass(frozen=True)
class Entry:
    """An image listed by a split; nothing of it has been read.

    Attributes:
        image: the file.
        labels: file with its labels.
        span: offset and length in bytes of the image inside `image`, if that has several.
        record: name of the image there.
    """

    image: Path
    labels: Path
    span: tuple[int, int] | None = None
    record: str | None = None


@dataclass(frozen=True)
class Listing:
    """The images of a split, and how to read their labels.

    Attributes:
        entries: images without duplicates.
        read: function from an entry and the header of its image to labels; None without a label file. Called
            from several threads.
        problems: problems of the list itself.
        repeated: number of images that were listed twice.
        refused: number of images whose paths lead out of the dataset.
        unlabeled: folder that label files are expected in, for a message; None if the format has no such
            folder.
    """

    entries: tuple[Entry, ...]
    read: Callable[[Entry, ImageHeader], Labels | None]
    problems: tuple[Problem, ...] = ()
    repeated: int = 0
    refused: int = 0
    unlabeled: Path | None = None


@dataclass(frozen=True)
class Source:
    """A split before its images are read: enough to decide whether a cache is valid.

    Attributes:
        folder: folder of the cache, next to the labels.
        watched: files whose contents determine the labels; they may be missing.
        fingerprint: everything else that determines them.
        listing: returns the images; called only without a valid cache.
    """

    folder: Path
    watched: tuple[Path, ...]
    fingerprint: str
    listing: Callable[[], Listing]


def contained(folder: Path, written: str) -> Path | None:
    """Resolve a name that was read from a file; None if it leads out of the folder.

    Example:
        >>> contained(Path("/data"), "train/1.jpg").as_posix(), contained(Path("/data"), "../1.jpg")
        ('/data/train/1.jpg', None)
    """
    parts = PureWindowsPath(written).parts  # takes / and \\ alike
    if not parts or "\0" in written or PureWindowsPath(written).anchor or ".." in parts:
        return None
    return folder.joinpath(*parts)


def place_error(yaml_path: Path, split: str, place: Path) -> TfyoloError:
    """Return the error for a missing folder or file of a split.

    Args:
        yaml_path: YAML file of the dataset.
        split: name of the split, such as `train`.
        place: path that does not exist.

    Returns:
        The error, for the caller to raise.
    """
    fix = f"correct `path` or `{split}`, or put the dataset there"
    if "\\" in str(place) or any(len(part) == 2 and part[1] == ":" for part in place.parts):
        fix = f"write `path` and `{split}` as paths on this machine, with /, such as /home/me/data"
    return TfyoloError(f"`{split}`: {place} does not exist", path=yaml_path, fix=fix)


def read_rows(path: Path) -> Iterator[tuple[int, str]]:
    """Read a list: line numbers and stripped text of lines that are not blank.

    Raises:
        TfyoloError: the file cannot be read, or is not a text file.
    """
    try:
        rows = read_input(path, LIST).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise TfyoloError(
            "is not a readable list of images", path=path, fix="save it as UTF-8 text"
        ) from error
    yield from ((number, row.strip()) for number, row in enumerate(rows, start=1) if row.strip())


def is_image(path: Path) -> bool:
    """Whether a file name has the suffix of an image."""
    return suffix_of(path) in IMAGE_SUFFIXES


def unreadable_kinds(place: Path, files: Iterable[Path]) -> list[Problem]:
    """Return a warning about unsupported images and videos, if there are any.

    Args:
        place: folder of the files.
        files: all files in the folder.
    """
    unread = UNSUPPORTED_SUFFIXES | VIDEO_SUFFIXES
    counts = Counter(suffix for path in files if (suffix := suffix_of(path)) in unread)
    if not counts:
        return []
    kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(counts.items()))
    message = f"unsupported image files are left out: {kinds}; convert them to JPEG or PNG"
    return [Problem(place, None, message, "warning")]


class SuffixIndex:
    """Finds files whose suffix has another case, such as `1.TXT` for `1.txt`."""

    def __init__(self) -> None:
        self._names: dict[Path, dict[str, str]] = {}

    def find(self, path: Path) -> Path:
        """Return the path, or that of a file whose name differs only in the case of its suffix."""
        folder = path.parent
        if folder not in self._names:
            try:
                names = sorted(os.listdir(folder), reverse=True)  # noqa: PTH208 (many files, names are enough)
            except OSError:
                names = []
            self._names[folder] = {_lower_ending(name): name for name in names} | {n: n for n in names}
        name = self._names[folder].get(path.name) or self._names[folder].get(_lower_ending(path.name))
        return folder / name if name else path


def _lower_ending(name: str) -> str:
    stem, dot, suffix = name.rpartition(".")
    return f"{stem}{dot}{suffix.lower()}"


def walk(folder: Path) -> Iterator[Path]:
    """Return all files below a folder, following links, except for hidden ones (such as macOS' `._1.jpg`)."""
    visited = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in visited:  # a link that leads back up
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(parent, name) for name in files if not name.startswith("."))
