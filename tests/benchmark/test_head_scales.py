"""`benchmarks/head_scales.py`: channels whose ranges differ are nearer with a range each."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from tfyolo.models.network import Network


@pytest.fixture(scope="module")
def script():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
        yield importlib.import_module("head_scales")
    del sys.modules["head_scales"]


@pytest.mark.parametrize("estimator", ["minmax", "mse"])
def test_a_range_per_channel_rounds_more_finely(script, estimator):
    network = Network((), {}, {}, (("box", "objectness", "classes"),))
    random = np.random.default_rng(0)
    scales = np.float32([0.01, 1, 10, 5])
    part = random.normal(0, 1, (4, 4, 4)).astype(np.float32) * scales
    heads = [[(part, part, part)]] * 2
    split = script.Split(heads, heads)
    ranges = script.channel_ranges(split, network, estimator)
    assert [len(ranges[name]) for name in network.heads[0]] == [4, 4, 4]
    low, high = float(part.min()), float(part.max())
    together = script.rounded(split, network, {name: [(low, high)] for name in network.heads[0]})[0][0][0]
    apart = script.rounded(split, network, ranges)[0][0][0]
    narrow = part[..., 0]
    assert np.abs(apart[..., 0] - narrow).max() < np.abs(together[..., 0] - narrow).max() / 10
    assert apart.dtype == np.float32
