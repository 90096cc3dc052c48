"""Vets untrusted ONNX models before ONNX Runtime loads them.

`vet` guarantees for the model that it returns:

- Allow-list: it contains only operators of ONNX's default domain that are listed in `operators.py`. There are
  no custom operators, no functions, and no subgraphs, hence no loops and no branches.
- No external data: all constants are stored in the model itself. ONNX Runtime would load external data from
  the working directory or any other path.
- Shape inference and memory bound: every shape is known before the graph runs, and memory and arithmetic stay
  within `runtime/budget.py`. The number of boxes that NMS keeps is unknown, so the bounds are checked for no
  box and for the largest number of boxes (`shape_inference.py`). Only the amount of padding may be computed
  from that number (`pad_amounts.py`). The checks run in a child process with limits (`child_process.py`).
- Clean copy: it is serialized again from the vetted parts, without metadata, declared shapes, unknown fields,
  and data in ONNX Runtime's own format.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from tfyolo.errors import TfyoloError
from tfyolo.export.onnx.child_process import check_resources_in_child
from tfyolo.export.onnx.operators import ALLOWED
from tfyolo.export.onnx.shape_inference import item_bytes
from tfyolo.export.runtime.base import check_input
from tfyolo.export.runtime.budget import foreign, refused_operation

_DATA_FIELDS = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data")
_DEFAULT_DOMAIN = ("", "ai.onnx")
_OPSETS = range(7, 26)


def parse(content: bytes, path: Path) -> Any:
    """Return the ModelProto of an `.onnx` file.

    Args:
        content: bytes of the file.
        path: the file, for messages.

    Raises:
        TfyoloError: the bytes are not a ModelProto.
    """
    import onnx

    try:
        return onnx.load_model_from_string(content)
    except Exception as error:  # protobuf raises several exception types
        raise TfyoloError("is damaged or not an ONNX model", path=path, fix="export it again") from error


def vet(model: Any, image_size: tuple[int, int], batch_size: int, path: Path) -> bytes:
    """Return the serialized model with the guarantees listed at the head of this module.

    Args:
        model: ModelProto; modified.
        image_size: height and width in pixels, from the contract.
        batch_size: largest number of images per call.
        path: model file, for messages.

    Returns:
        The model as serialized protobuf.

    Raises:
        TfyoloError: the model contains something that is not allowed; the message names it.
    """
    graph = model.graph
    _check_model(model, path)
    for node in graph.node:
        _check_node(node, path)
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    images_shape = (batch_size, 3, *image_size)
    check_input([(value.name, _declared_shape(value)[1:]) for value in inputs], images_shape[1:], path)
    (images,) = inputs
    for field, _ in model.ListFields():
        if field.name not in {"ir_version", "opset_import", "graph"}:
            model.ClearField(field.name)
    for name in ("value_info", "quantization_annotation", "doc_string"):
        graph.ClearField(name)
    for output in graph.output:
        output.type.tensor_type.ClearField("shape")
    del graph.input[:]
    graph.input.append(images)
    model.DiscardUnknownFields()
    check_resources_in_child(model, images_shape, path)
    return bytes(model.SerializeToString())


def _declared_shape(value: Any) -> tuple[object, ...]:
    """Return the shape that the file declares for an input."""
    return tuple(dim.dim_value or dim.dim_param for dim in value.type.tensor_type.shape.dim)


def _check_model(model: Any, path: Path) -> None:
    """Check everything but the nodes, and leave only the default domain in `opset_import`.

    Raises:
        TfyoloError: functions, training information, sparse or damaged constants, or an unknown opset.
    """
    graph = model.graph
    for name, values in (
        ("functions", model.functions),
        ("training information", model.training_info),
        ("sparse constants", graph.sparse_initializer),
    ):
        if values:
            raise foreign(name, path)
    # Exporters also declare domains that no node uses; those are dropped.
    opsets = [opset.version for opset in model.opset_import if opset.domain in _DEFAULT_DOMAIN]
    for version in opsets:
        if version not in _OPSETS:
            raise foreign(f"operators of version {version}", path)
    if len(opsets) != 1:
        raise foreign("no unique operator version", path)
    del model.opset_import[:]
    model.opset_import.add(domain="", version=opsets[0])
    for tensor in graph.initializer:
        _check_constant(tensor, path)


def _check_constant(tensor: Any, path: Path) -> None:
    """Refuse a constant that is not numeric, is stored elsewhere, or has more or fewer values than its shape.

    Raises:
        TfyoloError: see above.
    """
    import onnx

    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        raise TfyoloError(
            f"stores its constant {tensor.name[:60]!r} in another file, so it is not run",
            path=path,
            fix="store all constants in the .onnx file: onnx.save(model, path, save_as_external_data=False)",
        )
    itemsize = item_bytes(tensor.data_type)
    if not itemsize or any(size < 0 for size in tensor.dims):
        raise foreign(f"a constant of a non-numeric type ({tensor.name[:60]!r})", path)
    expected = math.prod(tensor.dims)
    if tensor.HasField("raw_data"):
        stored = len(tensor.raw_data) // itemsize
    else:
        stored = max(len(getattr(tensor, name)) for name in _DATA_FIELDS)
    if stored != expected or len(tensor.raw_data) % itemsize:
        raise TfyoloError(
            f"its constant {tensor.name[:60]!r} stores {stored} of {expected} values",
            path=path,
            fix="export it again",
        )


def _check_node(node: Any, path: Path) -> None:
    """Refuse a node whose operator is not on the allow-list, or whose attributes contain a subgraph.

    Raises:
        TfyoloError: see above.
    """
    import onnx

    if node.domain not in _DEFAULT_DOMAIN or node.op_type not in ALLOWED:
        raise refused_operation(f"{node.domain}.{node.op_type}".lstrip("."), path)
    types = onnx.AttributeProto
    plain = (types.FLOAT, types.INT, types.STRING, types.FLOATS, types.INTS, types.STRINGS)
    for attribute in node.attribute:
        has_graph = attribute.HasField("g") or attribute.graphs or attribute.HasField("sparse_tensor")
        if has_graph or attribute.ref_attr_name or attribute.tensors or attribute.type_protos:
            raise foreign(f"{node.op_type} with a subgraph", path)
        if attribute.type == types.TENSOR and node.op_type in ("Constant", "ConstantOfShape"):
            _check_constant(attribute.t, path)
        elif attribute.type not in plain or attribute.HasField("t"):
            raise foreign(f"{node.op_type} with an unknown attribute", path)
    node.domain = ""
