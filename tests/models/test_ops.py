"""Counting without computing."""

from __future__ import annotations

import pytest

from tfyolo.models.blocks import BLOCKS
from tfyolo.models.ops import Shape, ShapeOps

IMAGE = Shape(16, 24, 8)


def cost(block: str, **arguments):
    ops = ShapeOps()
    out = BLOCKS[block].build(ops, IMAGE, "model.0", **arguments)
    return out, ops.costs["model.0"]


def test_shape_of_a_strided_convolution():
    assert cost("Conv", filters=4, kernel=3, stride=2)[0] == (8, 12, 4)


def test_parameters_of_a_convolution_and_its_normalisation():
    assert cost("Conv", filters=4, kernel=3)[1].parameters == 4 * 8 * 9 + 2 * 4


def test_parameters_of_groups():
    assert cost("Conv", filters=4, kernel=3, groups=4)[1].parameters == 4 * 2 * 9 + 2 * 4


def test_multiply_adds():
    assert cost("Conv", filters=4, kernel=3)[1].multiply_adds == 16 * 24 * 4 * (8 * 9 + 4)


def test_a_multiply_add_is_two_operations():
    assert cost("Conv", filters=4)[1].gflops == pytest.approx(2e-9 * 16 * 24 * 4 * (8 + 4))


def test_activations_are_those_of_convolution_normalisation_and_activation():
    assert cost("Conv", filters=4)[1].activations == 3 * 16 * 24 * 4


def test_costs_are_kept_for_each_layer_of_a_model():
    ops = ShapeOps()
    BLOCKS["Conv"].build(ops, IMAGE, "model.3", filters=4)
    assert list(ops.costs) == ["model.3"]


@pytest.mark.parametrize("arguments", [{"groups": 3}, {"groups": 16}, {"filters": 0}])
def test_impossible_convolutions(arguments):
    with pytest.raises(ValueError, match="do not divide"):
        cost("Conv", **{"filters": 8, **arguments})


def test_an_image_smaller_than_the_kernel():
    with pytest.raises(ValueError, match="16x24 is smaller than the kernel of 25"):
        cost("MaxPool2d", kernel=25)


def test_concatenating_different_sizes():
    with pytest.raises(ValueError, match="one size, got 16x24, 8x12"):
        ShapeOps().concat([IMAGE, Shape(8, 12, 8)], "cat")
