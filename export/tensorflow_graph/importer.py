"""Builds an untrusted TensorFlow graph anew, one vetted operation after another.

Neither TensorFlow's loader of SavedModels nor its import of GraphDefs is used: both take over all that a file
holds, and the former runs some of it (initializers, restore functions). Here the outputs are followed back to
the input, and what is met is built into a new graph. Guaranteed is:

- Only operations on the allow-list are built (tensorflow_operations.py). All of them are pure: there is no
  state, no file, no address, no Python in them. Strings do not occur.
- What the file holds besides, such as its saver, is never built, so that it cannot run.
- Functions are put in the place of their calls, and there are no loops and no branches; so a graph ends.
- Every shape is known before anything runs, and memory and arithmetic are bounded (budget.py). Shapes are
  checked as operations are built: TensorFlow itself computes constants on the way.
- Variables become constants, read by `checkpoint.py` from the SavedModel's own folder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tfyolo.errors import TfyoloError
from tfyolo.export.runtime.budget import Budget, foreign, refused_operation
from tfyolo.export.tensorflow_graph.checkpoint import variable_name
from tfyolo.export.tensorflow_graph.operations import ALLOWED, CALLS, IGNORED, READ, products

_BUILT = ALLOWED | CALLS | READ | IGNORED
MAX_DEPTH = 50
"""Functions that call functions."""


@dataclass(frozen=True)
class Variable:
    """Stands for a variable's handle while a graph is built.

    Attributes:
        name: by which its value is looked for.
    """

    name: str


@dataclass
class Importer:
    """Builds what some tensors of a graph need, inside the function that is being traced.

    Args:
        graph: GraphDef.
        budget: of the model file.
        variable: from a variable's name to its value.
    """

    graph: Any
    budget: Budget
    variable: Callable[[str], Any] | None = None
    _functions: dict[str, Any] = field(init=False)
    _constant_work: dict[int, int] = field(init=False, default_factory=dict)
    """Of tensors that TensorFlow may compute while shapes are inferred, what that takes."""

    def __post_init__(self) -> None:
        self._functions = {function.signature.name: function for function in self.graph.library.function}

    def run(self, fed: Mapping[str, Any], wanted: Mapping[str, str]) -> dict[str, Any]:
        """Build.

        Args:
            fed: tensors that stand for nodes of the graph, by the node's name.
            wanted: names of tensors such as `scores:0`, by the names of outputs.

        Returns:
            The tensors, by the names of outputs.

        Raises:
            TfyoloError: an operation that is refused, or more memory or arithmetic than is allowed.
        """
        scope = _Scope(self, self.graph.node, {name: [tensor] for name, tensor in fed.items()}, 0)
        return {name: scope.tensor(tensor) for name, tensor in wanted.items()}

    def call(self, name: str, arguments: list[Any], depth: int) -> list[Any]:
        """Results of a function, its operations built in place."""
        function = self._functions.get(name)
        if function is None or depth > MAX_DEPTH:
            raise foreign(f"a call of {name[:60]!r}, which it does not hold or which calls itself", self.path)
        for node in function.node_def:
            self.check(node)
        names = [argument.name for argument in function.signature.input_arg]
        if len(names) != len(arguments):
            raise foreign(f"a wrong call of {name[:60]!r}", self.path)
        scope = _Scope(
            self, function.node_def, {n: [x] for n, x in zip(names, arguments, strict=True)}, depth
        )
        for node in function.control_ret.values():
            scope.node(node)
        return [scope.tensor(function.ret[out.name]) for out in function.signature.output_arg]

    def check(self, node: Any) -> None:
        """Refuse a node by its operation."""
        if node.op not in _BUILT and node.op not in self._functions:
            raise refused_operation(node.op, self.path)

    @property
    def path(self) -> Any:
        """Of the model file."""
        return self.budget.path

    def build(self, node: Any, inputs: list[Any], depth: int) -> list[Any]:
        """Results of one node."""
        self.budget.operation(node.name)
        self.check(node)
        if node.op in IGNORED:
            return []
        if node.op in CALLS:
            return self.call(node.attr["f"].func.name, inputs, depth + 1)
        if node.op in self._functions:
            return self.call(node.op, inputs, depth + 1)
        if node.op == "VarHandleOp":
            return [Variable(variable_name(node))]
        if node.op in ("Identity", "PlaceholderWithDefault") and len(inputs) == 1:
            return inputs
        if node.op == "ReadVariableOp":
            return [self._read(node, inputs)]
        if node.op == "Placeholder":
            raise foreign(f"a second input, {node.name[:60]!r}", self.path)
        if any(isinstance(x, Variable) for x in inputs):
            raise refused_operation(f"{node.op} on a variable", self.path)
        return self._operation(node, inputs)

    def _read(self, node: Any, inputs: list[Any]) -> Any:
        """The value of a variable, as a constant."""
        import tensorflow as tf

        if len(inputs) != 1 or not isinstance(inputs[0], Variable) or self.variable is None:
            raise refused_operation(node.op, self.path)
        value = self.variable(inputs[0].name)
        self.budget.tensor(node.name, value.shape, value.itemsize, counted=False)
        return tf.constant(value)

    def _operation(self, node: Any, inputs: list[Any]) -> list[Any]:
        import tensorflow as tf
        from tensorflow.python.framework import op_def_registry

        if node.op == "Const":
            self._check_constant(node)
        definition = op_def_registry.get(node.op)
        known = {attribute.name for attribute in definition.attr}
        # Private attributes steer TensorFlow's optimizers, and name other functions.
        attributes = {key: value for key, value in node.attr.items() if key in known}
        # It may compute its constant inputs, again for each reader.
        constant = [self._constant_work.get(id(x)) for x in inputs]
        self.budget.work(node.name, sum(work for work in constant if work))
        made = tf.compat.v1.get_default_graph().create_op(
            node.op, inputs, dtypes=None, name="op", attrs=attributes, op_def=definition
        )
        # Behind a normalisation's result stand what only its gradient would read.
        results = made.outputs[:1] if node.op.startswith("FusedBatchNorm") else made.outputs
        elements = sum(self._check(node, output) for output in results)
        self.budget.work(node.name, products(node, inputs, made.outputs))
        work = [x for x in constant if x is not None]
        if len(work) == len(constant):
            for output in made.outputs:
                self._constant_work[id(output)] = sum(work) + (elements if node.op != "Const" else 0)
        self._kept.append(made)
        return list(made.outputs)

    _kept: list[Any] = field(init=False, default_factory=list)
    """All operations, so that the ids of tensors stay theirs."""

    def _check(self, node: Any, output: Any) -> int:
        """Refuse a result of a kind or a size that is not allowed; its number of elements."""
        shape = output.shape
        if shape.rank is None or not shape.is_fully_defined():
            raise foreign(f"{node.op}, whose result has no fixed shape ({node.name[:60]!r})", self.path)
        if output.dtype.name not in NUMBERS:
            raise foreign(f"{node.op} with {output.dtype.name}", self.path)
        # Of the bytes of a constant the file itself holds most, and none where it repeats one number.
        held = node.op == "Const" and len(node.attr["value"].tensor.tensor_content) > 0
        return self.budget.tensor(node.name, tuple(shape), output.dtype.size, counted=not held)

    def _check_constant(self, node: Any) -> None:
        """Before TensorFlow unpacks it: one number may stand for as many as its shape says."""
        import tensorflow as tf

        tensor = node.attr["value"].tensor
        sizes = [dim.size for dim in tensor.tensor_shape.dim]
        if tensor.tensor_shape.unknown_rank or any(size < 0 for size in sizes):
            raise foreign(f"a constant without a shape ({node.name[:60]!r})", self.path)
        try:
            dtype = tf.dtypes.as_dtype(tensor.dtype)
        except TypeError:
            raise foreign(f"a constant of an unknown kind ({node.name[:60]!r})", self.path) from None
        if dtype.name not in NUMBERS:
            raise foreign(f"a constant of {dtype.name} ({node.name[:60]!r})", self.path)
        if node.attr["dtype"].type != tensor.dtype:  # TensorFlow ends the process where a kernel reads it
            raise foreign(f"a constant whose value is of another kind ({node.name[:60]!r})", self.path)
        self.budget.tensor(node.name, tuple(sizes), dtype.size, counted=False)


class _Scope:
    """The nodes of a graph or of one call of a function.

    Args:
        importer: builds them.
        nodes: NodeDefs.
        values: results of what is not among them, by name.
        depth: of the call.
    """

    def __init__(self, importer: Importer, nodes: Any, values: dict[str, list[Any]], depth: int) -> None:
        self._importer, self._values, self._depth = importer, values, depth
        self._nodes = {node.name: node for node in nodes}
        if len(self._nodes) < len(nodes):
            raise foreign("nodes of one name", importer.path)

    def tensor(self, name: str) -> Any:
        """The tensor that an input such as `node`, `node:1` or, in functions, `node:output:0` names."""
        node, *place = name.split(":")
        self.node(node)
        values = self._values[node]
        try:
            index = int(place[-1]) if place else 0
            if len(place) == 2 and node in self._nodes:
                index += self._start(self._nodes[node], place[0])
            if not 0 <= index < len(values):
                raise ValueError(index)
        except ValueError:
            raise foreign(f"an input that does not exist, {name[:60]!r}", self._importer.path) from None
        return values[index]

    def node(self, name: str) -> None:
        """Build a node and what it needs. Not by recursion: graphs are deeper than Python's stack."""
        todo, opened = [name], set()
        while todo:
            name = todo[-1]
            if name in self._values:
                todo.pop()
                continue
            node = self._nodes.get(name)
            if node is None:
                raise foreign(f"an input that does not exist, {name[:60]!r}", self._importer.path)
            needed = [x.removeprefix("^").partition(":")[0] for x in node.input]
            missing = [x for x in needed if x not in self._values]
            if missing and name in opened:
                raise foreign(f"a circle, through {name[:60]!r}", self._importer.path)
            if missing:
                opened.add(name)
                todo += missing
                continue
            inputs = [self.tensor(x) for x in node.input if not x.startswith("^")]
            self._values[name] = self._importer.build(node, inputs, self._depth)
            todo.pop()

    def _start(self, node: Any, output: str) -> int:
        """Where an output that is a list of tensors begins among all."""
        from tensorflow.python.framework import op_def_registry

        definition = op_def_registry.get(node.op)
        if definition is None:
            definition = self._importer._functions[node.op].signature
        arguments = definition.output_arg
        start = 0
        for argument in arguments:
            if argument.name == output:
                return start
            if argument.number_attr:
                start += node.attr[argument.number_attr].i
            elif argument.type_list_attr:
                start += len(node.attr[argument.type_list_attr].list.type)
            else:
                start += 1
        raise ValueError(output)


NUMBERS = frozenset(
    [
        "bool",
        "uint8",
        "int8",
        "uint16",
        "int16",
        "uint32",
        "int32",
        "uint64",
        "int64",
        "float16",
        "bfloat16",
        "float32",
        "float64",
    ]
)


def import_function(
    graph: Any,
    feed: str,
    wanted: Mapping[str, str],
    image_size: tuple[int, int],
    uint8: bool,
    budget: Budget,
    variable: Callable[[str], Any] | None = None,
) -> Any:
    """A graph as a function of one image.

    Args:
        graph: GraphDef.
        feed: name of the node that is the input.
        wanted: names of tensors, by the names of outputs.
        image_size: height and width of images in pixels.
        uint8: images are 0..255, else float32 in 0..1.
        budget: of the model file.
        variable: from a variable's name to its value.

    Returns:
        A ConcreteFunction from (1, height, width, 3) to a dictionary of tensors.

    Raises:
        TfyoloError: an operation that is refused, more memory or arithmetic than is allowed, or TensorFlow
            cannot build it.
    """
    import tensorflow as tf

    importer = Importer(graph, budget, variable)
    spec = tf.TensorSpec((1, *image_size, 3), tf.uint8 if uint8 else tf.float32, name="images")
    budget.tensor("images", tuple(spec.shape), spec.dtype.size)

    def body(images: Any) -> dict[str, Any]:
        found = importer.run({feed: images}, wanted)
        return {name: tf.identity(tensor) for name, tensor in found.items()}

    try:
        return tf.function(body, input_signature=[spec], autograph=False).get_concrete_function()
    except TfyoloError:
        raise
    except Exception as error:  # TensorFlow raises many kinds for a damaged graph
        raise unreadable(error, budget.path) from error


def unreadable(error: Exception, path: Any) -> TfyoloError:
    """What TensorFlow says about a damaged file, in one sentence."""
    from tfyolo.text import printable

    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return TfyoloError(
        f"TensorFlow cannot read it: {printable(reason)[:200]}", path=path, fix="export it again"
    )
