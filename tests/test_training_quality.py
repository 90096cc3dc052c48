"""Real data, from yolov5n.pt: PyTorch's figures are reached, a kill costs nothing: `make test-slow`."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.shared import SHARED
from tfyolo.evaluation.detection_metrics import ValOptions
from tfyolo.evaluation.validator import validate
from tfyolo.inference.load import load_predictor

COCO128 = SHARED / "data" / "coco128" / "coco128.yaml"
NANO = SHARED / "weights" / "yolov5n.pt"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def command(*words):
    return [sys.executable, "-m", "tfyolo", "train", *map(str, words)]


def last_row(folder):
    return list(csv.DictReader((folder / "results.csv").open()))[-1]


def train(folder, *words):
    place = ("--project", folder.parent, "--name", folder.name, "--exist-ok")
    subprocess.run(command(*words, *place), check=True, stdout=subprocess.DEVNULL)
    return last_row(folder)


def kill_in_epoch(folder, epoch, *words):
    """Begin a run and kill it a few steps into an epoch, counted from 0."""
    place = ("--project", folder.parent, "--name", folder.name, "--exist-ok")
    process = subprocess.Popen(command(*words, *place), stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 1800
    while not (folder / "results.csv").is_file() or int(last_row(folder)["epoch"]) < epoch - 1:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.5)
    time.sleep(4)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert int(last_row(folder)["epoch"]) == epoch - 1


def on_train(path):
    return validate(
        load_predictor(path, (320, 320)), COCO128, ValOptions(split="train", plots=False)
    ).map50_95


def test_coco128_improves_and_a_killed_run_ends_as_an_unbroken_one(tmp_path):
    words = (
        "--data",
        COCO128,
        "--weights",
        NANO,
        "--img",
        320,
        "--epochs",
        10,
        "--batch-size",
        16,
        "--noplots",
        "--noautoanchor",
    )
    whole = float(train(tmp_path / "whole", *words)["metrics/mAP_0.5:0.95"])
    kill_in_epoch(tmp_path / "killed", 5, *words)
    subprocess.run(command("--resume", tmp_path / "killed/weights/last.keras"), check=True)
    resumed = float(last_row(tmp_path / "killed")["metrics/mAP_0.5:0.95"])
    # As in YOLOv5, whose coco128 has one split: how much better the images are known that it trained on.
    before, after = (on_train(path) for path in (NANO, tmp_path / "whole/weights/last.keras"))
    print(f"\ncoco128 train, mAP50-95: {before:.4f} before, {after:.4f} after 10 epochs")
    print(f"val, mAP50-95: {whole:.4f} after 10 epochs, {resumed:.4f} killed in the sixth and resumed")
    assert after > before
    assert resumed == pytest.approx(whole, abs=0.01)


def test_bccd_reaches_what_pytorch_reaches(tmp_path):
    data = Path(tmp_path / "bccd.yaml")
    data.write_text(
        f"path: {SHARED / 'data/bccd'}\nformat: voc\ntrain: ImageSets/Main/train.txt\n"
        "val: ImageSets/Main/val.txt\ntest: ImageSets/Main/test.txt\nnames: [Platelets, RBC, WBC]\n"
    )
    train(tmp_path / "run", "--data", data, "--weights", NANO, "--img", 320, "--epochs", 30, "--seed", 0)
    model = load_predictor(tmp_path / "run/weights/best.keras", (320, 320))
    metrics = validate(model, data, ValOptions(split="test", plots=False))
    print(f"\nBCCD test: mAP50 {metrics.map50:.4f}, mAP50-95 {metrics.map50_95:.4f}")
    assert metrics.map50 >= 0.852
    assert metrics.map50_95 >= 0.505


def test_masks_reach_what_pytorch_reaches(tmp_path):
    data = SHARED / "data/coco128-seg/coco128-seg.yaml"
    script = Path(__file__).parents[1] / "benchmarks/segment_training.py"
    words = ["--data", data, "--weights", NANO, "--project", tmp_path, "--start", "copied"]
    subprocess.run([sys.executable, str(script), *map(str, words)], check=True)
