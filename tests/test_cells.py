"""Blood cells, from labeled boxes to a classifier: `make test-slow`."""

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
        "classify",
        "train",
        "--data",
        folder / "cells",
        "--model",
        "yolov5n-cls",
        "--img",
        64,
        "--epochs",
        20,
        "--scale",
        0.5,
        "--vflip",
        0.5,
        "--project",
        folder,
        "--name",
        "run",
    )
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


def top1(weights, data, folder):
    """Of the test split."""
    name = weights.name
    tfyolo(
        "classify",
        "val",
        "--weights",
        weights,
        "--data",
        data,
        "--split",
        "test",
        "--noplots",
        "--project",
        folder / "val",
        "--name",
        name,
    )
    return json.loads((folder / "val" / name / "metrics.json").read_text())["top1"]


def test_integers_lose_half_a_point_at_most(cells, tmp_path):
    data, best = cells
    exact = top1(best, data, tmp_path)
    formats = ["tflite", "onnx", "openvino"]
    files = ["{}.tflite", "{}.onnx", "{}_openvino_model"]
    trained = tmp_path / "trained.keras"
    tfyolo("quantize", "--weights", best, "--data", data, "--steps", 300, "--batch", 32, "--output", trained)
    for weights, stem in ((best, "calibrated"), (trained, "trained")):
        given = ["--data", data] if weights is best else []
        tfyolo(
            "export",
            "--weights",
            weights,
            "--include",
            *formats,
            "--int8",
            *given,
            "--output",
            tmp_path / stem,
        )
        for file in files:
            found = top1(tmp_path / file.format(stem), data, tmp_path)
            print(f"{file.format(stem)}: top-1 {found:.4f}, {100 * (found - exact):+.2f} points")
            assert found >= exact - 0.005
