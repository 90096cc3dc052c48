"""The zip archive around a checkpoint: `NAME/data.pkl` and one stored entry `NAME/data/KEY` per storage."""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from tfyolo.errors import TfyoloError
from tfyolo.weights.stand_ins import RefusedError

MAX_PICKLE = 16 * 2**20  # bytes; YOLOv5n has 0.09 MB, x6 with its optimizer an estimated 1 MB
MAX_DIRECTORY = 4 * 2**20  # bytes of the zip's central directory; YOLOv5n has 0.03 MB

LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # the magic number of PyTorch's older format
# First bytes of files that are not checkpoints: what is wrong, what to do.
FOREIGN = (
    (LEGACY, "was saved by PyTorch older than 1.6", "open it once in PyTorch 1.6 or later and save it again"),
    (b"version https://git-lfs", "is a Git LFS pointer, not the file itself", "run `git lfs pull`"),
    (b"<", "is a web page, not a checkpoint", "download the file itself"),
    (b"", "is not a PyTorch checkpoint", "pass a .pt file that YOLOv5 saved"),
)


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
    except zipfile.BadZipFile as error:
        raise TfyoloError("is cut short or damaged", path=path, fix=again) from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise TfyoloError(f"cannot be read: {reason}", path=path, fix=again) from error
    except Exception as error:
        name = type(error).__name__
        raise TfyoloError(f"is damaged and cannot be read ({name})", path=path, fix=again) from error


class TorchZip:
    """An opened checkpoint archive; a context manager.

    Args:
        path: the `.pt` file.

    Attributes:
        pickle: content of `data.pkl`.
        storage_bytes: size in bytes of each storage, by key.
        byte_order: "<" or ">", of the numbers in the storages.

    Raises:
        TfyoloError: no such file, or not a checkpoint of PyTorch 1.6 or later.
        RefusedError: an archive that `torch.save` does not write (compressed, encrypted, overlapping).
        Exception: any other, where the archive is damaged; callers use `one_error`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = _open(path)
        try:
            self._zip = zipfile.ZipFile(self._file)
            self._file.limit = sys.maxsize
            entries = self._entries()
            self.pickle = self._read(entries["data.pkl"])
            order = self._read(entries["byteorder"]) if "byteorder" in entries else b"little"
        except BaseException:
            self._file.close()
            raise
        if order not in (b"little", b"big"):
            self._file.close()
            raise RefusedError("its byte order is neither little nor big")
        self.byte_order = "<" if order == b"little" else ">"
        self._storages = {n[5:]: entry for n, entry in entries.items() if n.startswith("data/")}
        self.storage_bytes = {key: entry.file_size for key, entry in self._storages.items()}

    def __enter__(self) -> TorchZip:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()
        self._file.close()

    def storage(self, key: str) -> bytes:
        """The bytes of storage `key`; raises `zipfile.BadZipFile` where its checksum is wrong."""
        return self._zip.read(self._storages[key])

    def _entries(self) -> dict[str, zipfile.ZipInfo]:
        """The archive's entries by name without the leading folder, after checking them all."""
        entries = self._zip.infolist()
        # torch.save stores entries as they are, so a compressed or an overlapping one can only be a bomb.
        if any(e.compress_type != zipfile.ZIP_STORED or e.compress_size != e.file_size for e in entries):
            raise RefusedError("its zip entries are compressed, which PyTorch never does")
        if sum(entry.file_size for entry in entries) > self._file.size:
            raise RefusedError("its zip entries overlap")
        if any(entry.flag_bits & 0x1 for entry in entries):
            raise RefusedError("its zip entries are encrypted")
        names = [entry.filename for entry in entries]
        if len(set(names)) != len(names):
            raise RefusedError("it holds two zip entries of one name")
        roots = [
            name[: -len("data.pkl")] for name in names if name.count("/") == 1 and name.endswith("/data.pkl")
        ]
        if not roots:
            fix = "pass a .pt file that YOLOv5 saved"
            raise TfyoloError("is a zip archive, but not a PyTorch checkpoint", path=self._path, fix=fix)
        if len(roots) > 1:
            raise RefusedError("it holds two checkpoints")
        root = roots[0]
        if any(name == f"{root}constants.pkl" or name.startswith(f"{root}code/") for name in names):
            fix = "pass the .pt file that it was exported from"
            raise TfyoloError("is an exported TorchScript model, not a checkpoint", path=self._path, fix=fix)
        found = {n[len(root) :]: e for n, e in zip(names, entries, strict=True) if n.startswith(root)}
        if found["data.pkl"].file_size > MAX_PICKLE:
            raise RefusedError(f"its pickle is larger than {MAX_PICKLE // 2**20} MiB")
        return found

    def _read(self, entry: zipfile.ZipInfo) -> bytes:
        return self._zip.read(entry)


class _BoundedFile(io.FileIO):
    """A file that refuses large single reads, so that a claimed size of the zip's directory cannot hurt."""

    limit = MAX_DIRECTORY
    size = 0

    def read(self, count: int | None = -1, /) -> bytes:
        if count is not None and count > self.limit:
            raise RefusedError("its zip directory is larger than that of any YOLOv5 checkpoint")
        return super().read(-1 if count is None else count)


def _open(path: Path) -> _BoundedFile:
    """Open `path`; says in a sentence what it is when it cannot be a checkpoint."""
    if path.is_dir():
        raise TfyoloError("is a folder", path=path, fix="pass a .pt file")
    if not path.exists():
        raise TfyoloError("does not exist", path=path, fix="check the path, or download the checkpoint first")
    if not path.is_file():  # a pipe or a device could be read for ever
        raise TfyoloError("is not a regular file", path=path, fix="pass a .pt file")
    try:
        file = _BoundedFile(path, "rb")
        start = file.read(64)
        file.size = file.seek(0, io.SEEK_END)
        file.seek(0)
    except OSError as error:
        raise TfyoloError(
            f"cannot be read: {error.strerror}", path=path, fix="check its permissions"
        ) from error
    if start.startswith(b"PK\x03\x04"):
        return file
    file.close()
    if not start:
        raise TfyoloError("is empty", path=path, fix="download or copy the file again")
    what, fix = next((what, fix) for magic, what, fix in FOREIGN if start.startswith(magic))
    raise TfyoloError(what, path=path, fix=fix)
