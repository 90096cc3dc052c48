"""Blocks side by side."""

from __future__ import annotations

import pytest

from tfyolo.errors import TfyoloError
from tfyolo.models.reports.profile import profile_blocks


@pytest.fixture(scope="module")
def profiles():
    return profile_blocks(
        ["SPP", "SPPF", "Conv(16, 3)", "Conv(16, 3, 2)"], channels=16, size=8, batch=2, repeats=1
    )


def test_sppf_computes_what_spp_does(profiles):
    assert profiles[1].difference == 0


def test_different_weights_are_not_compared(profiles):
    assert profiles[2].difference is None


def test_parameters(profiles):
    assert profiles[2].parameters == 16 * 16 * 9 + 32


def test_gflops_are_those_of_one_image(profiles):
    assert profiles[2].gflops == pytest.approx(2e-9 * 64 * 16 * (16 * 9 + 4))


def test_memory_is_that_of_the_batch(profiles):
    assert profiles[2].activations_mb == pytest.approx(1e-6 * 4 * 2 * 3 * 64 * 16)


def test_times_are_positive(profiles):
    assert all(profile.forward_ms > 0 for profile in profiles)


@pytest.mark.parametrize("texts", [("Conv(16, 3)", "Conv(16, 3, 2)"), ("Upsample", "MaxPool2d(2)")])
def test_outputs_of_different_shape_are_not_compared(texts):
    assert profile_blocks(texts, channels=16, size=8, batch=1, repeats=1)[1].difference is None


def test_filters_are_those_asked_for():
    assert profile_blocks(["Conv(5)"], channels=3, size=4, batch=1, repeats=1)[0].parameters == 3 * 5 + 10


@pytest.mark.parametrize(
    "text",
    [
        "Cnv",
        "Concat",
        "Detect",
        "Conv(",
        "Conv(16, x)",
        "Conv(16, 3, 1, 1, 7)",
        "Conv('().__class__')",
        "MaxPool2d",
        "MaxPool2d(99)",
        "Conv(16, 3)(1)",
        "Conv(__import__('os'))",
        "",
    ],
)
def test_what_is_no_block(text):
    with pytest.raises(TfyoloError, match="`"):
        profile_blocks([text], channels=16, size=8, batch=1)
