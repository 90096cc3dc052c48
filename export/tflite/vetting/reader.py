"""Reader of `.tflite` flatbuffers that checks every offset before it follows it.

The interpreter follows offsets without a check: a damaged one crashes it or reads foreign memory. This
reader does in Python what the `Verifier` of flatbuffers does in C++: no table, vector or string may extend
beyond the file. Its run time depends on the number of tables and fields, not on the size of the file, since
contents of buffers are not read.

Source: https://flatbuffers.dev/internals (layout of tables, vtables, vectors and strings).
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from tfyolo.export.tflite.vetting.schema import ITEM_BYTES, OPTIONS, SCALARS, TABLES, Field

Table = dict[str, Any]
"""Fields of a table by name: numbers, bytes, NumPy arrays, memory views, tables and tuples of tables."""

MAX_STRING = 65_536
_MAX_TABLES = 200_000
_IDENTIFIER = b"TFL3"
_ARRAYS = {"i32": "<i4", "i64": "<i8", "f32": "<f4", "bool": "u1"}


class DamagedError(ValueError):
    """A file violates the schema of TensorFlow Lite, or has something that exported models do not have."""


def read_model(data: bytes) -> Table:
    """Read the `Model` table of a file.

    Args:
        data: content of the file; bytes after the flatbuffer, such as a zip archive, are ignored.

    Returns:
        The fields of the table by name. In tables of operators, `options_kind` is the name of the table of
        their options, or "".

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
    """Reads numbers and tables of one flatbuffer."""

    def __init__(self, data: bytes) -> None:
        self._data, self._view, self._size = data, memoryview(data), len(data)
        self._tables_left = _MAX_TABLES

    def number(self, struct_format: str, start: int) -> int:
        """Return the little-endian number of a `struct` format at an offset."""
        try:
            value: int = struct.unpack_from("<" + struct_format, self._data, start)[0]
        except struct.error as error:
            raise DamagedError("an offset points beyond the file") from error
        return value

    def table(self, start: int, name: str) -> Table:
        """Return all fields of the table at an offset, defaults included."""
        self._tables_left -= 1
        if self._tables_left < 0:
            raise DamagedError(f"it has more than {_MAX_TABLES:,} tables")
        vtable = start - self.number("i", start)
        size, inline = self._vtable(vtable, start, name)
        fields = TABLES[name]
        offsets = struct.unpack_from(f"<{(size - 4) // 2}H", self._data, vtable + 4)
        if any(offset and (i >= len(fields) or fields[i] is None) for i, offset in enumerate(offsets)):
            raise DamagedError(f"a {name} has fields that exported models do not have")
        values: Table = {}
        for i, field in enumerate(fields):
            if field is None:
                continue
            offset = offsets[i] if i < len(offsets) else 0
            if not offset:
                values[field.name] = field.default if field.kind != "string" else b""
                continue
            width = ITEM_BYTES[field.kind] if field.kind in SCALARS else 4
            if offset < 4 or offset + width > inline or (start + offset) % width:
                raise DamagedError(f"a {name} is shorter than its fields")
            values[field.name] = self._field(field, start + offset, values)
        return values

    def _vtable(self, vtable: int, start: int, name: str) -> tuple[int, int]:
        """Return the sizes in bytes of a vtable and of its table; both are within the file."""
        if start % 4 or vtable < 0 or vtable % 2 or vtable + 4 > self._size:
            raise DamagedError(f"a {name} points beyond the file")
        size, inline = struct.unpack_from("<HH", self._data, vtable)
        if size < 4 or size % 2 or vtable + size > self._size or inline < 4 or start + inline > self._size:
            raise DamagedError(f"a {name} extends beyond the file")
        return size, inline

    def _field(self, field: Field, start: int, before: Table) -> Any:
        """Return the value of a field; `before` has the fields before it, the type of a union among them."""
        if field.kind in SCALARS:
            return self.number(SCALARS[field.kind], start)
        target = start + self.number("I", start)
        if field.kind == "table":
            return self.table(target, field.item_type)
        if field.kind == "union":
            kind = OPTIONS.get(before["builtin_options_type"])
            if kind is None:
                raise DamagedError(f"an operator has options of kind {before['builtin_options_type']}")
            before["options_kind"] = kind
            return self.table(target, kind)
        if field.kind == "tables":
            count = self._length(target, 4, field.max_length, field.name)
            relative_offsets = struct.unpack_from(f"<{count}I", self._data, target + 4)
            starts = range(target + 4, target + 4 + 4 * count, 4)
            return tuple(
                self.table(a + b, field.item_type) for a, b in zip(starts, relative_offsets, strict=True)
            )
        if field.kind == "string":
            length = self._length(target, 1, MAX_STRING, field.name)
            if target + 4 + length >= self._size or self._data[target + 4 + length]:
                raise DamagedError(f"a {field.name} is not terminated")
            return self._data[target + 4 : target + 4 + length]
        length = self._length(target, ITEM_BYTES[field.item_type], field.max_length, field.name)
        if field.item_type == "u8":
            return self._view[target + 4 : target + 4 + length]
        return np.frombuffer(self._data, _ARRAYS[field.item_type], length, target + 4)

    def _length(self, start: int, width: int, max_length: int, name: str) -> int:
        """Return the number of items of a vector; all of them are within the file."""
        if start % 4:
            raise DamagedError(f"the vector {name} is not aligned")
        count = self.number("I", start)
        if count > max_length or start + 4 + count * width > self._size:
            raise DamagedError(f"the vector {name} is too long")
        return count
