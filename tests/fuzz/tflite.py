"""Fuzzes `.tflite` files: fields, words of the structure, constants, and the archive after the flatbuffer."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz import raw_bytes
from tests.fuzz.models import exported

KINDS = (
    "postprocess",
    "builtin",
    "postprocess int8",
    "none int8",
    "tensor float16",
    "none float32",
    "classifier",
    "segmenter",
    "segmenter int8",
)
NUMBERS = (-(2**31), -129, -5, -2, -1, 0, 1, 2, 3, 4, 5, 7, 8, 63, 64, 255, 1000, 65_536, 2**24, 2**31 - 1)
REALS = (0.0, -0.0, -1.0, 1e-45, 1e-38, 1e-9, 1.0, 1e9, 3e38, float("inf"), float("-inf"), float("nan"))


def bases(folder: Path) -> list[Path]:
    """Export small detectors with each kind of NMS and precision, and a classifier; return their paths."""
    return exported("tflite", KINDS, folder)


def mutate(content: bytes, rng: random.Random) -> bytes:
    """Mutate the graph in half of the cases, otherwise words of its structure, any bytes, or the archive."""
    archive = content.find(b"PK\x03\x04")
    model, rest = content[:archive], content[archive:]
    kind = rng.random()
    if kind < 0.5:
        return _changed_graph(model, rng) + rest
    if kind < 0.75:
        return _changed_words(model, rng) + rest
    if kind < 0.9:
        return raw_bytes.mutate(content, rng)
    return model + raw_bytes.mutate(rest, rng)


def _changed_words(model: bytes, rng: random.Random) -> bytes:
    """Change offsets, lengths, indices and numbers outside of the weights."""
    from ai_edge_litert import schema_py_generated as schema

    data, root = bytearray(model), schema.Model.GetRootAs(model, 0)
    weights = np.zeros(len(model), bool)
    for i in range(root.BuffersLength()):
        found = root.Buffers(i).DataAsNumpy()
        if not isinstance(found, int) and len(found) > 64:
            start = found.__array_interface__["data"][0] - np.frombuffer(model, np.uint8).ctypes.data
            weights[start + 32 : start + len(found)] = True
    places = np.flatnonzero(~weights[: len(model) // 4 * 4 : 4]) * 4
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        at = int(rng.choice(places)) + rng.choice((0, 0, 0, 1, 2))
        old = int.from_bytes(data[at : at + 4], "little")
        near = old + rng.choice((-4, -1, 1, 4, 64))
        new = rng.choice((rng.choice(NUMBERS), near, old * 2, old ^ 1 << rng.randrange(32)))
        width = rng.choice((1, 2, 4))
        data[at : at + width] = (new % 2**32).to_bytes(4, "little")[:width]
    return bytes(data[: len(model)])


def _changed_graph(model: bytes, rng: random.Random) -> bytes:
    """Change fields of the model with the object API, and serialize it again."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    root = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    builder = flatbuffers.Builder(1024)
    try:
        for _ in range(rng.choice((1, 1, 1, 1, 2, 3))):
            rng.choice(MUTATIONS)(root, root.subgraphs[0], rng)
        builder.Finish(root.Pack(builder), file_identifier=b"TFL3")
    except Exception:  # changes that exclude one another, or a field that cannot be written
        return _changed_words(model, rng)
    return bytes(builder.Output())


def _tensor(root: Any, graph: Any, rng: random.Random) -> None:
    tensor = rng.choice(graph.tensors)
    kind = rng.randrange(8)
    if kind <= 3 and tensor.shape is not None and len(tensor.shape):
        shape = np.array(tensor.shape)
        shape[rng.randrange(len(shape))] = rng.choice((*NUMBERS, *map(int, shape)))
        tensor.shape = shape if kind else np.array([*map(int, shape), 1][: rng.randrange(len(shape) + 2)])
    elif kind == 4:
        tensor.type = rng.randrange(18)
    elif kind == 5:
        tensor.buffer = rng.choice((0, rng.randrange(len(root.buffers)), len(root.buffers), 2**32 - 1))
    elif kind == 6:
        tensor.isVariable, tensor.hasRank = rng.random() < 0.5, rng.random() < 0.5
    else:
        tensor.shapeSignature = np.array([rng.choice((-1, 1, 64)) for _ in range(rng.randrange(6))])


def _quantization(root: Any, graph: Any, rng: random.Random) -> None:
    found = [x.quantization for x in graph.tensors if x.quantization is not None]
    found = [x for x in found if x.scale is not None and len(x.scale)] or found
    if not found:
        return
    one = rng.choice(found)
    kind = rng.randrange(5)
    if kind == 0:
        one.scale = np.array([rng.choice(REALS)] * rng.choice((0, 1, 2, 8)), np.float32)
    elif kind == 1:
        one.scale = np.array(one.scale, np.float32) * np.float32(
            rng.choice((1e-30, 1e-9, 1e-3, 0.5, 1e3, 1e30))
        )
    elif kind == 2:
        one.zeroPoint = np.array([rng.choice(NUMBERS)] * rng.choice((0, 1, 2, 8)), np.int64)
    elif kind == 3:
        one.quantizedDimension = rng.choice(NUMBERS)
    else:
        other = rng.choice(found)
        one.scale, one.zeroPoint = other.scale, other.zeroPoint


def _wiring(root: Any, graph: Any, rng: random.Random) -> None:
    operator = rng.choice(graph.operators)
    side = rng.choice(("inputs", "inputs", "outputs"))
    listed = [int(x) for x in getattr(operator, side)]
    kind = rng.randrange(4)
    if kind == 0 and listed:
        listed.pop(rng.randrange(len(listed)))
    elif kind == 1:
        listed.insert(rng.randrange(len(listed) + 1), rng.randrange(len(graph.tensors)))
    elif listed:
        new = (-1, rng.randrange(len(graph.tensors)), len(graph.tensors), rng.choice(NUMBERS))
        listed[rng.randrange(len(listed))] = rng.choice(new)
    setattr(operator, side, np.array(listed, np.int32))


def _operators(root: Any, graph: Any, rng: random.Random) -> None:
    at = rng.randrange(len(graph.operators))
    kind = rng.randrange(5)
    if kind == 0:
        graph.operators.pop(at)
    elif kind == 1:
        graph.operators.insert(rng.randrange(len(graph.operators)), graph.operators[at])
    elif kind == 2:
        other = rng.randrange(len(graph.operators))
        graph.operators[at], graph.operators[other] = graph.operators[other], graph.operators[at]
    elif kind == 3:
        graph.operators[at].opcodeIndex = rng.randrange(len(root.operatorCodes) + 1)
    else:
        other = rng.choice(graph.operators)
        graph.operators[at].builtinOptions = other.builtinOptions
        graph.operators[at].builtinOptionsType = other.builtinOptionsType


def _codes(root: Any, graph: Any, rng: random.Random) -> None:
    code = rng.choice(root.operatorCodes)
    kind = rng.randrange(4)
    if kind <= 1:
        number = rng.randrange(210)
        code.builtinCode, code.deprecatedBuiltinCode = number, min(number, 127)
    elif kind == 2:
        code.version = rng.choice(NUMBERS)
    else:
        code.builtinCode = code.deprecatedBuiltinCode = 32
        code.customCode = rng.choice(("TFLite_Detection_PostProcess", "edgetpu-custom-op", "FlexSaveV2", "x"))


def _options(root: Any, graph: Any, rng: random.Random) -> None:
    with_options = [x for x in graph.operators if x.builtinOptions is not None and vars(x.builtinOptions)]
    operator = rng.choice(with_options)
    if rng.random() < 0.1:
        operator.builtinOptions, operator.builtinOptionsType = None, 0
        return
    options = operator.builtinOptions
    name, old = rng.choice(sorted(vars(options).items()))
    if isinstance(old, bool):
        setattr(options, name, not old)
    elif isinstance(old, float):
        setattr(options, name, rng.choice(REALS))
    elif isinstance(old, int):
        small = "padding" in name.lower() or "activation" in name.lower() or "type" in name.lower()
        setattr(options, name, rng.choice((0, 1, 2, 3, 4, 5, 9, 127, -1) if small else NUMBERS))


def _constant(root: Any, graph: Any, rng: random.Random) -> None:
    """Change constants: mostly sizes, axes and indices, and weights that overflow."""
    small = rng.random() < 0.7
    known = [x for x in graph.tensors if root.buffers[x.buffer].data is not None]
    known = [x for x in known if len(root.buffers[x.buffer].data) > 0 and (x.type in (2, 4)) == small]
    if not known:
        return
    tensor = rng.choice(known)
    buffer = root.buffers[tensor.buffer]
    data = bytearray(np.asarray(buffer.data, np.uint8).tobytes())
    if rng.random() < 0.1:
        data = data[: rng.randrange(len(data))]
    elif small:
        at = rng.randrange(len(data) // 4) * 4
        data[at : at + 4] = (rng.choice(NUMBERS) % 2**32).to_bytes(4, "little")
    elif tensor.type == 0:
        every = rng.random() < 0.5
        values = np.frombuffer(data, np.float32).copy()
        values[slice(None) if every else rng.randrange(len(values))] = rng.choice(REALS)
        data = bytearray(values.tobytes())
    else:
        data = bytearray(rng.randbytes(len(data)))
    buffer.data = np.frombuffer(bytes(data), np.uint8)


def _custom(root: Any, graph: Any, rng: random.Random) -> None:
    found = [x for x in graph.operators if x.customOptions is not None and len(x.customOptions)]
    if found:
        operator = rng.choice(found)
        data = raw_bytes.mutate(np.asarray(operator.customOptions, np.uint8).tobytes(), rng, 3)
        operator.customOptions = np.frombuffer(data, np.uint8)


def _outside(root: Any, graph: Any, rng: random.Random) -> None:
    """Change inputs and outputs of the graph, signatures, subgraphs or metadata."""
    kind = rng.randrange(6)
    signature = root.signatureDefs[0]
    if kind == 0:
        entry = rng.choice([*signature.inputs, *signature.outputs])
        entry.tensorIndex = rng.choice((rng.randrange(len(graph.tensors)), len(graph.tensors), 2**32 - 1))
    elif kind == 1:
        rng.choice([*signature.inputs, *signature.outputs]).name = rng.choice(
            ("images", "boxes", "", "x" * 9)
        )
    elif kind == 2:
        signature.subgraphIndex = rng.choice((1, 2**32 - 1))
    elif kind == 3:
        root.subgraphs.append(graph)
    elif kind == 4 and root.metadata:
        rng.choice(root.metadata).buffer = rng.choice((len(root.buffers), 2**32 - 1, 0))
    else:
        side = rng.choice(("inputs", "outputs"))
        listed = [int(x) for x in getattr(graph, side)] * rng.choice((1, 2))
        new = (rng.randrange(len(graph.tensors)), rng.choice(NUMBERS))
        listed[rng.randrange(len(listed))] = rng.choice(new)
        setattr(graph, side, np.array(listed, np.int32))


MUTATIONS = (
    _tensor,
    _tensor,
    _quantization,
    _quantization,
    _wiring,
    _operators,
    _codes,
    _options,
    _options,
    _constant,
    _constant,
    _custom,
    _outside,
)
