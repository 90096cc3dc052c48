"""Layer-wise reconstruction: int8 weights of a convolution that preserve its outputs (GPTQ).

Rounding each weight to the nearest int8 value minimizes the error of the weights. What matters is the error
of the layer's outputs. For one convolution, written as a matrix product of patches X (n, k) and weights W
(k, f):

1. **Correct the inputs' error.** The layer reads X', the outputs of the preceding quantized layers, in
   place of the float inputs X. Ridge regression finds float weights that map X' to the float outputs Y = X
   W + b: W' = (H + lambda I)^-1 (X'^T Y + lambda W), with H = X'^T X' (both centered). The penalty keeps W'
   near W, since n patches do not determine all k weights.
2. **Round one input at a time (GPTQ).** Rows of W' are rounded to the int8 grid in the order of descending
   diag(H). The rounding error of row i is compensated by the rows j > i that are not rounded yet: w_j -=
   (w_i - q_i) U_ij / U_ii, where U is the upper Cholesky factor of H^-1. This is Optimal Brain Surgeon's
   update for the quadratic error ||X' (W - Q)||^2, computed for all output channels at once.
3. **Correct the bias.** The mean output error that is left is added to the bias: b' = mean(Y) - mean(X') Q.

Sources: Frantar et al. 2022, GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
Transformers, algorithm 1; Hassibi and Stork 1993, Optimal Brain Surgeon; Nagel et al. 2019, Data-Free
Quantization Through Weight Equalization and Bias Correction (step 3).
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfyolo.models.network import Weights
from tfyolo.models.quantization import INT8_MAX, round_to_int8

_DAMPING = 0.01
"""Added to the diagonal of H before it is inverted, relative to its mean: GPTQ's `percdamp`."""
_BLOCK = 128
"""Rows that are rounded before all rows after them are compensated: the lazy batch updates of GPTQ."""


def reconstruct(
    inputs: np.ndarray, outputs: np.ndarray, kernel: np.ndarray, bounds: np.ndarray, ridge: float = 1.0
) -> Weights:
    """Find weights on the int8 grid whose outputs are closest to the float layer's outputs.

    Args:
        inputs: (n, height * width * input channels) float32 patches that the quantized layer reads.
        outputs: (n, output channels) of the float layer for the float patches at the same positions.
        kernel: (height, width, input, output channels) float weights.
        bounds: (output channels,) largest magnitude that int8 weights represent.
        ridge: weight of the penalty that keeps weights near `kernel`, relative to the inputs' mean power.

    Returns:
        The kernel, with values on the int8 grid, and the bias (output channels,), both float32.
    """
    flat = kernel.reshape(-1, kernel.shape[-1]).astype(np.float64)
    input_mean, output_mean = inputs.mean(0, dtype=np.float64), outputs.mean(0, dtype=np.float64)
    centered = inputs - input_mean.astype(np.float32)
    # This product takes most of the time, and TensorFlow's is faster than NumPy's.
    covariance = tf.matmul(centered, centered, transpose_a=True).numpy().astype(np.float64)
    power = np.trace(covariance) / len(covariance) + 1e-12
    cross = (centered.T @ (outputs - output_mean.astype(np.float32))).astype(np.float64)
    identity = np.eye(len(covariance))
    corrected = np.linalg.solve(covariance + ridge * power * identity, cross + ridge * power * flat)
    step = np.asarray(bounds, np.float64) / INT8_MAX
    rounded = _gptq(corrected, covariance + _DAMPING * power * identity, step)
    bias = output_mean - input_mean @ rounded
    return Weights(rounded.reshape(kernel.shape).astype(np.float32), bias.astype(np.float32))


def _gptq(weights: np.ndarray, hessian: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Round weights one input at a time, and compensate each error in the inputs that follow.

    Args:
        weights: (k, f) float64.
        hessian: (k, k) covariance of the inputs, damped so that it can be inverted.
        step: (f,) quantization step of each output channel.

    Returns:
        (k, f) multiples of `step`.
    """
    # Inputs of the largest variance first: errors of the last ones cannot be compensated.
    order = np.argsort(-np.diag(hessian), kind="stable")
    remaining = weights[order]
    upper = np.linalg.cholesky(np.linalg.inv(hessian[np.ix_(order, order)])).T
    rounded, errors = np.empty_like(remaining), np.empty_like(remaining)
    # Blocks do not change the result: a matrix product reads the weights once per block, not per row.
    for start in range(0, len(remaining), _BLOCK):
        stop = min(start + _BLOCK, len(remaining))
        for i in range(start, stop):
            rounded[i] = round_to_int8(remaining[i] / step) * step
            errors[i] = (remaining[i] - rounded[i]) / upper[i, i]
            remaining[i + 1 : stop] -= np.outer(upper[i, i + 1 : stop], errors[i])
        remaining[stop:] -= upper[start:stop, stop:].T @ errors[start:stop]
    return rounded[np.argsort(order)]
