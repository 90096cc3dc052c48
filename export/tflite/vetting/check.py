"""Verification of a `.tflite` file before an interpreter loads it.

An interpreter follows offsets, indices and sizes without checking them, and kernels rely on what converters
guarantee: one changed byte can crash the process or allocate memory without bound. Therefore every operator
has to be on an allow-list (`RULES`), and the shape of every tensor is inferred again from the inputs of the
graph and compared with the shape in the file.
"""

from __future__ import annotations

import math
from pathlib import Path

from tfyolo.errors import TfyoloError
from tfyolo.export.edgetpu.entry import CUSTOM_OPERATOR
from tfyolo.export.runtime.budget import Budget
from tfyolo.export.tflite.vetting.arithmetic import ARITHMETIC
from tfyolo.export.tflite.vetting.box_selection import BOX_SELECTION
from tfyolo.export.tflite.vetting.data_movement import DATA_MOVEMENT
from tfyolo.export.tflite.vetting.graph import Graph, Operator, read_graph
from tfyolo.export.tflite.vetting.layers import LAYERS
from tfyolo.export.tflite.vetting.reader import DamagedError
from tfyolo.export.tflite.vetting.rules import QUANTIZED_TYPES, OperatorRule
from tfyolo.export.tflite.vetting.schema import TABLES

RULES: dict[str, OperatorRule] = {**ARITHMETIC, **LAYERS, **DATA_MOVEMENT, **BOX_SELECTION}
_OPTIONS_WITH_DEFAULTS = ("ReshapeOptions", "CastOptions")
"""Tables of options that files leave out where all values are the defaults."""


def check_model(data: bytes, path: Path) -> Graph:
    """Verify a `.tflite` file.

    Args:
        data: content of the file.
        path: path of the file, for the message.

    Returns:
        The verified graph.

    Raises:
        TfyoloError: naming the part of the file that is invalid, or that no exported model has.
    """
    try:
        graph = read_graph(data)
        images = [tensor.shape for tensor in graph.inputs.values()]
        budget = Budget(path, pixels=sum(math.prod(shape[:-1]) for shape in images))
        check_operators(graph, budget)
        memory = peak_memory(graph)
    # Malicious values can divide by zero or overflow before a rule has checked them.
    except (ValueError, ArithmeticError, LookupError, TypeError) as error:
        raise TfyoloError(
            f"is damaged, so it is not run: {error}", path=path, fix="export it again"
        ) from error
    budget.peak(memory)
    return graph


def check_operators(graph: Graph, budget: Budget) -> None:
    """Infer the shapes of all tensors, and charge the computation to the budget.

    Args:
        graph: the graph.
        budget: limits for the model file.

    Raises:
        DamagedError: an operator is not on the allow-list, or shapes differ from those that are inferred.
        TfyoloError: the graph needs too many multiplications.
    """
    for operator in graph.operators:
        try:
            multiplications = _check_operator(operator)
        except DamagedError as error:
            raise DamagedError(f"operator {operator.index} ({operator.name}): {error}") from error
        inputs = [tensor.shape for tensor in operator.inputs if tensor is not None]
        outputs = [tensor.shape for tensor in operator.outputs]
        budget.work(operator.name, inputs, outputs, multiplications)


def _check_operator(operator: Operator) -> int:
    """Check one operator against its rule and return its number of multiplications."""
    rule = RULES.get(operator.name)
    if rule is None:
        raise DamagedError("the operator is not on the allow-list of exported models")
    minimum, maximum = rule.num_inputs
    if not minimum <= len(operator.inputs) <= maximum:
        raise DamagedError(f"it has {len(operator.inputs)} inputs")
    if (rule.num_outputs and len(operator.outputs) != rule.num_outputs) or not operator.outputs:
        raise DamagedError(f"it has {len(operator.outputs)} outputs")
    if any(x is None and i not in rule.optional_inputs for i, x in enumerate(operator.inputs)):
        raise DamagedError("an input is missing")
    table = rule.options_table
    required = any(TABLES.get(table, ())) and table not in _OPTIONS_WITH_DEFAULTS
    if operator.options_kind not in ((table,) if required else (table, "")):
        raise DamagedError(f"it has {operator.options_kind or 'no options'}, not {table or 'none'}")
    for i, tensor in enumerate((*operator.inputs, *operator.outputs)):
        if tensor is not None and not tensor.size and (operator.name, i) != ("RESHAPE", 1):
            raise DamagedError(f"tensor {tensor.index} is empty")
        if tensor is None or tensor.dtype not in QUANTIZED_TYPES:
            continue
        if len(tensor.scales) != 1 and i not in rule.per_channel_inputs and operator.name != CUSTOM_OPERATOR:
            raise DamagedError(f"tensor {tensor.index} has {len(tensor.scales)} scales, not one")
    shapes = rule.infer_shapes(operator)
    for tensor, shape in zip(operator.outputs, shapes, strict=True):
        if tensor.shape != shape:
            raise DamagedError(f"its output has the shape {shape}, but the file says {tensor.shape}")
    return rule.multiplications(operator)


def peak_memory(graph: Graph) -> int:
    """Return the maximum bytes of tensors that are alive at the same time, constants excluded."""
    last_use = {x.index: i for i, op in enumerate(graph.operators) for x in op.inputs if x is not None}
    last_use |= {x.index: len(graph.operators) for x in graph.outputs.values()}
    alive = {x.index: x.bytes for x in graph.inputs.values()}
    peak = total = sum(alive.values())
    freed_after: dict[int, list[int]] = {}
    for tensor_index, operator_index in last_use.items():
        freed_after.setdefault(operator_index, []).append(tensor_index)
    for i, operator in enumerate(graph.operators):
        for tensor in operator.outputs:
            alive[tensor.index] = tensor.bytes
            total += tensor.bytes
        peak = max(peak, total)
        for index in freed_after.get(i, ()):
            total -= alive.pop(index, 0)
    return peak
