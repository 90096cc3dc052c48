"""The metadata in every model file, independent of its format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from tfyolo.configs.reader import Document
from tfyolo.errors import TfyoloError
from tfyolo.models.config.parse import parse_spec
from tfyolo.models.config.settings import MAX_CLASSES, MAX_SIDE
from tfyolo.models.quantization import QuantizationSpec
from tfyolo.models.spec import ModelSpec
from tfyolo.models.tasks import TASKS, part_sizes
from tfyolo.version import __version__

FILE_NAME = "tfyolo.json"
"""Its name inside `.keras` and `.tflite` files and exported folders."""


_OTHER_TASK = {
    "detect": ("is a detector, not a {wanted}", "tfyolo detect, val, train or quantize"),
    "classify": ("is a classifier, which finds no boxes", "tfyolo classify predict, val or train"),
    "segment": (
        "is a segmentation model, not a {wanted}",
        "tfyolo segment train, val or predict, tfyolo quantize, or tfyolo detect",
    ),
}
"""For a model of another task: what it is, and the commands for it."""


MAX_TEXT = 256
"""Characters of a name."""
_Text = Annotated[str, Field(max_length=MAX_TEXT)]
_Count = Annotated[int, Field(ge=0, le=2**31)]
_Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_Pixels = Annotated[float, Field(ge=0, le=65_536, allow_inf_nan=False)]
_Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]


class _Notes(BaseModel):
    """Types and bounds of `Contract.export`; other keys are ignored."""

    format: _Text | None = None
    nms: _Text | None = None
    precision: _Text | None = None
    batch: _Text | None = None
    outputs: Annotated[
        dict[_Text, Annotated[list[_Count], Field(max_length=8)]] | list[_Text], Field(max_length=1000)
    ] = {}
    operators: Annotated[dict[_Text, _Count], Field(max_length=10_000)] = {}
    conf_thres: _Share | None = None
    iou_thres: _Share | None = None
    max_det: _Count | None = None
    candidates: _Count | None = None
    per_class: _Count | None = None
    multi_label: bool | None = None
    agnostic: bool | None = None
    compiled: bool | None = None


class Contract(BaseModel):
    """Metadata of a model: task, class names, anchors, strides, image size, configuration.

    Attributes:
        task: `detect`, `classify` or `segment`.
        names: class names by class id.
        num_coefficients: number of mask coefficients per box, and of prototypes; None without masks.
        anchors_px: per feature map: width, height, width, height, ... in pixels of the input; empty for a
            classifier.
        strides: stride of each feature map that the head reads, in pixels.
        image_size: (height, width) in pixels: fixed in exported files, the default where the input may vary.
        config: model configuration as plain values, which `parse_spec` accepts.
        version: version of tfyolo that wrote the model.
        export: notes of the exporter: format, NMS, thresholds, precision; empty for a Keras model.
        quantization: ranges of the int8 model, if calibration or training has found them.

    Example:
        >>> from tfyolo.models import load_spec
        >>> contract = Contract.of(load_spec("yolov5n", num_classes=2), ["cat", "dog"])
        >>> Contract.from_json(contract.to_json()).names
        ('cat', 'dog')
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    task: Literal["detect", "classify", "segment"] = "detect"
    names: tuple[_Text, ...] = Field(min_length=1, max_length=MAX_CLASSES)
    num_coefficients: Annotated[int, Field(ge=1, le=1024)] | None = None
    anchors_px: tuple[Annotated[tuple[_Pixels, ...], Field(max_length=100)], ...] = Field(max_length=10)
    strides: tuple[_Side, ...] = Field(min_length=1, max_length=10)
    image_size: tuple[_Side, _Side]
    config: dict[str, Any]
    version: _Text = __version__
    export: dict[str, Any] = {}
    quantization: QuantizationSpec | None = None

    @field_validator("export")
    @classmethod
    def _check_export(cls, value: dict[str, Any]) -> dict[str, Any]:
        try:
            _Notes.model_validate(value)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part)[:60] for part in first["loc"])
            raise ValueError(f"{place}: {first['msg']}") from error
        return value

    @model_validator(mode="after")
    def _check(self) -> Contract:
        if len(self.anchors_px) != (len(self.strides) if TASKS[self.task].finds_boxes else 0):
            raise ValueError("anchors_px and strides differ in length")
        if (self.num_coefficients is None) != ("coefficients" not in TASKS[self.task].parts):
            raise ValueError(f"num_coefficients does not fit the task {self.task}")
        if any(len(row) < 2 or len(row) % 2 for row in self.anchors_px):
            raise ValueError("anchors_px needs width, height pairs")
        return self

    @classmethod
    def of(
        cls,
        spec: ModelSpec,
        names: list[str] | tuple[str, ...] = (),
        image_size: tuple[int, int] | None = None,
    ) -> Contract:
        """Return the contract of a configuration.

        Args:
            spec: resolved configuration.
            names: class names by class id; defaults to `class0`, `class1`, ...
            image_size: (height, width) of the input in pixels; defaults to the configuration's square size.

        Returns:
            Contract without export notes and quantization.

        Raises:
            TfyoloError: the number of names is not the number of classes.
        """
        names = tuple(names) or tuple(f"class{i}" for i in range(spec.num_classes))
        if len(names) != spec.num_classes:
            raise TfyoloError(
                f"{len(names)} class names, but model {spec.name} has {spec.num_classes} classes"
            )
        image_size = image_size or (spec.image_size, spec.image_size)
        return cls(
            task=spec.task,
            names=names,
            num_coefficients=spec.num_coefficients or None,
            anchors_px=spec.anchors_px,
            strides=spec.strides,
            image_size=image_size,
            config=_sized(spec.config, image_size),
        )

    def resized(self, image_size: tuple[int, int]) -> Contract:
        """Return the contract with another input size, also in its configuration."""
        update = {"image_size": image_size, "config": _sized(self.config, image_size)}
        return self.model_copy(update=update)

    @property
    def parts(self) -> dict[str, int]:
        """Channels per anchor of each part of a raw head, in their order; empty for a classifier."""
        return part_sizes(self.task, len(self.names), self.num_coefficients or 0)

    @property
    def prototype_stride(self) -> int:
        """Ratio of the input size to the size of the prototypes of a segmentation model."""
        return self.strides[0] // 2

    def require(self, task: str | tuple[str, ...], path: str | Path) -> None:
        """Refuse a model of another task.

        Args:
            task: `detect`, `classify` or `segment`; several as a tuple.
            path: path of the model, for the message.

        Raises:
            TfyoloError: naming the task of the model and the commands for it.
        """
        tasks = (task,) if isinstance(task, str) else task
        if self.task not in tasks:
            message, fix = _OTHER_TASK[self.task]
            raise TfyoloError(message.format(wanted=TASKS[tasks[-1]].noun), path=path, fix=fix)

    def check_size(self, image_size: tuple[int, int]) -> None:
        """Refuse a (height, width) in pixels that is not divisible by the largest stride.

        Raises:
            TfyoloError: with the nearest valid size.
        """
        stride = max(self.strides)
        if any(size % stride or size < stride for size in image_size):
            height, width = image_size
            nearest = [max(round(size / stride), 1) * stride for size in image_size]
            raise TfyoloError(
                f"an input of {height}x{width} pixels is not a multiple of the stride {stride}",
                fix=f"use --img {' '.join(map(str, dict.fromkeys(nearest)))}",
            )

    @property
    def spec(self) -> ModelSpec:
        """The parsed and validated configuration.

        Raises:
            TfyoloError: the configuration is wrong, or names, strides or anchors do not fit it.
        """
        spec = parse_spec(Document(None, self.config), str(self.config.get("name", "")))
        if self.task != spec.task:
            raise TfyoloError(f"its task is {self.task}, but that of its configuration is {spec.task}")
        if (len(self.names), self.strides) != (spec.num_classes, spec.strides):
            raise TfyoloError(
                f"{len(self.names)} names and strides {self.strides}, but the configuration has "
                f"{spec.num_classes} classes and strides {spec.strides}"
            )
        if (self.num_coefficients or 0) != spec.num_coefficients:
            raise TfyoloError(
                f"it has {self.num_coefficients} mask coefficients, but the configuration has "
                f"{spec.num_coefficients}"
            )
        if any(len(row) != 2 * spec.anchors_per_scale for row in self.anchors_px):
            raise TfyoloError(
                f"its anchors do not fit its configuration: {spec.anchors_per_scale} anchors per scale"
            )
        return spec

    def to_json(self) -> str:
        """Return indented JSON."""
        return self.model_dump_json(indent=1, exclude_none=True)

    @classmethod
    def from_json(cls, text: str | bytes, path: Any = None) -> Contract:
        """Parse and validate JSON.

        Raises:
            TfyoloError: it is not valid JSON, or a field is missing or wrong.
        """
        try:
            return cls.model_validate(json.loads(text))
        except (ValidationError, ValueError, RecursionError) as error:
            reason = (
                error.errors()[0] if isinstance(error, ValidationError) else {"msg": "not JSON", "loc": ()}
            )
            where = ".".join(map(str, reason["loc"]))
            raise TfyoloError(
                f"its {FILE_NAME} is invalid: {where} {reason['msg']}".strip(), path=path
            ) from error


def _sized(config: dict[str, Any], image_size: tuple[int, int]) -> dict[str, Any]:
    """Return a configuration with another input size; its one number is the longer side."""
    return {**config, "image_size": max(image_size)}
