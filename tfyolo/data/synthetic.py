"""Small synthetic datasets: something to train on in seconds, whose labels fit their objects to the pixel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.deprecation import warn_renamed
from tfyolo.errors import TfyoloError
from tfyolo.files import atomic, atomic_folder
from tfyolo.owned_files import Owned

SHAPES = ("circle", "rectangle", "triangle")
_NUMBER = "[0-9]" * 5
_IMAGES = Owned((f"{_NUMBER}.png",), marker="00000.png")
_LABELS = Owned((f"{_NUMBER}.txt", "*.cache.npz"), marker="00000.txt")


def create_shapes_dataset(
    folder: str | Path,
    train: int = 64,
    val: int = 16,
    image_size: int = 128,
    classes: int = 3,
    seed: int = 0,
    max_objects: int = 4,
) -> Path:
    """Draw a dataset of colored shapes on noise, in YOLO format; equal arguments give equal files.

    Every image has 1 to `max_objects` shapes whose boxes do not intersect; each shape is between a sixth and
    half of the image wide and high. An image depends only on its split, its number and the other arguments:
    a larger `train` adds images and keeps the first ones.

    Args:
        folder: folder of the dataset; images and labels of an earlier call are replaced.
        train: number of training images.
        val: number of validation images.
        image_size: width and height of the images in pixels.
        classes: number of classes: the first 1 to 3 of circle, rectangle, triangle.
        seed: random seed.
        max_objects: maximum number of shapes per image.

    Returns:
        The dataset's YAML file, `shapes.yaml` in the folder.

    Raises:
        TfyoloError: a number is out of range, or the folder holds another dataset or cannot be written.

    Example:
        >>> from tfyolo.data.detection.scan import read_dataset, scan_split
        >>> data = create_shapes_dataset("shapes", train=8, val=2)
        >>> scan_split(read_dataset(data), "train", cache=False).found
        8
    """
    ranges = {
        "train": (train, 1, 100_000),
        "val": (val, 1, 100_000),
        "image_size": (image_size, 16, 4096),
        "classes": (classes, 1, len(SHAPES)),
        "max_objects": (max_objects, 1, 64),
    }
    for name, (value, low, high) in ranges.items():
        if not low <= value <= high:
            raise TfyoloError(f"`{name}` must be from {low} to {high}, not {value}")
    folder = Path(folder)
    path = folder / "shapes.yaml"
    if not path.exists() and any((folder / kind).exists() for kind in ("images", "labels")):
        raise TfyoloError("already contains another dataset", path=folder, fix="choose another folder")
    for number, (split, count) in enumerate({"train": train, "val": val}.items()):
        with (
            atomic_folder(folder / "images" / split, _IMAGES, durable=False) as images,
            atomic_folder(folder / "labels" / split, _LABELS, durable=False) as labels,
        ):
            for index in range(count):
                random = np.random.default_rng([seed, number, index])
                _write(random, image_size, classes, max_objects, images / f"{index:05}", labels)
    with atomic(path) as temporary:
        names = ", ".join(SHAPES[:classes])
        temporary.write_text(f"path: .\ntrain: images/train\nval: images/val\nnames: [{names}]\n", "utf-8")
    return path


def _write(
    random: np.random.Generator, size: int, classes: int, max_objects: int, stem: Path, labels: Path
) -> None:
    """Write one image and its label file."""
    import cv2

    image = random.integers(0, 90, (size, size, 3), np.uint8)
    drawn = np.zeros((0, 4), np.int64)
    rows = []
    for _ in range(random.integers(1, max_objects + 1)):
        box = _free_place(random, size, drawn)
        if box is None:
            break
        drawn = np.vstack([drawn, box])
        class_id = int(random.integers(classes))
        mask = _mask(SHAPES[class_id], box, size)
        image[mask] = random.integers(110, 256, 3)
        y, x = np.nonzero(mask)
        x1, y1, x2, y2 = (int(v) for v in (x.min(), y.min(), x.max() + 1, y.max() + 1))
        share = [value / size for value in ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1)]
        rows.append(" ".join([str(class_id), *(f"{value:.8g}" for value in share)]) + "\n")
    written, data = cv2.imencode(".png", image[..., ::-1])
    if not written:
        raise TfyoloError("an image cannot be encoded", path=stem)
    stem.with_suffix(".png").write_bytes(data.tobytes())
    (labels / f"{stem.name}.txt").write_text("".join(rows))


def _free_place(random: np.random.Generator, size: int, drawn: np.ndarray) -> np.ndarray | None:
    """Return a random box (x1, y1, x2, y2) in pixels apart from earlier ones, or None after 30 tries."""
    for _ in range(30):
        wide, high = random.integers(max(size // 6, 4), size // 2 + 1, 2)
        x, y = random.integers(0, size - wide + 1), random.integers(0, size - high + 1)
        box = np.array([x, y, x + wide, y + high])
        intersection = np.minimum(drawn[:, 2:], box[2:]) - np.maximum(drawn[:, :2], box[:2])
        if not (intersection > 0).all(1).any():
            return box
    return None


def _mask(shape: str, box: np.ndarray, size: int) -> np.ndarray:
    """Return a (size, size) bool mask of a shape that fills a box."""
    import cv2

    x1, y1, x2, y2 = (int(value) for value in box)
    mask = np.zeros((size, size), np.uint8)
    if shape == "rectangle":
        mask[y1:y2, x1:x2] = 1
    elif shape == "triangle":
        corners = np.array([[(x1 + x2 - 1) // 2, y1], [x2 - 1, y2 - 1], [x1, y2 - 1]], np.int32)
        cv2.fillPoly(mask, [corners], 1)
    else:
        radius = (min(x2 - x1, y2 - y1) - 1) // 2
        cv2.circle(mask, (x1 + radius, y1 + radius), radius, 1, -1)
    return mask.astype(bool)


def __getattr__(name: str) -> Any:
    if name == "shapes":
        warn_renamed("`tfyolo.datasets.shapes`", "`tfyolo.create_shapes_dataset`")
        return create_shapes_dataset
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
