"""Build the Keras network of a configuration, with Keras 3 or tf_keras."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from tfyolo.errors import TfyoloError
from tfyolo.libraries import missing_extra
from tfyolo.models.blocks import BLOCKS, run_block
from tfyolo.models.heads import HEADS, initialize_biases
from tfyolo.models.keras_ops import KerasOps
from tfyolo.models.ops import Ops, Shape, ShapeOps, Tensor
from tfyolo.models.spec import ModelSpec
from tfyolo.models.tasks import TASKS


def build_model(
    spec: ModelSpec,
    keras: ModuleType | None = None,
    image_size: tuple[int, int] | None = None,
    *,
    for_training: bool = False,
    synchronized_bn: bool = False,
    precision: str = "float32",
) -> Any:
    """Build the network of a configuration, with random weights.

    Args:
        spec: from `load_spec` or `parse_spec`.
        keras: `keras` (version 3, the default) or `tf_keras` (for TFMOT).
        image_size: fixed (height, width) of the input in pixels; None accepts multiples of the largest
            stride.
        for_training: use layers that train faster (train_layers.py) than Keras' own. The weights and their
            order are the same: `build_model(spec).set_weights(trained.get_weights())` is the network to save
            and export. Ignored with tf_keras.
        synchronized_bn: compute batch statistics over all replicas of a `tf.distribute` strategy.
        precision: dtype policy of its layers, such as `mixed_bfloat16`; Keras' global policy has no effect.

    Returns:
        A `keras.Model` from `images` (batch, height, width, 3), RGB in 0..1, to the list of raw heads,
        followed by the prototypes of a segmentation model, or to the logits (batch, classes) of a classifier.

    Raises:
        TfyoloError: the backend of Keras 3 is not TensorFlow, or `image_size` is too small.

    Example:
        >>> from tfyolo.models import load_spec
        >>> model = build_model(load_spec("yolov5n"))
        >>> [tuple(head.shape) for head in model.outputs]
        [(None, None, None, 255), (None, None, None, 255), (None, None, None, 255)]
    """
    keras = keras or import_keras()
    with _dtype_policy(keras, precision):
        return _build(spec, keras, image_size, for_training, synchronized_bn)


@contextmanager
def _dtype_policy(keras: ModuleType, name: str) -> Iterator[None]:
    """Build layers with another dtype policy than the global one; tf_keras has only that."""
    if keras.__name__ != "keras":
        yield
        return
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _build(
    spec: ModelSpec,
    keras: ModuleType,
    image_size: tuple[int, int] | None,
    for_training: bool,
    synchronized_bn: bool,
) -> Any:
    images = keras.Input((*(image_size or (None, None)), 3), name="images")
    make_ops = KerasOps
    if for_training and keras.__name__ == "keras":
        # Imported here, since it imports Keras and TensorFlow.
        from tfyolo.models.train_layers import TrainingOps

        make_ops = TrainingOps
    ops = make_ops(keras, spec.activation, spec.csp_activation, spec.bn_epsilon, synchronized_bn)
    heads = run_layers(ops, images, spec)
    name = re.sub("[^A-Za-z0-9.-]", "_", spec.name).lstrip("_.-") or "model"  # what TensorFlow takes
    model = keras.Model(images, heads if TASKS[spec.task].finds_boxes else heads[0], name=name)
    initialize_biases(model, spec)
    return model


def call_heads(model: Any, images: Any, *, training: bool = False) -> list[Any]:
    """Call a network of `build_model`.

    Args:
        model: a `keras.Model` of `build_model`.
        images: (batch, height, width, 3), RGB in 0..1.
        training: whether batch normalization and dropout are in training mode.

    Returns:
        A list of outputs; Keras returns a single output as a tensor.
    """
    heads = model(images, training=training)
    return list(heads) if isinstance(heads, list | tuple) else [heads]


def count_model(spec: ModelSpec, image_size: tuple[int, int] = (640, 640)) -> tuple[ShapeOps, list[Any]]:
    """Count parameters and operations of every layer without building the network.

    Returns:
        A `ShapeOps` with costs of `model.0`, `model.1`, ..., and the output shape of each layer.
    """
    ops = ShapeOps(spec.csp_activation)
    shapes: list[Any] = []
    run_layers(ops, Shape(*image_size, 3), spec, shapes)
    return ops, shapes


def run_layers(
    ops: Ops, images: Tensor, spec: ModelSpec, outputs: list[Tensor] | None = None
) -> list[Tensor]:
    """Apply all layers of a configuration in order.

    Args:
        ops: implementation of `Ops`.
        images: (batch, height, width, 3), RGB in 0..1, in the tensor type of `ops`.
        spec: resolved configuration.
        outputs: list that the output of each layer is appended to; optional.

    Returns:
        The output of the last layer: the raw heads, followed by the prototypes of a segmentation model, or a
        list with the logits of a classifier.

    Raises:
        TfyoloError: a block does not accept its inputs, such as images that are too small.
    """
    outputs = [] if outputs is None else outputs
    if spec.normalization:
        images = ops.normalize(images, spec.normalization)
    for layer in spec.layers:
        name = f"model.{layer.index}"
        inputs = [images if i < 0 else outputs[i] for i in layer.sources]
        if layer.block in HEADS:
            outputs.append(HEADS[layer.block](ops, inputs, name, spec, **layer.arguments))
            continue
        try:
            x = run_block(ops, BLOCKS[layer.block], inputs, name, layer.arguments, layer.repeats)
        except ValueError as error:
            raise TfyoloError(f"model {spec.name}, layer {layer.index} ({layer.block}): {error}") from error
        outputs.append(x)
    return outputs[-1]


def import_keras() -> ModuleType:
    """Import Keras 3 with TensorFlow as backend.

    Raises:
        TfyoloError: KERAS_BACKEND (or ~/.keras/keras.json) selects another backend.
    """
    fix = "set KERAS_BACKEND=tensorflow"
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")  # importing Keras would import that backend
    if backend == "tensorflow":
        try:
            import keras
        except (ImportError, ValueError) as error:
            if isinstance(error, ModuleNotFoundError) and (missing := missing_extra(error)):
                raise missing from error
            raise TfyoloError(f"Keras cannot be imported: {error}", fix=fix) from error
        backend = keras.backend.backend()
    if backend != "tensorflow":
        raise TfyoloError(f"Keras uses the `{backend}` backend, but tfyolo needs TensorFlow", fix=fix)
    return keras
