"""Decides whether a `.tflite` file may be given to an interpreter.

An interpreter follows offsets, indices and sizes as they stand, and kernels believe that converters made
them fit: one changed byte is a crash of the process, or memory without end. So that nothing is left to
belief, the shape of every tensor is computed again from the inputs on, by operators that are on a list
(`RULES`), and must be what the file says.
"""

from __future__ import annotations

import math
from pathlib import Path

from tfyolo.errors import TfyoloError
from tfyolo.export.tflite.vetting.arithmetic import ARITHMETIC
from tfyolo.export.tflite.vetting.graph import Graph, Operator, read_graph
from tfyolo.export.tflite.vetting.movement import EDGE_TPU, MOVEMENT
from tfyolo.export.tflite.vetting.reader import DamagedError
from tfyolo.export.tflite.vetting.rules import Rule
from tfyolo.export.tflite.vetting.schema import TABLES

RULES: dict[str, Rule] = {**ARITHMETIC, **MOVEMENT}
MAX_MEMORY = 4 * 2**30
"""Bytes of the tensors that are needed at once; yolov5x6 at 1536 pixels needs a fifth."""
MAX_WORK = 1e12
"""Multiplications per image; yolov5x6 at 1536 pixels has 6e11."""
_MAY_LACK = ("ReshapeOptions", "CastOptions")
_WITH_SCALE = ("int8", "uint8", "int16")


def check_model(data: bytes, path: Path) -> Graph:
    """Refuse a file that no exporter would have written.

    Args:
        data: the whole file.
        path: for the message.

    Raises:
        TfyoloError: saying which part of it is wrong.
    """
    try:
        graph = read_graph(data)
        check_operators(graph)
    # Hostile numbers may divide by zero or overflow before a rule has looked at them.
    except (ValueError, ArithmeticError, LookupError, TypeError) as error:
        raise TfyoloError(f"is damaged, and is not run: {error}", path=path, fix="export it again") from error
    return graph


def check_operators(graph: Graph) -> None:
    """Compute all shapes anew, and what running takes.

    Raises:
        DamagedError: an operator is not on the list, its shapes do not follow from its inputs, or the graph
            needs more memory or time than any detector.
    """
    work = 0.0
    for operator in graph.operators:
        try:
            work += _check(operator)
        except DamagedError as error:
            raise DamagedError(f"operator {operator.place} ({operator.name}): {error}") from error
    if work > MAX_WORK:
        raise DamagedError(f"it multiplies {work:.0e} times per image")
    if (memory := _memory(graph)) > MAX_MEMORY:
        raise DamagedError(f"it needs {memory / 2**30:.0f} GiB of memory")


def _check(operator: Operator) -> float:
    """Check one operator against its rule; returns its work."""
    rule = RULES.get(operator.name)
    if rule is None:
        raise DamagedError("no exported detector has it")
    least, most = rule.inputs
    if not least <= len(operator.inputs) <= most:
        raise DamagedError(f"it has {len(operator.inputs)} inputs")
    if (rule.outputs and len(operator.outputs) != rule.outputs) or not operator.outputs:
        raise DamagedError(f"it has {len(operator.outputs)} outputs")
    if any(x is None and i not in rule.optional for i, x in enumerate(operator.inputs)):
        raise DamagedError("an input is missing")
    required = any(TABLES.get(rule.options, ())) and rule.options not in _MAY_LACK
    if operator.options_kind not in ((rule.options,) if required else (rule.options, "")):
        raise DamagedError(f"it has {operator.options_kind or 'no options'}, not {rule.options or 'none'}")
    for i, tensor in enumerate((*operator.inputs, *operator.outputs)):
        if tensor is not None and not tensor.size and (operator.name, i) != ("RESHAPE", 1):
            raise DamagedError(f"tensor {tensor.index} is empty")
        if tensor is None or tensor.dtype not in _WITH_SCALE:
            continue
        if len(tensor.scales) != 1 and i not in rule.channels and operator.name != EDGE_TPU:
            raise DamagedError(f"tensor {tensor.index} has {len(tensor.scales)} scales, not one")
    shapes = rule.check(operator)
    for tensor, shape in zip(operator.outputs, shapes, strict=True):
        if tensor.shape != shape:
            raise DamagedError(f"it gives {shape}, but the file says {tensor.shape}")
    return rule.work(operator) * math.prod(shapes[0])


def _memory(graph: Graph) -> int:
    """Most bytes of tensors that are alive at once; constants lie in the file."""
    last = {x.index: i for i, op in enumerate(graph.operators) for x in op.inputs if x is not None}
    last |= {x.index: len(graph.operators) for x in graph.outputs.values()}
    alive = {x.index: x.bytes for x in graph.inputs.values()}
    most = total = sum(alive.values())
    ending: dict[int, list[int]] = {}
    for index, place in last.items():
        ending.setdefault(place, []).append(index)
    for i, operator in enumerate(graph.operators):
        for tensor in operator.outputs:
            alive[tensor.index] = tensor.bytes
            total += tensor.bytes
        most = max(most, total)
        for index in ending.get(i, ()):
            total -= alive.pop(index, 0)
    return most
