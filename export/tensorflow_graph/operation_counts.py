"""Counts the operations of TensorFlow graphs, those of the functions that they call included."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_SILENT = {"Const", "Placeholder", "PlaceholderWithDefault", "NoOp", "Identity", "IdentityN"}
"""Operations that compute nothing, and are not counted."""


@dataclass(frozen=True)
class GraphNode:
    """A node of a graph, wherever it was read from.

    Attributes:
        name: of the node.
        operation: what it does, or the function it calls.
        inputs: names of the nodes it reads.
        calls: functions it names.
    """

    name: str
    operation: str
    inputs: tuple[str, ...]
    calls: tuple[str, ...]


def count_operations(
    steps: Sequence[GraphNode], functions: Mapping[str, Sequence[GraphNode]], outputs: Iterable[str]
) -> dict[str, int]:
    """What runs for some outputs.

    Args:
        steps: nodes of the graph.
        functions: nodes of each function of its library.
        outputs: names of nodes or of their tensors, such as `StatefulPartitionedCall:1`.

    Raises:
        ValueError: functions call each other in a circle.
    """
    by_name = {step.name: step for step in steps}
    todo, seen = [_node(name) for name in outputs], set()
    while todo:
        name = todo.pop()
        if name in seen or name not in by_name:
            continue
        seen.add(name)
        todo += map(_node, by_name[name].inputs)
    known: dict[str, Counter[str] | None] = {}
    return dict(_count([by_name[name] for name in seen], functions, known))


def _count(
    steps: Iterable[GraphNode],
    functions: Mapping[str, Sequence[GraphNode]],
    known: dict[str, Counter[str] | None],
) -> Counter[str]:
    total: Counter[str] = Counter()
    for step in steps:
        called = [name for name in (step.operation, *step.calls) if name in functions]
        for name in called:
            if name not in known:
                known[name] = None
                known[name] = _count(functions[name], functions, known)
            inside = known[name]
            if inside is None:
                raise ValueError(f"function {name} calls itself")
            total.update(inside)
        if not called and step.operation not in _SILENT:
            total[step.operation] += 1
    return total


def _node(tensor: str) -> str:
    """The node of an input such as `^name` or `name:1`."""
    return tensor.removeprefix("^").partition(":")[0]


def read_graph(graph: Any) -> tuple[list[GraphNode], dict[str, list[GraphNode]]]:
    """Nodes and functions of a GraphDef."""
    library = {function.signature.name: _steps(function.node_def) for function in graph.library.function}
    return _steps(graph.node), library


def _steps(nodes: Iterable[Any]) -> list[GraphNode]:
    steps = []
    for node in nodes:
        calls = []
        for value in node.attr.values():
            calls += [f.name for f in (value.func, *value.list.func) if f.name]
        steps.append(GraphNode(node.name, node.op, tuple(node.input), tuple(calls)))
    return steps
