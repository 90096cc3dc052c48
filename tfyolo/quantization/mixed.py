"""Variants of a quantized network with more layers in float, and how near they are to the float network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfyolo.export.graph.nodes import FakeQuantization, run_network
from tfyolo.models.contract import Contract
from tfyolo.models.network import Network
from tfyolo.models.quantization import Placement, QuantizationSpec
from tfyolo.progress import Progress, no_progress
from tfyolo.quantization.fidelity import Fidelity, Heads, find_fidelity


@dataclass(frozen=True)
class MixedPrecision:
    """Variants of a quantized network.

    Attributes:
        exact: the float network.
        network: the quantized network.
        spec: its quantization.
    """

    exact: Network
    network: Network
    spec: QuantizationSpec

    def keeping(self, names: Sequence[str]) -> tuple[Network, QuantizationSpec]:
        """Return the network and its quantization with more layers in float, which have float weights."""
        kept = (*self.spec.keep_float, *(name for name in names if name not in self.spec.keep_float))
        placement = Placement.of(self.network, kept)
        layers = [node.layer for node in self.network.nodes if node.layer and placement.is_float(node.name)]
        weights = {layer: self.exact.weights[layer] for layer in layers if layer in self.exact.weights}
        return self.network.with_weights(weights), self.spec.model_copy(update={"keep_float": kept})


def heads_of(
    network: Network,
    spec: QuantizationSpec | None,
    images: np.ndarray,
    label: str = "",
    progress: Progress = no_progress,
) -> list[Heads]:
    """Run a network on images, one by one.

    Args:
        network: the network.
        spec: its quantization; None for the float network.
        images: uint8 (n, height, width, 3) RGB, letterboxed.
        label: label of the progress.
        progress: called as `progress(label, done, total)` after each step.

    Returns:
        The raw heads of each image.
    """
    rounding = None if spec is None else FakeQuantization(network, spec)
    forward = tf.function(
        lambda batch: run_network(network, tf.cast(batch, tf.float32) / 255.0, rounding), autograph=False
    )
    heads: list[Heads] = []
    for index in range(len(images)):
        scales = forward(tf.constant(images[index : index + 1]))
        heads.append([tuple(part[0].numpy() for part in parts) for parts in scales])
        progress(label, index + 1, len(images))
    return heads


def compare(
    wanted: Sequence[Heads], found: Sequence[Heads], contract: Contract, errors_only: bool = False
) -> Fidelity:
    """Return how near the heads of a quantized network are to those of the float network.

    Args:
        wanted: heads of the float network, per image.
        found: heads of the quantized network.
        contract: contract of the model.
        errors_only: without `fidelity`, which takes longer.
    """
    fidelity = find_fidelity(contract)
    for exact, rounded in zip(wanted, found, strict=True):
        add = fidelity.add_errors if errors_only else fidelity.add
        add(exact, rounded)
    return fidelity
