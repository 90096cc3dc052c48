"""Chart of quantization noise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tfyolo.evaluation.plot_style import GRID, INK, MUTED, new_figure, save_figure, title
from tfyolo.inference.drawing.palette import PALETTE
from tfyolo.models.spec import ModelSpec
from tfyolo.quantization.debug import LayerNoise, module_of

_COLORS = {"backbone": PALETTE[2], "neck": PALETTE[1], "head": PALETTE[0]}
_NAMED = 6
_TICK_INCHES = 0.22


def save_noise_chart(layers: Sequence[LayerNoise], spec: ModelSpec, path: Path) -> Path:
    """Plot the signal-to-noise ratio of every tensor in the order of execution, colored by part of the
    network.

    Args:
        layers: from `debug`.
        spec: configuration of the model, whose sections are colored.
        path: path of the image; its suffix selects the format.

    Returns:
        The path.
    """
    section = {f"model.{layer.index}": layer.section for layer in spec.layers}
    width = 12.0
    figure, (axes,) = new_figure(width, 5)
    values = [layer.signal_to_noise_db for layer in layers]
    axes.plot(values, color=MUTED, linewidth=1, alpha=0.5, zorder=1)
    for name, color in _COLORS.items():
        points = [i for i, layer in enumerate(layers) if section[module_of(layer.name)] == name]
        if points:
            axes.scatter(points, [values[i] for i in points], s=16, color=color, label=name, zorder=2)
    starts = [i for i, layer in enumerate(layers) if i == 0 or _row(layers[i - 1]) != _row(layer)]
    axes.set_xticks(starts, minor=True)
    apart = _apart(starts, len(layers) * _TICK_INCHES / (width - 1))
    axes.set_xticks(apart, [_row(layers[i]).removeprefix("model.") for i in apart], fontsize=8)
    axes.set_xlim(-1, len(layers))
    axes.set_ylim(min(values) - 8, max(values) + 4)
    axes.set_xlabel("layer of the model configuration")
    axes.set_ylabel("signal to noise (dB)")
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    title(axes, "Signal to noise of each tensor; named are those where most noise arises")
    axes.legend(
        frameon=False,
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=3,
        borderaxespad=0.1,
        handletextpad=0.1,
    )
    worst = sorted(range(len(layers)), key=lambda i: -layers[i].drop_db)[:_NAMED]
    # Neighboring points would cover each other's names, so points are numbered and named at the right.
    for number, i in enumerate(worst, 1):
        axes.annotate(
            str(number),
            (i, values[i]),
            (0, -6),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=9,
            color=INK,
        )
    names = [f"{number}  {layers[i].name.removeprefix('model.')}" for number, i in enumerate(worst, 1)]
    axes.text(1.01, 1.0, "\n".join(names), transform=axes.transAxes, va="top", fontsize=9, color=INK)
    return save_figure(figure, path)


def _apart(places: Sequence[int], least: float) -> list[int]:
    """Return ascending positions with a minimum distance.

    Example:
        >>> _apart([0, 1, 2, 5, 6], 2)
        [0, 2, 5]
    """
    kept: list[int] = []
    for place in places:
        if not kept or place - kept[-1] >= least:
            kept.append(place)
    return kept


def _row(layer: LayerNoise) -> str:
    return module_of(layer.name)
