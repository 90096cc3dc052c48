"""Runs a Keras model, on the CPU or a GPU; also the network of a `.pt` file, built in Keras."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.export.runtime.base import Runtime, Sharing
from tfyolo.export.runtime.inspection import Inspection
from tfyolo.export.runtime.outputs import joined_heads
from tfyolo.models.build import call_heads
from tfyolo.models.contract import Contract
from tfyolo.models.outputs import LOGITS


class KerasRuntime(Runtime):
    """A `keras.Model` from images to raw heads, decoded on NumPy, or to a classifier's logits.

    Args:
        model: from `build_model`; its weights may change between calls.
        contract: anchors, strides and names.
        path: of the file that the model came from.
    """

    sharing = Sharing.SAFE
    max_batch = 64

    def __init__(self, model: Any, contract: Contract, path: Path | None = None) -> None:
        self.model, self.contract, self.path = model, contract, path
        self._fixed = model.inputs[0].shape[1:3]
        if None not in self._fixed:
            self.input_hw = (int(self._fixed[0]), int(self._fixed[1]))
        self._last = threading.local()

    @property
    def heads(self) -> Sequence[np.ndarray]:
        """Raw heads of this thread's last call."""
        return getattr(self._last, "heads", ())

    def _open(self) -> Any:
        """The network as one graph for all sizes: rectangular batches have many, each worth a second."""
        import tensorflow as tf

        model = self.model  # not `self`: the graph would keep its own owner alive

        def forward(images: tf.Tensor) -> Any:
            return call_heads(model, tf.cast(images, tf.float32) / 255.0)

        # Taken out of the tf.function, which would warn where a process makes several detectors.
        signature = tf.TensorSpec((None, *self._fixed, 3), tf.uint8)
        return tf.function(forward, autograph=False).get_concrete_function(signature)

    def _run(self, session: Any, images: np.ndarray, confidence: float) -> dict[str, np.ndarray]:
        import tensorflow as tf

        found = session(tf.constant(images))
        if self.contract.task == "classify":
            return {LOGITS: found[0].numpy()}
        self._last.heads = heads = [head.numpy() for head in found]
        return dict(zip(joined_heads(self.contract), heads, strict=True))


def open_keras_runtime(path: Path, threads: int | None = None) -> KerasRuntime:
    """The network of a `.keras` or `.pt` file.

    Raises:
        TfyoloError: the file cannot be read.
    """
    from tfyolo.weights import load_model

    limit_threads(threads)
    return KerasRuntime(*load_model(path), path)


def limit_threads(threads: int | None) -> None:
    """Let TensorFlow use this many cores; no effect once it has begun to work."""
    import tensorflow as tf

    if threads:
        with contextlib.suppress(RuntimeError):
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)


def inspect(path: Path) -> Inspection:
    """What a `.keras` or `.pt` file holds; TensorFlow is not imported."""
    from tfyolo.export.keras.inspection import inspect_keras, inspect_pt

    return inspect_keras(path) if path.suffix.lower() == ".keras" else inspect_pt(path)
