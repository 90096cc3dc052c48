"""Curves of the activations that a model can have."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tfyolo.inference.drawing.palette import PALETTE


def draw(folder: Path) -> None:
    """Write `activations.png`."""
    from matplotlib.figure import Figure

    x = np.linspace(-6, 8, 561)
    curves = {
        "SiLU": x / (1 + np.exp(-x)),
        "hard-swish": x * np.clip(x + 3, 0, 6) / 6,
        "ReLU6": np.clip(x, 0, 6),
        "LeakyReLU (slope 0.1)": np.maximum(x, 0.1 * x),
        "sigmoid": 1 / (1 + np.exp(-x)),
    }
    styles = ["-", "--", "-.", ":", "-"]
    figure = Figure(figsize=(7.2, 7.6), layout="constrained")
    whole, zoom = figure.subplots(2, 1)
    for axes, (low, high), (bottom, top) in (
        (whole, (-6, 8), (-1, 8)),
        (zoom, (-5, 1), (-0.6, 1)),
    ):
        for (name, y), color, style in zip(curves.items(), PALETTE, styles, strict=False):
            axes.plot(x, y, style, label=name, color=color, lw=3)
        axes.set_xlim(low, high)
        axes.set_ylim(bottom, top)
        axes.grid(color="#e3e6ea")
        axes.axhline(0, color="#8a94a0", lw=1)
        axes.axvline(0, color="#8a94a0", lw=1)
        axes.tick_params(labelsize=16)
    whole.legend(fontsize=17, loc="upper left")
    zoom.set_title("near and below zero", fontsize=18)
    zoom.set_xlabel("input", fontsize=18)
    for axes in (whole, zoom):
        axes.set_ylabel("output", fontsize=18)
    figure.savefig(folder / "activations.png", dpi=100, metadata={"Software": None})
