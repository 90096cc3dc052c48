"""Arguments of a configuration row, checked against the signature of the block."""

from __future__ import annotations

import ast
import inspect
import re
import reprlib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from tfyolo.models.blocks import Block

ACTIVATIONS = ("silu", "leaky_relu", "relu", "relu6", "hard_swish", "linear")
LEAKY_SLOPE = 0.1


def resolve_arguments(
    block: Block, values: Sequence[Any], numbers: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """Match the positional arguments of a row to the parameters of its block.

    Args:
        block: the block of the row.
        values: positional arguments, as written in the configuration.
        numbers: values of `nc`, `classes`, `na` and `anchors` in the number of filters.

    Returns:
        Validated arguments by the names of the block's parameters; omitted ones are missing.

    Raises:
        ValueError: there are too many arguments, or one is missing, of the wrong type, or out of range.
    """
    parameters = _parameters(block)
    if len(values) > len(parameters):
        raise ValueError(f"{len(values)} arguments, but the block takes {', '.join(parameters) or 'none'}")
    arguments: dict[str, Any] = {}
    for name, value in zip(parameters, values, strict=False):
        value = None if value == "None" else value  # YOLOv5's files hold the word
        if name == "filters" and isinstance(value, str):
            value = _number(value, numbers or {})
        try:
            arguments[name] = parameters[name][1].validate_python(value)
        except ValidationError as error:
            shown, reason = reprlib.repr(value), error.errors()[0]["msg"]
            raise ValueError(f"argument `{name}`: {shown}: {reason[0].lower()}{reason[1:]}") from error
    missing = [name for name, (needed, _) in list(parameters.items())[len(values) :] if needed]
    if missing:
        raise ValueError(f"argument `{missing[0]}` is missing")
    if isinstance(arguments.get("act"), str):
        arguments["act"] = activation_name(arguments["act"])
    return arguments


@cache
def _parameters(block: Block) -> dict[str, tuple[bool, Any]]:
    """Return the parameters of a block in order: whether each is required, and its pydantic validator."""
    hints = get_type_hints(block.build, include_extras=True)
    found = list(inspect.signature(block.build).parameters.values())[3:]  # after ops, x, name
    strict = ConfigDict(strict=True)
    return {
        p.name: (p.default is p.empty, TypeAdapter(hints[p.name], config=strict))
        for p in found
        if p.kind is not p.KEYWORD_ONLY
    }


def activation_name(value: str) -> str:
    """Parse the name of an activation in a configuration: `silu`, `nn.SiLU()`, `nn.LeakyReLU(0.1)`.

    Raises:
        ValueError: the activation is not supported. Nothing is evaluated.
    """
    match = re.fullmatch(r"(?:nn\.)?(\w+)(\(([^()]*)\))?", value)
    known = {a.replace("_", ""): a for a in ACTIVATIONS}
    known |= {"swish": "silu", "hardswish": "hard_swish", "identity": "linear"}
    name = known.get(match[1].replace("_", "").lower()) if match else None
    if match is None or name is None:
        raise ValueError(f"unknown activation `{value[:60]}`; one of {', '.join(ACTIVATIONS)}")
    first = (match[3] or "").split(",")[0].split("=")[-1].strip()
    if name == "leaky_relu" and match[2] and first != str(LEAKY_SLOPE):
        raise ValueError(f"`{value[:60]}`: only LeakyReLU({LEAKY_SLOPE}) is supported")
    return name


def _number(text: str, names: Mapping[str, int]) -> int:
    """Evaluate an expression such as `na * (nc + 5)`: only names, integers, + - * and parentheses."""
    operators = {ast.Add: int.__add__, ast.Sub: int.__sub__, ast.Mult: int.__mul__}

    def evaluate(node: ast.expr) -> int:
        if isinstance(node, ast.Constant) and type(node.value) is int:
            return node.value
        if isinstance(node, ast.Name) and node.id in names:
            return names[node.id]
        if isinstance(node, ast.BinOp) and type(node.op) in operators:
            return operators[type(node.op)](evaluate(node.left), evaluate(node.right))
        raise ValueError

    try:
        if len(text) > 100:
            raise ValueError
        return evaluate(ast.parse(text, mode="eval").body)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        raise ValueError(f"`{text[:60]}` is not a number of filters") from None
