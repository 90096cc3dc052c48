"""Failed writes, reported by file, reason and remedy, whichever library did the writing.

Python raises `OSError` with a number. TensorFlow, HDF5, PyTorch, OpenVINO and coremltools raise exceptions of
their own, some with the system's words in their message and some with no reason at all; for the latter the
file system is asked.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfyolo.errors import TfyoloError

_FIXES = {
    errno.ENOSPC: "free some space on that disk, or choose another folder",
    errno.EDQUOT: "your quota of that disk is used up: delete some files, or choose another folder",
    errno.EFBIG: "the file system or `ulimit -f` limits the size of a file: choose another folder",
    errno.EROFS: "that file system is read-only: choose another folder",
    errno.EACCES: "choose a folder that you may write to",
    errno.EPERM: "choose a folder that you may write to",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EIO: "the disk reports an error: choose another one",
}
OF_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""Errors that only a write can raise; the others may come from a file that is read."""
_PROBE_BYTES = 1 << 20


def cannot_write(error: OSError, path: str | Path, fix: str | None = None) -> TfyoloError:
    """The error that tells a user why `path` cannot be written, and what to do.

    Example:
        >>> print(cannot_write(OSError(errno.ENOSPC, "No space left on device"), "a.csv"))
        a.csv: cannot be written: No space left on device
          fix: free some space on that disk, or choose another folder
    """
    reason = error.strerror or str(error) or type(error).__name__
    remedy = fix or _FIXES.get(error.errno or 0, "choose another folder")
    return TfyoloError(f"cannot be written: {reason}", path=path, fix=remedy)


@contextmanager
def writing(path: str | Path, inside: Path | None = None, fix: str | None = None) -> Iterator[None]:
    """Turn the failure of a write into a `TfyoloError` that names `path`.

    Exceptions of another cause pass unchanged, and so do errors of other files, such as one that is read.

    Args:
        path: what is written, as the user knows it.
        inside: the folder where it is written at first; `path` and what lies below it by default.
        fix: what to do, instead of what the reason suggests.

    Raises:
        TfyoloError: the disk is full, the quota used up, the folder read-only, and the like.
    """
    try:
        yield
    except TfyoloError:
        raise
    except Exception as error:
        reason = write_failure(error, inside or Path(path))
        if reason is None:
            raise
        raise cannot_write(reason, path, fix) from error


def write_failure(error: BaseException, place: Path) -> OSError | None:
    """Why a write at `place` failed, or None where `error` has another cause.

    Args:
        error: what was raised, by any library.
        place: the file or folder that was being written.
    """
    for cause in _causes(error):
        if not isinstance(cause, OSError) or cause.errno is None:
            continue
        if cause.errno == errno.ENOENT:  # a library did not write what it then reads
            return probe(place)
        if cause.filename is not None:
            names = [
                os.fsdecode(name)
                for name in (cause.filename, cause.filename2)
                if isinstance(name, str | bytes)
            ]
            return cause if any(_lies_in(name, place) for name in names) else None
        if cause.errno in OF_WRITING:
            return cause
    text = " ".join(map(str, _causes(error)))
    for number in OF_WRITING:
        if os.strerror(number).lower() in text.lower() or f"errno = {number}," in text:
            return OSError(number, os.strerror(number))
    if str(place) in text and (known := next((n for n in _FIXES if os.strerror(n) in text), None)):
        return OSError(known, os.strerror(known))
    return probe(place)


def probe(place: Path) -> OSError | None:
    """The error of writing a megabyte into a folder, or beside a file; None where that succeeds."""
    folder = place if place.is_dir() else place.parent
    if not folder.is_dir():
        return None
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".tfyolo-") as file:
            file.write(bytes(_PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception, and those that led to it."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__ or found.__context__


def _lies_in(name: str, place: Path) -> bool:
    """Whether a path is `place` or below it."""
    path, place = Path(os.path.abspath(name)), Path(os.path.abspath(place))  # noqa: PTH100 - links are not followed
    return path == place or place in path.parents
