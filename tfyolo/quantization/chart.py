"""A chart of a quantized network's noise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tfyolo.files import atomic
from tfyolo.models.spec import ModelSpec
from tfyolo.quantization.debug import LayerNoise, module_of

_COLOURS = {"backbone": "#2a6f97", "neck": "#e07a1f", "head": "#a4243b"}


def save_noise_chart(layers: Sequence[LayerNoise], spec: ModelSpec, path: Path) -> Path:
    """Signal to noise of every tensor in the order of execution, coloured by part of the network.

    Args:
        layers: from `debug`.
        spec: whose sections are coloured.
        path: of a picture; its suffix says which kind.
    """
    from matplotlib.figure import Figure

    section = {f"model.{layer.index}": layer.section for layer in spec.layers}
    figure = Figure(figsize=(12, 4.5), layout="constrained")
    axes = figure.subplots()
    values = [layer.signal_to_noise_db for layer in layers]
    axes.plot(values, color="#b8b8b8", linewidth=1, zorder=1)
    for name, colour in _COLOURS.items():
        points = [i for i, layer in enumerate(layers) if section[module_of(layer.name)] == name]
        axes.scatter(points, [values[i] for i in points], s=16, color=colour, label=name, zorder=2)
    for i in sorted(range(len(layers)), key=lambda i: -layers[i].drop_db)[:6]:
        axes.annotate(
            layers[i].name.removeprefix("model."), (i, values[i]), (0, -9), textcoords="offset points",
            ha="center", va="top", fontsize=8, rotation=90,
        )  # fmt: skip
    starts = [i for i, layer in enumerate(layers) if i == 0 or _row(layers[i - 1]) != _row(layer)]
    axes.set_xticks(starts, [_row(layers[i]).removeprefix("model.") for i in starts], fontsize=8)
    axes.set_xlim(-1, len(layers))
    axes.set_ylim(bottom=max(min(values) - 8, -5))
    axes.set_xlabel("layer of the model configuration")
    axes.set_ylabel("signal to noise (dB)")
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper right")
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=150)
    return path


def _row(layer: LayerNoise) -> str:
    return module_of(layer.name)
