"""Vets untrusted TorchScript archives before PyTorch loads and runs them.

TorchScript is a programming language, and PyTorch calls methods such as `__setstate__` while it loads a file.
Guarantees:

- Loading runs no code: the only function in the archive's sources is `forward` (`vetted_archive`).
- Allow-list: the loaded graph contains ATen operations and the listed `prim` operations only, and none of the
  ATen operations that access files, threads or streams (`check_operations`).

Memory and arithmetic are not bounded.
"""

from __future__ import annotations

import re
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

from tfyolo.errors import TfyoloError
from tfyolo.inputs import MODEL, open_input

_MAX_UNPACKED_BYTES = 64 * 1024 * 1024
"""Bytes by which the unpacked archive may exceed the file; weights are not compressed."""
_FUNCTION = re.compile(r"\bdef\b\W*(\w*)")
_ALLOWED_PRIM = """
Constant GetAttr ImplicitTensorToNum ListConstruct ListUnpack NumToTensor TupleConstruct TupleIndex
TupleUnpack device dtype
"""
ALLOWED_PRIM = frozenset(_ALLOWED_PRIM.split())
"""`prim` operations of traced graphs: no loops, branches, calls, threads, printing, or Python calls."""
_REFUSED_ATEN = frozenset(["aten::save", "aten::from_file", "aten::wait", "aten::warn"])


def vetted_archive(path: Path) -> BytesIO:
    """Return a copy of the archive that runs no code when PyTorch loads it.

    PyTorch loads the copy instead of the file, since two zip readers may disagree about a malformed archive.

    Args:
        path: the `.torchscript` file.

    Raises:
        TfyoloError: the file is damaged, or defines functions other than `forward`.
    """
    copy = BytesIO()
    try:
        with (
            open_input(path, MODEL) as file,
            zipfile.ZipFile(file) as archive,
            zipfile.ZipFile(copy, "w") as writer,
        ):
            entries = archive.infolist()
            size = sum(entry.file_size for entry in entries)
            if len({entry.filename.lower() for entry in entries}) < len(entries):
                raise zipfile.BadZipFile("duplicate names")
            if size > path.stat().st_size + _MAX_UNPACKED_BYTES:
                raise zipfile.BadZipFile("unpacked size is too large")
            for entry in entries:
                content = archive.read(entry)
                if entry.filename.lower().endswith(".py"):
                    for name in _FUNCTION.findall(content.decode()):
                        if name != "forward":
                            raise _refused(f"the function {name[:40]}", path)
                writer.writestr(entry.filename, content)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError, OSError) as error:
        raise TfyoloError("is damaged or not a TorchScript file", path=path, fix="export it again") from error
    copy.seek(0)
    return copy


def check_operations(operations: dict[str, int], path: Path) -> None:
    """Refuse a graph with operations that are not on the allow-list.

    Args:
        operations: number of each operation, by its qualified name such as `aten::add`.
        path: the `.torchscript` file, for messages.

    Raises:
        TfyoloError: the message names the operation.
    """
    for operation in operations:
        namespace, _, name = operation.partition("::")
        allowed = namespace == "aten" or (namespace == "prim" and name in ALLOWED_PRIM)
        if operation in _REFUSED_ATEN or not allowed:
            raise _refused(f"the operation {operation}", path)


def _refused(item: str, path: Path) -> TfyoloError:
    return TfyoloError(
        f"contains {item}, which exported models do not need, so it is not run",
        path=path,
        fix="use files that you or people you trust have exported",
    )


def count_operations(module: Any) -> dict[str, int]:
    """Return the number of each operation in a ScriptModule, including nested blocks."""
    counts: dict[str, int] = {}
    pending = [module.inlined_graph]
    while pending:
        for node in pending.pop().nodes():
            counts[node.kind()] = counts.get(node.kind(), 0) + 1
            pending += node.blocks()
    return counts
