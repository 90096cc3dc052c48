"""Find layers that lose accuracy: quantization noise per layer, and the gain of keeping layers in float."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfyolo.evaluation.bootstrap import Interval
from tfyolo.export.graph.nodes import FakeQuantization, run_network
from tfyolo.models.contract import Contract
from tfyolo.models.network import Network
from tfyolo.models.quantization import Placement, QuantizationSpec
from tfyolo.progress import Progress, no_progress
from tfyolo.quantization.fidelity import Fidelity
from tfyolo.quantization.mixed import MixedPrecision, compare, heads_of


@dataclass(frozen=True)
class LayerNoise:
    """Quantization noise of one tensor.

    Attributes:
        name: name of the node.
        signal_to_noise_db: power of the float values over power of the error, in decibels.
        drop_db: difference to the lowest ratio of its inputs: the noise of this layer.
    """

    name: str
    signal_to_noise_db: float
    drop_db: float


@dataclass(frozen=True)
class Variant:
    """Result of a choice of float layers.

    Attributes:
        kept: layers in float; empty for the given network.
        score_error: see `Fidelity`, with its 95 % interval over images.
        fidelity: see `Fidelity`, likewise.
        score_error_change: difference to the score error of the given network, with its paired interval.
        gain: difference to the fidelity of the given network, likewise.
    """

    kept: tuple[str, ...]
    score_error: Interval
    fidelity: Interval
    score_error_change: Interval
    gain: Interval


@dataclass(frozen=True)
class DebugReport:
    """Result of `tfyolo quant-debug`.

    Attributes:
        layers: noise of each tensor, in the order of execution.
        variants: the given network, one variant per noisiest layer, and all of these layers together.
    """

    layers: tuple[LayerNoise, ...]
    variants: tuple[Variant, ...]

    @property
    def best(self) -> Variant | None:
        """Variant with the lowest score error, among those better than the given network in both metrics.

        Its score error has to be lower beyond noise, and its fidelity must not be lower; the noise of
        fidelity exceeds the gain of most layers.
        """
        better = [
            variant
            for variant in self.variants[1:]
            if variant.score_error_change.high < 0 and variant.gain.value >= 0
        ]
        return min(better, key=lambda variant: variant.score_error.value, default=None)


def debug(
    exact: Network,
    network: Network,
    spec: QuantizationSpec,
    contract: Contract,
    images: np.ndarray,
    worst: int = 5,
    progress: Progress = no_progress,
) -> DebugReport:
    """Compare a quantized network with the float one.

    Args:
        exact: the float network.
        network: network with quantized weights.
        spec: ranges and weight scheme of `network`.
        contract: contract of the model.
        images: uint8 (n, height, width, 3) RGB, letterboxed.
        worst: number of noisiest layers to try in float.
        progress: called as `progress(label, done, total)` after each step.

    Returns:
        Noise of every tensor, and what the noisiest layers gain in float.
    """
    layers = _noise(exact, network, spec, images, progress)
    wanted = heads_of(exact, None, images, "float network", progress)
    mixed = MixedPrecision(exact, network, spec)
    noisiest = _noisiest(layers, Placement.of(network, spec.keep_float))[:worst]
    kept: list[tuple[str, ...]] = [(), *((name,) for name in noisiest)]
    if len(noisiest) > 1:
        kept.append(tuple(noisiest))
    variants: list[Variant] = []
    first: Fidelity | None = None
    for number, names in enumerate(kept):
        label = f"variant {number + 1} of {len(kept)}"
        found = heads_of(*mixed.keeping(names), images, label, progress)
        fidelity = compare(wanted, found, contract)
        first = first or fidelity
        variants.append(
            Variant(
                names,
                fidelity.score_error_interval(),
                fidelity.interval(),
                fidelity.score_error_change(first),
                fidelity.gain(first),
            )
        )
    return DebugReport(tuple(layers), tuple(variants))


def module_of(name: str) -> str:
    """Return the row of the model configuration of a node: `model.4` of `model.4.m.0.cv1.conv`."""
    return ".".join(name.split(".")[:2])


def _noise(
    exact: Network, network: Network, spec: QuantizationSpec, images: np.ndarray, progress: Progress
) -> list[LayerNoise]:
    names = [node.name for node in network.nodes]

    @tf.function(autograph=False)
    def powers(batch: Any) -> Any:
        """Return (nodes, 2): power of the values and of their error."""
        batch = tf.cast(batch, tf.float32) / 255.0
        values: dict[str, Any] = {}
        found = {}
        run_network(exact, batch, None, values.__setitem__)

        def compare(name: str, x: Any) -> None:
            error = x - values[name]
            found[name] = tf.stack([tf.reduce_sum(values[name] ** 2), tf.reduce_sum(error**2)])

        run_network(network, batch, FakeQuantization(network, spec), compare)
        return tf.stack([found[name] for name in names])

    total = np.zeros((len(names), 2))
    for index in range(len(images)):
        total += powers(tf.constant(images[index : index + 1])).numpy()
        progress("noise layer by layer", index + 1, len(images))
    ratio = 10 * np.log10(np.maximum(total[:, 0], 1e-12) / np.maximum(total[:, 1], 1e-12))
    db: dict[str, float] = dict(zip(names, map(float, ratio), strict=True))
    return [
        LayerNoise(node.name, db[node.name], min(db.get(name, 60.0) for name in node.inputs) - db[node.name])
        for node in network.nodes
    ]


def _noisiest(layers: Sequence[LayerNoise], placement: Placement) -> list[str]:
    """Return modules sorted by the noise that they add, largest first."""
    drop: dict[str, float] = defaultdict(float)
    for layer in layers:
        if not placement.is_float(layer.name):
            drop[module_of(layer.name)] += max(layer.drop_db, 0.0)
    return sorted(drop, key=lambda name: -drop[name])
