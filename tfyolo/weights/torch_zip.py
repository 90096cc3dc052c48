"""The zip archive around a checkpoint: `NAME/data.pkl` and one stored entry `NAME/data/KEY` per storage."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from types import TracebackType

from tfyolo.errors import TfyoloError
from tfyolo.weights.bounded_file import BoundedFile
from tfyolo.weights.inert_pickle import MAX_PICKLE, loads
from tfyolo.weights.torch_globals import RefusedError


class TorchZip:
    """An opened checkpoint archive; a context manager.

    Args:
        file: the `.pt` file, which is closed with this.
        path: path of the file, for messages.

    Attributes:
        storage_bytes: size in bytes of each storage, by key.
        byte_order: "<" or ">", of the numbers in the storages.

    Raises:
        TfyoloError: a zip archive, but not a checkpoint.
        RefusedError: an archive that `torch.save` does not write (compressed, encrypted, overlapping).
        Exception: any other, where the archive is damaged; callers use `one_error`.
    """

    def __init__(self, file: BoundedFile, path: Path) -> None:
        self._path, self._file = path, file
        try:
            self._zip = zipfile.ZipFile(self._file)
            self._file.limit = sys.maxsize
            entries = self._entries()
            self._pickle = self._read(entries["data.pkl"])
            order = self._read(entries["byteorder"]) if "byteorder" in entries else b"little"
        except BaseException:
            self._file.close()
            raise
        if order not in (b"little", b"big"):
            self._file.close()
            raise RefusedError("its byte order is neither little-endian nor big-endian")
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

    def content(self) -> object:
        """What the pickle describes, as records."""
        return loads(self._pickle, self.storage_bytes)

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
            raise RefusedError("it contains two zip entries with the same name")
        roots = [
            name[: -len("data.pkl")] for name in names if name.count("/") == 1 and name.endswith("/data.pkl")
        ]
        if not roots:
            fix = "pass a .pt file that YOLOv5 saved"
            raise TfyoloError("is a zip archive, but not a PyTorch checkpoint", path=self._path, fix=fix)
        if len(roots) > 1:
            raise RefusedError("it contains two checkpoints")
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
