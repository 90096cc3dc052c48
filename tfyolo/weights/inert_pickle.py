"""Reads the pickle of a checkpoint as data: an interpreter of the opcodes that `torch.save` writes.

Python's own unpickler imports and calls what a file names; even a subclass of it that answers only from an
allow-list still calls, sets attributes on and allocates memory for what the file asks. This interpreter has
nothing to call: REDUCE and NEWOBJ make records (`torch_globals.py`), BUILD keeps the state beside the record,
and every opcode that is not in its table is refused. PyTorch's `weights_only` unpickler works the same way.

The result is made of None, bool, int, float, str, bytes, list, tuple, dict (keys str or int),
`PickledObject`, `Global`, `Storage` and `TensorView`. It may be deeply nested, shared or cyclic;
`torch_file.py` bounds that.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping

from tfyolo.weights.torch_globals import (
    ITEM_BYTES,
    STORAGES,
    Budget,
    Global,
    OpaqueObject,
    PickledObject,
    RefusedError,
    Storage,
    find_global,
    rebuild_tensor,
    shown,
)

# YOLOv5n has about 40,000, x6 with its optimizer an estimated 400,000. This many take about a second.
MAX_OPCODES = 1_500_000
MAX_PICKLE = 16 * 2**20  # bytes; YOLOv5n has 0.09 MB, x6 with its optimizer an estimated 1 MB
MAX_COPIED = 8_000_000  # items or characters that calls copy: a memoized list may be copied at every call


def loads(data: bytes, storage_bytes: Mapping[str, int]) -> object:
    """Interpret `data`, the content of a checkpoint's `data.pkl`.

    Args:
        data: the pickle; nothing in it is trusted.
        storage_bytes: size in bytes of every entry `data/KEY` of the archive, by KEY.

    Returns:
        The object that the pickle describes, as records.

    Raises:
        RefusedError: it holds something that no checkpoint needs.
        IndexError, TypeError, ValueError, KeyError, ...: it is damaged.

    Example:
        >>> loads(b"\\x80\\x02}X\\x02\\x00\\x00\\x00ncK\\x50s.", {})
        {'nc': 80}
    """
    return _Interpreter(data, storage_bytes).run()


def loads_legacy(data: bytes, at: int, claimed: dict[str, Storage], file_bytes: int) -> tuple[object, int]:
    """Interpret one of the pickles that follow each other in a file of PyTorch before 1.6.

    Args:
        data: the beginning of the file; nothing in it is trusted.
        at: offset of the pickle in bytes.
        claimed: takes the storages that the pickle refers to. They come after it, so that what it claims of
            them is to be compared with what is there (`torch_legacy.py`).
        file_bytes: size of the file, which bounds what a storage can be claimed to hold.

    Returns:
        The object, and where the next pickle begins.

    Raises:
        As `loads`.
    """
    interpreter = _Legacy(data, {}, at)
    interpreter.claimed, interpreter.file_bytes = claimed, file_bytes
    return interpreter.run(), interpreter.at


class _Interpreter:
    """A stack machine; one method or lambda per opcode, named as in `pickletools`."""

    def __init__(self, data: bytes, storage_bytes: Mapping[str, int], at: int = 0) -> None:
        self.data, self.at = data, at
        self.storage_bytes = storage_bytes
        self.stack: list[object] = []
        self.marks: list[list[object]] = []  # the stacks that lie below each MARK
        self.memo: dict[int, object] = {}
        self.copies = Budget(MAX_COPIED, "more parts than any YOLOv5 model")

    def run(self) -> object:
        table = self._table()
        for _ in range(MAX_OPCODES):
            code = self.data[self.at]
            self.at += 1
            if code == 0x2E:  # STOP
                return self.stack.pop()
            operation = table.get(code)
            if operation is None:
                raise RefusedError(
                    f"its pickle contains the opcode 0x{code:02x}, which no YOLOv5 checkpoint needs"
                )
            operation()
        raise RefusedError("its pickle is too long for a YOLOv5 checkpoint")

    def _table(self) -> dict[int, Callable[[], None]]:
        push = lambda value: self.stack.append(value)  # noqa: E731
        number, text = self._number, self._text
        by_letter: dict[bytes, Callable[[], None]] = {
            b"\x80": lambda: self._skip(1),  # PROTO
            b"\x95": lambda: self._skip(8),  # FRAME
            b"N": lambda: push(None),
            b"\x88": lambda: push(True),
            b"\x89": lambda: push(False),
            b"K": lambda: push(number("<B")),  # BININT1
            b"M": lambda: push(number("<H")),  # BININT2
            b"J": lambda: push(number("<i")),  # BININT
            b"\x8a": lambda: push(int.from_bytes(self._take(number("<B")), "little", signed=True)),  # LONG1
            b"G": lambda: push(struct.unpack(">d", self._take(8))[0]),  # BINFLOAT
            b"X": lambda: push(text("<I")),  # BINUNICODE
            b"\x8c": lambda: push(text("<B")),  # SHORT_BINUNICODE
            b"B": lambda: push(self._take(number("<I"))),  # BINBYTES
            b"C": lambda: push(self._take(number("<B"))),  # SHORT_BINBYTES
            b"(": self._mark,
            b"]": lambda: push([]),
            b"}": lambda: push({}),
            b")": lambda: push(()),
            b"\x85": lambda: self._tuple(1),
            b"\x86": lambda: self._tuple(2),
            b"\x87": lambda: self._tuple(3),
            b"t": lambda: push(tuple(self._pop_mark())),
            b"a": lambda: self._append([self.stack.pop()]),
            b"e": lambda: self._append(self._pop_mark()),
            b"s": lambda: self._set_items(self._pop(2)),
            b"u": lambda: self._set_items(self._pop_mark()),
            b"q": lambda: self._put(number("<B")),  # BINPUT
            b"r": lambda: self._put(number("<I")),  # LONG_BINPUT
            b"\x94": lambda: self._put(len(self.memo)),  # MEMOIZE
            b"h": lambda: push(self.memo[number("<B")]),  # BINGET
            b"j": lambda: push(self.memo[number("<I")]),  # LONG_BINGET
            b"c": lambda: push(find_global(self._line(), self._line())),  # GLOBAL
            b"\x93": self._stack_global,
            b"i": self._inst,
            b"Q": self._persistent,  # BINPERSID
            b"R": self._reduce,
            b"\x81": self._reduce,  # NEWOBJ: to records the same as REDUCE
            b"b": self._build,
        }
        return {letter[0]: operation for letter, operation in by_letter.items()}

    # Bytes of the pickle

    def _skip(self, count: int) -> None:
        self._take(count)

    def _take(self, count: int) -> bytes:
        part = self.data[self.at : self.at + count]
        if len(part) != count:  # checked before anything is allocated for a length that the file only claims
            raise IndexError("the pickle ends early")
        self.at += count
        return part

    def _number(self, form: str) -> int:
        value = struct.unpack_from(form, self.data, self.at)[0]
        self.at += struct.calcsize(form)
        return value

    def _text(self, form: str) -> str:
        return self._take(self._number(form)).decode("utf-8")

    def _line(self) -> str:
        end = self.data.index(b"\n", self.at, self.at + 1000)
        return self._take(end + 1 - self.at)[:-1].decode("utf-8")

    # Stack and memo

    def _pop(self, count: int) -> list[object]:
        if len(self.stack) < count:
            raise IndexError("the pickle's stack is empty")
        items = self.stack[-count:]
        del self.stack[-count:]
        return items

    def _mark(self) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def _pop_mark(self) -> list[object]:
        items, self.stack = self.stack, self.marks.pop()
        return items

    def _tuple(self, count: int) -> None:
        self.stack.append(tuple(self._pop(count)))

    def _put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def _append(self, items: list[object]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise RefusedError("its pickle appends to an object that is not a list")
        target.extend(items)

    def _set_items(self, items: list[object]) -> None:
        target = self.stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise RefusedError("its pickle sets items of an object that is not a dictionary")
        _fill(target, zip(items[::2], items[1::2], strict=True))

    # Names, storages, objects

    def _stack_global(self) -> None:
        module, name = self._pop(2)
        if not (isinstance(module, str) and isinstance(name, str)):
            raise RefusedError("its pickle refers to a global whose name is not a string")
        self.stack.append(find_global(module, name))

    def _inst(self) -> None:
        find_global(self._line(), self._line())  # says which name it was, where the name is the reason
        raise RefusedError("its pickle contains the opcode INST, which no YOLOv5 checkpoint needs")

    def _persistent(self) -> None:
        identity = self.stack.pop()
        if not (isinstance(identity, tuple) and len(identity) == 5 and identity[0] == "storage"):
            raise RefusedError("its pickle has a persistent id that is not a storage")
        code, key, length = _storage(identity)
        if key not in self.storage_bytes:
            raise RefusedError(f"its storage data/{shown(key)} is missing from the archive")
        if not 0 <= length * ITEM_BYTES[code] <= self.storage_bytes[key]:
            raise RefusedError(f"its storage data/{shown(key)} is smaller than the pickle declares")
        self.stack.append(Storage(key, code, length))

    def _reduce(self) -> None:
        of, args = self._pop(2)
        if not isinstance(of, Global) or not isinstance(args, tuple) or of.kind == "storage":
            raise RefusedError("its pickle calls an object that is not on the allow-list")
        if args and isinstance(args[0], list | tuple | dict | str):
            self.copies.spend(len(args[0]))
        value: object
        if of.kind == "tensor":
            value = rebuild_tensor(args)
        elif of.kind == "parameter":
            value = args[0]  # a parameter is its tensor; the rest is for training
        elif of.kind == "dict":
            value = _fill({}, args[0] if args else ())
        elif of.kind in ("set", "tuple"):
            value = tuple(args[0]) if args and isinstance(args[0], list | tuple) else ()
        elif of.kind == "encode" and len(args) == 2 and isinstance(args[0], str) and args[1] == "latin1":
            value = args[0].encode("latin-1")
        elif of.kind == "method":
            value = _method(of, args)
        else:
            value = PickledObject(of, args)
        self.stack.append(value)

    def _build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, PickledObject) and target.state is None:
            target.state = state
        elif type(target) is not dict:  # the state of a dictionary is `_metadata` of a state dict: dropped
            raise RefusedError("its pickle sets the state of an object that does not accept one")


class _Legacy(_Interpreter):
    """The same for PyTorch before 1.6, where a class is named together with its source code."""

    claimed: dict[str, Storage]
    file_bytes: int

    def _persistent(self) -> None:
        identity = self.stack.pop()
        kind = identity[0] if isinstance(identity, tuple) and identity else None
        if kind == "module" and len(identity) == 4:  # type: ignore[arg-type]
            named = identity[1]  # type: ignore[index]
            if not (isinstance(named, Global) and named.kind == "module"):
                raise RefusedError("its pickle contains the source code of an object that is not a module")
            self.stack.append(named)
            return
        if kind != "storage" or len(identity) != 6 or identity[5] is not None:  # type: ignore[arg-type, index]
            raise RefusedError("its pickle has a persistent id that is not a storage")
        code, key, length = _storage(identity)  # type: ignore[arg-type]
        if not 0 <= length * ITEM_BYTES[code] <= self.file_bytes:
            raise RefusedError(f"its storage {shown(key)} is larger than the file")
        storage = self.claimed.setdefault(key, Storage(key, code, length))
        if (storage.code, storage.length) != (code, length):
            raise RefusedError(f"its pickle contains two different descriptions of the storage {shown(key)}")
        self.stack.append(storage)


def _method(of: Global, args: tuple[object, ...]) -> OpaqueObject:
    """Return an inert stand-in for the forward method of a module's class, the only named attribute."""
    owner = args[0] if args else None
    if args[1:] != ("forward",) or not (isinstance(owner, Global) and owner.kind == "module"):
        raise RefusedError(f"its pickle refers to {of.name}, which YOLOv5 needs only for one method")
    return OpaqueObject(f"{owner.name}.forward")


def _storage(identity: tuple[object, ...]) -> tuple[str, str, int]:
    """Kind of numbers, key and length of a storage that a pickle names."""
    kind, key, length = identity[1], identity[2], identity[4]
    if not (isinstance(kind, Global) and kind.kind == "storage" and isinstance(key, str)):
        raise RefusedError("its pickle refers to a storage without type or key")
    if type(length) is not int:
        raise RefusedError(f"its storage {shown(key)} has no valid length")
    return STORAGES[kind.name], key, length


def _fill(target: dict[object, object], pairs: Iterable[object]) -> dict[object, object]:
    """Put (key, value) pairs into `target`.

    Keys are str or int under 64 bits: what checkpoints use, and what cannot be crafted to hash alike at will.
    """
    for pair in pairs:
        if not isinstance(pair, list | tuple):
            raise RefusedError("its pickle builds a dictionary from items that are not pairs")
        key, value = pair
        if type(key) is not str and (type(key) is not int or not -(2**60) < key < 2**60):
            raise RefusedError(f"its pickle contains a dictionary with a key of type {type(key).__name__}")
        target[key] = value
    return target
