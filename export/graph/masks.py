"""Masks in an exported graph, for segmentation models."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfyolo.export.graph.boxes import SelectedBoxes
from tfyolo.export.graph.module import DetectionModule, Heads, batched_rows, rows_of
from tfyolo.models.outputs import COEFFICIENTS, MASKS, PROTOTYPES

_OBJECTNESS, _COEFFICIENTS = 1, 3
"""Indices of these parts in a raw head; see models/tasks.py."""
_BELOW_256 = 255.999
"""Factor of masks before their fraction is cut off, so that 128 and above are more than one half."""


class SegmentationModule(DetectionModule):
    """A segmentation model with the signature of exported models: a detector, and a mask for each box.

    Masks have the size of the prototypes and are cropped to their boxes, so that an application only resizes
    them and compares with one half. Nothing but the selected boxes gets a mask.

    Args:
        args: as those of `DetectionModule`.
        kwargs: as those of `DetectionModule`; with `uint8`, masks are uint8 as well.

    Source: Bolya et al. 2019, YOLACT, section 3.2; coefficients are weighted by objectness as in YOLOv5 v7.0.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        contract = self._contract
        self._num_coefficients = contract.parts["coefficients"]
        self._masks_uint8 = self.detect.input_signature[0].dtype == tf.uint8

    def _all_boxes(self, heads: Heads) -> dict[str, tf.Tensor]:
        """Return all boxes with their scores and mask coefficients, and the prototypes."""
        *scales, (prototypes,) = heads
        sizes = {_OBJECTNESS: 1, _COEFFICIENTS: self._num_coefficients}
        objectness, coefficients = (
            tf.concat(batched_rows(scales, part, size), 1) for part, size in sizes.items()
        )
        return {
            **super()._all_boxes(scales),
            COEFFICIENTS: coefficients * tf.sigmoid(objectness),
            PROTOTYPES: tf.identity(prototypes),
        }

    def _select(self, heads: Heads) -> SelectedBoxes:
        """Return the boxes that NMS selects."""
        return super()._select(heads[:-1])

    def _detections(self, selected: SelectedBoxes, heads: Heads) -> dict[str, tf.Tensor]:
        """Return the outputs of a detector, and `detection_masks`.

        Args:
            selected: boxes that NMS selected.
            heads: raw heads and prototypes.
        """
        *scales, (prototypes,) = heads
        outputs = super()._detections(selected, scales)
        # OpenVINO does not know how many rows NMS returns; after a gather with constant indices it does.
        every_row = tf.range(self._options.max_detections)
        anchors = tf.gather(selected.anchors, every_row)
        corners = tf.gather(outputs["detection_boxes"][0], every_row)
        # So few values per anchor are concatenated in less time than `gather_rows` takes for each scale.
        coefficients, objectness = (
            tf.gather(tf.concat(rows_of(scales, part, size), 0), anchors)
            for part, size in ((_COEFFICIENTS, self._num_coefficients), (_OBJECTNESS, 1))
        )
        coefficients *= tf.sigmoid(objectness)
        height, width = prototypes.shape[1:3]
        # Channels are moved to the front before the reshape: in another order the converter makes one
        # transposed product of it, for which LiteRT needs five times as long. Axes are added and removed by
        # reshapes, since a slice copies the tensor.
        channels_first = tf.transpose(prototypes, [0, 3, 1, 2])
        logits = tf.matmul(coefficients, tf.reshape(channels_first, [-1, height * width]))
        masks = tf.sigmoid(tf.reshape(logits, [1, -1, height, width]))
        # Boxes of unused rows are zero, so that their masks are empty.
        across, down = _inside(corners, width, height)
        if self._masks_uint8:
            down *= _BELOW_256
        masks *= tf.reshape(down, [1, -1, height, 1])
        masks *= tf.reshape(across, [1, -1, 1, width])
        return {**outputs, MASKS: tf.cast(masks, tf.uint8) if self._masks_uint8 else masks}


def _inside(corners: tf.Tensor, width: int, height: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Return which columns and rows of masks lie inside of their boxes.

    Args:
        corners: (n, 4) ymin, xmin, ymax, xmax, relative to the input.
        width: width of the masks.
        height: height of the masks.

    Returns:
        float32 (n, width) and (n, height), 1 inside and 0 outside.
    """
    inside = []
    for axis, size in ((1, width), (0, height)):
        cells = tf.range(size, dtype=tf.float32)[None]
        low, high = corners[:, axis : axis + 1] * size, corners[:, axis + 2 : axis + 3] * size
        inside.append(tf.cast((cells >= low) & (cells < high), tf.float32))
    return inside[0], inside[1]
