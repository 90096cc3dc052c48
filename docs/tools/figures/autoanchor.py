"""Box sizes with old and new anchors, and the fitness over the generations of AutoAnchor."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from docs.tools.figures._cells import BLUE, GRAY, GREEN, RED, save, start

_GENERATIONS = (0, 30, 100, 200, 300, 500, 700, 1000)


def draw(folder: Path) -> None:
    """Draw `autoanchor_sizes.svg` and `autoanchor_fitness.svg`."""
    from tfyolo.anchors import anchor_metrics, box_sizes_px, evolve_anchors
    from tfyolo.assets import MINI_DATA
    from tfyolo.data.detection.scan import read_dataset, scan_split
    from tfyolo.models.registry import load_spec

    samples = scan_split(read_dataset(MINI_DATA), "train", cache=False).samples
    sizes = box_sizes_px(samples, 320)
    old = np.reshape(load_spec("yolov5n").anchors_px, (9, 2))
    steps = [evolve_anchors(sizes, 9, generations=count) for count in _GENERATIONS]

    figure, axes = start(size=(5.8, 4.8))
    axes.plot(*sizes.T, ".", color=GRAY, alpha=0.5, ms=5, label="labeled boxes", rasterized=True)
    axes.plot(*old.T, "s", color=BLUE, ms=9, label="anchors of yolov5n")
    axes.plot(*steps[-1].T, "o", color=RED, ms=9, label="new anchors")
    axes.set(xlim=(0, 170), ylim=(0, 210), xlabel="width in pixels", ylabel="height in pixels")
    axes.legend(frameon=False, loc="upper left")
    axes.grid(alpha=0.3)
    save(figure, folder / "autoanchor_sizes.svg")

    figure, axes = start(size=(5.8, 3.6))
    fitness = [anchor_metrics(sizes, anchors).fitness for anchors in steps]
    before = anchor_metrics(sizes, old).fitness
    axes.plot(_GENERATIONS, fitness, "o-", color=RED, lw=3)
    axes.plot([0], fitness[0], "o", color=GREEN, ms=11, zorder=3)
    axes.annotate("k-means", (0, fitness[0]), (50, fitness[0] - 0.012), color=GREEN)
    axes.axhline(before, color=BLUE, ls="--", lw=2)
    axes.text(1000, before + 0.004, "anchors of yolov5n", color=BLUE, ha="right")
    axes.set(xlabel="generation", ylabel="fitness", ylim=(0.78, 0.93))
    axes.grid(alpha=0.3)
    save(figure, folder / "autoanchor_fitness.svg")
