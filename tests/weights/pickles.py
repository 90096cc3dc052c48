"""Writes small checkpoints by hand: pickle opcodes and zip entries, honest or hostile, without PyTorch."""

from __future__ import annotations

import io
import pickletools
import struct
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tfyolo.weights.inert_pickle import loads_legacy


@dataclass(frozen=True)
class Name:
    """GLOBAL module.name"""

    module: str
    name: str


@dataclass
class Call:
    """REDUCE, or NEWOBJ where `new`; then BUILD where there is a state."""

    of: Name
    args: object = ()
    state: object = None
    new: bool = False


@dataclass(frozen=True)
class Persistent:
    """BINPERSID of a tuple."""

    identity: tuple


@dataclass(frozen=True)
class Raw:
    """Opcodes as they are."""

    opcodes: bytes


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def opcodes(value: object) -> bytes:
    """The opcodes that push `value`."""
    if value is None or isinstance(value, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    if isinstance(value, int):
        data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        return (
            b"J" + struct.pack("<i", value)
            if -(2**31) <= value < 2**31
            else b"\x8a" + bytes([len(data)]) + data
        )
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    if isinstance(value, str):
        return text(value)
    if isinstance(value, bytes):
        return b"B" + struct.pack("<I", len(value)) + value
    if isinstance(value, tuple):
        return b"(" + b"".join(map(opcodes, value)) + b"t"
    if isinstance(value, list):
        return b"](" + b"".join(map(opcodes, value)) + b"e"
    if isinstance(value, dict):
        return b"}(" + b"".join(opcodes(k) + opcodes(v) for k, v in value.items()) + b"u"
    if isinstance(value, Name):
        return f"c{value.module}\n{value.name}\n".encode()
    if isinstance(value, Persistent):
        return opcodes(value.identity) + b"Q"
    if isinstance(value, Call):
        made = opcodes(value.of) + opcodes(value.args) + (b"\x81" if value.new else b"R")
        return made + (b"" if value.state is None else opcodes(value.state) + b"b")
    assert isinstance(value, Raw), value
    return value.opcodes


def pickled(value: object) -> bytes:
    return b"\x80\x02" + opcodes(value) + b"."


def module(name: str, *, children=None, parameters=None, buffers=None, **attributes) -> Call:
    """A pickled torch.nn.Module; `name` is dotted, e.g. "models.common.Conv"."""
    parent, _, last = name.rpartition(".")
    state = {"training": False, "_parameters": parameters or {}, "_buffers": buffers or {}}
    state |= {"_modules": children or {}, **attributes}
    return Call(Name(parent, last), (), state, new=True)


def tensor(key: str, length: int, shape: tuple, strides: tuple, offset=0, kind="Float") -> Call:
    storage = Persistent(("storage", Name("torch", f"{kind}Storage"), key, "cpu", length))
    args = (storage, offset, shape, strides, False, Call(Name("collections", "OrderedDict")))
    return Call(Name("torch._utils", "_rebuild_tensor_v2"), args)


def archive(data: bytes, storages: dict[str, bytes] | None = None, *, root="x", more=None, **kwargs) -> bytes:
    """A checkpoint archive as bytes; `kwargs` go to zipfile, e.g. compression."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **kwargs) as out:
        out.writestr(f"{root}/data.pkl", data)
        for key, content in (storages or {}).items():
            out.writestr(f"{root}/data/{key}", content)
        for name, content in (more or {}).items():
            out.writestr(name, content)
    return file.getvalue()


LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."


def legacy(data: bytes, storages: dict[str, tuple[int, bytes]] | None = None, **parts: bytes) -> bytes:
    """A checkpoint of PyTorch before 1.6.

    Args:
        data: the pickle of the checkpoint.
        storages: of each key the number of items, and the items.
        parts: other contents of `magic`, `version`, `machine` and `keys`.
    """
    storages = storages or {}
    machine = {
        "protocol_version": 1001,
        "little_endian": True,
        "type_sizes": {"short": 2, "int": 4, "long": 4},
    }
    whole = {"magic": LEGACY, "version": pickled(1001), "machine": pickled(machine), "data": data}
    whole |= {"keys": pickled(list(storages))}
    raw = b"".join(struct.pack("<q", count) + content for count, content in storages.values())
    return b"".join((whole | parts).values()) + raw


def with_six(data: bytes) -> bytes:
    """A pickle whose references to storages have the sixth part that PyTorch before 1.6 gives them."""
    tuples, last = [], 0
    for code, _, at in pickletools.genops(data):
        if code.name == "TUPLE":
            last = at
        elif code.name == "BINPERSID":
            tuples.append(last)
    for at in reversed(tuples):
        data = data[:at] + b"N" + data[at:]
    return data


def legacy_of(content: bytes) -> bytes:
    """A checkpoint archive as PyTorch before 1.6 would have written it."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        root = next(name for name in file.namelist() if name.endswith("/data.pkl"))[: -len("data.pkl")]
        data = with_six(file.read(f"{root}data.pkl"))
        claimed: dict = {}
        loads_legacy(data, 0, claimed, len(content))
        return legacy(data, {key: (x.length, file.read(f"{root}data/{key}")) for key, x in claimed.items()})


@dataclass
class Checkpoint:
    """A checkpoint with one convolution, whose parts a test may replace."""

    weight: np.ndarray = field(default_factory=lambda: np.arange(6, dtype=np.float32).reshape(2, 3))
    kind: str = "Float"
    entries: dict = field(default_factory=dict)
    more: dict = field(default_factory=dict)

    def network(self, **attributes) -> Call:
        shape = self.weight.shape
        strides = tuple(int(np.prod(shape[i + 1 :])) for i in range(len(shape)))
        made = Call(
            Name("torch._utils", "_rebuild_parameter"),
            (tensor("0", self.weight.size, shape, strides, kind=self.kind), True, None),
        )
        convolution = module("torch.nn.modules.conv.Conv2d", parameters={"weight": made, "bias": None})
        return module("models.yolo.Model", children={"conv": convolution}, yaml={"nc": 2}, **attributes)

    def write(self, path: Path) -> Path:
        content = self.entries or {"model": self.network()}
        path.write_bytes(archive(pickled(content), {"0": self.weight.tobytes()}, more=self.more))
        return path
