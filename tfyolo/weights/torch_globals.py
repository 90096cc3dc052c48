"""The globals (classes and functions) that a checkpoint's pickle may name, and inert objects in their place.

Nothing in this file imports, looks up or calls what a checkpoint names. A name is compared with the tables
below and becomes a `Global`; a call of it becomes a `PickledObject`, which keeps the arguments. It is safe to
allow a whole prefix such as `models.common.`, because no class behind it is ever used.
"""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass

MAX_DIMENSIONS = 8
MAX_LENGTH = 2**40  # of one dimension or stride; far over any network, far under what overflows numpy


class RefusedError(Exception):
    """A checkpoint holds something that is refused; the message is a clause, such as "it holds ..."."""

    def __init__(
        self,
        message: str,
        fix: str = "if you trust its author, load it in YOLOv5 and save it again from there",
    ) -> None:
        super().__init__(message)
        self.fix = fix


# Storage class -> type code, and bytes per item of each code. "bf16" and "bool" are this project's codes.
STORAGES = {
    "torch.DoubleStorage": "f8",
    "torch.FloatStorage": "f4",
    "torch.HalfStorage": "f2",
    "torch.BFloat16Storage": "bf16",
    "torch.LongStorage": "i8",
    "torch.IntStorage": "i4",
    "torch.ShortStorage": "i2",
    "torch.CharStorage": "i1",
    "torch.ByteStorage": "u1",
    "torch.BoolStorage": "bool",
}
ITEM_BYTES = {"f8": 8, "f4": 4, "f2": 2, "bf16": 2, "i8": 8, "i4": 4, "i2": 2, "i1": 1, "u1": 1, "bool": 1}

# Everything else that may be named, by what the reader does with it (`inert_pickle.py` and `plain` below).
KINDS = {
    "torch._utils._rebuild_tensor_v2": "tensor",
    "torch._utils._rebuild_parameter": "parameter",
    "torch._utils._rebuild_parameter_with_state": "parameter",
    "collections.OrderedDict": "dict",
    "__builtin__.set": "set",
    "builtins.set": "set",
    "__builtin__.frozenset": "set",
    "builtins.frozenset": "set",
    "torch.Size": "tuple",
    "_codecs.encode": "encode",  # how protocol 2 writes bytes
    "numpy.core.multiarray.scalar": "scalar",
    "numpy._core.multiarray.scalar": "scalar",
    "numpy.core.multiarray._reconstruct": "array",
    "numpy._core.multiarray._reconstruct": "array",
    "numpy.dtype": "dtype",
    "__builtin__.getattr": "method",  # how protocol 2 writes the method `Detect.forward`, which Segment keeps
    "builtins.getattr": "method",
    **dict.fromkeys(
        [
            "numpy.ndarray",
            "torch.device",
            *(f"torch.{name}" for name in ("float64", "float32", "float16", "bfloat16", "int64", "int32")),
            *(f"datetime.{name}" for name in ("datetime", "date", "timedelta", "timezone")),
            *(f"pathlib.{name}" for name in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")),
            "argparse.Namespace",
        ],
        "record",
    ),
}
MODULE = re.compile(
    r"(torch\.nn\.modules\.[a-z_]+|models\.(common|yolo|experimental)|utils\.activations"
    r"|torch\.nn\.parallel\.(data_parallel|distributed))\.[A-Za-z_][A-Za-z0-9_]*",
    re.ASCII,
)
PACKAGE_PREFIX = re.compile(r"([A-Za-z_][A-Za-z0-9_]{0,63}\.){1,3}(?=(models|utils)\.)", re.ASCII)
"""Prefix of module names where YOLOv5 is installed as a package, such as `yolov5.` of the one on PyPI."""
# Prefixes of names that are refused with a specific reason.
UNSUPPORTED_MODELS = {
    "ultralytics.": "it is a model of the ultralytics package (YOLOv8 or later), which tfyolo does not load",
}


@dataclass(frozen=True, eq=False)
class Global:
    """A class or function that the pickle names; never the class itself.

    Attributes:
        name: dotted name, such as `models.common.Conv`.
        kind: `storage`, `module`, or a value of `KINDS`: what the reader does with it.
    """

    name: str
    kind: str


@dataclass(eq=False)
class PickledObject:
    """An object that unpickling would create by `of(*args)` and `__setstate__(state)`.

    Attributes:
        of: class or function.
        args: positional arguments.
        state: argument of `__setstate__`; None for none.
    """

    of: Global
    args: tuple[object, ...] = ()
    state: object = None


@dataclass(frozen=True)
class Storage:
    """A storage that one or more tensors share.

    Attributes:
        key: name of its entry in the archive, `data/KEY`.
        code: type of its items, a key of `ITEM_BYTES`.
        length: number of items.
    """

    key: str
    code: str
    length: int


@dataclass(frozen=True, eq=False)
class TensorView:
    """A tensor that has not been read yet: a view of a `Storage`.

    Attributes:
        storage: storage with the items.
        offset: index of the first item.
        shape: size of each dimension.
        strides: items between neighbors along each dimension.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of items."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class OpaqueObject:
    """Placeholder for an attribute whose value is not read, such as a `torch.device`."""

    class_name: str


@dataclass
class Budget:
    """Limit of the work on one checkpoint: a small file can describe an exponentially large structure.

    Attributes:
        left: amount that may still be spent.
        what: what a checkpoint beyond the limit describes, for the message.
    """

    left: int
    what: str

    def spend(self, amount: int = 1) -> None:
        """Take `amount`; raises `RefusedError` when nothing is left."""
        self.left -= amount
        if self.left < 0:
            raise RefusedError(f"it contains {self.what}")


def shown(text: object) -> str:
    """Return text of a file in a form that is safe to print: ASCII, one line, at most 80 characters."""
    return str(text)[:80].encode("unicode_escape").decode("ascii")


def find_global(module: str, name: str) -> Global:
    """Return the `Global` for `module.name`; raise `RefusedError` if no YOLOv5 checkpoint needs it."""
    full = f"{module}.{name}"
    package = PACKAGE_PREFIX.match(full)
    if package and MODULE.fullmatch(full, package.end()) and not full.startswith("ultralytics."):
        full = full[package.end() :]
    for start, reason in UNSUPPORTED_MODELS.items():
        if full.startswith(start):
            raise RefusedError(reason, "pass a checkpoint of YOLOv5")
    kind = "storage" if full in STORAGES else "module" if MODULE.fullmatch(full) else KINDS.get(full)
    if kind is None:
        raise RefusedError(f"its pickle refers to {shown(full)}, which no YOLOv5 checkpoint needs")
    return Global(full, kind)


def rebuild_tensor(args: tuple[object, ...]) -> TensorView:
    """Check the arguments of `torch._utils._rebuild_tensor_v2(storage, offset, shape, strides, ...)`.

    Returns:
        A view of the storage, whose numbers are not read yet.

    Raises:
        RefusedError: the view reaches past the storage, or an argument is of the wrong type.
    """
    storage, offset, shape, strides = args[:4]
    if not isinstance(storage, Storage) or not isinstance(shape, tuple) or not isinstance(strides, tuple):
        raise RefusedError("it contains a tensor without a storage, a shape or strides")
    if len(shape) != len(strides) or len(shape) > MAX_DIMENSIONS:
        raise RefusedError(f"it contains a tensor with {len(shape)} dimensions but {len(strides)} strides")
    numbers = (offset, *shape, *strides)
    if not all(type(number) is int and 0 <= number < MAX_LENGTH for number in numbers):
        raise RefusedError("it contains a tensor with an invalid shape, stride or offset")
    view = TensorView(storage, offset, shape, strides)  # type: ignore[arg-type]
    last = view.offset + sum((n - 1) * step for n, step in zip(view.shape, view.strides, strict=True))
    if view.size and last >= storage.length:
        raise RefusedError(f"it contains a tensor that extends past the end of its storage {storage.key}")
    return view


def scalar_value(item: PickledObject) -> bool | int | float | None:
    """Return a NumPy scalar or an array of one item (`best_fitness`) as a number; None for anything else."""
    dtype: object = None
    raw: object = None
    if item.of.kind == "scalar" and len(item.args) == 2:
        dtype, raw = item.args
    elif item.of.kind == "array" and isinstance(item.state, tuple) and len(item.state) == 5:
        dtype, raw = item.state[2], item.state[4]
    if not (
        isinstance(dtype, PickledObject)
        and dtype.of.kind == "dtype"
        and dtype.args
        and isinstance(raw, bytes)
    ):
        return None
    codes = {
        "f8": "d",
        "f4": "f",
        "f2": "e",
        "i8": "q",
        "i4": "i",
        "i2": "h",
        "i1": "b",
        "u1": "B",
        "b1": "?",
    }
    code = codes.get(dtype.args[0]) if isinstance(dtype.args[0], str) else None
    big = isinstance(dtype.state, tuple) and len(dtype.state) > 1 and dtype.state[1] == ">"
    if code is None or len(raw) != struct.calcsize(f"<{code}"):
        return None
    return struct.unpack((">" if big else "<") + code, raw)[0]
