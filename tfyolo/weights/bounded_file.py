"""The file of a checkpoint: opened where it is one, read in bounded parts, and one error for what fails."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tfyolo.errors import TfyoloError
from tfyolo.inputs import MODEL, open_descriptor
from tfyolo.weights.torch_globals import RefusedError

MAX_DIRECTORY = 4 * 2**20  # bytes of the zip's central directory; YOLOv5n has 0.03 MB

ZIP = b"PK\x03\x04"
LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # the magic number of PyTorch's older format
# First bytes of files that are not checkpoints: what is wrong, what to do.
FOREIGN = (
    (b"version https://git-lfs", "is a Git LFS pointer, not the file itself", "run `git lfs pull`"),
    (b"<", "is a web page, not a checkpoint", "download the file itself"),
    (b"", "is not a PyTorch checkpoint", "pass a .pt file that YOLOv5 saved, or a .keras file"),
)


class BoundedFile(io.FileIO):
    """A file that refuses large single reads, so that a claimed size of the zip's directory cannot hurt."""

    limit = MAX_DIRECTORY
    size = 0
    start = b""
    """Its first 64 bytes."""

    def read(self, count: int | None = -1, /) -> bytes:
        """As of any file, up to `limit` bytes."""
        if count is not None and count > self.limit:
            raise RefusedError("its zip directory is too large for a YOLOv5 checkpoint")
        return super().read(-1 if count is None else count)


@contextmanager
def one_error(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong while `path` is read into one `TfyoloError` that names it.

    A damaged or hostile file can make any line here fail with any exception, so all are caught.
    """
    again = "download or copy the file again"
    try:
        yield
    except TfyoloError:
        raise
    except RefusedError as error:
        raise TfyoloError(f"refused: {error}", path=path, fix=error.fix) from None
    except MemoryError as error:
        raise TfyoloError("does not fit into memory", path=path, fix="free some memory") from error
    except (zipfile.BadZipFile, EOFError) as error:
        raise TfyoloError("is truncated or damaged", path=path, fix=again) from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise TfyoloError(f"cannot be read: {reason}", path=path, fix=again) from error
    except Exception as error:
        name = type(error).__name__
        raise TfyoloError(f"is damaged and cannot be read ({name})", path=path, fix=again) from error


def open_bounded(path: Path) -> BoundedFile:
    """Open a checkpoint of either format; says in a sentence what it is when it cannot be one.

    Raises:
        TfyoloError: no such file, or another kind of file.
    """
    try:
        file = BoundedFile(open_descriptor(path, MODEL), "rb")
        file.start = start = file.read(64)
        file.size = file.seek(0, io.SEEK_END)
        file.seek(0)
    except OSError as error:
        raise TfyoloError(
            f"cannot be read: {error.strerror}", path=path, fix="check its permissions"
        ) from error
    if start.startswith((ZIP, LEGACY)):
        return file
    file.close()
    if not start:
        raise TfyoloError("is empty", path=path, fix="download or copy the file again")
    what, fix = next((what, fix) for magic, what, fix in FOREIGN if start.startswith(magic))
    raise TfyoloError(what, path=path, fix=fix)
