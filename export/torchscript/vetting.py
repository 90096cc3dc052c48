"""Vets untrusted TorchScript archives before PyTorch loads and runs them.

TorchScript is a programming language, and PyTorch calls methods such as `__setstate__` while it loads a file.
Guarantees:

- Loading runs no code: the only function in the archive's sources is `forward` (`vetted_archive`).
- Allow-list: the loaded graph contains only the listed operations (`check_operations`). Others of ATen access
  files, threads or streams, or trust their arguments and write outside of their tensors.
- All tensors in the file are dense (`check_tensors`).

Memory and arithmetic are not bounded.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from tfyolo.errors import TfyoloError
from tfyolo.export.runtime.budget import foreign
from tfyolo.inputs import MODEL, open_input

UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    OSError,
)
"""What Python's zip reader raises about damaged archives."""
_MAX_UNPACKED_BYTES = 64 * 1024 * 1024
"""Bytes by which the unpacked archive may exceed the file; weights are not compressed."""
_FUNCTION = re.compile(r"\bdef\b\W*(\w*)")
_ALLOWED_PRIM = """
Constant GetAttr ImplicitTensorToNum ListConstruct ListUnpack NumToTensor TupleConstruct TupleIndex
TupleUnpack device dtype
"""
ALLOWED_PRIM = frozenset(_ALLOWED_PRIM.split())
"""`prim` operations of traced graphs: no loops, branches, calls, threads, printing, or Python calls."""
_ALLOWED_ATEN = """
Bool Float FloatImplicit Int IntImplicit ScalarImplicit _convolution _softmax abs adaptive_avg_pool2d add
addmm alias amax amin arange argmax argmin avg_pool2d baddbmm batch_norm bitwise_and bitwise_not bitwise_or
bmm broadcast_to cat ceil celu chunk clamp clamp_max clamp_min clone constant_pad_nd contiguous conv2d
conv_transpose2d convolution cos cumsum detach dim div dropout elu eq erf exp expand expand_as
fake_quantize_per_channel_affine fake_quantize_per_tensor_affine flatten floor floor_divide full full_like
gather ge gelu glu group_norm gt hardsigmoid hardswish hardtanh index_select instance_norm item layer_norm
le leaky_relu linear log log_softmax logical_and logical_not logical_or logical_xor lt masked_fill matmul
max max_pool2d maximum mean meshgrid min minimum mish mm mul narrow ne neg new_zeros numel ones ones_like
pad permute pixel_shuffle pow prelu prod reciprocal reflection_pad2d relu relu6 remainder repeat
repeat_interleave replication_pad2d reshape rms_norm round rsqrt rsub scaled_dot_product_attention select
selu sigmoid sign silu sin size slice softmax softplus softsign sort split split_with_sizes sqrt square
squeeze stack std sub sum t tanh to topk transpose tril triu true_divide type_as unbind unflatten unsqueeze
upsample_bicubic2d upsample_bilinear2d upsample_nearest2d var view where zeros zeros_like
"""
ALLOWED_ATEN = frozenset(_ALLOWED_ATEN.split())
"""ATen operations of traced networks, which check their arguments; `relu` includes `relu_`."""


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
                            raise foreign(f"the function {name[:40]}", path)
                writer.writestr(entry.filename, content)
    except UNREADABLE as error:
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
        names = {"aten": ALLOWED_ATEN, "prim": ALLOWED_PRIM}.get(namespace, frozenset())
        if name not in names and name.removesuffix("_") not in names:
            raise foreign(f"the operation {operation}", path)


def check_tensors(module: Any, path: Path) -> None:
    """Refuse a module with sparse or nested tensors, whose indices are not checked when they are loaded.

    Args:
        module: the loaded ScriptModule.
        path: the `.torchscript` file, for messages.

    Raises:
        TfyoloError: the message names the layout.
    """
    import torch

    for tensor in (*module.parameters(), *module.buffers(), *_constants(module)):
        if tensor.layout != torch.strided or tensor.is_nested:
            raise foreign(f"a tensor of the layout {tensor.layout}", path)


def _constants(module: Any) -> Iterator[Any]:
    """Yield the tensors among the constants of a graph."""
    for node in _nodes(module):
        if node.kind() == "prim::Constant" and node.hasAttribute("value") and node.kindOf("value") == "t":
            yield node.t("value")


def _nodes(module: Any) -> Iterator[Any]:
    """Yield the nodes of a ScriptModule, including those of nested blocks."""
    pending = [module.inlined_graph]
    while pending:
        for node in pending.pop().nodes():
            yield node
            pending += node.blocks()


def count_operations(module: Any) -> dict[str, int]:
    """Return the number of each operation in a ScriptModule, including nested blocks."""
    return dict(Counter(node.kind() for node in _nodes(module)))
