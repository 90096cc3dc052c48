"""Hyperparameters of augmentation."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class AugmentationOptions(BaseModel):
    """Hyperparameters of augmentation, by YOLOv5's names; the defaults are those of `scratch-low`.

    Attributes:
        hsv_h: largest rotation of the hue, as a fraction of a full turn.
        hsv_s: largest relative change of the saturation.
        hsv_v: largest relative change of the brightness.
        degrees: largest rotation in degrees.
        translate: largest shift, as a fraction of the input size.
        scale: largest relative change of size.
        shear: largest shear in degrees.
        perspective: largest perspective term, per pixel.
        flipud: probability of a flip upside down.
        fliplr: probability of a flip left to right.
        mosaic: probability of a mosaic.
        mosaic9: fraction of mosaics made of nine images instead of four.
        mixup: probability that a mosaic is blended with another.
        copy_paste: fraction of the objects with polygons in a mosaic that are pasted mirrored.

    Example:
        >>> AugmentationOptions(mosaic=0.5).mosaic
        0.5
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    hsv_h: float = Field(0.015, ge=0, le=0.5, description="maximum hue shift, as a fraction of a full turn")
    hsv_s: float = Field(0.7, ge=0, le=1, description="maximum relative change of saturation")
    hsv_v: float = Field(0.4, ge=0, le=1, description="maximum relative change of brightness")
    degrees: float = Field(0.0, ge=0, le=180, description="maximum rotation in degrees")
    translate: float = Field(
        0.1, ge=0, le=1, description="maximum translation, as a fraction of the input size"
    )
    scale: float = Field(0.5, ge=0, lt=1, description="maximum relative change of scale")
    shear: float = Field(0.0, ge=0, lt=90, description="maximum shear in degrees")
    perspective: float = Field(0.0, ge=0, le=0.001, description="maximum perspective coefficient, per pixel")
    flipud: float = Field(0.0, ge=0, le=1, description="probability of a vertical flip")
    fliplr: float = Field(0.5, ge=0, le=1, description="probability of a horizontal flip")
    mosaic: float = Field(1.0, ge=0, le=1, description="probability of a mosaic")
    mosaic9: float = Field(
        0.0, ge=0, le=1, description="fraction of mosaics with nine images instead of four"
    )
    mixup: float = Field(0.0, ge=0, le=1, description="probability of mixup, which blends two mosaics")
    copy_paste: float = Field(
        0.0, ge=0, le=1, description="fraction of objects with polygons that are copied, mirrored"
    )

    @property
    def warps(self) -> bool:
        """Whether a perspective transform is needed: rotation, shear or perspective."""
        return bool(self.degrees or self.shear or self.perspective)
