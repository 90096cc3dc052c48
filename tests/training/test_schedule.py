import numpy as np
import pytest

from tfyolo.training.optimization.schedule import Schedule, cosine

RUN = Schedule(epochs=30, steps_per_epoch=50, batch=16)


def test_begins_without_rate_and_with_high_bias_rate():
    first = RUN(0)
    assert (float(first.factor), float(first.bias_rate), float(first.momentum)) == pytest.approx((0, 1, 0.8))
    assert float(first.accumulate) == 1


def test_warm_up_is_a_straight_line():
    half = RUN(RUN.warmup_steps // 2)
    epoch = RUN.warmup_steps // 2 // 50
    assert float(half.factor) == pytest.approx(0.5 * ((1 - epoch / 30) * 0.99 + 0.01), rel=1e-5)
    assert float(half.momentum) == pytest.approx((0.8 + 0.937) / 2)


def test_after_the_warm_up_the_rate_falls_by_epochs():
    assert float(RUN(50 * 15).factor) == float(RUN(50 * 15 + 49).factor) == pytest.approx(0.505)
    assert float(RUN(50 * 15).accumulate) == 4


def test_warm_up_has_at_least_100_steps():
    assert Schedule(10, 5, 16).warmup_steps == 100
    assert Schedule(10, 5, 16, warmup_epochs=0).warmup_steps == 0


def test_cosine_goes_from_one_to_last():
    values = [float(cosine(np.float32(x), 0.1)) for x in (0, 0.5, 1)]
    assert values == pytest.approx([1, 0.55, 0.1])


@pytest.mark.parametrize(("batch", "accumulate", "scale"), [(16, 4, 1.0), (24, 3, 1.125), (128, 1, 2.0)])
def test_weight_decay_is_scaled_to_what_makes_up_the_nominal_batch(batch, accumulate, scale):
    run = Schedule(10, 5, batch)
    assert (run.accumulate, run.decay_scale) == (accumulate, pytest.approx(scale))
