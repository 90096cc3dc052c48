"""Reader of the options of custom operators: a FlexBuffer with one map of numbers.

Every offset is checked before it is followed: the kernel of TFLite_Detection_PostProcess does not check them.

Source: https://flatbuffers.dev/flexbuffers_internals (layout of maps, keys and typed values).
"""

from __future__ import annotations

import struct

from tfyolo.export.tflite.vetting.reader import DamagedError

_INT, _UINT, _FLOAT, _KEY, _MAP, _BOOL = 1, 2, 3, 4, 9, 26
_VECTOR_KEY = 14
_FORMATS = {_INT: "bhiq", _UINT: "BHIQ", _BOOL: "BHIQ"}
_MAX_BYTES = 4096
_MAX_ENTRIES = 64


def read_map(data: bytes) -> dict[str, int | float]:
    """Read the entries of a map.

    Args:
        data: content of the FlexBuffer.

    Raises:
        DamagedError: it is anything but a map of names, in order, to numbers.
    """
    size = len(data)
    if not 3 <= size <= _MAX_BYTES:
        raise DamagedError(f"its options have {size} bytes")
    root_type, width = data[-2], data[-1]
    if root_type >> 2 != _MAP or width not in (1, 2, 4, 8):
        raise DamagedError("its options are not a map")
    start = _follow(data, size - 2 - width, width)
    width = 1 << (root_type & 3)
    count = _unsigned(data, start - width, width)
    keys_width = _unsigned(data, start - 2 * width, width)
    keys = _follow(data, start - 3 * width, width)
    if count > _MAX_ENTRIES or keys_width not in (1, 2, 4, 8):
        raise DamagedError("its options have too many entries")
    if _unsigned(data, keys - keys_width, keys_width) != count or start + count * (width + 1) > size:
        raise DamagedError("its options contain an offset beyond their end")
    found: dict[str, int | float] = {}
    names: list[bytes] = []
    for i in range(count):
        begin = _follow(data, keys + i * keys_width, keys_width)
        end = data.find(b"\0", begin)
        if end < 0:
            raise DamagedError("a name in its options is not terminated")
        names.append(data[begin:end])
        packed = data[start + count * width + i]
        found[names[-1].decode("ascii", "replace")] = _value(data, start + i * width, width, packed)
    if names != sorted(set(names)):  # kernels look names up by bisection
        raise DamagedError("names in its options are not sorted")
    return found


def _value(data: bytes, at: int, width: int, packed: int) -> int | float:
    """Return the number at an offset; numbers are stored inline, as wide as the map's entries."""
    kind = packed >> 2
    if kind == _FLOAT and width in (4, 8):
        value: float = struct.unpack_from("<f" if width == 4 else "<d", data, at)[0]
        return value
    if kind not in _FORMATS:
        raise DamagedError("its options have values that are not numbers")
    number: int = struct.unpack_from("<" + _FORMATS[kind][width.bit_length() - 1], data, at)[0]
    return number


def _unsigned(data: bytes, at: int, width: int) -> int:
    if at < 0 or at + width > len(data):
        raise DamagedError("its options contain an offset beyond their end")
    return int.from_bytes(data[at : at + width], "little")


def _follow(data: bytes, at: int, width: int) -> int:
    """Return the position that a relative offset, which counts backwards, points to."""
    target = at - _unsigned(data, at, width)
    if target < 0:
        raise DamagedError("its options contain an offset beyond their end")
    return target
