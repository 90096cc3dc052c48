"""What a scale per channel of the heads' outputs would gain in int8, beside the one scale of each part.

    python benchmarks/head_scales.py --float yolov5n.pt --weights calibrated.keras --data coco128.yaml

The prediction layers are linear and their outputs are dequantized, so that each channel could be scaled to
use all of int8 and scaled back in float. The network runs with fake quantization; only the rounding of its
last outputs differs between the rows. Ranges per channel are estimated on the first half of the images, and
all rows are compared on the second half. "not rounded" is the upper bound.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfyolo.data.detection.scan import read_dataset
from tfyolo.export.graph.nodes import FakeQuantization, run_network
from tfyolo.models.network import Network
from tfyolo.models.quantization import QuantizationSpec
from tfyolo.quantization.calibration_images import dataset_images
from tfyolo.quantization.fidelity import Fidelity, Heads
from tfyolo.quantization.mixed import compare, heads_of
from tfyolo.quantization.ranges import ObservedTensor, estimate, fake_quantize_array
from tfyolo.weights import load_model

POSITIONS = 1000
"""Sampled per image and feature map, most of them where the float network sees objects."""


class UnroundedHeads(FakeQuantization):
    """Fake quantization of everything but the outputs of the prediction layers."""

    def __init__(self, network: Network, spec: QuantizationSpec) -> None:
        super().__init__(network, spec)
        self._heads = {name for parts in network.heads for name in parts}

    def tensor(self, x: Any, name: str) -> Any:
        """Round the output of a node, unless it is one of the heads."""
        return x if name in self._heads else super().tensor(x, name)


@dataclass(frozen=True)
class Split:
    """Images, the float network's heads of them and the unrounded heads of the quantized network."""

    exact: list[Heads]
    unrounded: list[Heads]

    def half(self, last: bool) -> Split:
        """Return the first or the last half."""
        middle = len(self.exact) // 2
        part = slice(middle, None) if last else slice(middle)
        return Split(self.exact[part], self.unrounded[part])


def main() -> None:
    """Run both networks, estimate the ranges, compare."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--float", required=True, dest="exact", help="weights of the float network")
    parser.add_argument("--weights", required=True, help="the same network, calibrated or trained")
    parser.add_argument("--data", required=True, help="dataset YAML")
    parser.add_argument("--img", type=int, default=640)
    parser.add_argument("--images", type=int, default=128)
    arguments = parser.parse_args()
    model, contract = load_model(arguments.exact)
    exact = Network.of(model, contract.spec)
    model, quantized = load_model(arguments.weights)
    if quantized.quantization is None:
        parser.error(f"{arguments.weights} has no quantization: write one with tfyolo quantize --steps 0")
    network, spec = Network.of(model, quantized.spec), quantized.quantization
    size = (arguments.img, arguments.img)
    images = dataset_images(read_dataset(arguments.data), "train", size, arguments.images)
    both = Split(heads_of(exact, None, images), unrounded_heads(network, spec, images))
    seen, held_out = both.half(last=False), both.half(last=True)
    parts = {name: [spec.ranges[name]] for group in network.heads for name in group}
    variants = {
        "one scale per part": rounded(held_out, network, parts),
        "per channel, min-max": rounded(held_out, network, channel_ranges(seen, network, "minmax")),
        "per channel, least squares": rounded(held_out, network, channel_ranges(seen, network, "mse")),
        "not rounded": held_out.unrounded,
    }
    first: Fidelity | None = None
    print(f"{len(held_out.exact)} images at {arguments.img} pixels; with 95 % intervals over images")
    for label, heads in variants.items():
        found = compare(held_out.exact, heads, contract)
        first = first or found
        print(
            f"{label:28} score error {found.score_error_interval():.4f}, "
            f"change {found.score_error_change(first):+.4f}; "
            f"fidelity {found.interval():.3f}, gain {found.gain(first):+.4f}",
            flush=True,
        )


def unrounded_heads(network: Network, spec: QuantizationSpec, images: np.ndarray) -> list[Heads]:
    """Run the quantized network on each image; only its last outputs are not rounded."""
    rounding = UnroundedHeads(network, spec)

    @tf.function(autograph=False)
    def forward(batch: Any) -> Any:
        return run_network(network, tf.cast(batch, tf.float32) / 255.0, rounding)

    return [
        [tuple(part[0].numpy() for part in parts) for parts in forward(image[None])]
        for image in map(tf.constant, images)
    ]


def channel_ranges(split: Split, network: Network, estimator: str) -> dict[str, list[tuple[float, float]]]:
    """Return the range of each channel of each head, by an estimator of ranges.py."""
    random = np.random.default_rng(0)
    samples: dict[str, list[np.ndarray]] = defaultdict(list)
    ends: dict[str, list[np.ndarray]] = defaultdict(list)
    for exact, heads in zip(split.exact, split.unrounded, strict=True):
        for group, parts, float_parts in zip(network.heads, heads, exact, strict=True):
            weight = (1 / (1 + np.exp(-float_parts[1]))).max(-1).reshape(-1) + 0.02
            count = min(POSITIONS, len(weight))
            places = random.choice(len(weight), count, replace=False, p=weight / weight.sum())
            for name, part in zip(group, parts, strict=True):
                flat = part.reshape(len(weight), -1)
                samples[name].append(flat[places])
                ends[name].append(np.stack([flat.min(0), flat.max(0)]))
    return {name: list(_ranges(np.concatenate(samples[name]), ends[name], estimator)) for name in samples}


def _ranges(values: np.ndarray, ends: list[np.ndarray], estimator: str) -> Iterator[tuple[float, float]]:
    lows, highs = np.min(ends, 0)[0], np.max(ends, 0)[1]
    for channel, (low, high) in enumerate(zip(lows, highs, strict=True)):
        observed = ObservedTensor(float(low), float(high), values[:, channel], lambda x: 1 / (1 + np.exp(-x)))
        yield estimate(estimator, observed)


def rounded(split: Split, network: Network, ranges: dict[str, list[tuple[float, float]]]) -> list[Heads]:
    """Return the quantized network's heads, rounded: with a range per channel, or one for all."""

    def round_part(part: np.ndarray, name: str) -> np.ndarray:
        limits = ranges[name] * (part.shape[-1] if len(ranges[name]) == 1 else 1)
        channels = [fake_quantize_array(part[..., i], one) for i, one in enumerate(limits)]
        return np.stack(channels, -1).astype(np.float32)

    return [
        [
            tuple(round_part(part, name) for part, name in zip(parts, group, strict=True))
            for parts, group in zip(heads, network.heads, strict=True)
        ]
        for heads in split.unrounded
    ]


if __name__ == "__main__":
    main()
