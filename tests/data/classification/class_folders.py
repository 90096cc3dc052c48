"""A classification dataset of colored images."""

from pathlib import Path

import numpy as np
from PIL import Image

COLORS = {"blue": 2, "green": 1, "red": 0}


def class_folders(root: Path, hw=(32, 32), suffix="png", **counts) -> Path:
    """`counts` images of each class in each split, noise with one channel bright."""
    for number, (split, count) in enumerate(counts.items()):
        for name, channel in COLORS.items():
            for index in range(count):
                random = np.random.default_rng([number, channel, index])
                pixels = random.integers(0, 100, (*hw, 3), np.uint8)
                pixels[..., channel] += 120
                path = root / split / name / f"{index}.{suffix}"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    return root
