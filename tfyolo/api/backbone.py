"""The backbone or neck of a model alone, as a functional Keras model for networks of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tfyolo.api.checks import as_image_size
from tfyolo.models.build import import_keras, run_layers
from tfyolo.models.keras_ops import KerasOps
from tfyolo.models.registry import list_models, load_spec
from tfyolo.models.spec import ModelSpec
from tfyolo.python_errors import python_errors
from tfyolo.weights import load_model
from tfyolo.weights.hub import fetch_weights

_FEATURE_STRIDES = (8, 16, 32, 64, 128)


@python_errors
def backbone(model: str | Path, *, neck: bool = False, image_size: tuple[int, int] | None = None) -> Any:
    """Build the backbone of a model, which turns images into feature maps of several strides.

    The layers have the names that they have in the whole model, such as `model.0.conv`.

    Args:
        model: a name of `tfyolo.list_models()` or a model YAML file, for random weights; a `.pt` or `.keras`
            file, or `bccd-n`, for its weights.
        neck: append the neck (the layers between backbone and head), and return its outputs, which the head
            reads.
        image_size: fixed (height, width) of the input in pixels; defaults to any multiple of the largest
            stride.

    Returns:
        A functional `keras.Model` from RGB images in 0..1, (batch, height, width, 3), to a list of feature
        maps (batch, height / stride, width / stride, channels) with strides 8, 16 and 32 (P3, P4, P5; in P6
        models 64, too). The outputs of a neck are in the order in which the head reads them.

    Raises:
        TfyoloError: there is no such model, or its file cannot be read.

    Example:
        >>> import keras
        >>> features = backbone("yolov5n")
        >>> [tuple(output.shape) for output in features.outputs]
        [(None, None, None, 64), (None, None, None, 128), (None, None, None, 256)]
        >>> images = keras.Input((64, 64, 3))
        >>> pooled = keras.layers.GlobalAveragePooling2D()(features(images)[-1])
        >>> keras.Model(images, keras.layers.Dense(2)(pooled)).output_shape
        (None, 2)
    """
    if str(model) in list_models() or Path(model).suffix in (".yaml", ".yml"):
        return _features(load_spec(model), neck, as_image_size(image_size))
    whole, contract = load_model(fetch_weights(model))
    features = _features(contract.spec, neck, as_image_size(image_size))
    layers = {layer.name: layer for layer in whole.layers}
    for layer in features.layers:
        layer.set_weights(layers[layer.name].get_weights() if layer.name in layers else [])
    return features


def _features(spec: ModelSpec, neck: bool, image_size: tuple[int, int] | None) -> Any:
    """The network up to the end of the backbone, or of the neck."""
    keras = import_keras()
    images = keras.Input((*(image_size or (None, None)), 3), name="images")
    outputs: list[Any] = []
    ops = KerasOps(keras, spec.activation, spec.csp_activation, spec.bn_epsilon, False)
    run_layers(ops, images, spec, outputs)
    if neck:
        chosen = list(spec.head.sources)
    else:
        last = {layer.stride: layer.index for layer in spec.layers if layer.section == "backbone"}
        chosen = [last[stride] for stride in _FEATURE_STRIDES if stride in last]
    part = "neck" if neck else "backbone"
    return keras.Model(images, [outputs[index] for index in chosen], name=f"{part}_of_{spec.name}")
