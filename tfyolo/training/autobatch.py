"""The batch that fits a GPU's memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfyolo.errors import TfyoloError
from tfyolo.models.build import call_heads
from tfyolo.training.model import TrainingModel

SHARE = 0.8
"""Of the free memory, that training may fill."""
_TRIALS = (1, 2, 4, 8)


def fitting_batch(model: TrainingModel, image_size: int) -> int:
    """Measure the memory of small batches, forward and backward, and extrapolate.

    Raises:
        TfyoloError: there is no GPU.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        raise TfyoloError("--batch-size -1 measures a GPU's memory, and there is none", fix="pass a number")
    details = tf.config.experimental.get_device_details(gpus[0])
    total = int(details.get("memory_limit", 0)) or _largest_allocation()
    peaks = [_peak(model, batch, image_size) for batch in _TRIALS]
    return batch_for(_TRIALS, peaks, SHARE * total)


def batch_for(batches: tuple[int, ...], peaks: list[int], limit: float) -> int:
    """The largest batch within a limit, where memory grows with the batch in a straight line.

    Example:
        >>> batch_for((1, 2, 4), [100, 150, 250], 1000)
        19
    """
    slope, base = np.polyfit(batches, peaks, 1)
    return max(int((limit - base) / max(slope, 1.0) + 1e-6), 1)


def _peak(model: TrainingModel, batch: int, image_size: int) -> int:
    """Bytes in use at most while a batch goes through."""

    @tf.function
    def passes(images: Any) -> Any:
        with tf.GradientTape() as tape:
            heads = call_heads(model.network, images, training=True)
            loss = tf.add_n([tf.reduce_mean(tf.square(tf.cast(head, tf.float32))) for head in heads])
        return [tf.reduce_sum(g) for g in tape.gradient(loss, model.network.trainable_variables)]

    weights = model.network.get_weights()  # batch-norm statistics move
    tf.config.experimental.reset_memory_stats("GPU:0")
    passes(tf.zeros((batch, image_size, image_size, 3)))
    model.network.set_weights(weights)
    return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])


def _largest_allocation() -> int:
    from tensorflow.python.client import device_lib

    limits = [d.memory_limit for d in device_lib.list_local_devices() if d.device_type == "GPU"]
    return int(limits[0])
