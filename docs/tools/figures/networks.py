"""Whole networks, layer by layer, with output shapes."""

from __future__ import annotations

from pathlib import Path

from docs.tools.figures._diagram import draw_network
from tfyolo.models.registry import load_spec

SIDES = {"yolov5n": 640, "yolov5s-v1.0": 640, "yolov5s-v5.0": 640, "yolov5s": 640, "yolov5n6": 1280}
"""Image sizes in pixels, by name."""


def draw(folder: Path) -> None:
    """Write `network-NAME.svg` for each network."""
    for name, side in SIDES.items():
        draw_network(load_spec(name), folder / f"network-{name}.svg", side)
