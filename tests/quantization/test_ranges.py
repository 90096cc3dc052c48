"""Estimators of ranges and the reconstruction of weights, on numbers small enough to follow."""

import numpy as np
import pytest

from tfyolo.errors import TfyoloError
from tfyolo.quantization.ranges import ESTIMATORS, ObservedTensor, estimate, fake_quantize_array
from tfyolo.quantization.reconstruction import reconstruct


def silu(x):
    return x / (1 + np.exp(-np.maximum(x, -80)))


def test_fake_quantize_is_tensorflows():
    import tensorflow as tf

    values = np.random.default_rng(0).normal(0, 3, 1000).astype(np.float32)
    for low, high in ((-4.0, 5.0), (0.0, 2.5), (-1.5, 0.0), (-0.01, 7.3)):
        expected = tf.quantization.fake_quant_with_min_max_args(values, low, high).numpy()
        # A value midway between two steps may go either way.
        assert np.abs(fake_quantize_array(values, (low, high)) - expected).max() < 1.01 * (high - low) / 255
        assert np.mean(np.abs(fake_quantize_array(values, (low, high)) - expected) > 1e-5) < 0.01


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("values", [[0.5, 0.7], [-3.0, -1.0], [0.0, 0.0], [-2.0, 9.0]])
def test_ranges_hold_zero_and_are_apart(name, values):
    observed = ObservedTensor(min(values), max(values), np.float32(values))
    low, high = estimate(name, observed)
    assert low <= 0 <= high
    assert high - low >= 1e-6


def test_least_squares_gives_up_what_makes_no_difference_after_silu():
    values = np.random.default_rng(1).normal(0, 2, 5000).astype(np.float32)
    values[:50] = -120
    observed = ObservedTensor(float(values.min()), float(values.max()), values, silu)
    low, high = estimate("mse", observed)
    assert -20 < low < -1.2
    assert high > 0.7 * values.max()
    error = {
        name: np.square(silu(fake_quantize_array(values, estimate(name, observed))) - silu(values)).mean()
        for name in ESTIMATORS
    }
    assert error["mse"] < 0.1 * error["minmax"]
    assert error["mse"] <= error["percentile"]


def test_percentile_leaves_out_a_share():
    values = np.arange(100_001, dtype=np.float32)
    low, high = estimate("percentile", ObservedTensor(0.0, 100_000.0, values))
    assert low == 0
    assert high == pytest.approx(99_990, abs=1)


def test_unknown_estimator():
    with pytest.raises(TfyoloError, match="unknown estimator `entropy`"):
        estimate("entropy", ObservedTensor(0, 1, np.zeros(1)))


def test_reconstruction_beats_rounding_to_the_nearest():
    random = np.random.default_rng(2)
    mixing = random.normal(0, 1, (36, 36))
    exact = (random.normal(0, 1, (4000, 36)) @ mixing).astype(np.float32)
    inputs = exact + random.normal(0, 0.2, exact.shape).astype(np.float32) + 0.1
    kernel = random.normal(0, 0.1, (3, 3, 4, 8)).astype(np.float32)
    bias = random.normal(0, 1, 8).astype(np.float32)
    bounds = np.abs(kernel).max((0, 1, 2))
    outputs = exact @ kernel.reshape(36, 8) + bias
    found = reconstruct(inputs, outputs, kernel, bounds)
    steps = found.kernel / (bounds / 127)
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-3)
    assert np.abs(steps).max() < 127.01
    nearest = np.round(kernel / bounds * 127) * bounds / 127

    def error(kernel, bias):
        return np.square(inputs @ kernel.reshape(36, 8) + bias - outputs).mean()

    assert error(found.kernel, found.bias) < 0.85 * error(nearest, bias)
