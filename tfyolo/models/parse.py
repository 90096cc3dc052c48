"""Parse a model YAML file, in this project's layout or YOLOv5's, to a `ModelSpec`; errors name the line."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from tfyolo.configs.reader import Document, Key
from tfyolo.errors import TfyoloError
from tfyolo.models.arguments import activation_name, resolve_arguments
from tfyolo.models.blocks import BLOCKS, run_block
from tfyolo.models.heads import CLASSIFY, HEADS
from tfyolo.models.ops import Normalization, Shape, ShapeOps
from tfyolo.models.spec import Anchors, Layer, ModelSpec

SECTIONS = ("backbone", "neck", "head")
MAX_CLASSES = 30_000  # ImageNet has 21,841
MAX_SIDE = 4096  # pixels; letterboxed to more, one image and its feature maps take gigabytes
MAX_BLOCKS = 2_000  # repeats together; the listed configurations stay below 100
MAX_PARAMETERS = 1_000_000_000  # yolov5-p7, the largest listed, has 144 million

NORMALIZATIONS: dict[str, Normalization] = {"imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))}
"""By name: of ImageNet's images, as the classifiers that were trained on them expect."""

# Aliases of settings, in YOLOv5's files or as arguments of `load_spec`.
_KEYS = {"nc": "classes", "num_classes": "classes", "depth_multiple": "depth", "width_multiple": "width"}
_DEFAULTS: dict[str, Any] = {
    "classes": 80,
    "depth": 1.0,
    "width": 1.0,
    "anchors": 3,
    "activation": "silu",
    "csp_activation": None,
    "bn_epsilon": 1e-3,
    "image_size": 640,
    "ch": 3,
    "normalize": None,
    "dropout": 0.0,
}
_IMAGE = Shape(322_560, 322_560, 3)  # 2^10 * 3^2 * 5 * 7: sides that strides divide, so that sizes agree


def parse_spec(document: Document, name: str = "", **overrides: Any) -> ModelSpec:
    """Validate and resolve a configuration.

    Args:
        document: parsed model YAML file, or a mapping from memory.
        name: of the model; selects one if the file lists `models`, by default the first.
        overrides: values that replace those of the file, such as `num_classes=3`; None is ignored.

    Raises:
        TfyoloError: with file and line: an unknown key or block, a wrong index, argument or anchor list, or
            layers that do not fit together.
    """
    settings = _Settings.of(document, name, overrides)
    _check_settings(settings)
    config = settings.values
    anchors = _anchors(settings)
    layers = _layers(settings, anchors if isinstance(anchors, int) else len(anchors[0]) // 2)
    scales = len(layers[-1].sources)
    if layers[-1].block == "Classify":
        anchors = ()
    elif not isinstance(anchors, int) and len(anchors) != scales:
        raise settings.error("anchors", f"`anchors` has {len(anchors)} scales, but Detect reads {scales}")
    return ModelSpec(
        name=config["name"],
        num_classes=config["classes"],
        anchors=anchors,
        activation=config["activation"],
        csp_activation=config["csp_activation"] or config["activation"],
        bn_epsilon=config["bn_epsilon"],
        image_size=config["image_size"],
        normalization=_normalization(settings),
        dropout=config["dropout"],
        layers=layers,
        config=config,
    )


@dataclass(frozen=True)
class _Settings:
    """Settings of a configuration by their canonical names, and the position of each in the document."""

    document: Document
    values: dict[str, Any]
    places: dict[str, tuple[Key, ...]]

    @classmethod
    def of(cls, document: Document, name: str, overrides: Mapping[str, Any]) -> _Settings:
        """Merge defaults, values of the file, of one entry of `models`, and `overrides`, in this order."""
        settings = cls(document, dict(_DEFAULTS), {})
        if not isinstance(document.value, Mapping):
            raise document.error("a model configuration is a mapping of names to values")
        models = document.value.get("models")
        settings._take({key: value for key, value in document.value.items() if key != "models"})
        if "models" in document.value:
            if not isinstance(models, Mapping) or not models:
                raise document.error("`models` must map names to what differs between them", "models")
            name = name or str(next(iter(models)))
            if name not in models:
                raise document.error(
                    f"no model `{name}`", "models", fix=f"one of {', '.join(map(str, models))}"
                )
            entry = {} if models[name] is None else models[name]
            if not isinstance(entry, Mapping):
                raise document.error(f"model `{name}` must be a mapping of names to values", "models", name)
            settings._take(entry, "models", name)
        given = {_KEYS.get(key, key): value for key, value in overrides.items() if value is not None}
        for key in given:
            if key not in _DEFAULTS:
                raise TfyoloError(f"unknown setting `{key}`", fix=f"one of {', '.join(_DEFAULTS)}")
            settings.places.pop(key, None)
        stem = document.path.stem if document.path else "custom"
        settings.values.update(given, name=name or str(settings.values.get("name") or stem))
        return settings

    def _take(self, values: Mapping[Any, Any], *place: Key) -> None:
        for key, value in values.items():
            ours = _KEYS.get(key, key)
            if ours not in (*_DEFAULTS, *SECTIONS, "name"):
                known = ", ".join((*_DEFAULTS, *SECTIONS))
                raise self.document.error(
                    f"unknown key `{str(key)[:60]}`", *place, key, fix=f"one of {known}"
                )
            self.places[ours] = (*place, key)
            if value is not None or ours not in _DEFAULTS:  # an empty value leaves the default
                self.values[ours] = value

    def error(self, key: str, message: str, *inside: Key) -> TfyoloError:
        """Return an error about a value, with file and line; overrides have neither."""
        if key in _DEFAULTS and key not in self.places:
            return TfyoloError(message)
        return self.document.error(message, *self.places.get(key, ()), *inside)


def _check_settings(settings: _Settings) -> None:
    """Validate types and ranges of scalar settings, and parse the names of activations."""
    values = settings.values
    for key, most in (("classes", MAX_CLASSES), ("image_size", MAX_SIDE)):
        value = values[key]
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            shown = reprlib.repr(value)
            raise settings.error(key, f"`{key}` must be a whole number of 1 to {most}, not {shown}")
    if values["ch"] != 3:
        raise settings.error("ch", f"`ch` is {reprlib.repr(values['ch'])}, but images have 3 channels here")
    if not isinstance(values["dropout"], int | float) or not 0 <= values["dropout"] < 1:
        shown = reprlib.repr(values["dropout"])
        raise settings.error("dropout", f"`dropout` must be a number of 0 to below 1, not {shown}")
    for key in ("depth", "width", "bn_epsilon"):
        value = values[key]
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 100:
            shown = reprlib.repr(value)
            raise settings.error(key, f"`{key}` must be a number above 0 and below 100, not {shown}")
    for key in ("activation", "csp_activation"):
        if values[key] is None:
            continue
        try:
            values[key] = activation_name(str(values[key]))
        except ValueError as error:
            raise settings.error(key, str(error)) from error


def _normalization(settings: _Settings) -> Normalization | None:
    """Parse `normalize`: a name, or mean and standard deviation of three channels."""
    value = settings.values["normalize"]
    if value is None:
        return None
    if isinstance(value, str) and value in NORMALIZATIONS:
        return NORMALIZATIONS[value]
    rows = value if isinstance(value, list | tuple) and len(value) == 2 else ()
    numbers = [
        v
        for row in rows
        for v in (row if isinstance(row, list | tuple) and len(row) == 3 else [None])
        if isinstance(v, int | float) and not isinstance(v, bool) and abs(v) < 100
    ]
    if len(numbers) != 6 or min(numbers[3:]) <= 0:
        known = ", ".join(NORMALIZATIONS)
        raise settings.error("normalize", f"`normalize` is {known}, or the mean and deviation of 3 channels")
    return tuple(map(float, numbers[:3])), tuple(map(float, numbers[3:]))


def _anchors(settings: _Settings) -> Anchors | int:
    """Parse `anchors`: a number per feature map, or their sizes."""
    anchors = settings.values["anchors"]
    if isinstance(anchors, int) and not isinstance(anchors, bool):
        if not 1 <= anchors <= 100:
            raise settings.error("anchors", f"`anchors: {anchors}` is not a number of anchors a scale")
        return anchors
    if not isinstance(anchors, list | tuple) or not all(isinstance(row, list | tuple) for row in anchors):
        raise settings.error("anchors", "`anchors` must be a list of numbers for each scale, or one number")
    rows: list[tuple[float, ...]] = []
    for number, row in enumerate(anchors):
        # v1.0 and some tools write [[10, 13], [16, 30]] for one feature map.
        flat = [v for item in row for v in (item if isinstance(item, list | tuple) else [item])]
        for value in flat:  # YOLOv5 keeps [0, 1, 2, ...] until anchors are generated
            if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1e5:
                shown = reprlib.repr(value)
                raise settings.error("anchors", f"anchors are sizes in pixels, not {shown}", number)
        if not flat or len(flat) % 2 or len(flat) != len(rows[0] if rows else flat):
            message = "every scale of `anchors` needs the same number of width, height pairs"
            raise settings.error("anchors", message, number)
        rows.append(tuple(map(float, flat)))
    if not rows:
        raise settings.error("anchors", "`anchors` is empty")
    return tuple(rows)


def _layers(settings: _Settings, anchors: int) -> tuple[Layer, ...]:
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
        raise ValueError("a layer is [from, repeats, block, [arguments]]")
    sources, repeats, name, values = row
    name = str(name).removeprefix("nn.")
    if name not in HEADS and name not in BLOCKS:
        raise ValueError(f"unknown block `{name[:60]}`; known are {', '.join((*BLOCKS, *HEADS))}")
    if not isinstance(repeats, int) or isinstance(repeats, bool) or not 1 <= repeats <= 1000:
        raise ValueError(f"repeats must be a whole number of 1 to 1000, not {reprlib.repr(repeats)}")
    if not isinstance(values, list | tuple):
        raise ValueError(f"arguments must be a list, not {reprlib.repr(values)}")
    if layers and layers[-1].block in HEADS:
        raise ValueError(f"a layer follows {layers[-1].block}, which must be the last")
    index = len(layers)
    if name == "Detect":
        return _resolve_detect(index, section, sources, values, layers, numbers)
    if name == "Classify":
        return _resolve_classify(index, section, sources, values, layers)
    block = BLOCKS[name]
    absolute = _sources(sources, index, many=block.inputs == "many")
    repeats = max(round(repeats * config["depth"]), 1) if repeats > 1 else 1
    if repeats > MAX_BLOCKS:
        raise ValueError(f"{repeats} repeats; a network has at most {MAX_BLOCKS} blocks")
    if repeats > 1 and block.inputs == "many":
        raise ValueError(f"{name} joins several layers, and cannot be repeated")
    arguments = resolve_arguments(block, values, numbers)
    if block.scaled:
        arguments["filters"] = 8 * math.ceil(arguments["filters"] * config["width"] / 8)
    before = [layers[i].stride if i >= 0 else 1.0 for i in absolute]
    if len(set(before)) > 1:
        raise ValueError(f"it joins layers of stride {', '.join(f'{stride:g}' for stride in before)}")
    try:
        stride = before[0] * float(block.stride(arguments)) ** (repeats if block.repeats == "chain" else 1)
    except OverflowError as error:
        raise ValueError(f"its stride is beyond {MAX_SIDE} pixels") from error
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
    strides = [layers[i].stride for i in absolute]
    if any(stride < 1 or stride != int(stride) or stride > MAX_SIDE for stride in strides):
        raise ValueError(f"Detect reads scales of stride {strides}; they must be whole numbers")
    return Layer(index, section, absolute, 1, "Detect", {"convolve": not predictions}, max(strides))


def _resolve_classify(index: int, section: str, sources: Any, values: Any, layers: list[Layer]) -> Layer:
    if index == 0:
        raise ValueError("Classify needs layers before it")
    if values and values[0] in ("nc", "classes"):  # the number of classes stands at the top here
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
            raise ValueError(f"`from` {written} is none of {known}")
    return tuple(index + i if i < 0 else i for i in listed)
