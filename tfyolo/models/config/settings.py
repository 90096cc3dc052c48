"""Settings at the top of a model YAML file: number of classes, scaling, anchors, activations, image size."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from tfyolo.configs.reader import Document, Key
from tfyolo.errors import TfyoloError
from tfyolo.models.config.arguments import activation_name
from tfyolo.models.ops import Normalization
from tfyolo.models.spec import Anchors

SECTIONS = ("backbone", "neck", "head")
MAX_CLASSES = 30_000  # ImageNet has 21,841
MAX_SIDE = 4096  # pixels; letterboxed to more, one image and its feature maps take gigabytes

NORMALIZATIONS: dict[str, Normalization] = {"imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))}
"""By name: of ImageNet's images, as the classifiers that were trained on them expect."""

_ALIASES = {"nc": "classes", "num_classes": "classes", "depth_multiple": "depth", "width_multiple": "width"}
"""Names of settings in YOLOv5's files and in the arguments of `load_spec`."""


def _tuples(value: Any) -> Any:
    """Look up a named normalization, and turn lists into tuples, which strict validation expects."""
    if isinstance(value, str):
        return NORMALIZATIONS.get(value, value)
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


_Activation = Annotated[str, AfterValidator(activation_name)]
_Mean = Annotated[float, Field(gt=-100, lt=100)]
_Deviation = Annotated[float, Field(gt=0, lt=100)]


class _Values(BaseModel):
    """Types, ranges and defaults of settings, by their canonical names."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False, extra="ignore")

    classes: int = Field(80, ge=1, le=MAX_CLASSES)
    depth: float = Field(1.0, gt=0, lt=100)
    width: float = Field(1.0, gt=0, lt=100)
    anchors: Any = 3  # see `Settings.anchors`
    activation: _Activation = "silu"
    csp_activation: _Activation | None = None
    bn_epsilon: float = Field(1e-3, gt=0, lt=100)
    image_size: int = Field(640, ge=1, le=MAX_SIDE)
    ch: Literal[3] = 3
    normalize: Annotated[
        tuple[tuple[_Mean, _Mean, _Mean], tuple[_Deviation, _Deviation, _Deviation]] | None,
        BeforeValidator(_tuples),
    ] = None
    dropout: float = Field(0.0, ge=0, lt=1)


_DEFAULTS = _Values().model_dump()


@dataclass
class Settings:
    """Validated settings of a configuration.

    Attributes:
        document: document that they were read from.
        values: settings and sections by their canonical names.
        places: keys of each setting in the document, from the outermost.
        normalization: mean and standard deviation of each channel, or None.
    """

    document: Document
    values: dict[str, Any]
    places: dict[str, tuple[Key, ...]]
    normalization: Normalization | None = None

    @classmethod
    def of(cls, document: Document, name: str, overrides: Mapping[str, Any]) -> Settings:
        """Merge defaults, values of the file, of one entry of `models`, and `overrides`, in this order.

        Args:
            document: parsed model YAML file, or a mapping from memory.
            name: entry of `models` to use, by default the first; without `models`, the name of the model.
            overrides: settings that replace those of the file, by any of their names; None is ignored.

        Returns:
            Validated settings.

        Raises:
            TfyoloError: with file and line: an unknown key, model or setting, or a wrong value.
        """
        settings = cls(document, dict(_DEFAULTS), {})
        if not isinstance(document.value, Mapping):
            raise document.error("a model configuration must be a mapping of names to values")
        models = document.value.get("models")
        settings._take({key: value for key, value in document.value.items() if key != "models"})
        if "models" in document.value:
            if not isinstance(models, Mapping) or not models:
                raise document.error("`models` must map each model name to its settings", "models")
            name = name or str(next(iter(models)))
            if name not in models:
                raise document.error(
                    f"no model `{name}`", "models", fix=f"use one of {', '.join(map(str, models))}"
                )
            entry = {} if models[name] is None else models[name]
            if not isinstance(entry, Mapping):
                raise document.error(f"model `{name}` must be a mapping of names to values", "models", name)
            settings._take(entry, "models", name)
        given = {_ALIASES.get(key, key): value for key, value in overrides.items() if value is not None}
        for key in given:
            if key not in _DEFAULTS:
                raise TfyoloError(f"unknown setting `{key}`", fix=f"use one of {', '.join(_DEFAULTS)}")
            settings.places.pop(key, None)
        stem = document.path.stem if document.path else "custom"
        settings.values.update(given, name=name or str(settings.values.get("name") or stem))
        settings._validate()
        return settings

    def _take(self, values: Mapping[Any, Any], *place: Key) -> None:
        for key, value in values.items():
            ours = _ALIASES.get(key, key)
            if ours not in (*_DEFAULTS, *SECTIONS, "name"):
                known = ", ".join((*_DEFAULTS, *SECTIONS))
                raise self.document.error(
                    f"unknown key `{str(key)[:60]}`", *place, key, fix=f"use one of {known}"
                )
            self.places[ours] = (*place, key)
            if value is not None or ours not in _DEFAULTS:  # an empty value leaves the default
                self.values[ours] = value

    def error(self, key: str, message: str, *inside: Key) -> TfyoloError:
        """Return an error about a value, with file and line; overrides have neither.

        Args:
            key: canonical name of the setting or section.
            message: what is wrong.
            inside: indices or keys of the entry inside that value.

        Returns:
            The error, for the caller to raise.
        """
        if key in _DEFAULTS and key not in self.places:
            return TfyoloError(message)
        return self.document.error(message, *self.places.get(key, ()), *inside)

    def _validate(self) -> None:
        """Validate scalar settings, and replace names of activations by canonical ones."""
        try:
            checked = _Values.model_validate(self.values)
        except ValidationError as error:
            first = error.errors()[0]
            key, *inside = first["loc"]
            message = first["msg"].removeprefix("Value error, ")
            message = f"`{key}`: {message[:1].lower()}{message[1:]}"
            if first["type"] != "value_error":  # messages of `activation_name` name the value
                message += f", not {reprlib.repr(first['input'])}"
            raise self.error(str(key), message, *inside) from error
        self.values.update(activation=checked.activation, csp_activation=checked.csp_activation)
        self.normalization = checked.normalize

    def anchors(self) -> Anchors | int:
        """Parse `anchors`.

        Returns:
            Number of anchors per feature map, or their widths and heights in pixels.

        Raises:
            TfyoloError: with the line: it is neither.
        """
        anchors = self.values["anchors"]
        if isinstance(anchors, int) and not isinstance(anchors, bool):
            if not 1 <= anchors <= 100:
                raise self.error(
                    "anchors", f"`anchors: {anchors}` is not a valid number of anchors per scale"
                )
            return anchors
        if not isinstance(anchors, list | tuple) or not all(isinstance(row, list | tuple) for row in anchors):
            raise self.error("anchors", "`anchors` must be a list of numbers for each scale, or one number")
        rows: list[tuple[float, ...]] = []
        for number, row in enumerate(anchors):
            # v1.0 and some tools write [[10, 13], [16, 30]] for one feature map.
            flat = [v for item in row for v in (item if isinstance(item, list | tuple) else [item])]
            for value in flat:  # YOLOv5 keeps [0, 1, 2, ...] until anchors are generated
                if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1e5:
                    shown = reprlib.repr(value)
                    raise self.error("anchors", f"anchors must be sizes in pixels, not {shown}", number)
            if not flat or len(flat) % 2 or len(flat) != len(rows[0] if rows else flat):
                message = "every scale of `anchors` needs the same number of width, height pairs"
                raise self.error("anchors", message, number)
            rows.append(tuple(map(float, flat)))
        if not rows:
            raise self.error("anchors", "`anchors` is empty")
        return tuple(rows)
