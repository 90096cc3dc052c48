"""Open files of users: only regular files of bounded size.

A path can be an endless device (`/dev/zero`), a FIFO without a writer, or a sparse file of 2 GiB. All files
of users are opened here; tests/test_inputs.py checks the package for other calls.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tfyolo.disk import OF_WRITING
from tfyolo.errors import TfyoloError

_MIB = 1024 * 1024
MAX_FILES = 10_000
"""Of a folder that is a model."""


@dataclass(frozen=True)
class InputKind:
    """A kind of input file.

    Attributes:
        name: name of the kind with its article, for messages.
        max_bytes: maximum size.
    """

    name: str
    max_bytes: int


CONFIGURATION = InputKind("a configuration", _MIB)
"""YAML of models, datasets and hyperparameters."""
JSON_TEXT = InputKind("a JSON file", 16 * _MIB)
"""Contracts, manifests and what else lies beside a model."""
LABELS = InputKind("a label file", 16 * _MIB)
LIST = InputKind("a list of files", 1024 * _MIB)
ANNOTATIONS = InputKind("an annotation file", 4096 * _MIB)
"""COCO's JSON of one split; that of its own training split has half a gigabyte."""
XML = InputKind("a VOC annotation", 16 * _MIB)
IMAGE = InputKind("an image", 2047 * _MIB)
"""OpenCV counts the bytes of a buffer with a 32-bit integer."""
VIDEO = InputKind("a video", 2**50)
RECORDS = InputKind("a TFRecord file", 2**50)
MODEL = InputKind("a model file", 2047 * _MIB)
"""Formats with 32-bit offsets end there; the largest YOLOv5 has 0.6 GB."""
TABLE = InputKind("a table", 64 * _MIB)
"""CSV that a command reads again, such as results.csv."""


def check_input(path: str | Path, kind: InputKind, error: type[TfyoloError] = TfyoloError) -> int:
    """Check that a path is a regular file of bounded size, before a library opens it by name.

    If the library accepts bytes or an open file, use `read_input` or `open_input`, which cannot be raced.

    Args:
        path: given by the user; links are followed.
        kind: expected kind of file.
        error: class of the exception.

    Returns:
        The size in bytes.

    Raises:
        TfyoloError: it is missing, a folder, device, FIFO or socket, unreadable, or too large.
    """
    with open_input(path, kind, error) as file:
        return os.fstat(file.fileno()).st_size


def check_input_folder(folder: str | Path, kind: InputKind) -> None:
    """Apply `check_input` to every file of a folder that a library opens by name.

    Args:
        folder: given by the user.
        kind: expected kind of its files.

    Raises:
        TfyoloError: it contains a device, FIFO or socket, a file that is too large, or a link to a folder.
    """
    count = 0
    for place, folders, files in os.walk(folder):
        for name in folders:
            if (Path(place) / name).is_symlink():
                raise TfyoloError(
                    "is a symbolic link to a folder", path=Path(place) / name, fix="copy the folder there"
                )
        for name in files:
            check_input(Path(place) / name, kind)
        count += len(files)
        if count > MAX_FILES:
            raise TfyoloError(
                f"contains more than {MAX_FILES:,} files", path=folder, fix="pass the model's folder"
            )


@contextmanager
def open_input(
    path: str | Path, kind: InputKind, error: type[TfyoloError] = TfyoloError
) -> Iterator[BinaryIO]:
    """Open an input file for reading.

    The open file is checked again, in case the path has changed in the meantime. An `OSError` while reading
    becomes a `TfyoloError`, too; one that only a write can raise passes, since it is about another file.

    Args:
        path: given by the user; links are followed.
        kind: expected kind of file.
        error: class of the exception.

    Raises:
        TfyoloError: it is missing, a folder, device, FIFO or socket, unreadable, or too large.

    Example:
        >>> from tfyolo.assets import SAMPLE_IMAGE
        >>> with open_input(SAMPLE_IMAGE, IMAGE) as file:
        ...     file.read(4)
        b'\\xff\\xd8\\xff\\xe0'
    """
    with os.fdopen(open_descriptor(path, kind, error), "rb") as file:
        try:
            yield file
        except OSError as found:
            if found.errno in OF_WRITING:
                raise
            raise _unreadable(found, Path(path), error) from found


def open_descriptor(path: str | Path, kind: InputKind, error: type[TfyoloError] = TfyoloError) -> int:
    """Open an input file, and return its descriptor, which the caller closes.

    Args:
        path: given by the user; links are followed.
        kind: expected kind of file.
        error: class of the exception.

    Returns:
        File descriptor, opened for reading.

    Raises:
        TfyoloError: as `open_input`.
    """
    path = Path(path)
    try:
        # Devices must not be opened, since some react to it. O_NONBLOCK keeps a FIFO from waiting for a
        # writer.
        _check(path.stat(), path, kind, error)
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, flags)
    except (OSError, ValueError) as found:  # the latter: a name with a null character
        raise _unreadable(found, path, error) from found
    try:
        _check(os.fstat(descriptor), path, kind, error)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_input(path: str | Path, kind: InputKind, error: type[TfyoloError] = TfyoloError) -> bytes:
    """Read all bytes of an input file.

    Args:
        path: given by the user; links are followed.
        kind: expected kind of file.
        error: class of the exception.

    Returns:
        Content of the file.

    Raises:
        TfyoloError: as `open_input`.
    """
    with open_input(path, kind, error) as file:
        data = file.read(kind.max_bytes + 1)
    if len(data) > kind.max_bytes:  # it grows, or its file system lies
        raise _too_large(len(data), Path(path), kind, error)
    return data


def _check(found: os.stat_result, path: Path, kind: InputKind, error: type[TfyoloError]) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise error("is a folder, not a file", path=path, fix=f"pass {kind.name}")
    if not stat.S_ISREG(found.st_mode):
        what = (
            "a device" if stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode) else "a pipe or socket"
        )
        raise error(f"is {what}, not a file", path=path, fix=f"pass {kind.name}")
    if found.st_size > kind.max_bytes:
        raise _too_large(found.st_size, path, kind, error)


def _too_large(size: int, path: Path, kind: InputKind, error: type[TfyoloError]) -> TfyoloError:
    return error(
        f"is too large for {kind.name}: {size:,} bytes, the limit is {kind.max_bytes:,}",
        path=path,
        fix="check that it is the right file",
    )


def _unreadable(found: OSError | ValueError, path: Path, error: type[TfyoloError]) -> TfyoloError:
    if isinstance(found, FileNotFoundError | NotADirectoryError):
        return error("does not exist", path=path, fix="check the path")
    if isinstance(found, PermissionError):
        return error("cannot be read: no permission", path=path, fix="allow it, or copy the file")
    reason = found.strerror if isinstance(found, OSError) else None
    return error(f"cannot be read: {reason or found}", path=path, fix="check the path")
