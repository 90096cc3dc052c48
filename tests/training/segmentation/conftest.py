"""A small dataset with polygons, and a small segmentation model that a test can train in seconds."""

from pathlib import Path

import numpy as np
import pytest

from tfyolo.data import synthetic as datasets

MICRO_SEG = str(Path(__file__).parents[2] / "micro-seg.yaml")


def outline(class_id, x, y, width, height):
    """The polygon of a shape of `create_shapes_dataset` that fills a box."""
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    points = {
        0: np.stack([np.cos(turn), np.sin(turn)], 1),
        1: np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]),
        2: np.array([[0, -1], [1, 1], [-1, 1]]),
    }[class_id]
    return np.array([x, y]) + points * np.array([width, height]) / 2


@pytest.fixture(scope="session")
def polygons(tmp_path_factory):
    """The YAML of 24 training and 8 validation images of 64 pixels, whose labels are polygons."""
    path = datasets.create_shapes_dataset(tmp_path_factory.mktemp("polygons"), train=24, val=8, image_size=64)
    for file in path.parent.glob("labels/*/*.txt"):
        rows = []
        for line in file.read_text().splitlines():
            class_id, *box = line.split()
            points = outline(int(class_id), *map(float, box)).clip(0, 1).reshape(-1)
            rows.append(" ".join([class_id, *(f"{value:.6f}" for value in points)]) + "\n")
        file.write_text("".join(rows))
    return path
