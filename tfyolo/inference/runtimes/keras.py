"""Runs a Keras model, on the CPU or a GPU; also the network of a `.pt` file, built in Keras."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.inference.decode import decode, softmax
from tfyolo.inference.inspection import Inspection
from tfyolo.inference.predictions import Prediction, Probabilities
from tfyolo.models.contract import Contract


class KerasRuntime:
    """A `keras.Model` from images to raw heads, decoded on NumPy, or to a classifier's logits.

    Args:
        model: from `build_model`; its weights may change between calls.
        contract: anchors, strides and names.
    """

    input_hw: tuple[int, int] | None = None
    max_batch: int = 64
    heads: Sequence[np.ndarray] = ()
    """Raw heads of the last call."""

    def __init__(self, model: Any, contract: Contract) -> None:
        self.model, self.contract = model, contract
        self._fixed = model.inputs[0].shape[1:3]
        if None not in self._fixed:
            self.input_hw = (int(self._fixed[0]), int(self._fixed[1]))

    @cached_property
    def _forward(self) -> Any:
        """The network as one graph for all sizes: rectangular batches have many, each worth a second."""
        import tensorflow as tf

        def forward(images: tf.Tensor) -> Any:
            return self.model(tf.cast(images, tf.float32) / 255.0, training=False)

        # Taken out of the tf.function, which would warn where a process makes several detectors.
        signature = tf.TensorSpec((None, *self._fixed, 3), tf.uint8)
        return tf.function(forward, autograph=False).get_concrete_function(signature)

    def __call__(self, images: np.ndarray, confidence: float) -> list[Prediction]:
        """See `Runtime`."""
        import tensorflow as tf

        outputs = self._forward(tf.constant(images))
        if self.contract.task == "classify":
            return [Probabilities(values) for values in softmax(outputs.numpy())]
        self.heads = heads = [head.numpy() for head in outputs]
        anchors, strides = self.contract.anchors_px, self.contract.strides
        return [decode([head[i] for head in heads], anchors, strides, confidence) for i in range(len(images))]


def open_file(path: Path, threads: int | None = None) -> KerasRuntime:
    """The network of a `.keras` or `.pt` file.

    Raises:
        TfyoloError: the file cannot be read.
    """
    from tfyolo.weights import load_model

    limit_threads(threads)
    return KerasRuntime(*load_model(path))


def limit_threads(threads: int | None) -> None:
    """Let TensorFlow use this many cores; no effect once it has begun to work."""
    import tensorflow as tf

    if threads:
        with contextlib.suppress(RuntimeError):
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)


def inspect(path: Path) -> Inspection:
    """What a `.keras` or `.pt` file holds; TensorFlow is not imported."""
    from tfyolo.inference.runtimes.source_file import inspect_keras, inspect_pt

    return inspect_keras(path) if path.suffix.lower() == ".keras" else inspect_pt(path)
