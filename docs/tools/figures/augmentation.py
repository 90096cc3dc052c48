"""Training images of the real pipeline, one augmentation at a time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from docs.tools.figures._cells import CLASS_COLORS, draw_box, save, start
from tfyolo.data.augment.options import AugmentationOptions

_SIDE = 320
_OFF = dict.fromkeys(AugmentationOptions.model_fields, 0.0)
_Panel = tuple[str, dict[str, float] | None, int]
_ONE: tuple[_Panel, ...] = (
    ("letterbox only", None, 0),
    ("hsv_h, hsv_s, hsv_v", {"hsv_h": 0.1, "hsv_s": 0.7, "hsv_v": 0.4}, 5),
    ("fliplr", {"fliplr": 1.0}, 0),
    ("flipud", {"flipud": 1.0}, 0),
    ("translate = 0.3", {"translate": 0.3}, 5),
    ("scale = 0.5", {"scale": 0.5}, 1),
    ("degrees = 30", {"degrees": 30.0}, 5),
    ("shear = 20", {"shear": 20.0}, 4),
    ("perspective = 0.001", {"perspective": 0.001}, 4),
    ("scratch-low without mosaic", {**AugmentationOptions().model_dump(), "mosaic": 0.0}, 7),
)
"""Title, hyperparameters (the others are 0), and the element that seeds the random numbers."""
_MANY: tuple[_Panel, ...] = (
    ("mosaic", {"mosaic": 1.0, "scale": 0.3}, 4),
    ("mosaic9", {"mosaic": 1.0, "mosaic9": 1.0, "scale": 0.3}, 6),
    ("mosaic and mixup", {"mosaic": 1.0, "mixup": 1.0, "scale": 0.3}, 4),
    ("mosaic and copy_paste", {"mosaic": 1.0, "copy_paste": 0.6, "scale": 0.3}, 4),
)


def draw(folder: Path) -> None:
    """Draw `augmentation.jpg` and `augmentation_mosaic.jpg`."""
    from tfyolo.assets import MINI_DATA
    from tfyolo.data.caches.image_table import ImageTable
    from tfyolo.data.detection.scan import read_dataset, scan_split

    samples = scan_split(read_dataset(MINI_DATA), "train", cache=False).samples[:12]
    table = ImageTable(samples, _SIDE)
    outlined = ImageTable([_with_ellipses(sample) for sample in samples], _SIDE)
    for panels, name in ((_ONE, "augmentation.jpg"), (_MANY, "augmentation_mosaic.jpg")):
        rows = len(panels) // 2
        figure, axes = start(rows, 2, (5.6, 3.05 * rows))
        for panel, (title, values, element) in zip(axes.flat, panels, strict=True):
            pixels, labels = _compose(outlined if "copy_paste" in title else table, values, element)
            panel.imshow(pixels)
            for kind, x, y, width, height in labels:
                low, high = (x - width / 2, y - height / 2), (x + width / 2, y + height / 2)
                draw_box(panel, np.multiply([*low, *high], _SIDE), CLASS_COLORS[int(kind)], 1.2)
            panel.set_title(title, fontsize=12)
            panel.set(xticks=[], yticks=[])
            for spine in panel.spines.values():
                spine.set_visible(False)
        save(figure, folder / name, quality=54)


def _compose(table: Any, values: dict[str, float] | None, element: int) -> tuple[np.ndarray, np.ndarray]:
    """Return one training image, and its labels (n, 5): class id, center and size relative to the image."""
    import tensorflow as tf

    from tfyolo.data.augment.compose import Composer

    options = None if values is None else AugmentationOptions(**{**_OFF, **values})
    composer = Composer(table, options, _SIDE, seed=0)
    scene = composer(tf.constant(0), tf.constant(element, tf.int64), (_SIDE, _SIDE))
    return scene.image.numpy(), scene.labels.numpy()


def _with_ellipses(sample: Any) -> Any:
    """Return a sample with ellipses inside its boxes as polygons: the shipped labels have boxes only."""
    turns = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    circle = np.stack([np.cos(turns), np.sin(turns)], 1) / 2
    boxes = sample.boxes_xywh_norm
    polygons = tuple((box[:2] + circle * box[2:]).astype(np.float32) for box in boxes)
    return replace(sample, polygons_norm=polygons)
