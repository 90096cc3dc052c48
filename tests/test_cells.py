"""Blood cells, from labelled boxes to a classifier: `make test-slow`."""

import json
import subprocess
import sys

import pytest

from tests.shared import SHARED, needs_shared

pytestmark = [needs_shared, pytest.mark.slow, pytest.mark.timeout(3600)]


def tfyolo(*words):
    subprocess.run([sys.executable, "-m", "tfyolo", *map(str, words)], check=True)


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """The crops, and a classifier trained on them for twenty epochs from random weights."""
    folder = tmp_path_factory.mktemp("cells")
    data = folder / "bccd.yaml"
    data.write_text(
        f"path: {SHARED / 'data/bccd'}\nformat: voc\ntrain: ImageSets/Main/train.txt\n"
        "val: ImageSets/Main/val.txt\ntest: ImageSets/Main/test.txt\nnames: [Platelets, RBC, WBC]\n"
    )
    tfyolo("crops", "--data", data, "--out", folder / "cells")
    tfyolo(
        "classify", "train", "--data", folder / "cells", "--model", "yolov5n-cls", "--img", 64,
        "--epochs", 20, "--scale", 0.5, "--vflip", 0.5, "--project", folder, "--name", "run",
    )  # fmt: skip
    return folder / "cells", folder / "run/weights/best.keras"


def test_cells_are_told_apart(cells, tmp_path):
    data, best = cells
    place = ("--project", tmp_path, "--name", "val")
    tfyolo("classify", "val", "--weights", best, "--data", data, "--split", "test", *place)
    metrics = json.loads((tmp_path / "val/metrics.json").read_text())
    print(
        f"\nBCCD's cells, test: top-1 {metrics['top1']:.4f}, of all classes alike {metrics['balanced']:.4f}"
    )
    assert metrics["images"]["used"] == 945
    assert metrics["top1"] >= 0.97
    assert metrics["balanced"] >= 0.95  # four of five are red cells
