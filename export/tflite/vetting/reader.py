"""Reads a `.tflite` flatbuffer into plain values; every offset is checked before it is followed.

The interpreter follows offsets without a check, so a damaged one is a crash or a read of foreign memory. This
reader is what flatbuffers' own Verifier is in C++: no table, vector or string may reach beyond the file.
Work is bounded by the number of tables and fields, not by the size of the file: contents of buffers are not
touched.

Source: https://flatbuffers.dev/internals (layout of tables, vtables, vectors and strings).
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from tfyolo.export.tflite.vetting.schema import ITEM_BYTES, OPTIONS, SCALARS, TABLES, Field

Table = dict[str, Any]
"""Fields by name: numbers, bytes, NumPy arrays, memory views of bytes, tables and tuples of tables."""

MAX_STRING = 65_536
_MAX_TABLES = 200_000
_IDENTIFIER = b"TFL3"
_ARRAYS = {"i32": "<i4", "i64": "<i8", "f32": "<f4", "bool": "u1"}


class DamagedError(ValueError):
    """A file is not what TensorFlow Lite's schema allows, or not what exporters write; says what is wrong."""


def read_model(data: bytes) -> Table:
    """The `Model` table of a file.

    Args:
        data: the file; what follows the flatbuffer, such as an archive, is not looked at.

    Returns:
        Fields by name. `Operator.options_kind` is the name of the table of its options, or "".

    Raises:
        DamagedError: an offset, length or type is wrong.
    """
    if len(data) < 8 or data[4:8] != _IDENTIFIER:
        raise DamagedError("it is not a TensorFlow Lite model")
    if len(data) >= 2**31:
        raise DamagedError("it is larger than 2 GiB")
    reader = _Reader(data)
    return reader.table(reader.number("I", 0), "Model")


class _Reader:
    """Follows offsets within one buffer."""

    def __init__(self, data: bytes) -> None:
        self._data, self._view, self._size = data, memoryview(data), len(data)
        self._left = _MAX_TABLES

    def number(self, form: str, at: int) -> int:
        """A little-endian number."""
        try:
            value: int = struct.unpack_from("<" + form, self._data, at)[0]
        except struct.error as error:
            raise DamagedError("an offset points beyond the file") from error
        return value

    def table(self, at: int, name: str) -> Table:
        """All fields of a table, defaults included."""
        self._left -= 1
        if self._left < 0:
            raise DamagedError(f"it has more than {_MAX_TABLES:,} parts")
        vtable = at - self.number("i", at)
        size, inline = self._vtable(vtable, at, name)
        fields = TABLES[name]
        offsets = struct.unpack_from(f"<{(size - 4) // 2}H", self._data, vtable + 4)
        if any(offset and (i >= len(fields) or fields[i] is None) for i, offset in enumerate(offsets)):
            raise DamagedError(f"a {name} has fields that no exported model has")
        found: Table = {}
        for i, field in enumerate(fields):
            if field is None:
                continue
            offset = offsets[i] if i < len(offsets) else 0
            if not offset:
                found[field.name] = field.default if field.kind != "string" else b""
                continue
            width = ITEM_BYTES[field.kind] if field.kind in SCALARS else 4
            if offset < 4 or offset + width > inline or (at + offset) % width:
                raise DamagedError(f"a {name} is shorter than its fields")
            found[field.name] = self._field(field, at + offset, found)
        return found

    def _vtable(self, vtable: int, at: int, name: str) -> tuple[int, int]:
        """Sizes in bytes of a vtable and of its table, both within the file."""
        if at % 4 or vtable < 0 or vtable % 2 or vtable + 4 > self._size:
            raise DamagedError(f"a {name} points beyond the file")
        size, inline = struct.unpack_from("<HH", self._data, vtable)
        if size < 4 or size % 2 or vtable + size > self._size or inline < 4 or at + inline > self._size:
            raise DamagedError(f"a {name} reaches beyond the file")
        return size, inline

    def _field(self, field: Field, at: int, before: Table) -> Any:
        if field.kind in SCALARS:
            return self.number(SCALARS[field.kind], at)
        target = at + self.number("I", at)
        if field.kind == "table":
            return self.table(target, field.of)
        if field.kind == "union":
            kind = OPTIONS.get(before["builtin_options_type"])
            if kind is None:
                raise DamagedError(f"an operator has options of kind {before['builtin_options_type']}")
            before["options_kind"] = kind
            return self.table(target, kind)
        if field.kind == "tables":
            count = self._length(target, 4, field.most, field.name)
            places = struct.unpack_from(f"<{count}I", self._data, target + 4)
            starts = range(target + 4, target + 4 + 4 * count, 4)
            return tuple(self.table(a + b, field.of) for a, b in zip(starts, places, strict=True))
        if field.kind == "string":
            length = self._length(target, 1, MAX_STRING, field.name)
            if target + 4 + length >= self._size or self._data[target + 4 + length]:
                raise DamagedError(f"a {field.name} does not end")
            return self._data[target + 4 : target + 4 + length]
        length = self._length(target, ITEM_BYTES[field.of], field.most, field.name)
        if field.of == "u8":
            return self._view[target + 4 : target + 4 + length]
        return np.frombuffer(self._data, _ARRAYS[field.of], length, target + 4)

    def _length(self, at: int, width: int, most: int, name: str) -> int:
        """Number of items of a vector that lies within the file."""
        if at % 4:
            raise DamagedError(f"the list of {name} is not aligned")
        count = self.number("I", at)
        if count > most or at + 4 + count * width > self._size:
            raise DamagedError(f"the list of {name} is longer than it can be")
        return count
