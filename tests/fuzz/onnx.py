"""Fuzzes ONNX files: operators, attributes, shapes, constants, inputs, and external data."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from tests.fuzz import raw_bytes
from tests.fuzz.models import exported

BIG = (-1, 0, 1, 2, 3, 7, 255, 2**16, 2**20, 2**24, 2**31 - 1, 2**31, 2**40, 2**62, -(2**62))
_OPERATORS = """
Loop If Scan SequenceMap ConstantOfShape Expand Tile Range Pad Resize Upsample OneHot EyeLike RandomNormal
RandomUniform RandomNormalLike NonZero Unique Compress TopK Gather GatherND GatherElements ScatterND MatMul
Gemm Einsum Conv ConvTranspose MaxPool AveragePool GlobalAveragePool LSTM GRU StringNormalizer TfIdfVectorizer
ImageDecoder SequenceEmpty SequenceConstruct SplitToSequence Optional NonMaxSuppression RoiAlign GridSample
DFT Squeeze Unsqueeze Reshape Transpose Slice Split Concat Shape Size CumSum Hardmax Softmax QuantizeLinear
DequantizeLinear QLinearConv Cast Where DepthToSpace SpaceToDepth LayerNormalization Identity Mod BitShift
Evil
"""
OPERATORS = _OPERATORS.split()
LOCATIONS = ("secret.bin", "../work/secret.bin", "/etc/passwd", "*/_ORT_MEM_ADDR_/*", "canary.txt", "")


def bases(folder: Path) -> list[Path]:
    """Export small detectors with each kind of NMS, and a classifier, and return their paths."""
    return exported("onnx", ("builtin", "tensor float16", "none int8", "classifier", "segmenter"), folder)


def mutate(content: bytes, rng: random.Random) -> bytes:
    """Mutate the graph in three of four cases, otherwise the bytes."""
    if rng.random() < 0.25:
        return raw_bytes.mutate(content, rng)
    import onnx

    model = onnx.load_model_from_string(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        if model.graph.node:
            rng.choice(MUTATIONS)(model, rng)
    return model.SerializeToString(deterministic=True)


def _rename(model: Any, rng: random.Random) -> None:
    rng.choice(model.graph.node).op_type = rng.choice(OPERATORS)


def _domain(model: Any, rng: random.Random) -> None:
    domain = rng.choice(("com.microsoft", "ai.onnx.ml", "evil", "ai.onnx", "com.microsoft.nchwc"))
    rng.choice(model.graph.node).domain = domain
    if rng.random() < 0.7:
        model.opset_import.add(domain=domain, version=rng.choice((1, 2, 17)))


def _version(model: Any, rng: random.Random) -> None:
    rng.choice(model.opset_import).version = rng.choice((-1, 0, 1, 6, 9, 11, 13, 18, 22, 1000, 2**62))
    if rng.random() < 0.3:
        model.ir_version = rng.choice((0, 1, 3, 7, 10, 99))


def _attribute(model: Any, rng: random.Random) -> None:
    nodes = [node for node in model.graph.node if node.attribute]
    if not nodes:
        return
    node = rng.choice(nodes)
    attribute = rng.choice(node.attribute)
    kind = rng.randrange(6)
    if kind == 0:
        node.attribute.remove(attribute)
    elif kind == 1:
        attribute.type = rng.randrange(15)
    elif kind == 2:
        attribute.name = rng.choice([other.name for other in rng.choice(nodes).attribute])
    elif attribute.ints:
        attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(BIG)
    else:
        attribute.i, attribute.f = rng.choice(BIG), rng.choice((0.0, -1.0, float("nan"), 1e38))
        attribute.s = rng.choice((b"", b"canary.txt", b"VALID", b"nearest", b"\xff" * 40))


def _constant(model: Any, rng: random.Random) -> None:
    if not model.graph.initializer:
        return
    tensor = rng.choice(model.graph.initializer)
    kind = rng.randrange(5)
    if kind == 0 and tensor.dims:
        tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(BIG)
    elif kind == 1:
        tensor.dims.append(rng.choice(BIG))
    elif kind == 2:
        tensor.data_type = rng.randrange(24)
    elif kind == 3 and tensor.raw_data:
        data = bytearray(tensor.raw_data)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        tensor.raw_data = bytes(data)
    else:
        tensor.raw_data = tensor.raw_data[: rng.randrange(9)]


def _small_constant(model: Any, rng: random.Random) -> None:
    """Change a number in a constant that may be a shape, an axis or a size."""
    small = [x for x in model.graph.initializer if x.data_type in (6, 7) and 0 < len(x.raw_data) <= 64]
    if not small:
        return
    tensor = rng.choice(small)
    size = 8 if tensor.data_type == 7 else 4
    number = rng.choice(BIG)
    if size == 4:
        number = max(-(2**31), min(2**31 - 1, number))
    data = bytearray(tensor.raw_data)
    at = rng.randrange(max(len(data) // size, 1)) * size
    data[at : at + size] = number.to_bytes(size, "little", signed=True)
    tensor.raw_data = bytes(data)


def _external(model: Any, rng: random.Random) -> None:
    if not model.graph.initializer:
        return
    tensor = rng.choice(model.graph.initializer)
    if rng.random() < 0.8:
        tensor.data_location = 1
        tensor.ClearField("raw_data")
    tensor.external_data.add(key="location", value=rng.choice(LOCATIONS))
    tensor.external_data.add(key="offset", value=str(rng.choice((0, 1, 2**62, -1))))
    tensor.external_data.add(key="length", value=str(rng.choice((1, 160, 600))))


def _rewire(model: Any, rng: random.Random) -> None:
    node, other = rng.choice(model.graph.node), rng.choice(model.graph.node)
    names = [*other.input, *other.output, "", "nowhere"]
    side = node.input if node.input and rng.random() < 0.8 else node.output
    if side:
        side[rng.randrange(len(side))] = rng.choice(names)


def _drop(model: Any, rng: random.Random) -> None:
    kind = rng.randrange(4)
    nodes, node = model.graph.node, rng.choice(model.graph.node)
    if kind == 0:
        nodes.remove(node)
    elif kind == 1:
        nodes.append(node)
    elif kind == 2 and node.input:
        del node.input[rng.randrange(len(node.input))]
    elif model.graph.initializer:
        model.graph.initializer.remove(rng.choice(model.graph.initializer))


def _declared(model: Any, rng: random.Random) -> None:
    """Change the declared name, dtype or shape of an input, an output or an intermediate tensor."""
    graph = model.graph
    value = rng.choice([*graph.input, *graph.output, *graph.value_info])
    kind = value.type.tensor_type
    choice = rng.randrange(4)
    if choice == 0:
        value.name = rng.choice((value.name, "images", "boxes", ""))
    elif choice == 1:
        kind.elem_type = rng.randrange(20)
    elif kind.shape.dim:
        rng.choice(kind.shape.dim).dim_value = rng.choice(BIG)


def _insert(model: Any, rng: random.Random) -> None:
    """Insert a loop, a branch, or an operator with a huge output in front of a node."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    graph, target = model.graph, rng.choice(model.graph.node)
    if not target.input:
        return
    at, name = rng.randrange(len(target.input)), f"inserted{rng.randrange(10**9)}"
    source = target.input[at]
    sizes = np.array(rng.choice(([1, 1, 40000, 40000], [30_000_000_000], [2**62, 4])), np.int64)
    graph.initializer.append(numpy_helper.from_array(sizes, f"{name}_sizes"))
    kind = rng.choice(("ConstantOfShape", "Expand", "Tile", "Loop", "If"))
    if kind in ("Loop", "If"):
        value = helper.make_tensor_value_info("v", TensorProto.FLOAT, None)
        condition = helper.make_tensor_value_info("c", TensorProto.BOOL, [])
        first = (
            [helper.make_tensor_value_info("i", TensorProto.INT64, []), condition] if kind == "Loop" else []
        )
        same = [helper.make_node("Identity", [source if kind == "If" else "v"], ["w"])]
        out = [helper.make_tensor_value_info("w", TensorProto.FLOAT, None)]
        graph.initializer.append(numpy_helper.from_array(np.array(True), f"{name}_true"))
        if kind == "Loop":
            keep = helper.make_node("Identity", ["c"], ["d"])
            more = helper.make_tensor_value_info("d", TensorProto.BOOL, [])
            body = helper.make_graph([keep, *same], "body", [*first, value], [more, *out])
            node = helper.make_node("Loop", ["", f"{name}_true", source], [name], body=body)
        else:
            branch = helper.make_graph(same, "branch", [], out)
            node = helper.make_node("If", [f"{name}_true"], [name], then_branch=branch, else_branch=branch)
    else:
        inputs = [f"{name}_sizes"] if kind == "ConstantOfShape" else [source, f"{name}_sizes"]
        node = helper.make_node(kind, inputs, [name])
    place = list(graph.node).index(target)
    graph.node.insert(place, node)
    graph.node[place + 1].input[at] = name


def _more(model: Any, rng: random.Random) -> None:
    """Add parts of the format that exporters do not write."""
    from onnx import TensorProto, helper

    kind = rng.randrange(3)
    if kind == 0:
        node = helper.make_node("Identity", ["x"], ["y"])
        name = rng.choice(model.graph.node).op_type
        model.functions.append(
            helper.make_function("local", name, ["x"], ["y"], [node], [helper.make_opsetid("", 17)])
        )
        rng.choice(model.graph.node).domain = "local"
        model.opset_import.add(domain="local", version=1)
    elif kind == 1:
        values = helper.make_tensor("sparse", TensorProto.FLOAT, [1], [1.0])
        places = helper.make_tensor("places", TensorProto.INT64, [1], [0])
        model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [2**40]))
    else:
        model.metadata_props.add(key="ort_config", value='{"session_options": {"enable_profiling": true}}')


MUTATIONS = (
    _rename,
    _domain,
    _version,
    _attribute,
    _attribute,
    _constant,
    _small_constant,
    _small_constant,
    _external,
    _rewire,
    _rewire,
    _drop,
    _declared,
    _insert,
    _more,
)
