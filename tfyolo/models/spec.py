"""A model configuration: read, checked, and resolved to what the builder needs."""

from __future__ import annotations

import ast
import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, get_type_hints

from tfyolo.configs.reader import Document
from tfyolo.models.blocks import BLOCKS, Block

SECTIONS = ("backbone", "neck", "head")
ACTIVATIONS = ("silu", "leaky_relu", "relu", "relu6", "hard_swish", "linear")
Anchors = tuple[tuple[float, ...], ...]
"""Per scale: width, height, width, height, ... in pixels of the network's input."""

_KEYS = {"nc": "classes", "depth_multiple": "depth", "width_multiple": "width"}  # YOLOv5's name: ours
_DEFAULTS: dict[str, Any] = {
    "classes": 80, "depth": 1.0, "width": 1.0, "anchors": 3, "activation": "silu", "csp_activation": None,
    "bn_epsilon": 1e-3, "image_size": 640, "ch": 3,
}  # fmt: skip
_GRID_ANCHORS = (1.25, 1.625, 2.0, 3.75, 4.125, 2.875)  # P3's default anchors in cells of its grid


@dataclass(frozen=True)
class Layer:
    """One row of the configuration, resolved: absolute sources, scaled filters, named arguments."""

    index: int
    section: str
    sources: tuple[int, ...]
    """Indices of the layers it reads; -1 is the image."""
    repeats: int
    block: str
    arguments: dict[str, Any]
    stride: float
    """Of its output, in pixels of the image."""


@dataclass(frozen=True)
class ModelSpec:
    """What a network is: `layers` in order, the last of them Detect.

    Example:
        >>> from tfyolo.models import load_spec
        >>> spec = load_spec("yolov5n")
        >>> spec.strides, len(spec.layers)
        ((8, 16, 32), 25)
    """

    name: str
    classes: int
    anchors: Anchors | int
    activation: str
    csp_activation: str
    bn_epsilon: float
    image_size: int
    layers: tuple[Layer, ...]
    config: dict[str, Any]
    """The configuration as plain values: what a model file keeps, and `parse_spec` takes back."""

    @property
    def detect(self) -> Layer:
        """The last layer."""
        return self.layers[-1]

    @property
    def strides(self) -> tuple[int, ...]:
        """Stride of each detection scale in the order of the outputs (v1.0 lists P5 first)."""
        return tuple(int(self.layers[i].stride) for i in self.detect.sources)

    @property
    def anchors_per_scale(self) -> int:
        """Number of anchors of each scale."""
        return self.anchors if isinstance(self.anchors, int) else len(self.anchors[0]) // 2

    @property
    def anchors_px(self) -> Anchors:
        """Anchors per scale; until they are generated, those of P3 grown with the stride."""
        if not isinstance(self.anchors, int):
            return self.anchors
        pairs = [_GRID_ANCHORS[2 * (i % 3) : 2 * (i % 3) + 2] for i in range(self.anchors)]
        grid = [value * (1 + i // 3) for i, pair in enumerate(pairs) for value in pair]
        return tuple(tuple(value * stride for value in grid) for stride in self.strides)


def parse_spec(document: Document, name: str = "", **overrides: Any) -> ModelSpec:
    """Check a configuration and resolve it.

    Args:
        document: the mapping of a model YAML (ours or YOLOv5's), or one made in memory.
        name: which of the file's `models` is meant; may be empty where there is one.
        overrides: values that win over the file's, such as `classes=3`; None is ignored.

    Raises:
        TfyoloError: naming file and line: an unknown key or block, a wrong index, argument or anchor list.
    """
    config = _settings(document, name)
    config.update({key: value for key, value in overrides.items() if value is not None})
    _check_settings(document, config)
    layers: list[Layer] = []
    sections = [section for section in SECTIONS if section in config]
    for section in sections:
        rows = config[section]
        if not isinstance(rows, list):
            raise document.error(f"`{section}` must be a list of layers", section)
        for number, row in enumerate(rows):
            try:
                layer = _resolve(row, section, layers, config)
            except ValueError as error:
                message = f"{section} layer {len(layers)}: {error}"
                raise document.error(message, section, number) from error
            # YOLOv5's files call everything after the backbone the head.
            in_neck = "neck" not in sections and section == "head" and layer.block != "Detect"
            layers.append(replace(layer, section="neck") if in_neck else layer)
    if not layers or layers[-1].block != "Detect":
        raise document.error("the last layer must be Detect", "head")
    spec = ModelSpec(
        name=name or str(config.get("name", "custom")),
        classes=config["classes"],
        anchors=_anchors(document, config, len(layers[-1].sources)),
        activation=config["activation"],
        csp_activation=config["csp_activation"] or config["activation"],
        bn_epsilon=config["bn_epsilon"],
        image_size=config["image_size"],
        layers=tuple(layers),
        config=config,
    )
    return replace(spec, config=config | {"name": spec.name})


def activation_name(value: str) -> str:
    """Our name of an activation as configurations write it: `silu`, `nn.SiLU()`, `nn.LeakyReLU(0.1)`.

    Raises:
        ValueError: none of those that are supported. Nothing is evaluated.
    """
    plain = value.removeprefix("nn.").split("(")[0].replace("_", "").lower()
    known = {a.replace("_", ""): a for a in ACTIVATIONS}
    known |= {"swish": "silu", "hardswish": "hard_swish", "identity": "linear"}
    if plain not in known:
        raise ValueError(f"unknown activation `{value}`; one of {', '.join(ACTIVATIONS)}")
    return known[plain]


def _settings(document: Document, name: str) -> dict[str, Any]:
    """The file's plain settings with those of the chosen entry of `models` over them."""
    config = dict(_DEFAULTS)
    for key, value in document.value.items():
        ours = _KEYS.get(key, key)
        if ours not in (*_DEFAULTS, *SECTIONS, "models", "name"):
            raise document.error(
                f"unknown key `{key}`", key, fix=f"one of {', '.join((*_DEFAULTS, *SECTIONS))}"
            )
        config[ours] = value
    models = config.pop("models", None)
    if models is not None:
        name = name or next(iter(models))
        if name not in models:
            raise document.error(f"no model `{name}`", "models", fix=f"one of {', '.join(models)}")
        config.update(models[name] or {})
    return config


def _check_settings(document: Document, config: dict[str, Any]) -> None:
    """Types and ranges of the plain settings, and the activations' names made ours."""
    for key in ("classes", "image_size", "ch"):
        if not isinstance(config[key], int) or isinstance(config[key], bool) or config[key] < 1:
            raise document.error(f"`{key}` must be a whole number of at least 1, not {config[key]!r}", key)
    if config["ch"] != 3:
        raise document.error(f"`ch` is {config['ch']}, but images have 3 channels here", "ch")
    for key in ("depth", "width", "bn_epsilon"):
        value = config[key]
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 100:
            raise document.error(f"`{key}` must be a positive number, not {value!r}", key)
    for key in ("activation", "csp_activation"):
        try:
            config[key] = config[key] and activation_name(str(config[key]))
        except ValueError as error:
            raise document.error(str(error), key) from error


def _anchors(document: Document, config: Mapping[str, Any], scales: int) -> Anchors | int:
    anchors = config["anchors"]
    if isinstance(anchors, int) and not isinstance(anchors, bool):
        if not 1 <= anchors <= 100:
            raise document.error(f"`anchors: {anchors}` is not a number of anchors a scale", "anchors")
        return anchors
    try:
        rows = tuple(tuple(float(value) for value in _flat(row)) for row in anchors)
    except (TypeError, ValueError) as error:
        raise document.error(
            "`anchors` must be a list of numbers for each scale, or one number", "anchors"
        ) from error
    if len(rows) != scales:
        raise document.error(f"`anchors` has {len(rows)} scales, but Detect reads {scales}", "anchors")
    if any(len(row) != len(rows[0]) or len(row) % 2 or not row for row in rows):
        raise document.error(
            "every scale of `anchors` needs the same number of width, height pairs", "anchors"
        )
    if any(not 0 <= value < 1e5 for row in rows for value in row):
        raise document.error("anchors must be sizes in pixels", "anchors")
    return rows


def _flat(row: Any) -> list[Any]:
    return [value for item in row for value in (item if isinstance(item, list | tuple) else [item])]


def _resolve(row: Any, section: str, layers: list[Layer], config: Mapping[str, Any]) -> Layer:
    """One row [from, repeats, block, arguments] after the layers before it; ValueError says what is wrong."""
    if not isinstance(row, list | tuple) or len(row) != 4:
        raise ValueError("a layer is [from, repeats, block, [arguments]]")
    sources, repeats, name, values = row
    name = str(name).removeprefix("nn.")
    if name != "Detect" and name not in BLOCKS:
        raise ValueError(f"unknown block `{name}`; known are {', '.join(BLOCKS)}, Detect")
    if not isinstance(repeats, int) or isinstance(repeats, bool) or not 1 <= repeats <= 1000:
        raise ValueError(f"repeats must be a whole number of at least 1, not {repeats!r}")
    if not isinstance(values, list | tuple):
        raise ValueError(f"arguments must be a list, not {values!r}")
    index = len(layers)
    if name == "Detect":
        return _resolve_detect(index, section, sources, layers)
    block = BLOCKS[name]
    absolute = _sources(sources, index, many=block.inputs == "many")
    repeats = max(round(repeats * config["depth"]), 1) if repeats > 1 else 1
    arguments = resolve_arguments(block, values, config)
    before = max((layers[i].stride if i >= 0 else 1.0) for i in absolute)
    stride = before * block.stride(arguments) ** (repeats if block.repeats == "chain" else 1)
    return Layer(index, section, absolute, repeats, name, arguments, stride)


def _resolve_detect(index: int, section: str, sources: Any, layers: list[Layer]) -> Layer:
    if sources == []:  # v1.0: every prediction layer, the last one first
        sources = [layer.index for layer in reversed(layers) if layer.block == "Conv2d"]
    absolute = _sources(sources, index, many=True)
    own = [layers[i].block != "Conv2d" for i in absolute]
    if any(own) != all(own):
        raise ValueError("Detect reads either features or Conv2d predictions, not both")
    strides = [layers[i].stride for i in absolute]
    if any(stride < 1 or stride != int(stride) for stride in strides):
        raise ValueError(f"Detect reads scales of stride {strides}; they must be whole numbers")
    return Layer(index, section, absolute, 1, "Detect", {"convolve": all(own)}, max(strides))


def _sources(sources: Any, index: int, many: bool) -> tuple[int, ...]:
    listed = sources if isinstance(sources, list | tuple) else [sources]
    if not listed or any(not isinstance(i, int) or isinstance(i, bool) for i in listed):
        raise ValueError(f"`from` must be an index or a list of indices, not {sources!r}")
    if not many and len(listed) > 1:
        raise ValueError(f"the block reads one layer, but `from` lists {len(listed)}")
    absolute = tuple(index + i if i < 0 else i for i in listed)
    for written, i in zip(listed, absolute, strict=True):
        # The first layer's -1 is the image; nothing else reaches before layer 0.
        if i >= index or i < (-1 if index == 0 else 0):
            raise ValueError(f"`from` {written} points outside the layers before it (0 to {index - 1})")
    return absolute


def resolve_arguments(
    block: Block, values: list[Any] | tuple[Any, ...], config: Mapping[str, Any] = _DEFAULTS
) -> dict[str, Any]:
    """Names for a row's positional arguments, each checked against the block's signature.

    Raises:
        ValueError: too many, one missing, or one of the wrong type.
    """
    from pydantic import ConfigDict, TypeAdapter, ValidationError

    parameters = [
        p
        for p in list(inspect.signature(block.build).parameters.values())[3:]
        if p.kind is not p.KEYWORD_ONLY
    ]
    if len(values) > len(parameters):
        raise ValueError(
            f"{len(values)} arguments, but the block takes {', '.join(p.name for p in parameters)}"
        )
    hints = get_type_hints(block.build)
    arguments: dict[str, Any] = {}
    for parameter, value in zip(parameters, values, strict=False):
        value = None if value == "None" else value  # YOLOv5's files hold the word
        if parameter.name == "filters":
            value = _number(value, config)
        hint = hints[parameter.name]
        config_dict = ConfigDict(strict=True)
        try:
            arguments[parameter.name] = TypeAdapter(hint, config=config_dict).validate_python(value)
        except ValidationError as error:
            raise ValueError(f"argument `{parameter.name}`: {value!r}: {error.errors()[0]['msg']}") from error
        if (
            isinstance(value, int)
            and parameter.name in ("filters", "kernel", "stride", "groups", "scale")
            and value < 1
        ):
            raise ValueError(f"argument `{parameter.name}` must be at least 1, not {value}")
    missing = [p.name for p in parameters[len(values) :] if p.default is p.empty]
    if missing:
        raise ValueError(f"argument `{missing[0]}` is missing")
    if block.scaled:
        arguments["filters"] = 8 * math.ceil(arguments["filters"] * config["width"] / 8)
    if isinstance(arguments.get("act"), str):
        arguments["act"] = activation_name(arguments["act"])
    return arguments


def _number(value: Any, config: Mapping[str, Any]) -> Any:
    """`na * (nc + 5)` of v1.0's files as a number: only these names, whole numbers, + - * and brackets."""
    if not isinstance(value, str):
        return value
    anchors = config["anchors"]
    names = {"nc": config["classes"], "classes": config["classes"]}
    names["na"] = names["anchors"] = anchors if isinstance(anchors, int) else len(_flat(anchors[0])) // 2
    operators = {ast.Add: int.__add__, ast.Sub: int.__sub__, ast.Mult: int.__mul__}

    def evaluate(node: ast.expr) -> int:
        if isinstance(node, ast.Constant) and type(node.value) is int:
            return node.value
        if isinstance(node, ast.Name) and node.id in names:
            return names[node.id]
        if isinstance(node, ast.BinOp) and type(node.op) in operators:
            return operators[type(node.op)](evaluate(node.left), evaluate(node.right))
        raise ValueError(f"`{value}` is not a number of filters")

    try:
        return evaluate(ast.parse(value[:100], mode="eval").body)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"`{value}` is not a number of filters") from error
