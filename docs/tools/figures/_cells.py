"""What several figures share: colors, Matplotlib settings, and a cell image with its raw predictions."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np

from tfyolo.inference.drawing.palette import PALETTE

mpl.use("Agg")

VIOLET, RED, BLUE, GREEN, PINK, BROWN = PALETTE[:6]
INK, GRAY, FAINT = "#222222", "#777777", "#cccccc"
CLASS_COLORS = (VIOLET, RED, BLUE)
"""Platelets, RBC, WBC: as `tfyolo detect` draws them."""
SIDE = 320


class Cells(NamedTuple):
    """The shipped sample image as an input of `bccd-n`, and what the network answers.

    Attributes:
        image: uint8 (320, 320, 3), letterboxed.
        labels: float64 (n, 5): class id, then x1, y1, x2, y2 in pixels of the input.
        heads: per feature map (height, width, 3, 8) logits.
        anchors_px: per feature map width, height, ...
        strides: of the feature maps.
        top: first row of the image below the upper padding.
        bottom: first row of the lower padding.
    """

    image: np.ndarray
    labels: np.ndarray
    heads: list[np.ndarray]
    anchors_px: Any
    strides: Any
    top: int
    bottom: int


@lru_cache
def cells() -> Cells:
    """Return the sample image, its labels, and raw heads of the shipped model."""
    import tfyolo
    from tfyolo.assets import SAMPLE_IMAGE
    from tfyolo.inference.detection import read_pixels

    detector = tfyolo.load("bccd-n")
    pixels, _ = read_pixels(SAMPLE_IMAGE)
    box = detector.letterbox(pixels.shape[:2], rect=False)
    image = box.apply(pixels)
    heads = [np.asarray(head)[0] for head in detector.model(image[None] / 255.0, training=False)]
    heads = [head.reshape(*head.shape[:2], 3, -1) for head in heads]
    labels = box_labels(SAMPLE_IMAGE)
    height, width = pixels.shape[:2]
    labels[:, 1:] = box.to_input(labels[:, 1:] * [width, height, width, height])
    top = round(box.pad_xy[1])
    contract = detector.contract
    return Cells(
        image, labels, heads, contract.anchors_px, contract.strides, top, top + round(height * box.ratio)
    )


def box_labels(image: Path) -> np.ndarray:
    """Return the labels of a shipped image: (n, 5) class id, then x1, y1, x2, y2 relative to the image."""
    path = image.parents[2] / "labels" / image.parent.name / f"{image.stem}.txt"
    rows = np.loadtxt(path, ndmin=2)
    center, half = rows[:, 1:3], rows[:, 3:5] / 2
    return np.concatenate([rows[:, :1], center - half, center + half], 1)


def start(rows: int = 1, columns: int = 1, size: tuple[float, float] = (6.0, 4.0), **options: Any) -> Any:
    """Return a Matplotlib figure and its axes, with text that is legible on a phone."""
    import matplotlib.pyplot as plt

    plt.rcdefaults()
    plt.rcParams.update(
        {
            "font.size": 13,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "svg.hashsalt": "tfyolo",
            "svg.fonttype": "path",
        }
    )
    return plt.subplots(rows, columns, figsize=size, layout="constrained", **options)


def save(figure: Any, path: Path, quality: int = 80) -> None:
    """Write a figure as SVG or JPEG, equal in every run."""
    import matplotlib.pyplot as plt

    if path.suffix == ".svg":
        figure.savefig(path, metadata={"Date": None})
    else:
        figure.savefig(path, dpi=120, pil_kwargs={"quality": quality})
    plt.close(figure)


def show_image(axes: Any, cells: Cells, fade: float = 0.0, padded: bool = False) -> None:
    """Draw the sample image without ticks, in pixels of the input.

    Args:
        axes: to draw on.
        cells: from `cells`.
        fade: share of white that is mixed in.
        padded: show the gray padding, too.
    """
    axes.imshow(np.uint8(cells.image * (1 - fade) + 255 * fade), extent=(0, SIDE, SIDE, 0))
    axes.set(xticks=[], yticks=[], xlim=(0, SIDE), ylim=(SIDE, 0) if padded else (cells.bottom, cells.top))
    for spine in axes.spines.values():
        spine.set_visible(False)


def draw_box(axes: Any, xyxy: Any, color: str, width: float = 2.0, **options: Any) -> None:
    """Draw the outline of a box."""
    from matplotlib.patches import Rectangle

    x1, y1, x2, y2 = xyxy
    axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=color, lw=width, **options))


def tag(axes: Any, x: float, y: float, text: str, color: str, **options: Any) -> None:
    """Write white text on a colored label."""
    box = {"facecolor": color, "edgecolor": "none", "boxstyle": "square,pad=0.15"}
    axes.text(x, y, text, color="white", bbox=box, **options)
