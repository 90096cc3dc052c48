"""Letterbox: resize an image with its aspect ratio kept, and pad it to the input size."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

PAD_VALUE = 114
"""Gray that YOLOv5 trains with."""


@dataclass(frozen=True)
class Letterbox:
    """The mapping from an image to the network's input.

    A point (x, y) in pixels of the image maps to `ratio * (x, y) + pad_xy` in pixels of the input.

    Attributes:
        image_size: (height, width) of the image in pixels.
        resized_hw: (height, width) of the resized image in pixels, without padding.
        out_hw: (height, width) of the input in pixels, with padding.
        ratio: scale of the image.
        pad_xy: half of the padding, left and top, in pixels; a half pixel where the padding is odd.
    """

    image_size: tuple[int, int]
    resized_hw: tuple[int, int]
    out_hw: tuple[int, int]
    ratio: float
    pad_xy: tuple[float, float]

    @classmethod
    def fit(
        cls,
        image_size: tuple[int, int],
        target_hw: tuple[int, int],
        *,
        stride: int | None = None,
        max_ratio: float = math.inf,
    ) -> Letterbox:
        """Compute the letterbox of an image.

        Args:
            image_size: (height, width) of the image in pixels.
            target_hw: (height, width) of the input in pixels.
            stride: pad each side only to the next multiple of it (rectangular inference) instead of to
                `target_hw`.
            max_ratio: maximum scale; 1 never enlarges an image.

        Returns:
            Mapping from the image to the input.

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
        """Resize and pad an image.

        Args:
            image: uint8 (height, width, 3) of the size that the letterbox was computed for.
            area: downscale by area averaging, as in YOLOv5's validation; otherwise bilinearly, as in its
                detection.

        Returns:
            uint8 (*out_hw, 3); the same array if nothing changes.
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
        """Convert boxes (n, 4) xyxy from pixels of the input to pixels of the image, clipped to it."""
        boxes = (np.asarray(boxes_xyxy_px, np.float32) - np.array(self.pad_xy * 2, np.float32)) / np.float32(
            self.ratio
        )
        height, width = self.image_size
        return np.clip(boxes, 0, np.array([width, height, width, height], np.float32))

    def to_input(self, boxes_xyxy_px: np.ndarray) -> np.ndarray:
        """Convert boxes (n, 4) xyxy from pixels of the image to pixels of the input."""
        return np.asarray(boxes_xyxy_px, np.float32) * np.float32(self.ratio) + np.array(
            self.pad_xy * 2, np.float32
        )
