"""Runs Keras models (`.keras` files and `.pt` checkpoints) with TensorFlow, on the CPU or a GPU."""

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


class KerasRuntime(Runtime):
    """Runtime for a `keras.Model` that returns raw heads and prototypes, or the logits of a classifier.

    Args:
        model: from `build_model`; its weights may change between calls.
        contract: anchors, strides and class names.
        path: file of the model, for messages.

    Attributes:
        model: the `keras.Model`.

    Example:
        >>> import numpy as np, tfyolo
        >>> detector = tfyolo.load("bccd-n")
        >>> runtime = KerasRuntime(detector.model, detector.contract)
        >>> image = np.zeros((1, 64, 64, 3), np.uint8)
        >>> [head.shape for head in runtime.outputs(image).values()]
        [(1, 8, 8, 24), (1, 4, 4, 24), (1, 2, 2, 24)]
    """

    sharing = Sharing.SAFE
    max_batch = 64

    def __init__(self, model: Any, contract: Contract, path: Path | None = None) -> None:
        self.model, self.contract, self.path = model, contract, path
        self._input_size = model.inputs[0].shape[1:3]
        if None not in self._input_size:
            self.input_hw = (int(self._input_size[0]), int(self._input_size[1]))
        self._last_call = threading.local()

    @property
    def heads(self) -> Sequence[np.ndarray]:
        """Raw heads of this thread's last call, one (batch, height, width, channels) array per scale, and
        the prototypes of a segmentation model."""
        return getattr(self._last_call, "heads", ())

    def _open(self) -> Any:
        """Trace one graph for all image sizes: rectangular batches have many, and a trace takes a second."""
        import tensorflow as tf

        model = self.model  # a reference to `self` in the graph would keep the runtime alive

        def forward(images: tf.Tensor) -> Any:
            return call_heads(model, tf.cast(images, tf.float32) / 255.0)

        # A ConcreteFunction, since tf.function warns about retracing when a program creates many detectors.
        signature = tf.TensorSpec((None, *self._input_size, 3), tf.uint8)
        return tf.function(forward, autograph=False).get_concrete_function(signature)

    def _run(self, session: Any, images: np.ndarray, confidence: float) -> dict[str, np.ndarray]:
        import tensorflow as tf

        outputs = session(tf.constant(images))
        self._last_call.heads = heads = [head.numpy() for head in outputs]
        return dict(zip(joined_heads(self.contract), heads, strict=True))


def open_keras_runtime(path: Path, threads: int | None = None) -> KerasRuntime:
    """Load a `.keras` or `.pt` file and return its runtime.

    Args:
        path: the file.
        threads: number of CPU threads; see `limit_threads`.

    Raises:
        TfyoloError: the file cannot be read.
    """
    from tfyolo.weights import load_model

    limit_threads(threads)
    return KerasRuntime(*load_model(path), path)


def limit_threads(threads: int | None) -> None:
    """Limit the number of CPU threads that TensorFlow uses.

    Args:
        threads: number of threads; None leaves the setting. It has no effect after TensorFlow's first
            operation.
    """
    import tensorflow as tf

    if threads:
        with contextlib.suppress(RuntimeError):
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)


def inspect(path: Path) -> Inspection:
    """Describe a `.keras` or `.pt` file; TensorFlow is not imported.

    Args:
        path: the file.

    Returns:
        Contract, inputs, outputs, and the number of each Keras layer or PyTorch module.

    Raises:
        TfyoloError: the file is damaged or unknown.

    Example:
        >>> from tfyolo.weights.hub import fetch_weights
        >>> inspect(fetch_weights("bccd-n")).operators["Conv2D"]
        60
    """
    from tfyolo.export.keras.inspection import inspect_keras, inspect_pt

    return inspect_keras(path) if path.suffix.lower() == ".keras" else inspect_pt(path)
