"""Counts the operations that a TensorFlow graph runs, including those in the functions that it calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_NOT_COUNTED = {"Const", "Placeholder", "PlaceholderWithDefault", "NoOp", "Identity", "IdentityN"}
"""Operations that compute nothing."""


@dataclass(frozen=True)
class GraphNode:
    """A node of a graph, from a GraphDef or from the JSON of TF.js.

    Attributes:
        name: name of the node.
        operation: operation of the node, or the name of the function that it calls.
        inputs: names of the nodes or tensors that it reads.
        calls: names of functions in its attributes.
    """

    name: str
    operation: str
    inputs: tuple[str, ...]
    calls: tuple[str, ...]


def count_operations(
    nodes: Sequence[GraphNode], functions: Mapping[str, Sequence[GraphNode]], outputs: Iterable[str]
) -> dict[str, int]:
    """Return the number of each operation that runs when the outputs are computed.

    Args:
        nodes: nodes of the graph.
        functions: nodes of each function in the graph's library, by name.
        outputs: names of nodes or tensors, such as `StatefulPartitionedCall:1`.

    Returns:
        Number of nodes that run, by the name of their operation.

    Raises:
        ValueError: a function calls itself, directly or through others.

    Example:
        >>> nodes = [GraphNode("a", "Relu", (), ()), GraphNode("b", "Add", ("a",), ()),
        ...          GraphNode("unused", "Add", (), ())]
        >>> count_operations(nodes, {}, ["b:0"])
        {'Add': 1, 'Relu': 1}
    """
    by_name = {node.name: node for node in nodes}
    pending, order = [_node_name(name) for name in outputs], dict[str, None]()
    while pending:
        name = pending.pop()
        if name in order or name not in by_name:
            continue
        order[name] = None
        pending += map(_node_name, by_name[name].inputs)
    counts: dict[str, Counter[str] | None] = {}
    return dict(_count([by_name[name] for name in order], functions, counts))


def _count(
    nodes: Iterable[GraphNode],
    functions: Mapping[str, Sequence[GraphNode]],
    function_counts: dict[str, Counter[str] | None],
) -> Counter[str]:
    """Count operations, with those of called functions.

    Args:
        nodes: nodes to count.
        functions: nodes of each function.
        function_counts: results for functions, filled in here; None while a function is being counted.

    Raises:
        ValueError: a function calls itself.
    """
    total: Counter[str] = Counter()
    for node in nodes:
        called = [name for name in (node.operation, *node.calls) if name in functions]
        for name in called:
            if name not in function_counts:
                function_counts[name] = None
                function_counts[name] = _count(functions[name], functions, function_counts)
            counts = function_counts[name]
            if counts is None:
                raise ValueError(f"function {name} calls itself")
            total.update(counts)
        if not called and node.operation not in _NOT_COUNTED:
            total[node.operation] += 1
    return total


def _node_name(tensor: str) -> str:
    """Return the node's name in the name of a tensor or control input: `^a` and `a:1` belong to `a`."""
    return tensor.removeprefix("^").partition(":")[0]


def read_graph(graph: Any) -> tuple[list[GraphNode], dict[str, list[GraphNode]]]:
    """Return the nodes of a GraphDef, and the nodes of each function in its library by name."""
    functions = {function.signature.name: _nodes(function.node_def) for function in graph.library.function}
    return _nodes(graph.node), functions


def _nodes(node_defs: Iterable[Any]) -> list[GraphNode]:
    nodes = []
    for node in node_defs:
        calls = []
        for value in node.attr.values():
            calls += [f.name for f in (value.func, *value.list.func) if f.name]
        nodes.append(GraphNode(node.name, node.op, tuple(node.input), tuple(calls)))
    return nodes
