"""`benchmarks/int8_accuracy.py`: like is compared with like, and a file that fails is a row."""

import importlib
import sys
from pathlib import Path

import keras
import pytest

from tfyolo.cli.main import main
from tfyolo.data import synthetic
from tfyolo.inference.load import create_predictor

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def scripts():
    """The scripts `int8_accuracy` and `int8_measure`, imported as modules."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield importlib.import_module("int8_accuracy"), importlib.import_module("int8_measure")
    for name in ("int8_accuracy", "int8_measure"):
        del sys.modules[name]


@pytest.fixture(scope="module")
def accuracy(scripts):
    return scripts[1]


@pytest.fixture(scope="module")
def measured(accuracy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("accuracy")
    data = str(synthetic.create_shapes_dataset(folder / "shapes", train=4, val=4, image_size=64))
    keras.utils.set_random_seed(0)
    exact = create_predictor(ROOT / "tests/micro.yaml", names=synthetic.SHAPES).save(folder / "exact.keras")
    small = str(folder / "small.keras")
    words = ["--weights", str(exact), "--data", data, "--steps", "0", "--img", "64", "--output", small]
    assert main(["quantize", *words]) == 0
    jobs = [
        accuracy.Job(small),
        accuracy.Job(small, nms="auto"),
        accuracy.Job(str(exact), precision="int16x8", nms="auto"),
        accuracy.Job(str(exact), nms="auto"),
    ]
    options = accuracy.MeasureOptions(str(exact), data, ("train", "val"), (64, 64), 2, rounds=1, runs=3)
    return accuracy.measure(jobs, options)


def test_references_are_first_and_lose_nothing(measured):
    assert [(one.job.precision, one.job.is_raw) for one in measured] == [
        ("float32", True),
        ("float32", False),
        ("int8", True),
        ("int8", False),
        ("int16x8", False),
        ("int8", False),
    ]
    for one in measured[:2]:
        assert one.lost is None
        assert one.latency is None


def test_points_lost_are_those_to_the_same_kind_of_nms(measured):
    for reference, one in zip(measured[:2], measured[2:4], strict=True):
        points = 100 * (reference.map50_95.value - one.map50_95.value)
        assert one.lost.value == pytest.approx(points)
        assert one.lost.low <= one.lost.high
        assert 0 < one.latency.low <= one.latency.value <= one.latency.high
        assert one.by_split.keys() == {"train", "val"}
        assert (one.score_error is None) is not one.job.is_raw


def test_a_file_that_cannot_be_written_is_a_row_with_the_reason(measured):
    assert measured[-1].error == "int8 needs the ranges of all tensors, which are calibrated on images"
    assert measured[-1].lost is None


def test_results_are_kept_as_json(scripts, accuracy, measured, tmp_path, capsys):
    accuracy.save_results(measured, tmp_path / "a.json")
    results = accuracy.load_results(tmp_path / "a.json")
    assert results == measured
    scripts[0].print_results(results, ["train", "val"])
    printed = capsys.readouterr().out
    assert "points lost" in printed
    assert "exact.keras, tflite, int8, NMS inside: failed" in printed
