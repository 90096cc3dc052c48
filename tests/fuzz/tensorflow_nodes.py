"""Mutations of TensorFlow graphs: operations, attributes, shapes, constants, and inputs."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

FILE = b"canary.txt"
NODES = Callable[[Any], list[Any]]
BIG = (-1, 0, 1, 2, 3, 7, 255, 2**16, 2**20, 2**24, 2**31 - 1, 2**31, 2**40, 2**62, -(2**62))
_OPERATIONS = """
WriteFile ReadFile SaveV2 Save RestoreV2 Restore MergeV2Checkpoints ShardedFilename PyFunc PyFuncStateless
EagerPyFunc DebugIdentity DebugIdentityV3 DebugNanCount PrintV2 Print Assert DecodeProtoV2 EncodeProtoV2
GenerateVocabRemapping LoadAndRemapMatrix While StatelessWhile If Case For Enter Exit Switch Merge
NextIteration Fill Tile Range BroadcastTo Pad RandomUniform TensorListReserve HashTableV2 LookupTableFindV2
InitializeTableFromTextFileV2 TextLineDataset TFRecordDataset IteratorV2 TextLineReaderV2 WholeFileReaderV2
MatchingFiles TensorArrayV3 VarHandleOp ReadVariableOp AssignVariableOp SymbolicGradient RemoteCall
PartitionedCall StatefulPartitionedCall Batch XlaLaunch CollectiveReduce _Send _Recv Timestamp DecodeJpeg
AudioSpectrogram SummaryWriter CreateSummaryFileWriter Einsum MatMul Conv2D NonMaxSuppressionV3 Where Unique
CombinedNonMaxSuppression OneHot LinSpace MirrorPad ResizeBilinear ResizeNearestNeighbor StridedSlice Cumsum
Bincount Qr MatrixInverse FakeQuantWithMinMaxVarsPerChannel SpaceToBatchND Dequantize QuantizeV2 NoSuchOp
"""
OPERATIONS = _OPERATIONS.split()


def all_nodes(graph: Any) -> list[list[Any]]:
    """Return the nodes of the graph and of each of its functions."""
    return [graph.node, *(function.node_def for function in graph.library.function)]


def mutate_graph(graph: Any, rng: random.Random) -> None:
    """Apply one to four mutations to a GraphDef."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        # Weighted by the number of nodes, since most nodes are in one function.
        pools = [nodes for nodes in all_nodes(graph) if nodes]
        if not pools:
            return
        nodes = rng.choices(pools, [len(nodes) for nodes in pools])[0]
        rng.choice(MUTATIONS)(graph, nodes, rng)


def _rename(graph: Any, nodes: Any, rng: random.Random) -> None:
    rng.choice(nodes).op = rng.choice(OPERATIONS)


def _swap_kind(graph: Any, nodes: Any, rng: random.Random) -> None:
    rng.choice(nodes).op = rng.choice(nodes).op


def _swap_attributes(graph: Any, nodes: Any, rng: random.Random) -> None:
    first, second = rng.choice(nodes), rng.choice(nodes)
    for key in set(first.attr) & set(second.attr):
        if rng.random() < 0.7:
            first.attr[key].CopyFrom(second.attr[key])


def _change_attribute(graph: Any, nodes: Any, rng: random.Random) -> None:
    node = rng.choice([node for node in nodes if node.attr] or list(nodes))
    if not node.attr:
        return
    key = rng.choice(sorted(node.attr))
    value = node.attr[key]
    kind = value.WhichOneof("value")
    if rng.random() < 0.15 or kind is None:
        del node.attr[key]
    elif kind == "tensor":
        _change_constant(graph, [node], rng)
    elif kind == "shape":
        _change_shape(value.shape, rng)
    elif kind == "list":
        numbers = value.list.i
        for place in range(len(numbers)):
            if rng.random() < 0.5:
                numbers[place] = rng.choice(BIG)
        if rng.random() < 0.2:
            numbers.append(rng.choice(BIG))
    elif kind == "i":
        value.i = rng.choice(BIG)
    elif kind == "f":
        value.f = rng.choice((0.0, -1.0, float("nan"), float("inf"), 1e38))
    elif kind == "b":
        value.b = not value.b
    elif kind == "s":
        value.s = rng.choice((b"", FILE, b"file://canary.txt", b"SAME", b"VALID", b"NCHW", b"\xff" * 40))
    elif kind == "type":
        value.type = rng.choice((1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 14, 19, 20, 21, 22, 23, 101, 999))
    elif kind == "func":
        functions = [function.signature.name for function in graph.library.function]
        value.func.name = rng.choice([*functions, "nowhere"])


def _change_shape(shape: Any, rng: random.Random) -> None:
    if shape.dim and rng.random() < 0.8:
        rng.choice(shape.dim).size = rng.choice(BIG)
    elif rng.random() < 0.5:
        shape.dim.add(size=rng.choice(BIG))
    else:
        shape.unknown_rank = True


def _change_constant(graph: Any, nodes: Any, rng: random.Random) -> None:
    constants = [node for node in nodes if node.op == "Const"]
    if not constants:
        return
    tensor = rng.choice(constants).attr["value"].tensor
    kind = rng.randrange(4)
    if kind == 0:
        _change_shape(tensor.tensor_shape, rng)
    elif kind == 1 and tensor.tensor_content:
        data = bytearray(tensor.tensor_content)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        tensor.tensor_content = bytes(data)
    elif kind == 2:
        tensor.dtype = rng.choice((1, 2, 3, 7, 9, 10, 19, 20, 21))
    else:
        tensor.tensor_content = b""
        del tensor.int_val[:], tensor.float_val[:]
        tensor.int_val.append(max(-(2**31), min(2**31 - 1, rng.choice(BIG))))


def _small_constant(graph: Any, nodes: Any, rng: random.Random) -> None:
    """Change a number in a constant that may be a shape, an axis or a size."""
    small = [node for node in nodes if node.op == "Const" and node.attr["dtype"].type in (3, 9)]
    small = [node for node in small if len(node.attr["value"].tensor.tensor_content) <= 64]
    if not small:
        return
    node = rng.choice(small)
    wide = node.attr["dtype"].type == 9
    tensor, size = node.attr["value"].tensor, 8 if wide else 4
    number = max(-(2**31), min(2**31 - 1, rng.choice(BIG))) if not wide else rng.choice(BIG)
    if tensor.tensor_content:
        data = bytearray(tensor.tensor_content)
        at = rng.randrange(len(data) // size) * size
        data[at : at + size] = number.to_bytes(size, "little", signed=True)
        tensor.tensor_content = bytes(data)
    else:
        values = tensor.int64_val if wide else tensor.int_val
        del values[:]
        values.append(number)


def _rewire(graph: Any, nodes: Any, rng: random.Random) -> None:
    node, other = rng.choice(nodes), rng.choice(nodes)
    if node.input:
        target = other.name if rng.random() < 0.5 or not other.input else rng.choice(other.input)
        node.input[rng.randrange(len(node.input))] = rng.choice(
            (target, target, "^" + other.name, "nowhere:7")
        )


def _drop(graph: Any, nodes: Any, rng: random.Random) -> None:
    del nodes[rng.randrange(len(nodes))]


def _repeat(graph: Any, nodes: Any, rng: random.Random) -> None:
    nodes.append(rng.choice(nodes))


def _drop_input(graph: Any, nodes: Any, rng: random.Random) -> None:
    node = rng.choice(nodes)
    if node.input:
        del node.input[rng.randrange(len(node.input))]


def _insert(graph: Any, nodes: Any, rng: random.Random) -> None:
    """Insert a malicious operation as a data or control input of another node."""
    target = rng.choice([node for node in nodes if node.input] or list(nodes))
    kind = rng.choice(sorted(INSERTED))
    inputs, attributes = INSERTED[kind]
    node = nodes.add(name=f"inserted{rng.randrange(10**9)}", op=kind)
    for dtype, values in inputs:
        if dtype == "any":
            node.input.append(target.input[0] if target.input else target.name)
            continue
        constant = nodes.add(name=f"{node.name}_{len(node.input)}", op="Const")
        constant.attr["dtype"].type = constant.attr["value"].tensor.dtype = dtype
        tensor = constant.attr["value"].tensor
        if not isinstance(values, list):
            values = [values]
        else:
            tensor.tensor_shape.dim.add(size=len(values))
        {7: tensor.string_val, 3: tensor.int_val, 9: tensor.int64_val, 1: tensor.float_val}[dtype].extend(
            values
        )
        suffix = ":output:0" if nodes is not graph.node else ""
        node.input.append(constant.name + suffix)
    for key, (field, value) in attributes.items():
        if isinstance(value, list):
            getattr(node.attr[key].list, field).extend(value)
        else:
            setattr(node.attr[key], field, value)
    if rng.random() < 0.5 or not target.input:
        target.input.append(f"^{node.name}")
    else:
        output = OUTPUTS.get(kind, "output")
        target.input[rng.randrange(len(target.input))] = (
            f"{node.name}:{output}:0" if nodes is not graph.node else node.name
        )


_FLOATS = ("type", 1)
INSERTED: dict[str, tuple[list[tuple[Any, Any]], dict[str, tuple[str, Any]]]] = {
    "WriteFile": ([(7, FILE), (7, b"written")], {}),
    "ReadFile": ([(7, FILE)], {}),
    "SaveV2": (
        [(7, b"saved"), (7, [b"a"]), (7, [b""]), ("any", None)],
        {"dtypes": ("type", [1])},
    ),
    "RestoreV2": ([(7, b"ckpt"), (7, [b"a"]), (7, [b""])], {"dtypes": ("type", [1])}),
    "MergeV2Checkpoints": ([(7, [b"ckpt"]), (7, b"merged")], {"delete_old_dirs": ("b", True)}),
    "DebugIdentity": (
        [("any", None)],
        {"T": _FLOATS, "tensor_name": ("s", b"x:0"), "debug_urls": ("s", [b"file://debugged"])},
    ),
    "DebugNanCount": (
        [("any", None)],
        {"T": _FLOATS, "tensor_name": ("s", b"x:0"), "debug_urls": ("s", [b"file://debugged"])},
    ),
    "MatchingFiles": ([(7, b"*")], {}),
    "Fill": ([(9, [30_000_000_000]), (1, 1.0)], {"T": _FLOATS, "index_type": ("type", 9)}),
    "Tile": ([("any", None), (3, [1, 1000, 1000, 1000])], {"T": _FLOATS, "Tmultiples": ("type", 3)}),
    "BroadcastTo": ([("any", None), (3, [1000, 1000, 1000, 64])], {"T": _FLOATS, "Tidx": ("type", 3)}),
    "Range": ([(3, 0), (3, 2**31 - 1), (3, 1)], {"Tidx": ("type", 3)}),
    "ResizeNearestNeighbor": ([("any", None), (3, [60000, 60000])], {"T": _FLOATS}),
    "RandomUniform": ([(3, [60000, 60000])], {"T": ("type", 3), "dtype": _FLOATS}),
    "PyFunc": ([("any", None)], {"token": ("s", b"x"), "Tin": ("type", [1]), "Tout": ("type", [1])}),
}
"""Inputs (dtype and value; `any` is a tensor of the graph) and attributes (field and value) by operation."""
OUTPUTS = {
    "ReadFile": "contents",
    "RestoreV2": "tensors",
    "MatchingFiles": "filenames",
    "ResizeNearestNeighbor": "resized_images",
}
MUTATIONS = (
    _rename,
    _swap_kind,
    _swap_attributes,
    _change_attribute,
    _change_attribute,
    _change_constant,
    _small_constant,
    _small_constant,
    _rewire,
    _rewire,
    _drop,
    _repeat,
    _drop_input,
    _insert,
    _insert,
)
