"""Report of the operators of a `.tflite` file that will run on the Edge TPU, with the reasons for the others.

The compiler maps one part of the graph to the Edge TPU: operators that it supports and whose inputs do not
depend on an operator on the CPU. All operators that depend on an unsupported one therefore run on the CPU.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from tensorflow.lite.tools import flatbuffer_utils

from tfyolo.export.edgetpu.operations import TABLE, Operation, Tensor, refusal, unreadable
from tfyolo.export.tflite.flatbuffer import read

CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
FOLLOWS = "cpu (after the first refused operation)"

_MAX_REASONS = 3
"""Maximum number of reasons in the summary."""

Place = Literal["edge tpu", "refused", "follows"]
_TYPES = {"INT8": np.int8, "UINT8": np.uint8, "INT32": np.int32, "INT64": np.int64, "FLOAT32": np.float32}


@dataclass(frozen=True)
class Line:
    """One line of the report: an operator, and where it will run.

    Attributes:
        name: name of the operator, such as `CONV_2D`.
        version: version of the operator.
        shape: shape of its first output.
        type: type of its first output.
        place: `edge tpu`; or the CPU, since the operator is `refused`, or since it `follows` a refused one.
        reason: reason why it does not run on the Edge TPU.
        unreadable: the compiler fails for the whole file because of it.
    """

    name: str
    version: int
    shape: tuple[int, ...]
    type: str
    place: Place
    reason: str = ""
    unreadable: bool = False

    @property
    def maps(self) -> bool:
        """True if the operator will run on the Edge TPU."""
        return self.place == "edge tpu"


@dataclass(frozen=True)
class Report:
    """Report on all operators of a file.

    Attributes:
        lines: one line per operator, in the order of the file.
    """

    lines: tuple[Line, ...]

    @cached_property
    def mapped(self) -> int:
        """Number of operators that will run on the Edge TPU."""
        return sum(line.maps for line in self.lines)

    @cached_property
    def refused(self) -> list[Line]:
        """Operators that the Edge TPU does not support."""
        return [line for line in self.lines if line.place == "refused"]

    @cached_property
    def reasons(self) -> dict[str, Counter[str]]:
        """Names of the operators on the CPU and their counts, by reason in order of appearance."""
        names: dict[str, Counter[str]] = {}
        for line in self.lines:
            if not line.maps:
                names.setdefault(line.reason, Counter())[line.name] += 1
        return names

    def summary(self) -> str:
        """Return the report in one sentence."""
        total, convolutions = len(self.lines), [x for x in self.lines if x.name in CONVOLUTIONS]
        broken = sorted({f"{x.name} version {x.version}" for x in self.lines if x.unreadable})
        if broken:
            return f"Edge TPU: the compiler cannot read a file that contains {', '.join(broken)}."
        if self.mapped == total:
            return f"Edge TPU: all {total} operations will run on it."
        there = sum(x.maps for x in convolutions)
        share = f"all {there}" if there == len(convolutions) else f"{there} of {len(convolutions)}"
        groups = [f"{names.total()} ({_names(names)}): {reason}" for reason, names in self.reasons.items()]
        return (
            f"Edge TPU: {self.mapped} of {total} operations will run on it, including {share} convolutions; "
            f"on the CPU: {'; '.join(groups[:_MAX_REASONS])}"
            f"{'; others' if len(groups) > _MAX_REASONS else ''}."
        )

    def text(self, title: str) -> str:
        """Return the report as a table, followed by Coral's limits of the operators in the file.

        Args:
            title: first line of the text.
        """
        head = ("#", "operation", "version", "output", "runs on", "why not on the Edge TPU")
        rows = [head, *(_row(index, line) for index, line in enumerate(self.lines))]
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        table = ["  ".join(x.ljust(w) for x, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        limits = [
            f"  {name}: {TABLE[name].limits}"
            for name in sorted({line.name for line in self.lines})
            if name in TABLE and TABLE[name].limits
        ]
        known = "Limits of these operations that Coral names:"
        return "\n".join(
            [title, "", self.summary(), "", *table, "", *([known, *limits] if limits else []), ""]
        )


def check(model: bytes | Any) -> Report:
    """Report which operators of an integer model the Edge TPU supports.

    Args:
        model: content of the `.tflite` file, or its object from TensorFlow's flatbuffer_utils.

    Returns:
        The report.
    """
    if isinstance(model, bytes | bytearray):
        model = read(bytes(model))
    graph = model.subgraphs[0]
    tensors = [_tensor(tensor, model.buffers) for tensor in graph.tensors]
    on_cpu: set[int] = set()
    lines = []
    for operator in graph.operators or []:
        code = model.operatorCodes[operator.opcodeIndex]
        inputs = [] if operator.inputs is None else list(operator.inputs)
        op = Operation(
            _name(model, operator.opcodeIndex),
            int(code.version),
            tuple(tensors[i] if i >= 0 else None for i in inputs),
            tuple(tensors[i] for i in operator.outputs),
            operator.builtinOptions,
        )
        reason = refusal(op)
        place: Place = "refused" if reason else "follows" if on_cpu.intersection(inputs) else "edge tpu"
        if place != "edge tpu":
            on_cpu.update(operator.outputs)
        first = op.outputs[0]
        broken = unreadable(op.name, op.version, max(code.builtinCode, code.deprecatedBuiltinCode))
        why = reason or (FOLLOWS if place == "follows" else "")
        lines.append(Line(op.name, op.version, first.shape, first.type, place, why, broken))
    return Report(tuple(lines))


def _name(model: Any, index: int) -> str:
    code = model.operatorCodes[index]
    return code.customCode.decode() if code.customCode else flatbuffer_utils.opcode_to_name(model, index)


def _tensor(tensor: Any, buffers: list[Any]) -> Tensor:
    shape = () if tensor.shape is None else tuple(map(int, tensor.shape))
    open_sizes = () if tensor.shapeSignature is None else tuple(tensor.shapeSignature)
    type_name = flatbuffer_utils.type_to_name(tensor.type)
    data, scales = buffers[tensor.buffer].data, getattr(tensor.quantization, "scale", None)
    zeros = getattr(tensor.quantization, "zeroPoint", None)
    values = None
    if 0 in shape:  # an empty tensor, such as the shape of a scalar, has no buffer
        values = np.zeros(shape, np.int32)
    elif data is not None and len(data):
        values = np.frombuffer(bytes(data), _TYPES.get(type_name, np.uint8))
    return Tensor(
        type_name,
        shape,
        fixed=all(size >= 0 for size in (*shape, *open_sizes)),
        quantized=scales is not None and len(scales) > 0,
        values=values,
        zero=int(zeros[0]) if zeros is not None and len(zeros) else 0,
    )


def _names(names: Counter[str]) -> str:
    return ", ".join([name for name, _ in names.most_common(3)] + ["..."] * (len(names) > 3))


def _row(index: int, line: Line) -> tuple[str, ...]:
    output = f"{line.type.lower()} {'x'.join(map(str, line.shape)) or 'scalar'}"
    where = "Edge TPU" if line.maps else "CPU"
    return str(index), line.name, str(line.version), output, where, line.reason
