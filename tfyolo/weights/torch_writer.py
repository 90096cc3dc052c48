"""Writes checkpoints as `torch.save` does, without PyTorch: a zip of a pickle and one entry for each tensor.

The pickle holds plain values and tensors, and names nothing but `collections.OrderedDict`,
`torch._utils._rebuild_tensor_v2` and storages: what `torch.load(path, weights_only=True)` takes.
"""

from __future__ import annotations

import struct
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tfyolo.files import atomic
from tfyolo.weights.torch_globals import STORAGES

_ROOT = "archive"
_ALIGNMENT = 64  # bytes; tensors begin at multiples of it, so that PyTorch can map the file into memory
_STORAGE_OF = {code: name.split(".") for name, code in STORAGES.items()}


def save_torch(content: Mapping[str, object], path: str | Path) -> Path:
    """Write a checkpoint for `torch.load(path, weights_only=True)`; it replaces an old one when complete.

    Args:
        content: None, bool, int, float, str, lists, tuples and dictionaries of these, `OrderedDict` (a state
            dict), and NumPy arrays, which become tensors of the same shape and numbers.
        path: the file.

    Raises:
        TypeError: a value is something else.
        TfyoloError: the folder cannot be written to.

    Example:
        >>> print(save_torch({"epoch": -1, "model": OrderedDict(w=np.zeros(3))}, "a.pt"))
        a.pt
    """
    path = Path(path)
    pickle = _Pickle()
    pickle.put(content)
    entries = [("data.pkl", bytes(pickle.opcodes) + b"."), ("byteorder", b"little")]
    with atomic(path) as temporary, temporary.open("wb") as file, zipfile.ZipFile(file, "w") as archive:
        for name, data in entries:
            _store(archive, file.tell(), name, data)
        for key, array in enumerate(pickle.storages):
            _store(archive, file.tell(), f"data/{key}", array.tobytes())
        _store(archive, file.tell(), "version", b"3\n")
    return path


def _store(archive: zipfile.ZipFile, offset: int, name: str, data: bytes) -> None:
    """Add an entry at `offset`, padded as PyTorch does: a field FB of letters Z in its header."""
    info = zipfile.ZipInfo(f"{_ROOT}/{name}")  # dated 1980: equal content, equal file
    padding = -(offset + 30 + len(info.filename) + 4) % _ALIGNMENT
    info.extra = b"FB" + struct.pack("<H", padding) + b"Z" * padding
    archive.writestr(info, data)
    info.extra = b""  # the zip's directory does without


class _Pickle:
    """Opcodes of protocol 2, and the arrays whose numbers stand outside the pickle."""

    def __init__(self) -> None:
        self.opcodes = bytearray(b"\x80\x02")  # PROTO 2
        self.storages: list[np.ndarray] = []
        self._memo: dict[str, int] = {}

    def put(self, value: object) -> None:
        """Append the opcodes that push `value`."""
        if value is None:
            self.opcodes += b"N"
        elif isinstance(value, bool):
            self.opcodes += b"\x88" if value else b"\x89"
        elif isinstance(value, int):
            self._integer(value)
        elif isinstance(value, float):
            self.opcodes += b"G" + struct.pack(">d", value)
        elif isinstance(value, str):
            data = value.encode()
            self.opcodes += b"X" + struct.pack("<I", len(data)) + data
        elif isinstance(value, list | tuple):
            start, end = (b"](", b"e") if isinstance(value, list) else (b"(", b"t")
            self.opcodes += start
            self._put_all(*value)
            self.opcodes += end
        elif isinstance(value, Mapping):
            if isinstance(value, OrderedDict):
                self._ordered_dict()
            else:
                self.opcodes += b"}"
            self.opcodes += b"("
            for pair in value.items():
                self._put_all(*pair)
            self.opcodes += b"u"  # SETITEMS
        elif isinstance(value, np.ndarray):
            self._tensor(value)
        else:
            raise TypeError(f"a checkpoint cannot contain {type(value).__name__}")

    def _put_all(self, *values: object) -> None:
        for value in values:
            self.put(value)

    def _integer(self, value: int) -> None:
        if 0 <= value < 256:
            self.opcodes += b"K" + struct.pack("<B", value)
        elif -(2**31) <= value < 2**31:
            self.opcodes += b"J" + struct.pack("<i", value)
        else:
            data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            self.opcodes += b"\x8a" + struct.pack("<B", len(data)) + data

    def _global(self, module: str, name: str) -> None:
        """Push the object of a name; named once, then fetched from the memo."""
        index = self._memo.get(name)
        if index is not None:
            self.opcodes += b"h" + struct.pack("<B", index)
            return
        self._memo[name] = len(self._memo)
        self.opcodes += f"c{module}\n{name}\n".encode() + b"q" + struct.pack("<B", self._memo[name])

    def _ordered_dict(self) -> None:
        self._global("collections", "OrderedDict")
        self.opcodes += b")R"

    def _tensor(self, array: np.ndarray) -> None:
        """`_rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks)`, strides in items."""
        code = array.dtype.str[1:]
        if code not in _STORAGE_OF:
            raise TypeError(f"a checkpoint cannot contain an array of {array.dtype}")
        array = np.asarray(array, f"<{code}", order="C")
        self._global("torch._utils", "_rebuild_tensor_v2")
        self.opcodes += b"(("
        self.put("storage")
        self._global(*_STORAGE_OF[code])
        self._put_all(str(len(self.storages)), "cpu", array.size)
        self.opcodes += b"tQ"  # the storage, by its persistent id
        self.storages.append(array)
        strides = tuple(step // array.itemsize for step in array.strides)
        self._put_all(0, array.shape, strides, False)
        self._ordered_dict()
        self.opcodes += b"tR"
