"""The network of a checkpoint as `Module`s: class name, attributes, children, tensors.

`Builder` makes them from the records of `inert_pickle.py` and bounds number, depth and size: a small file
can describe an exponentially large, cyclic or overlapping structure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tfyolo.weights.bounded_file import one_error
from tfyolo.weights.torch_archive import TorchArchive, open_archive
from tfyolo.weights.torch_globals import (
    ITEM_BYTES,
    Budget,
    Global,
    OpaqueObject,
    PickledObject,
    RefusedError,
    Storage,
    TensorView,
    scalar_value,
    shown,
)

# Far over any YOLOv5 (x6: some 750 modules 8 levels deep), far under what hurts.
MAX_PARTS = 300_000  # attribute values, modules and tensors of the model as the file shares them
MAX_WALK = 50_000  # modules and tensors as `walk` and `tensors` name them: a shared one counts at every place
MAX_DEPTH = 32  # of modules, and of lists and dictionaries in attributes
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # one part of a dotted name
DOTTED = re.compile(r"[A-Za-z0-9_-]{1,64}(\.[A-Za-z0-9_-]{1,64}){0,31}")  # a name in a state dict
SMALL = 4096  # items; attribute tensors up to this size are read at once


@dataclass(eq=False, repr=False)
class Module:
    """An inert stand-in of a `torch.nn.Module`.

    Attributes:
        class_name: e.g. `models.common.C3`, `torch.nn.modules.activation.SiLU`.
        attributes: what was pickled beside parameters, buffers and modules (`yaml`, `names`, `nc`, `eps`,
            `negative_slope`, ...; names with a leading underscore are left out): None, bool, int, float, str,
            bytes, lists, tuples, dicts of these, numpy arrays (tensors of up to 4,096 items, such as `stride`
            and `class_weights`), and `OpaqueObject` for any other object.
        children: the modules directly inside, in their order. One module may stand at several places.

    Example:
        >>> from tfyolo.weights.torch_file import read_checkpoint
        >>> model = read_checkpoint("yolov5n.pt").model                         # doctest: +SKIP
        >>> [m.class_name for name, m in model.walk() if name == "model.0"]     # doctest: +SKIP
        ['models.common.Conv']
    """

    class_name: str
    attributes: dict[str, object] = field(default_factory=dict)
    children: dict[str, Module] = field(default_factory=dict)
    _views: dict[str, TensorView] = field(default_factory=dict)
    _path: Path = field(default_factory=Path)

    def __repr__(self) -> str:
        return f"Module({self.class_name!r}, children={list(self.children)})"

    def walk(self) -> Iterator[tuple[str, Module]]:
        """This module (name "") and all below it, depth first, by dotted name.

        A module with several parents (YOLOv5 v7.0 shares one SiLU among all `Conv`) is yielded for each.
        """
        todo: list[tuple[str, Module]] = [("", self)]
        while todo:
            name, module = todo.pop()
            yield name, module
            start = f"{name}." if name else ""
            todo += [(start + key, child) for key, child in reversed(module.children.items())]

    @property
    def numbers(self) -> int:
        """How many numbers all its tensors hold."""
        return sum(view.size for _, module in self.walk() for view in module._views.values())

    def tensors(self) -> dict[str, np.ndarray]:
        """All parameters and persistent buffers by dotted name, like PyTorch's `state_dict()`.

        The numbers are read from the file at each call. A tensor with several names is one array.

        Returns:
            Arrays in PyTorch's shapes (a convolution's weight is (out, in / groups, height, width)); float16
            and bfloat16 come as float32, every other dtype as it is.

        Raises:
            TfyoloError: the file is gone or damaged.
        """
        named: dict[str, TensorView] = {}
        for name, module in self.walk():
            start = f"{name}." if name else ""
            named.update((start + key, view) for key, view in module._views.items())
        with one_error(self._path):
            if not named:
                return {}
            with open_archive(self._path) as archive:
                arrays = _read(list(named.values()), archive)
        return {name: arrays[view] for name, view in named.items()}


def _read(views: list[TensorView], archive: TorchArchive) -> dict[TensorView, np.ndarray]:
    """The arrays of `views`; each storage is read once and dropped when its tensors are made."""
    arrays: dict[TensorView, np.ndarray] = {}
    content, key = b"", None
    for view in sorted(views, key=lambda view: view.storage.key):
        if view.storage.key != key:
            key = view.storage.key
            content = archive.storage(key)
        if view not in arrays:
            arrays[view] = _array(view, content, archive.byte_order)
    return arrays


def _array(view: TensorView, content: bytes, byte_order: str) -> np.ndarray:
    """`view` of the storage whose bytes are `content`, as a new contiguous array."""
    if not view.size:
        content, view = b"", TensorView(view.storage, 0, view.shape, (0,) * len(view.shape))
    code = {"bf16": "u2", "bool": "u1"}.get(view.storage.code, view.storage.code)
    dtype = np.dtype(byte_order + code)
    # A stride along a dimension of one item is never stepped, and may be any number.
    strides = tuple(
        step * dtype.itemsize if n > 1 else 0 for n, step in zip(view.shape, view.strides, strict=True)
    )
    if view.size:  # numpy checks here, once more, that shape and strides stay inside `content`
        window: np.ndarray = np.ndarray(view.shape, dtype, content, view.offset * dtype.itemsize, strides)
    else:
        window = np.zeros(view.shape, dtype)
    if view.storage.code == "bf16":  # the upper half of a float32
        return np.asarray(window.astype(np.uint32) << 16).view(np.float32)
    if view.storage.code == "bool":
        return np.asarray(window != 0)
    return window.astype(np.float32 if code == "f2" else dtype.newbyteorder("="), order="C")


class Builder:
    """Turns records into `Module`s, within bounds on their number, depth and size."""

    def __init__(self, archive: TorchArchive, path: Path) -> None:
        self.archive, self.path = archive, path
        self.parts = Budget(MAX_PARTS, "more parts than any YOLOv5 model")
        # Honest tensors do not overlap: together they are no larger than the file. A hostile file may hold
        # any number of views of one storage.
        self.bytes = Budget(2 * sum(archive.storage_bytes.values()) + 2**20, "more values than its storages")
        self.built: dict[
            int, tuple[Module, int, int]
        ] = {}  # by id of its record: module, levels, names in a walk
        self.counted: set[TensorView] = set()
        self.contents: dict[str, bytes] = {}
        self.arrays: dict[TensorView, np.ndarray] = {}

    def module(self, record: PickledObject, depth: int = 0) -> tuple[Module, int, int]:
        """The module of `record` and all below it, how many levels it has and how many names."""
        if id(record) in self.built:
            return self.built[id(record)]
        _check_depth(depth)  # also ends at a module that holds itself
        state = {} if record.state is None else record.state
        if record.of.kind != "module" or not isinstance(state, dict):
            raise RefusedError(f"its module {record.of.name} was not saved by PyTorch")
        module = Module(record.of.name, _path=self.path)
        skipped = self._skipped(state)
        for key, view in [*self._members(state, "_parameters"), *self._members(state, "_buffers")]:
            if view is None or key in skipped:
                continue
            if not isinstance(view, TensorView):
                raise RefusedError(f"its parameter or buffer `{key}` is not a tensor")
            self._count(view)
            module._views[key] = view
        levels, names = 1, 1 + len(module._views)
        for key, child in self._members(state, "_modules"):
            if child is None:
                continue
            if not isinstance(child, PickledObject):
                raise RefusedError(f"its submodule `{key}` is not a module")
            module.children[key], below, more = self.module(child, depth + 1)
            levels, names = max(levels, below + 1), names + more
        _check_depth(levels)
        if names > MAX_WALK:
            raise RefusedError("it contains more modules and tensors than any YOLOv5 model")
        self.parts.spend(len(state))
        for key, value in state.items():
            if isinstance(key, str) and not key.startswith("_"):
                module.attributes[key] = self._plain(value, 0)
        self.built[id(record)] = module, levels, names
        return self.built[id(record)]

    def state_dict(self, tensors: dict[object, object], attributes: dict[str, object]) -> Module:
        """A state dict as one module without parts, whose tensors have dotted names."""
        module = Module("collections.OrderedDict", _path=self.path)
        if len(tensors) > MAX_WALK:
            raise RefusedError("it contains more modules and tensors than any YOLOv5 model")
        for name, view in tensors.items():
            if not isinstance(name, str) or not DOTTED.fullmatch(name):
                raise RefusedError(f"it contains a tensor with an invalid name, `{shown(name)}`")
            if not isinstance(view, TensorView):
                raise RefusedError(f"`{shown(name)}` in its state dict is not a tensor")
            self._count(view)
            module._views[name] = view
        for key, value in attributes.items():
            module.attributes[key] = self._plain(value, 0)
        return module

    def _members(self, state: dict[object, object], group: str) -> list[tuple[str, object]]:
        members = state.get(group) or {}
        if not isinstance(members, dict):
            raise RefusedError(f"its module's `{group}` is not a dictionary")
        self.parts.spend(len(members) + 1)
        for key in members:
            if not isinstance(key, str) or not NAME.fullmatch(key):
                raise RefusedError(f"it contains a submodule with an invalid name, `{shown(key)}`")
        return list(members.items())

    def _skipped(self, state: dict[object, object]) -> set[str]:
        """Buffers that are not part of the state dict."""
        names = state.get("_non_persistent_buffers_set")
        if not isinstance(names, tuple):
            return set()
        self.parts.spend(len(names))
        return {name for name in names if isinstance(name, str)}

    def _count(self, view: TensorView) -> None:
        if view not in self.counted:
            self.counted.add(view)
            self.bytes.spend(view.size * ITEM_BYTES[view.storage.code])

    def _plain(self, value: object, depth: int) -> object:
        """An attribute as plain Python: copied, so that a shared or cyclic structure cannot grow later."""
        self.parts.spend()
        _check_depth(depth)
        if isinstance(value, list | tuple):
            items = [self._plain(item, depth + 1) for item in value]
            return items if isinstance(value, list) else tuple(items)
        if isinstance(value, dict):
            return {key: self._plain(item, depth + 1) for key, item in value.items()}
        if isinstance(value, TensorView):
            return self._small(value) if value.size <= SMALL else OpaqueObject("torch.Tensor")
        if isinstance(value, PickledObject):
            number = scalar_value(value)
            return OpaqueObject(value.of.name) if number is None else number
        if isinstance(value, Global):
            return OpaqueObject(value.name)
        return OpaqueObject("torch.Storage") if isinstance(value, Storage) else value

    def _small(self, view: TensorView) -> np.ndarray:
        self._count(view)
        if view not in self.arrays:
            key = view.storage.key
            if key not in self.contents:
                self.contents[key] = self.archive.storage(key)
            self.arrays[view] = _array(view, self.contents[key], self.archive.byte_order)
        return self.arrays[view]


def _check_depth(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise RefusedError(f"it is nested more than {MAX_DEPTH} levels deep")
