"""What a block is, and the types of its arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from tfyolo.models.ops import Ops, Tensor

# Types of arguments. config/arguments.py checks every configuration against them.
Count = Annotated[int, Field(ge=1, le=65536)]
Border = Annotated[int, Field(ge=0, le=1024)]
Expansion = Annotated[float, Field(gt=0, le=16)]
Epsilon = Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True)
class Block:
    """A block that a model configuration can name.

    Attributes:
        build: called as `build(ops, x, name, **arguments)`; the names and types of its other positional
            parameters are the arguments of a configuration row.
        inputs: whether the block reads `one` layer or `many`, given as a list in `from`.
        repeats: whether repeats are a `chain` of copies, or are handled `inside` as the parameter `repeats`.
        scaled: whether the first argument is a number of filters, multiplied by the model's width.
        stride: function from the arguments to the ratio of input size to output size.
    """

    build: Callable[..., Any]
    inputs: Literal["one", "many"] = "one"
    repeats: Literal["chain", "inside"] = "chain"
    scaled: bool = True
    stride: Callable[[Mapping[str, Any]], float] = lambda arguments: arguments.get("stride", 1)


def run_block(
    ops: Ops, block: Block, inputs: Sequence[Tensor], name: str, arguments: Mapping[str, Any], repeats: int
) -> Tensor:
    """Apply one layer of a configuration: a block, `repeats` times.

    Args:
        ops: implementation of `Ops`, such as `KerasOps` or `ShapeOps`.
        block: entry of `BLOCKS`.
        inputs: outputs of the preceding layers it reads, each (batch, height, width, channels).
        name: prefix of layer names, such as `model.2`; copies in a chain have `model.2.0`, `model.2.1`, ...
        arguments: keyword arguments of the block, as `resolve_arguments` returns them.
        repeats: number of copies, or of inner bottlenecks for blocks that repeat inside.

    Returns:
        Output (batch, height, width, channels).

    Raises:
        ValueError: the block does not accept these inputs.
    """
    x = list(inputs) if block.inputs == "many" else inputs[0]
    if block.repeats == "inside":
        return block.build(ops, x, name, **arguments, repeats=repeats)
    if repeats == 1:
        return block.build(ops, x, name, **arguments)
    for i in range(repeats):
        x = block.build(ops, x, f"{name}.{i}", **arguments)
    return x
