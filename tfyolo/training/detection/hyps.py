"""Hyperparameters of training, by YOLOv5's names, read from YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field, ValidationError, field_validator

import tfyolo.configs
from tfyolo.configs.reader import read_yaml
from tfyolo.data.augment.options import AugmentationOptions
from tfyolo.errors import TfyoloError
from tfyolo.text import closest

FOLDER = Path(tfyolo.configs.__file__).parent / "hyps"
DEFAULT = "scratch-low"
RENAMED = {"giou": "box"}
"""Hyperparameters by their names in YOLOv5 before v3.1."""
ELSEWHERE = {
    "giou": "remove it: `box` is its new name",
    "optimizer": "remove it, and pass --optimizer",
    "nbs": "remove it, and pass --nominal-batch",
    "epochs": "remove it, and pass --epochs",
    "batch_size": "remove it, and pass --batch-size",
    "img_size": "remove it, and pass --img",
    "imgsz": "remove it, and pass --img",
    **dict.fromkeys(
        ("gr", "dfl", "paste_in", "loss_ota", "close_mosaic", "erasing", "auto_augment", "bgr"),
        "remove it: it has no counterpart here",
    ),
}
"""What to do with names that are not hyperparameters here, where the most similar name would mislead."""


class Hyps(AugmentationOptions):
    """All hyperparameters: of the optimizer, the loss, AutoAnchor and augmentation.

    Attributes:
        lr0: learning rate after the warm-up.
        lrf: last learning rate, as a fraction of `lr0`.
        momentum: momentum of SGD; first beta of Adam.
        weight_decay: weight decay of kernels, for a nominal batch size of 64.
        warmup_epochs: epochs of warm-up, at least 100 steps; 0 disables it.
        warmup_momentum: momentum at the first step.
        warmup_bias_lr: learning rate of biases at the first step.
        box: gain of the box loss.
        cls: gain of the class loss, for 80 classes.
        cls_pw: weight of positives in the class loss.
        obj: gain of the objectness loss, for 640 pixels.
        obj_pw: weight of positives in the objectness loss.
        iou_t: accepted for YOLOv5's files, without effect; labels are assigned by `anchor_t`.
        anchor_t: largest ratio between the sides of a box and of its anchor.
        fl_gamma: gamma of the focal loss; 0 disables it.
        label_smoothing: fraction of the class target taken from the true class.
        anchors: number of anchors per feature map to generate; None keeps the model's anchors.

    Example:
        >>> read_hyps("scratch-low").lr0
        0.01
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    lr0: float = Field(0.01, gt=0, le=10, description="learning rate after the warm-up")
    lrf: float = Field(0.01, ge=0, le=1, description="final learning rate, as a fraction of lr0")
    momentum: float = Field(0.937, ge=0, lt=1, description="momentum of SGD; beta_1 of Adam")
    weight_decay: float = Field(
        5e-4, ge=0, lt=1, description="weight decay of kernels, for a nominal batch size of 64"
    )
    warmup_epochs: float = Field(3.0, ge=0, description="epochs of warm-up, at least 100 steps; 0 for none")
    warmup_momentum: float = Field(0.8, ge=0, lt=1, description="momentum at the first step")
    warmup_bias_lr: float = Field(0.1, ge=0, le=10, description="learning rate of biases at the first step")
    box: float = Field(0.05, ge=0, description="gain of the box loss")
    cls: float = Field(0.5, ge=0, description="gain of the class loss, for 80 classes")
    cls_pw: float = Field(1.0, gt=0, description="weight of positives in the class loss")
    obj: float = Field(1.0, ge=0, description="gain of the objectness loss, for 640 pixels")
    obj_pw: float = Field(1.0, gt=0, description="weight of positives in the objectness loss")
    iou_t: float = Field(
        0.2, gt=0, lt=1, description="unused, accepted for YOLOv5's files; label assignment uses anchor_t"
    )
    anchor_t: float = Field(4.0, gt=1, description="maximum ratio between the sides of a box and its anchor")
    fl_gamma: float = Field(0.0, ge=0, le=10, description="gamma of the focal loss; 0 disables it")
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="fraction of the target taken from the true class"
    )
    anchors: int | None = Field(
        None, ge=1, le=20, description="anchors per scale to generate; none by default"
    )

    @field_validator("anchors", mode="before")
    @classmethod
    def _whole(cls, value: Any) -> Any:
        """As YOLOv5 reads it: 0 keeps the model's anchors, and evolved files hold fractions."""
        try:
            return round(float(value)) or None
        except (TypeError, ValueError, OverflowError):
            return value

    def augmentation(self) -> AugmentationOptions:
        """Those of augmentation alone."""
        return AugmentationOptions(**{name: getattr(self, name) for name in AugmentationOptions.model_fields})


def list_hyps() -> list[str]:
    """Names that `read_hyps` and `--hyp` take.

    Example:
        >>> "finetune" in list_hyps()
        True
    """
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def read_hyps(name: str | Path = DEFAULT, **overrides: Any) -> Hyps:
    """Hyperparameters of a name or a YAML file, checked field by field.

    Args:
        name: one of `list_hyps()`, also written as YOLOv5 does (`hyp.scratch-low.yaml`), or a file's path.
            A name without suffix is never a file: write `./finetune` for one. A file may hold a part of the
            fields; the others are those of `scratch-low`.
        overrides: values that win over the file's.

    Raises:
        TfyoloError: no such name or file, an unknown field or a value out of range, with its line.
    """
    path, text = Path(name), str(name)
    short = text.removeprefix("hyp.").removesuffix(".yaml")
    if short in list_hyps() and (text == short or not path.is_file()):
        path = FOLDER / f"{short}.yaml"
    elif not path.exists() and not text.endswith((".yaml", ".yml")):
        near = closest(short, list_hyps()) or " or ".join(list_hyps())
        raise TfyoloError(f"unknown hyperparameters `{name}`", fix=f"use {near}, or a YAML file")
    document = read_yaml(path)
    values, overrides = (_renamed(given) for given in (document.value, overrides))
    unknown = next((key for key in (*values, *overrides) if key not in Hyps.model_fields), None)
    if unknown is not None:
        near = closest(str(unknown), Hyps.model_fields)
        fix = ELSEWHERE.get(unknown) or (f"write `{near}`" if near else "remove it")
        message = f"unknown hyperparameter `{unknown}`"
        if unknown in overrides:
            raise TfyoloError(message, fix=fix)
        raise document.error(message, unknown, fix=fix)
    try:
        return Hyps.model_validate({**values, **overrides})
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0])
        allowed = Hyps.model_fields[field].description
        message = f"`{field}`: {first['msg'][:1].lower()}{first['msg'][1:]} ({allowed})"
        if field in overrides:
            raise TfyoloError(message, fix="correct the value") from error
        key = next((old for old, new in RENAMED.items() if new == field and old in document.value), field)
        raise document.error(message, key, fix="correct the value") from error


def _renamed(values: dict[str, Any]) -> dict[str, Any]:
    """Values by the names of YOLOv5 v7.0; where a file has both names, the old one stays and is refused."""
    return {
        RENAMED[key] if key in RENAMED and RENAMED[key] not in values else key: value
        for key, value in values.items()
    }
