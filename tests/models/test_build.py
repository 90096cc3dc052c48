"""Keras networks: every block and a few models, on Keras 3 and tf_keras, against ShapeOps and each other."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache

import keras
import numpy as np
import pytest
import tf_keras

from tfyolo.errors import TfyoloError
from tfyolo.models import build_model, count_model, load_spec
from tfyolo.models.blocks import BLOCKS
from tfyolo.models.keras_ops import KerasOps
from tfyolo.models.ops import Shape, ShapeOps
from tfyolo.models.reports.profile import profile_blocks

NAMESPACES = {"keras": keras, "tf_keras": tf_keras}
ARGUMENTS = {
    "Conv": {"filters": 16, "kernel": 6, "stride": 2, "padding": 2},
    "DWConv": {"filters": 32, "kernel": 3, "stride": 2},
    "Focus": {"filters": 16, "kernel": 3},
    "Conv2d": {"filters": 5},
    "Bottleneck": {"filters": 16},
    "BottleneckCSP": {"filters": 12, "repeats": 2},
    "C3": {"filters": 12, "repeats": 2},
    "C3TR": {"filters": 16},
    "C3Ghost": {"filters": 16},
    "GhostConv": {"filters": 12, "kernel": 3, "stride": 2},
    "GhostBottleneck": {"filters": 12, "stride": 2},
    "SPP": {"filters": 12},
    "SPPF": {"filters": 12},
    "Concat": {},
    "Upsample": {"scale": 3},
    "MaxPool2d": {"kernel": 2},
    "ZeroPad2d": {"padding": [0, 1, 2, 3]},
}
IMAGE = Shape(8, 12, 16)


def randomise(model) -> None:
    """Weights that let every layer matter, the same on both namespaces."""
    generator = np.random.default_rng(0)
    model.set_weights(
        [
            generator.uniform(0.5, 1.5, w.shape)
            if "variance" in w.name or "gamma" in w.name
            else generator.normal(0, (2 / max(np.prod(w.shape[:-1]), 1)) ** 0.5, w.shape)
            for w in model.weights
        ]
    )


@cache
def built(namespace, block: str):
    """A model of one block."""
    image = namespace.Input(IMAGE)
    inputs = [image, image] if BLOCKS[block].inputs == "many" else image
    ops = KerasOps(namespace, "silu", "leaky_relu", 1e-3)
    model = namespace.Model(image, BLOCKS[block].build(ops, inputs, "block", **ARGUMENTS[block]))
    randomise(model)
    return model


def counted(block: str):
    ops = ShapeOps()
    return ops, BLOCKS[block].build(
        ops, [IMAGE, IMAGE] if BLOCKS[block].inputs == "many" else IMAGE, "block", **ARGUMENTS[block]
    )


def trainable(model) -> int:
    return sum(int(np.prod(w.shape)) for w in model.trainable_weights)


def image(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def test_every_block_is_tested():
    assert set(ARGUMENTS) == set(BLOCKS)


@pytest.mark.parametrize("namespace", NAMESPACES.values(), ids=NAMESPACES)
@pytest.mark.parametrize("block", BLOCKS)
def test_blocks_have_the_counted_shape(block, namespace):
    assert tuple(built(namespace, block).outputs[0].shape)[1:] == counted(block)[1]


@pytest.mark.parametrize("namespace", NAMESPACES.values(), ids=NAMESPACES)
@pytest.mark.parametrize("block", BLOCKS)
def test_blocks_have_the_counted_parameters(block, namespace):
    cost = sum(cost.parameters for cost in counted(block)[0].costs.values())
    assert trainable(built(namespace, block)) == cost


@pytest.mark.parametrize("block", BLOCKS)
def test_blocks_compute_the_same_on_both(block):
    x = image(2, *IMAGE)
    outputs = [np.asarray(built(namespace, block)(x)) for namespace in NAMESPACES.values()]
    assert np.std(outputs[0]) > 0.1
    np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-4, rtol=1e-4)


def test_shapes_that_cannot_be_added_are_refused_before_building():
    with pytest.raises(ValueError, match="inputs of one shape are needed to add them, got 8x8x64, 8x8x32"):
        ShapeOps().add([Shape(8, 8, 64), Shape(8, 8, 32)], "add")
    with pytest.raises(TfyoloError, match=r"GhostBottleneck.64.*one shape"):
        profile_blocks(["GhostBottleneck(64)"], 32, 8, 1)


@pytest.mark.parametrize("block", ["Conv", "DWConv", "Focus", "MaxPool2d", "GhostConv", "GhostBottleneck"])
def test_the_table_knows_how_much_a_block_shrinks(block):
    assert BLOCKS[block].stride(ARGUMENTS[block]) == IMAGE.height // counted(block)[1].height


FORMULAS = {
    "silu": lambda x: x / (1 + np.exp(-x)),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.1 * x),
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "hard_swish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "linear": lambda x: x,
}


@pytest.mark.parametrize("namespace", NAMESPACES.values(), ids=NAMESPACES)
@pytest.mark.parametrize("name", FORMULAS)
def test_activations(name, namespace):
    entry = namespace.Input((4,))
    layer = KerasOps(namespace, name, name, 1e-3).activation(entry, "act", True)
    model = namespace.Model(entry, namespace.layers.Rescaling(1.0)(layer))
    x = np.linspace(-8, 8, 40, dtype=np.float32).reshape(10, 4)
    np.testing.assert_allclose(np.asarray(model(x)), FORMULAS[name](x), atol=1e-5)


def test_a_strided_convolution_pads_like_pytorch():
    """One zero on each side: "same" of Keras would put both on the right, and shift boxes by a pixel."""
    entry = keras.Input((4, 4, 1))
    model = keras.Model(entry, KerasOps(keras, "silu", "silu", 1e-3).conv2d(entry, "conv", 1, 3, 2))
    model.set_weights([np.ones((3, 3, 1, 1))])
    x = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    padded = np.pad(x[0, :, :, 0], 1)
    expected = [[padded[r : r + 3, c : c + 3].sum() for c in (0, 2)] for r in (0, 2)]
    np.testing.assert_array_equal(np.asarray(model(x))[0, :, :, 0], expected)


MODELS = ("yolov5-p34", "yolov5s-v1.0", "yolov3-tiny")
SIZE = {"num_classes": 4, "width": 0.125, "depth": 0.1}


@pytest.fixture(scope="module")
def models():
    """Each model on both namespaces, with the same weights."""
    found = {}
    for name in MODELS:
        found[name] = [build_model(load_spec(name, **SIZE), namespace) for namespace in NAMESPACES.values()]
        for model in found[name]:
            randomise(model)
    return found


@pytest.mark.parametrize("namespace", [0, 1], ids=NAMESPACES)
@pytest.mark.parametrize("name", MODELS)
def test_models_have_the_counted_parameters(models, name, namespace):
    costs = count_model(load_spec(name, **SIZE))[0].costs.values()
    assert trainable(models[name][namespace]) == sum(cost.parameters for cost in costs)


@pytest.mark.parametrize("name", MODELS)
def test_models_have_the_counted_heads(models, name):
    heads = count_model(load_spec(name, **SIZE), (64, 96))[1][-1]
    assert [tuple(head.shape)[1:] for head in models[name][0](image(1, 64, 96, 3))] == heads


@pytest.mark.parametrize("name", MODELS)
def test_models_compute_the_same_on_both(models, name):
    x = image(1, 64, 96, 3)
    for ours, twins in zip(*(model(x) for model in models[name]), strict=True):
        np.testing.assert_allclose(ours / np.std(ours), twins / np.std(ours), atol=1e-4)


SMALL = {"num_classes": 1, "width": 0.02, "depth": 0.1}


def test_a_fresh_head_expects_eight_objects_an_image_of_640():
    model = build_model(load_spec("yolov3-tiny", **SMALL))
    layer = model.get_layer("model.20.m.0")  # stride 16: 40 x 40 cells
    objectness = np.asarray(layer.bias).reshape(3, 6)[:, 4]
    np.testing.assert_allclose(np.exp(objectness) * 40 * 40, 8, rtol=1e-5)


def test_a_fixed_size():
    model = build_model(load_spec("yolov3-tiny", **SMALL), image_size=(64, 96))
    assert [tuple(head.shape) for head in model.outputs] == [(None, 4, 6, 18), (None, 2, 3, 18)]


@pytest.mark.parametrize("namespace", NAMESPACES.values(), ids=NAMESPACES)
def test_names_that_tensorflow_would_refuse(namespace):
    name = "-mein Modell (1)/ü"
    spec = load_spec("yolov3-tiny", **SMALL)
    spec = type(spec)(**{**vars(spec), "name": name})
    assert build_model(spec, namespace).name == "mein_Modell__1___"


def test_another_backend_gets_one_sentence():
    code = "from tfyolo.errors import TfyoloError\nfrom tfyolo.models.build import import_keras\n"
    code += "try: import_keras()\nexcept TfyoloError as error: print(error)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "KERAS_BACKEND": "torch"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines()[0] == "Keras uses the `torch` backend, but tfyolo needs TensorFlow"


def test_a_size_that_does_not_fit_is_named_with_its_layer():
    with pytest.raises(
        TfyoloError, match=r"model yolov5n, layer \d+ \(Concat\): Concat needs inputs of one size"
    ):
        count_model(load_spec("yolov5n"), (80, 80))
