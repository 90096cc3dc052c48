"""The upsampling layer."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tfyolo.models.layers import NearestUpsample


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_pixels_are_repeated(scale):
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 4)).astype(np.float32)
    expected = x.repeat(scale, 1).repeat(scale, 2)
    np.testing.assert_array_equal(np.asarray(NearestUpsample(scale)(x)), expected)


@pytest.mark.parametrize(("size", "expected"), [((4, 6), (8, 12)), ((None, None), (None, None))])
def test_shape_of_known_and_unknown_sizes(size, expected):
    assert tuple(NearestUpsample(2)(keras.Input((*size, 3))).shape) == (None, *expected, 3)


def test_a_size_that_varies_at_run_time():
    image = keras.Input((None, None, 1))
    model = keras.Model(image, NearestUpsample(2)(image))
    assert tuple(model(np.zeros((1, 3, 5, 1))).shape) == (1, 6, 10, 1)


def test_configuration():
    layer = NearestUpsample(3, name="up")
    assert NearestUpsample.from_config(layer.get_config()).scale == 3
