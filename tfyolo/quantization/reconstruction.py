"""Rounding a convolution's weights so that its outputs, not its weights, change least."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfyolo.models.network import Weights


def reconstruct(
    inputs: np.ndarray, outputs: np.ndarray, kernel: np.ndarray, bounds: np.ndarray, trust: float = 0.02
) -> Weights:
    """Weights on the int8 grid whose outputs on rounded inputs come closest to the float layer's.

    First the float weights are moved to make good what the rounding of the inputs did (least squares, held
    near the old ones). Then weights are rounded one input after another, and each one's error is spread over
    the inputs that are still to come, by the inverse of the inputs' covariance. The bias takes what is left.

    Args:
        inputs: (n, height * width * input channels) rounded patches.
        outputs: (n, output channels) of the float layer on exact patches.
        kernel: (height, width, input, output channels) float weights.
        bounds: (output channels,) largest magnitude that int8 stands for.
        trust: weight of the old weights in the first step, relative to the inputs' mean power.

    Returns:
        The kernel, on the grid, and the bias.

    Source: Frantar et al. 2022, GPTQ; the first step is that of Nagel et al. 2019 for the mean, done for all.
    """
    flat = kernel.reshape(-1, kernel.shape[-1]).astype(np.float64)
    mean_in, mean_out = inputs.mean(0, dtype=np.float64), outputs.mean(0, dtype=np.float64)
    centerd = inputs - mean_in.astype(np.float32)
    # The one product that takes long, and TensorFlow's is the quicker one.
    covariance = tf.matmul(centerd, centerd, transpose_a=True).numpy().astype(np.float64)
    power = np.trace(covariance) / len(covariance) + 1e-12
    cross = (centerd.T @ (outputs - mean_out.astype(np.float32))).astype(np.float64)
    identity = np.eye(len(covariance))
    moved = np.linalg.solve(covariance + trust * power * identity, cross + trust * power * flat)
    step = np.asarray(bounds, np.float64) / 127
    rounded = _round_in_order(moved, covariance + 0.01 * power * identity, step)
    bias = mean_out - mean_in @ rounded
    return Weights(rounded.reshape(kernel.shape).astype(np.float32), bias.astype(np.float32))


def _round_in_order(weights: np.ndarray, covariance: np.ndarray, step: np.ndarray) -> np.ndarray:
    """GPTQ: (k, f) weights on the grid of `step` (f,), most powerful inputs first."""
    order = np.argsort(-np.diag(covariance), kind="stable")
    left = weights[order]
    spread = np.linalg.cholesky(np.linalg.inv(covariance[np.ix_(order, order)])).T
    rounded = np.empty_like(left)
    for i in range(len(left)):
        rounded[i] = np.clip(np.round(left[i] / step), -127, 127) * step
        left[i + 1 :] -= np.outer(spread[i, i + 1 :], (left[i] - rounded[i]) / spread[i, i])
    return rounded[np.argsort(order)]
