"""Fitting an image into the network's input without changing its proportions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

PAD_VALUE = 114
"""Gray that YOLOv5 trains with."""


@dataclass(frozen=True)
class Letterbox:
    """Where an image lies in the network's input.

    A point at (x, y) pixels of the image is at `ratio * (x, y) + pad_xy` of the input.
    """

    image_size: tuple[int, int]
    resized_hw: tuple[int, int]
    out_hw: tuple[int, int]
    ratio: float
    pad_xy: tuple[float, float]
    """Half of the padding, left and top; a half pixel where the padding is odd."""

    @classmethod
    def fit(
        cls,
        image_size: tuple[int, int],
        target_hw: tuple[int, int],
        *,
        stride: int | None = None,
        max_ratio: float = math.inf,
    ) -> Letterbox:
        """Place an image of `image_size` into `target_hw` pixels.

        Args:
            image_size: height and width of the image.
            target_hw: height and width of the input.
            stride: pad each side only to the next multiple of it (rectangular inference), not to `target_hw`.
            max_ratio: upper bound of the scale; 1 never enlarges.

        Example:
            >>> Letterbox.fit((480, 640), (320, 320)).pad_xy
            (0.0, 40.0)
            >>> Letterbox.fit((480, 640), (320, 320), stride=32).out_hw
            (256, 320)
        """
        (height, width), (target_height, target_width) = image_size, target_hw
        ratio = min(target_height / height, target_width / width, max_ratio)
        resized_height, resized_width = max(round(height * ratio), 1), max(round(width * ratio), 1)
        pad_height, pad_width = target_height - resized_height, target_width - resized_width
        if stride:
            pad_height, pad_width = pad_height % stride, pad_width % stride
        out_hw = (resized_height + pad_height, resized_width + pad_width)
        return cls(
            image_size, (resized_height, resized_width), out_hw, ratio, (pad_width / 2, pad_height / 2)
        )

    def apply(self, image: np.ndarray, *, area: bool = False) -> np.ndarray:
        """Resize and pad `image`, uint8 (height, width, 3).

        Args:
            image: of the size this letterbox was made for.
            area: average when shrinking, as YOLOv5 validates; bilinear otherwise, as it detects.

        Returns:
            uint8 of `out_hw`; the same array where nothing changes.
        """
        (height, width), (out_height, out_width) = self.resized_hw, self.out_hw
        if (height, width) != self.image_size:
            mode = cv2.INTER_AREA if area and self.ratio < 1 else cv2.INTER_LINEAR
            image = cv2.resize(image, (width, height), interpolation=mode)
        if (height, width) == self.out_hw:
            return image
        left, top = (round(pad - 0.1) for pad in self.pad_xy)  # the smaller half of an odd padding
        out = np.full((out_height, out_width, 3), PAD_VALUE, np.uint8)
        out[top : top + height, left : left + width] = image
        return out

    def to_image(self, boxes_xyxy_px: np.ndarray) -> np.ndarray:
        """Boxes of the input as boxes of the image, clipped to it; (n, 4) float32."""
        boxes = (np.asarray(boxes_xyxy_px, np.float32) - np.array(self.pad_xy * 2, np.float32)) / np.float32(
            self.ratio
        )
        height, width = self.image_size
        return np.clip(boxes, 0, np.array([width, height, width, height], np.float32))

    def to_input(self, boxes_xyxy_px: np.ndarray) -> np.ndarray:
        """Boxes of the image as boxes of the input; (n, 4) float32."""
        return np.asarray(boxes_xyxy_px, np.float32) * np.float32(self.ratio) + np.array(
            self.pad_xy * 2, np.float32
        )
