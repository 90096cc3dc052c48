"""Parse a model YAML file, in this project's layout or YOLOv5's, to a `ModelSpec`; errors name the line."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from tfyolo.configs.reader import Document
from tfyolo.models.blocks import BLOCKS, run_block
from tfyolo.models.config.arguments import resolve_arguments
from tfyolo.models.config.settings import MAX_SIDE, SECTIONS, Settings
from tfyolo.models.heads import CLASSIFY, HEADS, SEGMENT
from tfyolo.models.ops import Shape, ShapeOps
from tfyolo.models.spec import Layer, ModelSpec

MAX_BLOCKS = 2_000  # repeats together; the listed configurations stay below 100
MAX_PARAMETERS = 1_000_000_000  # yolov5-p7, the largest listed, has 144 million
_MAX_PROTOTYPE_FILTERS = 4096  # yolov5x-seg has 320

_IMAGE = Shape(322_560, 322_560, 3)  # 2^10 * 3^2 * 5 * 7: sides that strides divide, so that sizes agree


def parse_spec(document: Document, name: str = "", **overrides: Any) -> ModelSpec:
    """Validate and resolve a configuration.

    Args:
        document: parsed model YAML file, or a mapping from memory.
        name: name of the model; selects one if the file lists `models`, by default the first.
        overrides: values that replace those of the file, such as `num_classes=3`; None is ignored.

    Returns:
        Resolved configuration.

    Raises:
        TfyoloError: with file and line: an unknown key or block, a wrong index, argument or anchor list, or
            layers that do not fit together.
    """
    settings = Settings.of(document, name, overrides)
    config = settings.values
    anchors = settings.anchors()
    layers = _layers(settings, anchors if isinstance(anchors, int) else len(anchors[0]) // 2)
    scales = len(layers[-1].sources)
    if layers[-1].block == "Classify":
        anchors = ()
    elif not isinstance(anchors, int) and len(anchors) != scales:
        raise settings.error(
            "anchors", f"`anchors` has {len(anchors)} scales, but {layers[-1].block} reads {scales}"
        )
    return ModelSpec(
        name=config["name"],
        num_classes=config["classes"],
        anchors=anchors,
        activation=config["activation"],
        csp_activation=config["csp_activation"] or config["activation"],
        bn_epsilon=config["bn_epsilon"],
        image_size=config["image_size"],
        normalization=settings.normalization,
        dropout=config["dropout"],
        layers=layers,
        config=config,
    )


def _layers(settings: Settings, anchors: int) -> tuple[Layer, ...]:
    """Resolve every row and compute its shapes, so that errors name their line."""
    config = settings.values
    classes = config["classes"]
    numbers = {"nc": classes, "classes": classes, "na": anchors, "anchors": anchors}
    layers: list[Layer] = []
    shapes: list[Any] = []
    ops = ShapeOps()
    blocks = parameters = counted = 0
    sections = [section for section in SECTIONS if section in config]
    for section in sections:
        rows = config[section]
        if not isinstance(rows, list | tuple):
            raise settings.error(section, f"`{section}` must be a list of layers")
        for number, row in enumerate(rows):
            try:
                layer = _resolve(row, section, layers, config, numbers)
                blocks += layer.repeats
                if blocks > MAX_BLOCKS:
                    raise ValueError(f"the network has more than {MAX_BLOCKS} blocks")
                if layer.block not in HEADS:
                    inputs = [_IMAGE if i < 0 else shapes[i] for i in layer.sources]
                    name = f"model.{layer.index}"
                    shapes.append(
                        run_block(ops, BLOCKS[layer.block], inputs, name, layer.arguments, layer.repeats)
                    )
                parameters, counted = _added(ops, parameters, counted)
                if parameters > MAX_PARAMETERS:
                    raise ValueError(f"the network has more than {MAX_PARAMETERS:,} parameters")
            except ValueError as error:
                message = f"{section} layer {len(layers)}: {error}"
                raise settings.error(section, message, number) from error
            # YOLOv5's files call everything after the backbone `head`.
            in_neck = "neck" not in sections and section == "head" and layer.block not in HEADS
            layers.append(replace(layer, section="neck") if in_neck else layer)
    if not layers or layers[-1].block not in HEADS:
        raise settings.error("head", f"the last layer must be {' or '.join(HEADS)}")
    return tuple(layers)


def _added(ops: ShapeOps, parameters: int, counted: int) -> tuple[int, int]:
    """Return the number of parameters, including operations added since the last count."""
    new = islice(reversed(ops.costs.values()), len(ops.costs) - counted)
    return parameters + sum(cost.parameters for cost in new), len(ops.costs)


def _resolve(
    row: Any, section: str, layers: list[Layer], config: Mapping[str, Any], numbers: Mapping[str, int]
) -> Layer:
    """Resolve one row [from, repeats, block, arguments]; raises ValueError if it is wrong."""
    if not isinstance(row, list | tuple) or len(row) != 4:
        raise ValueError("a layer must be [from, repeats, block, [arguments]]")
    sources, repeats, name, values = row
    name = str(name).removeprefix("nn.")
    if name not in HEADS and name not in BLOCKS:
        raise ValueError(f"unknown block `{name[:60]}`; known are {', '.join((*BLOCKS, *HEADS))}")
    if not isinstance(repeats, int) or isinstance(repeats, bool) or not 1 <= repeats <= 1000:
        raise ValueError(f"repeats must be a whole number from 1 to 1000, not {reprlib.repr(repeats)}")
    if not isinstance(values, list | tuple):
        raise ValueError(f"arguments must be a list, not {reprlib.repr(values)}")
    if layers and layers[-1].block in HEADS:
        raise ValueError(f"a layer follows {layers[-1].block}, which must be the last")
    index = len(layers)
    if name == "Detect":
        return _resolve_detect(index, section, sources, values, layers, numbers)
    if name == "Segment":
        return _resolve_segment(index, section, sources, values, layers, config)
    if name == "Classify":
        return _resolve_classify(index, section, sources, values, layers)
    block = BLOCKS[name]
    absolute = _sources(sources, index, many=block.inputs == "many")
    repeats = max(round(repeats * config["depth"]), 1) if repeats > 1 else 1
    if repeats > MAX_BLOCKS:
        raise ValueError(f"{repeats} repeats; a network has at most {MAX_BLOCKS} blocks")
    if repeats > 1 and block.inputs == "many":
        raise ValueError(f"{name} joins several layers and cannot be repeated")
    arguments = resolve_arguments(block, values, numbers)
    if block.scaled:
        arguments["filters"] = _scaled(arguments["filters"], config)
    before = [layers[i].stride if i >= 0 else 1.0 for i in absolute]
    if len(set(before)) > 1:
        raise ValueError(
            f"it joins layers of different strides: {', '.join(f'{stride:g}' for stride in before)}"
        )
    try:
        stride = before[0] * float(block.stride(arguments)) ** (repeats if block.repeats == "chain" else 1)
    except OverflowError as error:
        raise ValueError(f"its stride exceeds {MAX_SIDE} pixels") from error
    return Layer(index, section, absolute, repeats, name, arguments, stride)


def _resolve_detect(
    index: int, section: str, sources: Any, values: Any, layers: list[Layer], numbers: Mapping[str, int]
) -> Layer:
    if len(values) not in (0, 2):  # YOLOv5 writes [nc, anchors]; both stand at the top here
        raise ValueError("Detect takes no arguments, or [nc, anchors]")
    if sources == []:  # v1.0: every prediction layer, the last one first
        sources = [layer.index for layer in reversed(layers) if layer.block == "Conv2d"]
    absolute = _sources(sources, index, many=True)
    if index == 0:
        raise ValueError("Detect needs layers before it")
    predictions = [layers[i] for i in absolute if layers[i].block == "Conv2d"]
    if predictions and len(predictions) != len(absolute):
        raise ValueError("Detect reads either features or Conv2d predictions, not both")
    filters = numbers["anchors"] * (5 + numbers["classes"])
    for layer in predictions:
        if layer.arguments["filters"] != filters:
            raise ValueError(
                f"layer {layer.index} predicts {layer.arguments['filters']} channels, "
                f"but anchors * (5 + classes) is {filters}"
            )
    strides = _whole_strides("Detect", absolute, layers)
    return Layer(index, section, absolute, 1, "Detect", {"convolve": not predictions}, max(strides))


def _resolve_segment(
    index: int, section: str, sources: Any, values: Any, layers: list[Layer], config: Mapping[str, Any]
) -> Layer:
    if index == 0:
        raise ValueError("Segment needs layers before it")
    coefficients, prototypes = segment_arguments(values)
    arguments = {"coefficients": coefficients, "prototypes": _scaled(prototypes, config)}
    if arguments["prototypes"] > _MAX_PROTOTYPE_FILTERS:
        raise ValueError(f"{arguments['prototypes']} filters before the prototypes are too many")
    absolute = _sources(sources, index, many=True)
    strides = _whole_strides("Segment", absolute, layers)
    if strides[0] != min(strides) or strides[0] % 2:
        raise ValueError(f"Segment must read the scale of the smallest, even stride first, not {strides}")
    return Layer(index, section, absolute, 1, "Segment", arguments, max(strides))


def segment_arguments(values: Sequence[Any]) -> list[int]:
    """Return the numbers of mask coefficients and of filters in a row of Segment, before scaling.

    Args:
        values: arguments of the row: none, up to two, or YOLOv5's `[nc, anchors, 32, 256]`.

    Raises:
        ValueError: there are too many, or one is not a number in its range.

    Example:
        >>> segment_arguments(["nc", "anchors", 16, 64]), segment_arguments([])
        ([16, 64], [32, 256])
    """
    if len(values) > 2 or (values and values[0] in ("nc", "classes")):
        values = values[2:]
    arguments = resolve_arguments(SEGMENT, values)
    return [arguments.get("coefficients", 32), arguments.get("prototypes", 256)]


def _scaled(filters: int, config: Mapping[str, Any]) -> int:
    """Scale a number of filters by the model's width, to a multiple of 8."""
    return 8 * math.ceil(filters * config["width"] / 8)


def _whole_strides(block: str, sources: tuple[int, ...], layers: list[Layer]) -> list[float]:
    """Return the strides of the scales that a head reads; raises ValueError unless they are whole numbers."""
    strides = [layers[i].stride if i >= 0 else 1.0 for i in sources]
    if any(stride < 1 or stride != int(stride) or stride > MAX_SIDE for stride in strides):
        raise ValueError(f"{block} reads scales of strides {strides}, which must be whole numbers")
    return strides


def _resolve_classify(index: int, section: str, sources: Any, values: Any, layers: list[Layer]) -> Layer:
    if index == 0:
        raise ValueError("Classify needs layers before it")
    if values and values[0] in ("nc", "classes"):  # the number of classes is a key at the top level here
        values = values[1:]
    arguments = resolve_arguments(CLASSIFY, values)
    absolute = _sources(sources, index, many=False)
    stride = layers[absolute[0]].stride
    if stride < 1 or stride != int(stride) or stride > MAX_SIDE:
        raise ValueError(f"Classify reads a scale of stride {stride}, which must be a whole number")
    return Layer(index, section, absolute, 1, "Classify", arguments, stride)


def _sources(sources: Any, index: int, many: bool) -> tuple[int, ...]:
    """Return the absolute indices of the layers that a row reads; -1 is the image."""
    listed = sources if isinstance(sources, list | tuple) else [sources]
    if not listed or any(not isinstance(i, int) or isinstance(i, bool) for i in listed):
        raise ValueError(f"`from` must be an index or a list of indices, not {reprlib.repr(sources)}")
    if not many and len(listed) > 1:
        raise ValueError(f"the block reads one layer, but `from` lists {len(listed)}")
    for written in listed:
        # In the first layer -1 is the image; no other index may be below 0.
        if not (-index if index else -1) <= written < index:
            known = f"the layers before it, 0 to {index - 1}" if index else "-1, the image"
            raise ValueError(f"`from` {written} is not one of {known}")
    return tuple(index + i if i < 0 else i for i in listed)
