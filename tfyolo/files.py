"""Writing files so that a killed run leaves the last good one, and naming the folders of runs."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfyolo.errors import TfyoloError


def cache_folder() -> Path:
    """Where downloads, scans and decoded pictures are kept.

    `$TFYOLO_CACHE`, or `tfyolo` in `$XDG_CACHE_HOME` or `~/.cache`.
    """
    shared = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("TFYOLO_CACHE") or Path(shared) / "tfyolo").expanduser()


def megabytes(path: Path) -> float:
    """Size of a file, or of all files of a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; what is written there replaces `path` on success.

    Works for files and for folders. On an exception the temporary is removed and `path` is left as it was.

    Example:
        >>> with atomic("labels.txt") as temporary:
        ...     _ = temporary.write_text("cat")
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The temporary keeps the suffix: writers such as Keras choose the format by it.
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise TfyoloError(
            f"cannot be written: {error.strerror}", path=path, fix="choose another folder"
        ) from error
    try:
        temporary = folder / path.name
        yield temporary
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        temporary.replace(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_folder(project: str | Path, name: str, exist_ok: bool = False) -> Path:
    """Make and return `project/name`, or the first free of `name2`, `name3`, ..., as YOLOv5 does.

    Raises:
        TfyoloError: the folder cannot be made.
    """
    base = Path(project) / name
    path, number = base, 2
    try:
        while True:
            try:
                path.mkdir(parents=True, exist_ok=exist_ok)
                return path
            except FileExistsError:
                if exist_ok:  # a file stands where the folder should be
                    raise
                path, number = base.with_name(f"{name}{number}"), number + 1
    except OSError as error:
        raise TfyoloError(
            f"cannot make the folder: {error.strerror}", path=path, fix="pass another --project"
        ) from error
