"""Runs a `.torchscript` file with PyTorch, on the CPU or a GPU."""

from __future__ import annotations

import re
import warnings
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.errors import TfyoloError
from tfyolo.export.runtime.base import (
    MAX_JSON_BYTES,
    Runtime,
    Sharing,
    channels_first,
    check_outputs,
    pixels_of,
)
from tfyolo.export.runtime.inspection import Inspection, noted
from tfyolo.inputs import MODEL, open_input
from tfyolo.libraries import keep_triton_out
from tfyolo.models.contract import FILE_NAME, Contract

_MAX_CODE_BYTES = 64 * 1024 * 1024
_FUNCTION = re.compile(r"\bdef\b\W*(\w*)")
_STRUCTURE = frozenset(
    """
    Constant GetAttr ImplicitTensorToNum ListConstruct ListUnpack NumToTensor TupleConstruct TupleIndex
    TupleUnpack device dtype
    """.split()  # noqa: SIM905
)
"""What traced graphs have of `prim`: no loops, branches, calls, threads, prints or Python."""
_REFUSED = frozenset(["aten::save", "aten::from_file", "aten::wait", "aten::warn"])
"""Operations that touch files, threads or streams; TorchScript is a programming language."""


class TorchScriptRuntime(Runtime):
    """A `.torchscript` file that `tfyolo export` wrote.

    Args:
        path: the file.
        threads: of the CPU; PyTorch's own choice by default.

    Raises:
        TfyoloError: the file is damaged, or not one of tfyolo's, or more than arithmetic.
    """

    sharing = Sharing.SAFE  # PyTorch's interpreter of TorchScript takes concurrent calls

    def __init__(self, path: Path, threads: int | None = None) -> None:
        keep_triton_out()
        import torch

        self.contract = _contract(path)
        self.input_hw = self.contract.image_size
        if threads:
            torch.set_num_threads(threads)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._module = _load(path, self._device)
        self._names = list(self.contract.export.get("outputs", ()))
        check_outputs(self._names, self.contract, path)
        self.path = path

    def _open(self) -> Any:
        return self._module

    def _run(self, session: Any, images: np.ndarray, confidence: float) -> dict[str, np.ndarray]:
        import torch

        pixels = torch.from_numpy(pixels_of(channels_first(images), uint8=False)).to(self._device)
        with torch.no_grad():
            found = session(pixels)
        tensors = found if isinstance(found, tuple | list) else (found,)
        if len(tensors) != len(self._names):
            raise TfyoloError(
                f"gives {len(tensors)} outputs, but its {FILE_NAME} names {len(self._names)}",
                fix="export it again",
            )
        return dict(zip(self._names, (tensor.cpu().numpy() for tensor in tensors), strict=True))


def _contract(path: Path) -> Contract:
    """From the archive itself; PyTorch is not needed."""
    try:
        with open_input(path, MODEL) as file, zipfile.ZipFile(file) as archive:
            inside = [name for name in archive.namelist() if name.endswith(f"/extra/{FILE_NAME}")]
            if not inside or archive.getinfo(inside[0]).file_size > MAX_JSON_BYTES:
                raise TfyoloError(
                    f"holds no {FILE_NAME}, so its classes and anchors are unknown",
                    path=path,
                    fix="write it with `tfyolo export --include torchscript`",
                )
            return Contract.from_json(archive.read(inside[0]), path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError) as error:
        raise TfyoloError("is damaged or no TorchScript file", path=path, fix="export it again") from error


def _load(path: Path, device: str) -> Any:
    keep_triton_out()
    import torch

    archive = _looked_through(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # that it will go away some day
            module = torch.jit.load(archive, map_location=device).eval()
        kinds = _operations(module)
    except (RuntimeError, ValueError, OSError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise TfyoloError(f"PyTorch cannot read it: {reason}", path=path, fix="export it again") from error
    for kind in kinds:
        space, _, name = kind.partition("::")
        if kind in _REFUSED or not (space == "aten" or (space == "prim" and name in _STRUCTURE)):
            raise _foreign(f"the operation {kind}", path)
    return module


def _looked_through(path: Path) -> BytesIO:
    """A copy of the archive, of which it is known that loading it runs nothing.

    PyTorch calls methods such as `__setstate__` while it loads. Our modules have `forward` alone. The
    copy is what is loaded, since two readers of zip files may disagree about an odd one.
    """
    copy = BytesIO()
    try:
        with (
            open_input(path, MODEL) as file,
            zipfile.ZipFile(file) as archive,
            zipfile.ZipFile(copy, "w") as written,
        ):
            entries = archive.infolist()
            size = sum(entry.file_size for entry in entries)
            if len({entry.filename.lower() for entry in entries}) < len(entries):
                raise zipfile.BadZipFile("names that occur twice")
            if size > path.stat().st_size + _MAX_CODE_BYTES:
                raise zipfile.BadZipFile("it would unpack to far more")
            for entry in entries:
                content = archive.read(entry)
                if entry.filename.lower().endswith(".py"):
                    for name in _FUNCTION.findall(content.decode()):
                        if name != "forward":
                            raise _foreign(f"the function {name[:40]}", path)
                written.writestr(entry.filename, content)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError, OSError) as error:
        raise TfyoloError("is damaged or no TorchScript file", path=path, fix="export it again") from error
    copy.seek(0)
    return copy


def _foreign(what: str, path: Path) -> TfyoloError:
    return TfyoloError(
        f"holds {what}, which no exported model needs, and is not run",
        path=path,
        fix="use files that you or people you trust have exported",
    )


def _operations(module: Any) -> dict[str, int]:
    """How many of each operation there are, blocks inside others included."""
    counts: dict[str, int] = {}
    todo = [module.inlined_graph]
    while todo:
        for node in todo.pop().nodes():
            counts[node.kind()] = counts.get(node.kind(), 0) + 1
            todo += node.blocks()
    return counts


def inspect(path: Path) -> Inspection:
    """What a `.torchscript` file holds; nothing is run.

    Raises:
        TfyoloError: the file is damaged, or not one of tfyolo's.
    """
    contract = _contract(path)
    module = _load(path, "cpu")
    counts = {kind: n for kind, n in _operations(module).items() if kind.startswith("aten::")}
    return replace(noted(contract), operators=counts)
