"""`tfyolo benchmark` by its command line."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from tfyolo.benchmark import files as benchmark_files
from tfyolo.benchmark.worker import Worker, WorkerCommands, checked, run_command
from tfyolo.cli.main import main
from tfyolo.data import synthetic as datasets
from tfyolo.export.runtime.cpu import cores


class WorkerHere(Worker):
    """A worker that measures in the process of the tests, where TensorFlow has started already."""

    def __init__(self, threads, progress):
        super().__init__(threads, progress)
        self._commands = WorkerCommands(threads, progress)

    def request(self, command, **arguments):
        answer = run_command(self._commands, {"command": command, **arguments})
        return checked(json.loads(json.dumps(answer)))


@pytest.fixture
def here(monkeypatch):
    """Measure in this process; `measured` has the real ones."""
    monkeypatch.setattr(benchmark_files, "Worker", WorkerHere)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Untrained weights for shapes, shapes, and a file that no runtime reads."""
    import keras

    from tfyolo.inference.load import create_predictor

    folder = tmp_path_factory.mktemp("benchmark")
    keras.utils.set_random_seed(0)
    names = ("circle", "rectangle", "triangle")
    create_predictor(Path(__file__).parents[1] / "tiny.yaml", names=names).save(folder / "small.keras")
    datasets.create_shapes_dataset(folder / "shapes", train=4, val=2, image_size=64)
    (folder / "broken.tflite").write_bytes(b"nothing" * 100)
    return folder


@pytest.fixture(scope="module")
def measured(folder):
    """Rows of one run over several formats, one of them twice, and a broken file; in name order."""
    weights = ["--weights", str(folder / "small.keras"), str(folder / "broken.tflite")]
    include = ["--include", "saved_model", "tflite", "tflite:int8", "tflite:float32"]
    data = ["--data", str(folder / "shapes" / "shapes.yaml"), "--calibration", "4"]
    files = [
        word
        for kind in ("csv", "json", "png")
        for word in (f"--{'chart' if kind == 'png' else kind}", str(folder / f"out.{kind}"))
    ]
    assert main(["benchmark", *weights, *include, *data, *files, "--rounds", "2", "--runs", "2"]) == 1
    with (folder / "out.csv").open(newline="") as stream:
        return {row["file"]: row for row in csv.DictReader(stream)}


def test_one_row_a_file(measured):
    assert list(measured) == [
        "small.keras",
        "broken.tflite",
        "small_saved_model",
        "small.tflite",
        "small_int8.tflite",
    ]
    kinds = {(row["format"], row["precision"], row["runs_in"]) for row in measured.values()}
    assert kinds == {
        ("keras", "float32", "Keras"),
        ("", "", ""),
        ("saved_model", "float32", "TensorFlow"),
        ("tflite", "float32", "LiteRT"),
        ("tflite", "int8", "LiteRT"),
    }


def test_figures_with_each_number_of_threads(measured):
    for name in ("small.keras", "small_saved_model", "small.tflite", "small_int8.tflite"):
        row = measured[name]
        assert row["input"] == "64x64"
        assert row["error"] == ""
        assert 0 < float(row["load_seconds"]) < 60
        for threads in {1, cores()}:
            median, p90, ratio = (
                float(row[f"threads_{threads}_{kind}"]) for kind in ("median_ms", "p90_ms", "ratio")
            )
            assert 0 < float(row[f"threads_{threads}_inference_median_ms"]) < median <= p90
            assert ratio == pytest.approx(
                float(measured["small.keras"][f"threads_{threads}_median_ms"]) / median, rel=0.02
            )


def test_exports_have_the_map_of_keras(measured):
    keras, integer = measured["small.keras"], measured["small_int8.tflite"]
    assert float(keras["map50"]) >= float(keras["map50_95"]) > 0  # in multi-label, also of chance
    assert float(keras["difference"]) == 0
    for name in ("small_saved_model", "small.tflite"):
        assert float(measured[name]["map50_95"]) == pytest.approx(float(keras["map50_95"]), abs=2e-4)
    expected = float(integer["map50_95"]) - float(keras["map50_95"])
    assert float(integer["difference"]) == pytest.approx(expected, abs=2e-5)
    assert 0 < float(integer["megabytes"]) < float(measured["small.tflite"]["megabytes"])


def test_broken_file_has_a_reason_and_no_figures(measured):
    row = measured["broken.tflite"]
    assert "not a tfyolo model" in row["error"]
    assert not any(row[key] for key in row if key.startswith(("threads", "map", "difference", "runs_in")))


def test_hard_fail_names_the_files_that_fail(here, folder, tmp_path, capsys):
    words = ["--weights", str(folder / "small.keras"), str(folder / "broken.tflite"), "--threads", "1"]
    words += ["--data", str(folder / "shapes" / "shapes.yaml"), "--rounds", "1", "--runs", "1"]
    assert main(["benchmark", *words, "--hard-fail", "1"]) == 1
    lines = capsys.readouterr().err.strip().split("\n")
    assert len(lines) == 2
    assert lines[0].startswith("failed: small.keras: mAP50-95 is 0.")
    assert lines[0].endswith("below the floor of 1")
    assert lines[1].startswith("failed: broken.tflite: ")
    assert main(["benchmark", "--weights", words[1], *words[3:], "--hard-fail"]) == 0
    assert capsys.readouterr().err == ""


def test_json_and_chart_are_written(measured, folder):
    rows = json.loads((folder / "out.json").read_text())
    assert [row["file"] for row in rows] == list(measured)
    assert rows[1]["map50"] is None
    chart = cv2.imread(str(folder / "out.png"))
    assert chart.shape[1] >= 1000
    assert (chart.min(-1) < 200).mean() > 0.01


def test_without_data_latency_alone(here, folder, image, tmp_path, capsys):
    words = ["--weights", str(folder / "small.keras"), "--include", "tflite", "--source", str(image)]
    rest = ["--threads", "1", "--rounds", "1", "--runs", "2", "--chart", str(tmp_path / "bars.png")]
    assert main(["benchmark", *words, *rest]) == 0
    printed = capsys.readouterr().out
    for word in (
        "load s",
        "small.keras",
        "small.tflite",
        "Keras",
        "LiteRT",
        "1 thread",
        "median",
        "p90",
        "1.00x",
    ):
        assert word in printed
    assert "mAP" not in printed
    assert "threads" not in printed
    assert cv2.imread(str(tmp_path / "bars.png")).shape[1] >= 1000


@pytest.mark.parametrize("fast", [True, False, None])
def test_int8_on_a_cpu_without_int8_instructions_is_one_warning(fast, here, folder, capsys, monkeypatch):
    monkeypatch.setattr("tfyolo.benchmark.run.has_int8_dot_products", lambda: fast)
    words = ["--weights", str(folder / "small_int8.tflite"), str(folder / "small.keras")]
    if not (folder / "small_int8.tflite").exists():
        data = ["--data", str(folder / "shapes" / "shapes.yaml"), "--calibration", "2"]
        stem = ["--output", str(folder / "small_int8")]
        assert main(["export", "--weights", str(folder / "small.keras"), "--int8", *data, *stem]) == 0
    assert main(["benchmark", *words, "--threads", "1", "--rounds", "1", "--runs", "1"]) == 0
    assert capsys.readouterr().out.count("int8 can be slower than float32") == (fast is False)


def test_a_wrong_word_is_one_line_before_tensorflow_is_loaded(folder):
    words = ["benchmark", "--weights", str(folder / "small.keras"), "--include", "tflite:int4"]
    code = (
        f"import sys; from tfyolo.cli.main import main; code = main({words}); "
        "print(code, {'tensorflow', 'keras'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "2 set()"
    assert done.stderr.startswith("error: unknown precision `int4` in `tflite:int4`")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--include", "onnx9"], "unknown format `onnx9`"),
        (["--include", "tfjs:int16x8"], "TF.js cannot be written with --int16x8"),
        (["--include", "tflite:int8"], "tflite:int8 needs --data"),
        (["--half"], "name the formats with --include"),
        (["--chart", "chart.txt"], "unsupported chart format"),
        (["--csv", "a.json", "--json", "./a.json"], "a.json: is the target of two options"),
        (["--data", "nothing.yaml"], "nothing.yaml"),
        (["--source", "nothing.jpg"], "nothing.jpg"),
        (["--hard-fail", "0.3"], "--hard-fail with a floor needs --data"),
    ],
)
def test_impossible_requests_are_one_line(folder, capsys, words, message):
    assert main(["benchmark", "--weights", str(folder / "small.keras"), *words]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.startswith("error: ")


def test_only_keras_files_can_be_exported(folder, capsys):
    assert main(["benchmark", "--weights", str(folder / "broken.tflite"), "--include", "pb"]) == 2
    assert "is already an exported file" in capsys.readouterr().err


def test_classifiers_are_judged_by_top_1(here, tmp_path, capsys):
    import keras
    import numpy as np

    from tfyolo.inference.load import create_predictor

    keras.utils.set_random_seed(0)
    names = ("blue", "green", "red")
    network = Path(__file__).parents[1] / "tiny-cls.yaml"
    create_predictor(network, names=names, image_size=64).save(tmp_path / "colors.keras")
    random = np.random.default_rng(0)
    for split, count in (("train", 3), ("val", 4)):
        for number, name in enumerate(names):
            (tmp_path / "data" / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = random.integers(0, 256, (64, 64, 3), np.uint8)
                pixels[..., number] = 255
                cv2.imwrite(str(tmp_path / "data" / split / name / f"{i}.png"), pixels)
    weights = ["--weights", str(tmp_path / "colors.keras")]
    words = [
        *weights,
        "--include",
        "tflite",
        "tflite:int8",
        "--data",
        str(tmp_path / "data"),
        "--threads",
        "1",
    ]
    more = [
        "--rounds",
        "1",
        "--runs",
        "2",
        "--json",
        str(tmp_path / "a.json"),
        "--chart",
        str(tmp_path / "a.png"),
    ]
    assert main(["benchmark", *words, *more]) == 0
    assert "top-1" in capsys.readouterr().out
    rows = json.loads((tmp_path / "a.json").read_text())
    assert [row["precision"] for row in rows] == ["float32", "float32", "int8"]
    assert rows[0]["top1"] == rows[1]["top1"]
    assert rows[1]["difference"] == 0
    assert all(row["top5"] == 1 and "map50" not in row for row in rows)
    (tmp_path / "wrong.yaml").write_text("path: .\ntrain: data\nval: data\nnames: [a, b, c]\n")
    assert main(["benchmark", *weights, "--include", "tflite", "--data", str(tmp_path / "wrong.yaml")]) == 2
    assert "another task" in capsys.readouterr().err
