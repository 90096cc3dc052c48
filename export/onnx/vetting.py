"""Vets untrusted ONNX models before ONNX Runtime sees them.

Guaranteed of what `vetted` returns is:

- It holds operators of the allow-list alone (onnx_operators.py), of ONNX's own domain: no custom operators,
  no graphs inside operators, so neither loops nor branches, and no functions.
- It holds all its numbers itself. External data, which ONNX Runtime looks for in the working directory or
  anywhere else, is refused.
- Every shape is known before anything runs, and memory and arithmetic are bounded (budget.py). How many boxes
  are kept is not known: bounds hold for none and for as many as there can be. All that may be computed from
  that number is how much is padded (onnx_sizes.py), in a way that makes neither more in between.
- It is written anew from what has been vetted: no metadata, no declared shapes, no unknown fields, no format
  of ONNX Runtime's own.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from tfyolo.errors import TfyoloError
from tfyolo.export.onnx.child_process import check_bounds_in_child
from tfyolo.export.onnx.operators import ALLOWED
from tfyolo.export.onnx.shape_inference import item_bytes
from tfyolo.export.runtime.base import check_input
from tfyolo.export.runtime.budget import foreign, refused_operation

_DATA_FIELDS = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data")


def parse(content: bytes, path: Path) -> Any:
    """The ModelProto of a file.

    Raises:
        TfyoloError: it is none.
    """
    import onnx

    try:
        return onnx.load_model_from_string(content)
    except Exception as error:  # the protobuf library has several kinds
        raise TfyoloError("is damaged or no ONNX model", path=path, fix="export it again") from error


def vetted(model: Any, image_size: tuple[int, int], batch: int, path: Path) -> bytes:
    """A model's content for ONNX Runtime.

    Args:
        model: ModelProto; it is changed.
        image_size: height and width of images in pixels, of its contract.
        batch: most images at once.
        path: of the file, for messages.

    Raises:
        TfyoloError: naming what is refused.
    """
    graph = model.graph
    _check_parts(model, path)
    for node in graph.node:
        _check_node(node, path)
    names = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in names]
    wanted = (batch, 3, *image_size)
    check_input([(value.name, _declared(value)[1:]) for value in inputs], wanted[1:], path)
    (images,) = inputs
    kept = {"ir_version", "opset_import", "graph"}
    for field, _ in model.ListFields():
        if field.name not in kept:
            model.ClearField(field.name)
    for name in ("value_info", "quantization_annotation", "doc_string"):
        graph.ClearField(name)
    for output in graph.output:
        output.type.tensor_type.ClearField("shape")
    del graph.input[:]
    graph.input.append(images)
    model.DiscardUnknownFields()
    check_bounds_in_child(model, wanted, path)
    return bytes(model.SerializeToString())


def _declared(value: Any) -> tuple[object, ...]:
    """The shape that a file gives an input."""
    return tuple(dim.dim_value or dim.dim_param for dim in value.type.tensor_type.shape.dim)


def _check_parts(model: Any, path: Path) -> None:
    """Refuse what exporters do not write beside nodes, and constants that lie elsewhere or are too short."""
    graph = model.graph
    for name, found in (
        ("functions", model.functions),
        ("training information", model.training_info),
        ("sparse constants", graph.sparse_initializer),
    ):
        if found:
            raise foreign(name, path)
    for opset in model.opset_import:
        # Others are declared by exporters and used by no operator.
        if opset.domain in ("", "ai.onnx") and not 7 <= opset.version <= 25:
            raise foreign(f"operators of version {opset.version}", path)
    own = [opset for opset in model.opset_import if opset.domain in ("", "ai.onnx")]
    if len(own) != 1:
        raise foreign("no version of its operators", path)
    version = own[0].version
    del model.opset_import[:]
    model.opset_import.add(domain="", version=version)
    for tensor in graph.initializer:
        _check_constant(tensor, path)


def _check_constant(tensor: Any, path: Path) -> None:
    import onnx

    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        raise TfyoloError(
            f"keeps its constant {tensor.name[:60]!r} in another file, and is not run",
            path=path,
            fix="store all constants in the .onnx file: onnx.save(model, path, save_as_external_data=False)",
        )
    item = item_bytes(tensor.data_type)
    if not item or any(size < 0 for size in tensor.dims):
        raise foreign(f"a constant that is not of numbers ({tensor.name[:60]!r})", path)
    elements = math.prod(tensor.dims)
    held = len(tensor.raw_data) // item if tensor.HasField("raw_data") else None
    if held is None:
        held = max(len(getattr(tensor, name)) for name in _DATA_FIELDS)
    if held != elements or len(tensor.raw_data) % item:
        raise TfyoloError(
            f"its constant {tensor.name[:60]!r} has {held} numbers of {elements}",
            path=path,
            fix="export it again",
        )


def _check_node(node: Any, path: Path) -> None:
    import onnx

    if node.domain not in ("", "ai.onnx") or node.op_type not in ALLOWED:
        raise refused_operation(f"{node.domain}.{node.op_type}".lstrip("."), path)
    kinds = onnx.AttributeProto
    plain = (kinds.FLOAT, kinds.INT, kinds.STRING, kinds.FLOATS, kinds.INTS, kinds.STRINGS)
    for attribute in node.attribute:
        held = attribute.HasField("g") or attribute.graphs or attribute.HasField("sparse_tensor")
        if held or attribute.ref_attr_name or attribute.tensors or attribute.type_protos:
            raise foreign(f"{node.op_type} with a graph or more in it", path)
        if attribute.type == kinds.TENSOR and node.op_type in ("Constant", "ConstantOfShape"):
            _check_constant(attribute.t, path)
        elif attribute.type not in plain or attribute.HasField("t"):
            raise foreign(f"{node.op_type} with an unknown attribute", path)
    node.domain = ""
