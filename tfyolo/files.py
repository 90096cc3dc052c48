"""Atomic writes of files and folders, and names of run folders.

Existing files are replaced only if no data of the user can be lost:

- a file replaces a file, never a folder, device or pipe;
- a folder replaces an empty folder, or one with only files of the same writer (`Owned`), never a file.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tfyolo.disk import cannot_write, writing
from tfyolo.errors import TfyoloError
from tfyolo.owned_files import NOTHING, Owned

TEMPORARY = ".tfyolo-"
"""How the names of temporary folders begin; a killed run may leave one, which can be deleted."""


def cache_folder() -> Path:
    """Return the folder of downloads, scans and decoded images.

    `$TFYOLO_CACHE`, or `tfyolo` in `$XDG_CACHE_HOME` or `~/.cache`.
    """
    shared = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("TFYOLO_CACHE") or Path(shared) / "tfyolo").expanduser()


def megabytes(path: Path) -> float:
    """Return the size of a file, or of all files of a folder, in megabytes."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6


def suffix_of(path: str | os.PathLike[str]) -> str:
    """Return the suffix of a file name in lower case: `.JPG` and `.jpg` are the same type.

    Example:
        >>> suffix_of("images/1.JPG"), suffix_of("labels")
        ('.jpg', '')
    """
    return Path(path).suffix.lower()


def check_file_target(path: str | Path, inputs: Iterable[str | Path | None] = ()) -> Path:
    """Check that a file can be written to a path; called before long work, and again before writing.

    Raises:
        TfyoloError: the path exists and is not a regular file, or is one of `inputs`, which are read.
    """
    path = Path(path)
    if any(source is not None and Path(source).resolve() == path.resolve() for source in inputs):
        raise TfyoloError("is an input and would be overwritten", path=path, fix="choose another name")
    try:
        mode = path.stat().st_mode
    except OSError:  # nothing there; what else is wrong shows when it is written
        return path
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise TfyoloError(f"is {what} and cannot be overwritten", path=path, fix="choose another name")
    return path


def check_folder_target(path: str | Path, owned: Owned = NOTHING) -> Path:
    """Check that a folder can be written to a path; called before long work, and again before writing.

    Raises:
        TfyoloError: the path is a file, or a folder with other files than `owned`.
    """
    path = Path(path)
    try:
        mode = path.stat().st_mode
    except OSError:
        return path
    if not stat.S_ISDIR(mode):
        raise TfyoloError("is a file, but the output is a folder", path=path, fix="choose another name")
    try:
        reason = owned.why_not(path)
    except OSError as error:
        raise cannot_write(error, path) from error
    if reason is not None:
        raise TfyoloError(
            f"cannot be replaced: it {reason}", path=path, fix="move it away, or choose another name"
        )
    return path


@contextmanager
def atomic(path: str | Path, durable: bool = True) -> Iterator[Path]:
    """Context manager: a temporary path, which replaces `path` on success.

    On an exception the temporary file is removed, and `path` is unchanged.

    Args:
        path: path of the file; missing parent folders are created.
        durable: wait until the data is on disk, to survive a power failure. Pass False for large numbers of
            files.

    Raises:
        TfyoloError: it cannot be written, or the path exists and is not a regular file.

    Example:
        >>> with atomic("labels.txt") as temporary:
        ...     _ = temporary.write_text("cat")
    """
    path = check_file_target(path)
    with suppress(OSError):  # what is wrong with a name shows when it is written
        if path.is_symlink() and path.exists():  # the file that it leads to is replaced, not the link
            path = path.resolve()
    with _beside(path) as temporary, writing(path, temporary.parent):
        yield temporary
        if durable:
            _sync(temporary)
        check_file_target(path)
        temporary.replace(path)
        if durable:
            _sync(path.parent)


@contextmanager
def atomic_folder(path: str | Path, owned: Owned | None = None, durable: bool = True) -> Iterator[Path]:
    """Context manager: an empty temporary folder, which becomes `path` on success.

    An existing folder is exchanged atomically where the system supports it (Linux). Elsewhere it is first
    renamed to `.NAME.previous`; if a run is killed before the second renaming, the next run restores it.

    Args:
        path: path of the folder; missing parent folders are created.
        owned: files that an existing folder may contain to be replaced; none by default.
        durable: wait until the files are on disk.

    Raises:
        TfyoloError: it cannot be written, or the path is a file, or a folder with other files.
    """
    path, owned = Path(path), owned or NOTHING
    if path.is_symlink() and path.is_dir():
        path = path.resolve()
    _restore(path, owned)
    check_folder_target(path, owned)
    with _beside(path) as temporary, writing(path, temporary.parent):
        temporary.mkdir()
        yield temporary
        if durable:
            for file in temporary.rglob("*"):
                _sync(file)
            _sync(temporary)
        put_folder(temporary, path, owned)
        if durable:
            _sync(path.parent)


def put_folder(new: Path, path: Path, owned: Owned = NOTHING) -> None:
    """Rename a folder to `path`, which may be missing, empty, or contain only `owned` files.

    Args:
        new: folder to rename, on the same file system.
        path: new path of the folder.
        owned: files that an existing folder may contain to be replaced; none by default.

    Raises:
        TfyoloError: there is a folder with other files.
        OSError: it cannot be renamed.
    """
    try:
        new.rename(path)
    except OSError:
        if not path.is_dir():
            raise
        check_folder_target(path, owned)  # once more: the work may have taken an hour
        if not _exchange(new, path):
            _put_aside(new, path)


@contextmanager
def scratch() -> Iterator[Path]:
    """Context manager: a temporary folder of the system, removed afterwards.

    Raises:
        TfyoloError: it cannot be written.
    """
    fix = "set TMPDIR to a folder with more space"
    try:
        folder = Path(tempfile.mkdtemp(prefix="tfyolo-"))
    except OSError as error:
        raise cannot_write(error, error.filename or "temporary folder", fix) from error
    try:
        with writing(folder, fix=fix):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_folder(project: str | Path, name: str, exist_ok: bool = False) -> Path:
    """Create and return `project/name`, or the first free of `name2`, `name3`, ..., as YOLOv5 does.

    Args:
        project: parent folder; created if missing.
        name: name of the folder.
        exist_ok: use `project/name` even if it exists.

    Returns:
        Path of the folder, which exists.

    Raises:
        TfyoloError: the folder cannot be made.
    """
    base = Path(project) / name
    if base.name in ("", ".."):
        raise TfyoloError(f"{str(name)!r} is not the name of a folder", fix="pass another --name")
    path, number = base, 2
    try:
        while True:
            try:
                path.mkdir(parents=True, exist_ok=exist_ok)
                return path
            except FileExistsError:
                if exist_ok:  # a file has the folder's name
                    raise
                path, number = base.with_name(f"{base.name}{number}"), number + 1
    except OSError as error:
        raise TfyoloError(
            f"cannot create the folder: {error.strerror}", path=path, fix="pass another --project"
        ) from error


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """Context manager: a path in a new temporary folder next to `path`, removed afterwards."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = _make_temporary(path.parent)
    except OSError as error:
        raise cannot_write(error, path) from error
    try:
        yield folder / path.name  # the name is kept: writers such as Keras choose the format by its suffix
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _make_temporary(parent: Path) -> Path:
    return Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=parent))


def _put_aside(new: Path, path: Path) -> None:
    """Replace a folder in two steps; `_restore` repairs a kill between them."""
    previous = _previous(path)
    path.rename(previous)
    try:
        new.rename(path)
    except BaseException:
        previous.rename(path)
        raise
    shutil.rmtree(previous, ignore_errors=True)


def _restore(path: Path, owned: Owned) -> None:
    """Repair a folder after a kill between the two steps of `_put_aside`."""
    previous = _previous(path)
    if not previous.is_dir() or owned.why_not(previous) is not None:
        return
    if path.exists():
        shutil.rmtree(previous, ignore_errors=True)
    else:
        with suppress(OSError):
            previous.rename(path)


def _previous(path: Path) -> Path:
    return path.with_name(f".{path.name}.previous")


_CURRENT_FOLDER, _EXCHANGE = -100, 2  # AT_FDCWD, RENAME_EXCHANGE


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders atomically; returns False if the system does not support it."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):  # not Linux
        return False
    result: int = rename(_CURRENT_FOLDER, os.fsencode(one), _CURRENT_FOLDER, os.fsencode(other), _EXCHANGE)
    return result == 0


def _sync(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on disk."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:  # a folder on Windows
        if path.is_file():
            raise
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EBADF, errno.ENOTSUP):  # a file system without it
            raise
    finally:
        os.close(handle)
