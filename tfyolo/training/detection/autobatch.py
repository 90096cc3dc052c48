"""Batch size that fits the memory of a GPU (`--batch-size -1`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfyolo.errors import TfyoloError
from tfyolo.models.build import call_heads
from tfyolo.training.model import TrainingModel

MEMORY_SHARE = 0.8
"""Share of the GPU's memory that training may use."""
_TRIAL_SIZES = (1, 2, 4, 8)


def measure_batch_size(model: TrainingModel, image_size: int) -> int:
    """Measure the peak memory of small batches, and extrapolate to the largest batch that fits.

    Args:
        model: model to be trained.
        image_size: side of the training images in pixels.

    Returns:
        Number of images per batch, of all GPUs of the strategy in whose scope this is called.

    Raises:
        TfyoloError: there is no GPU.
    """
    if not tf.config.list_physical_devices("GPU"):
        raise TfyoloError("--batch-size -1 measures GPU memory, but no GPU was found", fix="pass a number")
    peaks = [_measure_peak(model, batch_size, image_size) for batch_size in _TRIAL_SIZES]
    on_each = extrapolate_batch_size(_TRIAL_SIZES, peaks, MEMORY_SHARE * _memory_limit())
    return on_each * tf.distribute.get_strategy().num_replicas_in_sync


def extrapolate_batch_size(batch_sizes: Sequence[int], peaks: Sequence[int], limit: float) -> int:
    """Return the largest batch size within a memory limit; memory is linear in the batch size.

    Args:
        batch_sizes: measured batch sizes.
        peaks: peak memory of each in bytes.
        limit: memory limit in bytes.

    Returns:
        The batch size, at least 1.

    Example:
        >>> extrapolate_batch_size((1, 2, 4), [100, 150, 250], 1000)
        19
    """
    slope, intercept = np.polyfit(batch_sizes, peaks, 1)
    return max(int((limit - intercept) / max(slope, 1.0) + 1e-6), 1)


def _measure_peak(model: TrainingModel, batch_size: int, image_size: int) -> int:
    """Return the peak memory of a forward and backward pass in bytes."""

    @tf.function
    def forward_backward(images: Any) -> Any:
        with tf.GradientTape() as tape:
            heads = call_heads(model.network, images, training=True)
            loss = tf.add_n([tf.reduce_mean(tf.square(tf.cast(head, tf.float32))) for head in heads])
        return [tf.reduce_sum(g) for g in tape.gradient(loss, model.network.trainable_variables)]

    weights = model.network.get_weights()  # the pass changes batch-norm statistics
    tf.config.experimental.reset_memory_stats("GPU:0")
    forward_backward(tf.zeros((batch_size, image_size, image_size, 3)))
    model.network.set_weights(weights)
    return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])


def _memory_limit() -> int:
    """Return the memory that TensorFlow may allocate on the first GPU in bytes."""
    from tensorflow.python.client import device_lib

    limits = [d.memory_limit for d in device_lib.list_local_devices() if d.device_type == "GPU"]
    return int(limits[0])
