"""Rebuilds an untrusted TensorFlow graph from vetted operations.

TensorFlow's loaders are not used: `tf.saved_model.load` runs initializers and restore functions, and
`tf.import_graph_def` adds everything in the file. The importer follows the outputs back to the input and
creates each operation that it meets in a new graph. It guarantees:

- Allow-list: only the operations in `operations.py` are created. They are pure: no state, files, network
  addresses, Python functions, or strings.
- Unreachable parts of the file, such as its saver, are never created, so they cannot run.
- Function calls are inlined, and there are no loops and no branches, so the graph terminates.
- Shape inference and memory bound: every shape is known before the graph runs, and memory and arithmetic stay
  within `runtime/budget.py`. Each operation is checked when it is created, since TensorFlow evaluates
  constant expressions while a graph is built.
- Variables become constants, which `checkpoint.py` reads from the SavedModel's own folder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tfyolo.export.runtime.budget import Budget, foreign, refused_operation
from tfyolo.export.tensorflow_graph.checkpoint import variable_name
from tfyolo.export.tensorflow_graph.operations import ALLOWED, CALLS, IGNORED, SOURCES, multiplications

_IMPORTED = ALLOWED | CALLS | SOURCES | IGNORED
MAX_CALL_DEPTH = 50
"""Largest depth of nested function calls."""
_DTYPES = """
bool uint8 int8 uint16 int16 uint32 int32 uint64 int64 float16 bfloat16 float32 float64
"""
DTYPES = frozenset(_DTYPES.split())
"""Allowed dtypes: no strings, resources, or variants."""


@dataclass(frozen=True)
class Variable:
    """Placeholder for a variable's handle while the graph is rebuilt.

    Attributes:
        name: name of the variable in the checkpoint.
    """

    name: str


@dataclass
class Importer:
    """Creates operations in the current default graph.

    Attributes:
        graph: the untrusted GraphDef.
        budget: limits of memory and arithmetic for the model file.
        read_variable: returns the value of a variable by name; None if the graph must not have variables.
    """

    graph: Any
    budget: Budget
    read_variable: Callable[[str], Any] | None = None
    _functions: dict[str, Any] = field(init=False)
    # TensorFlow may evaluate a constant tensor during shape inference, again for each reader: the work that
    # takes, by id of the tensor.
    _constant_work: dict[int, int] = field(init=False, default_factory=dict)
    # Nodes by name of each function that was called, after its operations were checked.
    _function_nodes: dict[str, dict[str, Any]] = field(init=False, default_factory=dict)
    # References to all operations, so that no id is used twice.
    _created: list[Any] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self._functions = {function.signature.name: function for function in self.graph.library.function}

    def run(self, inputs: Mapping[str, Any], outputs: Mapping[str, str]) -> dict[str, Any]:
        """Create the operations that the outputs need.

        Args:
            inputs: tensors that replace nodes of the graph, by node name.
            outputs: tensor names in the graph, such as `scores:0`, by output name.

        Returns:
            The tensors by output name.

        Raises:
            TfyoloError: an operation is not allowed, or the budget is exceeded.
        """
        scope = _Scope(
            self, self._by_name(self.graph.node), {name: [tensor] for name, tensor in inputs.items()}, 0
        )
        return {name: scope.tensor(tensor) for name, tensor in outputs.items()}

    @property
    def path(self) -> Path:
        """The model file, for messages."""
        return self.budget.path

    def create(self, node: Any, inputs: list[Any], depth: int) -> list[Any]:
        """Create one node.

        Args:
            node: NodeDef.
            inputs: data inputs of the node.
            depth: depth of nested function calls.

        Returns:
            Its outputs: tensors, or a `Variable`; empty for operations that are ignored.

        Raises:
            TfyoloError: the operation is not allowed, or the budget is exceeded.
        """
        self.budget.operation(node.name)
        self._check_operation(node)
        if node.op in IGNORED:
            return []
        if node.op in CALLS:
            return self._inline(node.attr["f"].func.name, inputs, depth + 1)
        if node.op in self._functions:
            return self._inline(node.op, inputs, depth + 1)
        if node.op == "VarHandleOp":
            return [Variable(variable_name(node))]
        if node.op in ("Identity", "PlaceholderWithDefault") and len(inputs) == 1:
            return inputs
        if node.op == "ReadVariableOp":
            return [self._variable_value(node, inputs)]
        if node.op == "Placeholder":
            raise foreign(f"a second input, {node.name[:60]!r}", self.path)
        if any(isinstance(x, Variable) for x in inputs):
            raise refused_operation(f"{node.op} on a variable", self.path)
        return self._create_operation(node, inputs)

    def _check_operation(self, node: Any) -> None:
        """Refuse a node whose operation is neither on the allow-list nor a function of the graph."""
        if node.op not in _IMPORTED and node.op not in self._functions:
            raise refused_operation(node.op, self.path)

    def _inline(self, name: str, arguments: list[Any], depth: int) -> list[Any]:
        """Create the operations of a function and return its results."""
        function = self._functions.get(name)
        if function is None or depth > MAX_CALL_DEPTH:
            raise foreign(f"a call of {name[:60]!r}, which is undefined or calls itself", self.path)
        if name not in self._function_nodes:
            for node in function.node_def:
                self._check_operation(node)
            self._function_nodes[name] = self._by_name(function.node_def)
        parameters = [argument.name for argument in function.signature.input_arg]
        if len(parameters) != len(arguments):
            raise foreign(f"a call of {name[:60]!r} with {len(arguments)} arguments", self.path)
        values = {parameter: [x] for parameter, x in zip(parameters, arguments, strict=True)}
        scope = _Scope(self, self._function_nodes[name], values, depth)
        for node_name in function.control_ret.values():
            scope.create(node_name)
        return [scope.tensor(function.ret[output.name]) for output in function.signature.output_arg]

    def _by_name(self, nodes: Any) -> dict[str, Any]:
        """Return NodeDefs by name.

        Raises:
            TfyoloError: two nodes have the same name.
        """
        found = {node.name: node for node in nodes}
        if len(found) < len(nodes):
            raise foreign("two nodes of the same name", self.path)
        return found

    def _variable_value(self, node: Any, inputs: list[Any]) -> Any:
        """Return the value of the variable that a ReadVariableOp reads, as a constant tensor."""
        import tensorflow as tf

        if len(inputs) != 1 or not isinstance(inputs[0], Variable) or self.read_variable is None:
            raise refused_operation(node.op, self.path)
        value = self.read_variable(inputs[0].name)
        self.budget.tensor(node.name, value.shape, value.itemsize, counted=False)
        return tf.constant(value)

    def _create_operation(self, node: Any, inputs: list[Any]) -> list[Any]:
        """Create an operation of the allow-list, check its outputs, and return them."""
        import tensorflow as tf
        from tensorflow.python.framework import op_def_registry

        if node.op == "Const":
            self._check_constant(node)
        if node.op == "GatherV2":
            self._check_gather(node, inputs)
        definition = op_def_registry.get(node.op)
        known = {attribute.name for attribute in definition.attr}
        # Attributes that start with an underscore control TensorFlow's optimizers and name other functions.
        attributes = {key: value for key, value in node.attr.items() if key in known}
        input_shapes = [self._static_shape(node, x, "input") for x in inputs]
        input_work = [self._constant_work.get(id(x)) for x in inputs]
        self.budget.charge(node.name, sum(work for work in input_work if work))
        work = self.budget.work(node.name, input_shapes, ())
        operation = tf.compat.v1.get_default_graph().create_op(
            node.op, inputs, dtypes=None, name="op", attrs=attributes, op_def=definition
        )
        # The other outputs of a batch normalization are for its gradient, and may have no static shape.
        used = operation.outputs[:1] if node.op.startswith("FusedBatchNorm") else operation.outputs
        output_shapes = [self._check_output(node, output) for output in used]
        more = multiplications(node, input_shapes, output_shapes)
        work += self.budget.work(node.name, (), output_shapes, more)
        constant_work = [work for work in input_work if work is not None]
        if len(constant_work) == len(input_work):  # all inputs are constant, hence the outputs are too
            for output in operation.outputs:
                self._constant_work[id(output)] = sum(constant_work) + (work if node.op != "Const" else 0)
        self._created.append(operation)
        return list(operation.outputs)

    def _static_shape(self, node: Any, tensor: Any, role: str) -> tuple[int, ...]:
        """Return the shape of an input or the result (`role`) of a node, which must be known."""
        shape = tensor.shape
        if shape.rank is None or not shape.is_fully_defined():
            raise foreign(f"{node.op}, whose {role} has no fixed shape ({node.name[:60]!r})", self.path)
        return tuple(shape.as_list())

    def _check_output(self, node: Any, output: Any) -> tuple[int, ...]:
        """Check dtype, static shape and size of an output; return its shape."""
        shape = self._static_shape(node, output, "result")
        if output.dtype.name not in DTYPES:
            raise foreign(f"{node.op} with {output.dtype.name}", self.path)
        # A constant with `tensor_content` is not larger than the file. One without may repeat a single value.
        stored = node.op == "Const" and len(node.attr["value"].tensor.tensor_content) > 0
        self.budget.tensor(node.name, shape, output.dtype.size, counted=not stored)
        return shape

    def _check_gather(self, node: Any, inputs: list[Any]) -> None:
        """Check the batch dimensions of a GatherV2: TensorFlow aborts the process if there are too many."""
        ranks = [x.shape.rank for x in inputs[:2] if x.shape.rank is not None]
        # Reading an attribute that is not there would add it.
        batch_dims = node.attr["batch_dims"].i if "batch_dims" in node.attr else 0
        if not 0 <= batch_dims <= min(ranks, default=0):
            raise foreign(f"a GatherV2 with impossible batch dimensions ({node.name[:60]!r})", self.path)

    def _check_constant(self, node: Any) -> None:
        """Check a constant before TensorFlow unpacks it: one stored value may fill a huge shape."""
        import tensorflow as tf

        tensor = node.attr["value"].tensor
        sizes = [dim.size for dim in tensor.tensor_shape.dim]
        if tensor.tensor_shape.unknown_rank or any(size < 0 for size in sizes):
            raise foreign(f"a constant without a shape ({node.name[:60]!r})", self.path)
        try:
            dtype = tf.dtypes.as_dtype(tensor.dtype)
        except TypeError:
            raise foreign(f"a constant of an unknown dtype ({node.name[:60]!r})", self.path) from None
        if dtype.name not in DTYPES:
            raise foreign(f"a constant of {dtype.name} ({node.name[:60]!r})", self.path)
        if node.attr["dtype"].type != tensor.dtype:  # TensorFlow aborts the process when a kernel reads it
            raise foreign(f"a constant whose value has another dtype ({node.name[:60]!r})", self.path)
        self.budget.tensor(node.name, tuple(sizes), dtype.size, counted=False)


class _Scope:
    """The nodes of a graph, or of one inlined function call, and the values created from them.

    Args:
        importer: creates the nodes.
        nodes: NodeDefs by name.
        values: outputs of nodes that exist already (inputs, function arguments), by name.
        depth: depth of nested function calls.
    """

    def __init__(
        self, importer: Importer, nodes: dict[str, Any], values: dict[str, list[Any]], depth: int
    ) -> None:
        self._importer, self._nodes, self._values, self._depth = importer, nodes, values, depth

    def tensor(self, name: str) -> Any:
        """Return the tensor of an input name: `node`, `node:1`, or in functions `node:output:0`.

        Raises:
            TfyoloError: there is no such tensor, or its node is refused.
        """
        node, *output = name.split(":")
        self.create(node)
        values = self._values[node]
        try:
            index = int(output[-1]) if output else 0
            if len(output) == 2 and node in self._nodes:
                index += self._output_offset(self._nodes[node], output[0])
            if not 0 <= index < len(values):
                raise ValueError(index)
        except ValueError:
            raise foreign(f"an input that does not exist, {name[:60]!r}", self._importer.path) from None
        return values[index]

    def create(self, name: str) -> None:
        """Create a node and all nodes that it needs, without recursion: graphs exceed Python's stack depth.

        Raises:
            TfyoloError: a node is missing or refused, or depends on itself.
        """
        pending, opened = [name], set()
        while pending:
            name = pending[-1]
            if name in self._values:
                pending.pop()
                continue
            node = self._nodes.get(name)
            if node is None:
                raise foreign(f"an input that does not exist, {name[:60]!r}", self._importer.path)
            needed = [x.removeprefix("^").partition(":")[0] for x in node.input]
            missing = [x for x in needed if x not in self._values]
            if missing and name in opened:
                raise foreign(f"a cycle through {name[:60]!r}", self._importer.path)
            if missing:
                opened.add(name)
                pending += missing
                continue
            inputs = [self.tensor(x) for x in node.input if not x.startswith("^")]
            self._values[name] = self._importer.create(node, inputs, self._depth)
            pending.pop()

    def _output_offset(self, node: Any, output: str) -> int:
        """Return the index of the first tensor of a named output among all outputs of a node.

        Raises:
            ValueError: there is no such output.
        """
        from tensorflow.python.framework import op_def_registry

        definition = op_def_registry.get(node.op)
        if definition is None:
            definition = self._importer._functions[node.op].signature
        offset = 0
        for argument in definition.output_arg:
            if argument.name == output:
                return offset
            if argument.number_attr:
                offset += node.attr[argument.number_attr].i
            elif argument.type_list_attr:
                offset += len(node.attr[argument.type_list_attr].list.type)
            else:
                offset += 1
        raise ValueError(output)
