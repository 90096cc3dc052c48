"""Coordinates of annotations made for a scaled or unrotated copy of an image."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from tfyolo.data.images.header import ImageHeader

_ROUNDING_PX = 1.0
"""How far the sides of a resized image may be from exact proportions."""
_MIRROR_X, _MIRROR_Y = (2, 3, 6, 7), (3, 4, 7, 8)


@dataclass(frozen=True)
class Frame:
    """Coordinate system of an annotation: of the upright image, of a scaled copy, or before EXIF rotation.

    Attributes:
        size_wh: (width, height) in pixels of the annotated image.
        orientation: EXIF orientation to be applied to the coordinates; 1 for none.

    Example:
        >>> Frame((200.0, 100.0)).to_shares(np.array([[50.0, 50.0]])).tolist()
        [[0.25, 0.5]]
    """

    size_wh: tuple[float, float]
    orientation: int = 1

    @staticmethod
    def of(said_wh: tuple[float, float] | None, header: ImageHeader) -> Frame | None:
        """Return the frame of an annotation that states an image size.

        The size can be that of the upright image, that of its pixels before EXIF rotation, or either
        scaled; with another aspect ratio the positions of boxes are unknown.

        Args:
            said_wh: (width, height) stated by the annotation; None if it states none.
            header: header of the image.

        Returns:
            The frame; None if the aspect ratio differs from that of the image.
        """
        shown = (float(header.hw[1]), float(header.hw[0]))
        if said_wh is None or said_wh == shown:
            return Frame(shown)
        turned = header.orientation >= 5
        if turned and said_wh == shown[::-1]:
            return Frame(said_wh, header.orientation)
        if _is_scaled(said_wh, shown):
            return Frame(said_wh)
        if turned and _is_scaled(said_wh, shown[::-1]):
            return Frame(said_wh, header.orientation)
        return None

    @property
    def hw(self) -> tuple[int, int]:
        """(height, width) in pixels of the annotated image, after rotation."""
        width, height = self.size_wh if self.orientation < 5 else self.size_wh[::-1]
        return round(height), round(width)

    def to_shares(self, points_px: np.ndarray) -> np.ndarray:
        """Convert points (n, 2) x, y of the annotation to coordinates relative to the upright image."""
        points = np.asarray(points_px, np.float64) / self.size_wh
        if self.orientation >= 5:
            points = points[:, ::-1]
        return self._mirror(points)

    def to_pixels(self, points_norm: np.ndarray) -> np.ndarray:
        """Convert relative points (n, 2) back to pixels of the annotation."""
        points = self._mirror(np.asarray(points_norm, np.float64))
        if self.orientation >= 5:
            points = points[:, ::-1]
        return points * self.size_wh

    def box_to_shares(self, xyxy_px: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        """Convert the corners of a box to coordinates relative to the upright image."""
        (x1, y1), (x2, y2) = self.to_shares(np.reshape(xyxy_px, (2, 2))).tolist()
        if self.orientation in _MIRROR_X:
            x1, x2 = x2, x1
        if self.orientation in _MIRROR_Y:
            y1, y2 = y2, y1
        return x1, y1, x2, y2

    def boxes_to_pixels(self, boxes_xyxy_norm: np.ndarray) -> np.ndarray:
        """Convert (n, 4) relative corners to pixels of the annotation."""
        points = self.to_pixels(np.reshape(boxes_xyxy_norm, (-1, 2))).reshape(-1, 2, 2)
        return np.concatenate([points.min(1), points.max(1)], 1)

    def mask_to_pixels(self, mask: np.ndarray) -> np.ndarray:
        """Convert a bool (height, width) mask of the upright image to one of the annotated image."""
        x_step, y_step = (-1 if self.orientation in axes else 1 for axes in (_MIRROR_X, _MIRROR_Y))
        turned = mask[::y_step, ::x_step]
        turned = turned.T if self.orientation >= 5 else turned
        width, height = (round(side) for side in self.size_wh)
        if turned.shape == (height, width):
            return turned
        return cv2.resize(turned.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0

    def _mirror(self, points_norm: np.ndarray) -> np.ndarray:
        """Mirror the axes that the orientation mirrors; its own inverse."""
        mirrored = np.array([self.orientation in _MIRROR_X, self.orientation in _MIRROR_Y], np.float64)
        return mirrored + (1 - 2 * mirrored) * points_norm


def _is_scaled(said_wh: tuple[float, float], wh: tuple[float, float]) -> bool:
    """Whether two sizes have the same aspect ratio, up to rounding to whole pixels."""
    by_width = abs(said_wh[1] * wh[0] / said_wh[0] - wh[1])
    by_height = abs(said_wh[0] * wh[1] / said_wh[1] - wh[0])
    # One pixel of the smaller image.
    return min(by_width, by_height) <= _ROUNDING_PX * max(1.0, wh[0] / said_wh[0], wh[1] / said_wh[1])
