"""Updates against the formulas written out in NumPy, as PyTorch computes them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfyolo.errors import TfyoloError
from tfyolo.training.optimization.optimizers import MAX_GRADIENT_NORM, GroupedOptimizer
from tfyolo.training.optimization.schedule import ScheduleValues


def variables():
    return [
        keras.Variable(np.array([1.0, -2.0], np.float32), name=name) for name in ("kernel", "gamma", "bias")
    ]


def controls(factor=1.0, bias=0.0, momentum=0.9, accumulate=1.0):
    return ScheduleValues(*(tf.constant(value) for value in (factor, bias, momentum, accumulate)))


def run(optimizer, weights, gradients, **given):
    optimizer.build(weights)
    return [optimizer.update([tf.constant(g, tf.float32)] * 3, controls(**given)) for g in gradients]


def test_sgd_is_pytorchs_nesterov_in_three_groups():
    optimizer, weights = GroupedOptimizer("SGD", 0.1, 0.9, weight_decay=0.01, warmup_bias_lr=0.5), variables()
    gradients = [[0.3, -0.1], [0.2, 0.4]]
    run(optimizer, weights, gradients, bias=0.4)
    for weight, decay, rate in zip(weights, (0.01, 0, 0), (0.1, 0.1, 0.1 + 0.4 * 0.5), strict=True):
        value, buffer = np.array([1.0, -2.0]), np.zeros(2)
        for gradient in map(np.array, gradients):
            gradient = gradient + decay * value
            buffer = 0.9 * buffer + gradient
            value = value - rate * (gradient + 0.9 * buffer)
        np.testing.assert_allclose(weight.numpy(), value, rtol=1e-5)


@pytest.mark.parametrize(("rule", "decoupled"), [("Adam", False), ("AdamW", True)])
def test_adam(rule, decoupled):
    optimizer, weights = GroupedOptimizer(rule, 0.1, 0.9, weight_decay=0.01), variables()
    gradients = [[0.3, -0.1], [0.2, 0.4], [0.1, 0.0]]
    run(optimizer, weights, gradients, momentum=0.5)  # the schedule's momentum is SGD's
    value, mean, square = np.array([1.0, -2.0]), np.zeros(2), np.zeros(2)
    for count, gradient in enumerate(map(np.array, gradients), start=1):
        before = value
        gradient = gradient if decoupled else gradient + 0.01 * value
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        step = mean / (1 - 0.9**count) / (np.sqrt(square / (1 - 0.999**count)) + 1e-8)
        value = before - 0.1 * (step + (0.01 * before if decoupled else 0))
    np.testing.assert_allclose(weights[0].numpy(), value, rtol=1e-4)


def test_accumulation_sums_and_changes_weights_every_so_many_steps():
    together, apart = variables(), variables()
    run(GroupedOptimizer("SGD", 0.1), together, [[0.3, 0.1]])
    steps = run(GroupedOptimizer("SGD", 0.1), apart, [[0.1, 0.0], [0.1, 0.1], [0.1, 0.0]], accumulate=3.0)
    assert [float(changed) for changed, _ in steps] == [0, 0, 1]
    np.testing.assert_allclose(apart[0].numpy(), together[0].numpy(), rtol=1e-5)


def test_gradients_are_clipped_by_their_common_norm():
    clipped, scaled = variables(), variables()
    ((_, norm),) = run(GroupedOptimizer("SGD", 0.1), clipped, [[300.0, 400.0]])
    share = MAX_GRADIENT_NORM / float(norm)
    run(GroupedOptimizer("SGD", 0.1), scaled, [[300.0 * share, 400.0 * share]])
    assert float(norm) == pytest.approx(500 * 3**0.5)
    np.testing.assert_allclose(clipped[0].numpy(), scaled[0].numpy(), rtol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_gradient_that_is_not_finite_changes_nothing_and_is_forgotten(bad):
    optimizer, weights = GroupedOptimizer("SGD", 0.1), variables()
    run(optimizer, weights, [[bad, 0.0]])
    np.testing.assert_array_equal(weights[0].numpy(), [1, -2])
    run(optimizer, weights, [[0.1, 0.1]])
    assert np.isfinite(weights[0].numpy()).all()
    assert (weights[0].numpy() != [1, -2]).all()


def test_unknown_optimizer_names_the_known():
    with pytest.raises(TfyoloError, match="SGD, Adam, AdamW"):
        GroupedOptimizer("RMSprop")
