"""The format of PyTorch before 1.6: five pickles one after another, then the storages.

Pickles of a magic number, of a version, of facts about the machine, of the checkpoint itself, and of a list
of the keys of its storages; then for each key, in that order, the number of items in 8 bytes and the items.
All numbers are little-endian, whatever the machine was. The pickles are interpreted as data, as those of
newer files are (`inert_pickle.py`); there are no checksums.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from tfyolo.errors import TfyoloError
from tfyolo.weights.bounded_file import LEGACY, BoundedFile
from tfyolo.weights.inert_pickle import MAX_PICKLE, loads_legacy
from tfyolo.weights.torch_globals import ITEM_BYTES, RefusedError, Storage, shown

VERSION = 1001


@dataclass(frozen=True)
class _Place:
    """Where the bytes of a storage are."""

    offset: int
    size: int


class TorchLegacy:
    """An opened checkpoint of PyTorch before 1.6; a context manager, to be used as `TorchZip`.

    Args:
        file: the `.pt` file, which is closed with this.
        path: path of the file, for messages.

    Attributes:
        storage_bytes: size in bytes of each storage, by key.
        byte_order: "<", of the numbers in the storages.

    Raises:
        RefusedError: it holds something that no checkpoint needs.
        Exception: any other, where the file is damaged; callers use `one_error`.
    """

    byte_order = "<"

    def __init__(self, file: BoundedFile, path: Path) -> None:
        self._file, self._path = file, path
        try:
            # A file may be one long pickle: what is interpreted is bounded before it is read.
            file.limit = MAX_PICKLE
            data = file.read(MAX_PICKLE)
            self._content, self._places = self._read(data)
            self.storage_bytes = {key: place.size for key, place in self._places.items()}
        except BaseException:
            file.close()
            raise

    def __enter__(self) -> TorchLegacy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def content(self) -> object:
        """What the checkpoint's pickle describes, as records."""
        return self._content

    def storage(self, key: str) -> bytes:
        """The bytes of storage `key`."""
        place = self._places[key]
        self._file.seek(place.offset)
        self._file.limit = max(place.size, 1)
        data = self._file.read(place.size)
        if len(data) != place.size:
            raise EOFError
        return data

    def _read(self, data: bytes) -> tuple[object, dict[str, _Place]]:
        """Interpret the pickles, and find the storages behind them."""
        claimed: dict[str, Storage] = {}
        at, results = len(LEGACY), []
        for _ in ("version", "machine", "checkpoint", "keys"):
            try:
                value, at = loads_legacy(data, at, claimed, self._file.size)
            except IndexError:
                if len(data) < self._file.size:
                    raise RefusedError(f"its pickle is larger than {MAX_PICKLE // 2**20} MiB") from None
                raise
            results.append(value)
        version, _, content, keys = results
        if version != VERSION:
            raise TfyoloError(
                "was saved by an unknown version of PyTorch",
                path=self._path,
                fix="open it once in PyTorch 1.6 or later and save it again",
            )
        if not isinstance(keys, list) or set(map(str, keys)) != set(claimed) or len(keys) != len(claimed):
            raise RefusedError("its list of storages differs from the storages in its pickle")
        return content, self._find(at, [claimed[str(key)] for key in keys])

    def _find(self, at: int, storages: list[Storage]) -> dict[str, _Place]:
        """Places of storages that follow each other from `at` on; each is whole."""
        places: dict[str, _Place] = {}
        for storage in storages:
            self._file.seek(at)
            header = self._file.read(8)
            if len(header) < 8:
                raise EOFError
            (count,) = struct.unpack("<q", header)
            if count != storage.length:
                raise RefusedError(
                    f"the size of its storage {shown(storage.key)} differs from the one in its pickle"
                )
            place = _Place(at + 8, count * ITEM_BYTES[storage.code])
            at = place.offset + place.size
            if at > self._file.size:
                raise EOFError
            places[storage.key] = place
        return places
