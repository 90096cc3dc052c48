"""Layouts of weights, each against the same arithmetic in NumPy or PyTorch's definition."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tfyolo.errors import TfyoloError
from tfyolo.models.blocks import BLOCKS
from tfyolo.models.keras_ops import KerasOps
from tfyolo.weights.mapping import focus_kernel, load_tensors

GENERATOR = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return GENERATOR.normal(size=shape).astype(np.float32)


def convolve(x: np.ndarray, kernel: np.ndarray, stride: int, padding: int, groups: int = 1) -> np.ndarray:
    """(height, width, in) by PyTorch's (out, in / groups, k, k), literally."""
    x = np.pad(x, ((padding, padding), (padding, padding), (0, 0)))
    out, per_group, size, _ = kernel.shape
    rows, columns = ((side - size) // stride + 1 for side in x.shape[:2])
    result = np.zeros((rows, columns, out))
    for r in range(rows):
        for c in range(columns):
            window = x[r * stride : r * stride + size, c * stride : c * stride + size]
            for o in range(out):
                first = o // (out // groups) * per_group
                result[r, c, o] = (
                    window[..., first : first + per_group] * kernel[o].transpose(1, 2, 0)
                ).sum()
    return result


def model_of(block: str, channels: int, **arguments):
    image = keras.Input((None, None, channels))
    ops = KerasOps(keras, "silu", "silu", 1e-3)
    return keras.Model(image, BLOCKS[block].build(ops, image, "model.0", **arguments))


def conv_tensors(name: str, kernel: np.ndarray) -> dict[str, np.ndarray]:
    """A Conv whose normalisation does nothing."""
    out = len(kernel)
    parts = {"weight": np.ones(out), "bias": np.zeros(out), "running_mean": np.zeros(out)}
    parts |= {"running_var": np.full(out, 1 - 1e-3), "num_batches_tracked": np.array(7)}
    return {f"{name}.conv.weight": kernel, **{f"{name}.bn.{key}": value for key, value in parts.items()}}


@pytest.mark.parametrize(
    ("filters", "groups"),
    [(6, 1), (6, 2), (4, 4), (8, 4)],
    ids=["plain", "groups", "depthwise", "multiplier"],
)
def test_convolutions(filters, groups):
    kernel, x = normal(filters, 4 // groups, 3, 3), normal(6, 7, 4)
    model = model_of("Conv", 4, filters=filters, kernel=3, stride=2, groups=groups, act=False)
    load_tensors(model, conv_tensors("model.0", kernel))
    expected = convolve(x, kernel, 2, 1, groups)
    np.testing.assert_allclose(np.asarray(model(x[None]))[0], expected, atol=1e-5)


@pytest.mark.parametrize("size", [1, 3, 5])
def test_focus_is_space_to_depth_and_a_convolution(size):
    kernel, x = normal(5, 12, size, size), normal(8, 10, 3)
    phases = [x[row::2, column::2] for column in (0, 1) for row in (0, 1)]
    expected = convolve(np.concatenate(phases, -1), kernel, 1, size // 2)
    model = model_of("Focus", 3, filters=5, kernel=size, act=False)
    load_tensors(model, conv_tensors("model.0.conv", kernel))
    np.testing.assert_allclose(np.asarray(model(x[None]))[0], expected, rtol=1e-6, atol=1e-5)


def test_focus_kernel_has_twice_the_sides():
    assert focus_kernel(normal(5, 12, 3, 3)).shape == (5, 3, 6, 6)


def test_normalisation_uses_its_four_arrays():
    tensors = conv_tensors("model.0", np.full((1, 1, 1, 1), 1.0))
    parts = {"weight": 2.0, "bias": 3.0, "running_mean": 4.0, "running_var": 5.0}
    tensors |= {f"model.0.bn.{key}": np.array([value]) for key, value in parts.items()}
    model = model_of("Conv", 1, filters=1, act=False)
    load_tensors(model, tensors)
    expected = (7 - 4) / np.sqrt(5 + 1e-3) * 2 + 3
    np.testing.assert_allclose(np.asarray(model(np.full((1, 1, 1, 1), 7.0)))[0, 0, 0, 0], expected, rtol=1e-6)


def test_attention_is_pytorchs():
    """Projections in one array (query, key, value), heads side by side, scaled by their size."""
    channels, heads = 8, 4
    weight, bias, out, out_bias = normal(24, 8), normal(24), normal(8, 8), normal(8)
    q, k, v = normal(2, 3, 8), normal(2, 3, 8), normal(2, 3, 8)
    entries = [keras.Input((2, 3, channels)) for _ in range(3)]
    ops = KerasOps(keras, "silu", "silu", 1e-3)
    model = keras.Model(entries, ops.attention(*entries, "ma", heads))
    names = {
        "in_proj_weight": weight,
        "in_proj_bias": bias,
        "out_proj.weight": out,
        "out_proj.bias": out_bias,
    }
    load_tensors(model, {f"ma.{name}": value for name, value in names.items()})

    def project(x, part):
        rows = slice(part * channels, (part + 1) * channels)
        return (x.reshape(6, 8) @ weight[rows].T + bias[rows]).reshape(6, heads, 2).transpose(1, 0, 2)

    query, key, value = project(q, 0), project(k, 1), project(v, 2)
    scores = np.exp(query @ key.transpose(0, 2, 1) / np.sqrt(2))
    mixed = (scores / scores.sum(-1, keepdims=True)) @ value
    expected = mixed.transpose(1, 0, 2).reshape(6, 8) @ out.T + out_bias
    found = np.asarray(model([x[None] for x in (q, k, v)]))
    # Four products of matrices in float32, whose sums differ in order between versions of TensorFlow.
    np.testing.assert_allclose(found.reshape(6, 8), expected, atol=3e-6 * np.abs(expected).max())


@pytest.fixture
def tensors() -> dict[str, np.ndarray]:
    return conv_tensors("model.0", normal(6, 4, 3, 3))


@pytest.fixture(scope="module")
def model():
    return model_of("Conv", 4, filters=6, kernel=3)


def refused(model, tensors) -> str:
    with pytest.raises(TfyoloError) as caught:
        load_tensors(model, tensors, "best.pt")
    assert caught.value.path == "best.pt"
    return caught.value.message


@pytest.mark.parametrize("name", ["conv.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"])
def test_a_missing_weight(model, tensors, name):
    del tensors[f"model.0.{name}"]
    assert refused(model, tensors) == f"weight model.0.{name} is missing"


def test_a_weight_too_many(model, tensors):
    tensors["model.1.conv.weight"] = normal(1)
    assert "1 weights do not belong to the configuration, the first is model.1.conv.weight" in refused(
        model, tensors
    )


@pytest.mark.parametrize(
    "shape", [(5, 4, 3, 3), (6, 4, 1, 1), (6, 4, 3), (6,), (), (6, 16, 3, 2), (0, 4, 3, 3)]
)
def test_a_kernel_of_another_shape(model, tensors, shape):
    tensors["model.0.conv.weight"] = np.zeros(shape)
    assert "model.0.conv" in refused(model, tensors)


@pytest.mark.parametrize("shape", [(5,), (6, 1), ()])
def test_a_normalisation_of_another_shape(model, tensors, shape):
    tensors["model.0.bn.running_var"] = np.zeros(shape)
    assert refused(model, tensors).startswith("model.0.bn: moving_variance is")


@pytest.mark.parametrize("shape", [(5, 1, 3, 3), (8, 1, 3), (7,)])
def test_a_depthwise_kernel_of_another_shape(shape):
    model = model_of("Conv", 4, filters=8, kernel=3, groups=4)
    assert "model.0.conv" in refused(model, conv_tensors("model.0", np.zeros(shape)))


@pytest.mark.parametrize("shape", [(25, 8), (24, 7), (24,)])
def test_a_projection_of_another_shape(shape):
    entry = keras.Input((2, 3, 8))
    ops = KerasOps(keras, "silu", "silu", 1e-3)
    model = keras.Model(entry, ops.attention(entry, entry, entry, "ma", 4))
    names = {"in_proj_weight": np.zeros(shape), "in_proj_bias": np.zeros(24)}
    names |= {"out_proj.weight": np.zeros((8, 8)), "out_proj.bias": np.zeros(8)}
    assert "ma" in refused(model, {f"ma.{name}": value for name, value in names.items()})
