"""Limits of computation: what operations cost, and the margin of the largest networks."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tfyolo.errors import TfyoloError
from tfyolo.export.runtime import budget
from tfyolo.export.runtime.budget import Budget, nms_multiplications, sort_multiplications
from tfyolo.models import load_spec
from tfyolo.models.build import count_model

PATH = Path("model.onnx")


def test_every_element_of_inputs_and_outputs_is_charged():
    counter = Budget(PATH, pixels=1)
    one = counter.work("sum", [(10, 10)] * 7, [(10, 10), ()])
    assert one == counter.products >= 801
    assert counter.work("matmul", [(10, 10)] * 2, [(10, 10)], 1000) >= 1300
    with pytest.raises(TfyoloError, match=r"needs more than [0-9,]+ multiplications"):
        counter.work("sum", [(1000, 1000)] * 100_000, [(1000, 1000)])


def test_sorts_and_nms_cost_more_than_one_comparison_per_element():
    assert sort_multiplications(2**25) >= 25 * 2**25
    assert nms_multiplications(1000, 10**9) >= 1000 * 1000
    assert nms_multiplications(1000, 0) == sort_multiplications(1000)


@pytest.mark.parametrize("name", ["yolov5x", "yolov5x6"])
def test_the_largest_networks_at_2048_pixels_stay_below_a_third(name):
    """Operations of two inputs and one output; batch normalization is counted, though exporters fold it."""
    pixels = 2048 * 2048
    costs = count_model(load_spec(name), (2048, 2048))[0].costs.values()
    multiplications, elements = sum(x.multiply_adds for x in costs), sum(x.activations for x in costs)
    counter = Budget(PATH, pixels)
    counter.work("the whole network", [(elements,)] * 2, [(elements,)], math.ceil(multiplications))
    assert 3 * counter.products < budget.PRODUCTS + budget.PRODUCTS_PER_PIXEL * pixels
