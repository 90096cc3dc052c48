"""Errors for failed writes, with file, reason and remedy, for every library.

Python raises `OSError` with an error number. TensorFlow, HDF5, PyTorch, OpenVINO and coremltools raise their
own exceptions, some with the system's message and some without a reason; for the latter a test file is
written.
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
    errno.EDQUOT: "your disk quota is used up: delete some files, or choose another folder",
    errno.EFBIG: "the file system or `ulimit -f` limits the size of a file: choose another folder",
    errno.EROFS: "that file system is read-only: choose another folder",
    errno.EACCES: "choose a folder that you can write to",
    errno.EPERM: "choose a folder that you can write to",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EIO: "the disk reports an error: choose another one",
}
OF_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""Errors that only a write can raise; the others may come from a file that is read."""
_PROBE_BYTES = 1 << 20


def cannot_write(error: OSError, path: str | Path, fix: str | None = None) -> TfyoloError:
    """Return the error for a failed write, with reason and remedy.

    Args:
        error: error of the system.
        path: path of the output, shown to the user.
        fix: remedy; defaults to one that fits the reason.

    Returns:
        The error, for the caller to raise.

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
    """Context manager: convert failures of a write to a `TfyoloError` that names `path`.

    Other exceptions pass unchanged, including those about other files.

    Args:
        path: path of the output, shown to the user.
        inside: the folder that is written to first; defaults to `path`.
        fix: remedy; defaults to one that fits the reason.

    Raises:
        TfyoloError: the disk is full, the quota is exceeded, the folder is read-only, and the like.
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
    """Return the reason why a write failed, or None if the exception has another cause.

    Args:
        error: raised by any library.
        place: file or folder that was written.
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
    """Write a megabyte into a folder, or next to a file; returns the error, or None."""
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
    """Yield an exception and its causes."""
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
