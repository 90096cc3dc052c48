import csv
import io
import itertools
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tfyolo.benchmark import files as benchmark_files
from tfyolo.benchmark.chart import check_chart, row_labels, save_chart
from tfyolo.benchmark.files import FileBenchmark, add_exports
from tfyolo.benchmark.latency import Latency, time_round
from tfyolo.benchmark.panels import LINE_INCHES, draw_panels
from tfyolo.benchmark.rows import BenchmarkRow, failures, reference, save_csv
from tfyolo.benchmark.run import BenchmarkResult
from tfyolo.benchmark.variants import calibratable_variants, find_variants, runnable_variants
from tfyolo.benchmark.worker import MissingHereError, Worker
from tfyolo.cli.benchmark_table import print_table
from tfyolo.errors import MissingExtraError, TfyoloError
from tfyolo.export.job import ExportJob
from tfyolo.export.options import ExportOptions


def row_of(name, milliseconds, map50_95=None, precision="float32", threads=(1, 4), kind="tflite"):
    """A file whose runs take from 0.5 to 1.5 of so many milliseconds on one thread, half of it on four."""
    latencies = {}
    for count in threads:
        times = np.linspace(0.5, 1.5, 11) * milliseconds / (1 if count == 1 else 2)
        latencies[count] = Latency(name, "LiteRT", (64, 64), times, times / 2)
    scores = {"map50_95": map50_95, "map50": map50_95}
    return BenchmarkRow(
        name, Path(name), 1.0, kind, precision, "detect", load_seconds=0.25, latencies=latencies, **scores
    )


@pytest.mark.parametrize(
    ("words", "precisions", "expected"),
    [
        ([], [], []),
        (["tflite"], [], ["tflite:float32"]),
        (["edgetpu"], [], ["edgetpu:int8"]),
        (["tflite", "pb:float16"], ["int8", "float16"], ["tflite:int8", "tflite:float16", "pb:float16"]),
        (["tflite", "tflite:float32"], [], ["tflite:float32"]),
        (["all:dynamic"], [], ["tflite:dynamic"]),
        (["all"], ["int16x8"], ["tflite:int16x8"]),
    ],
)
def test_variants(words, precisions, expected):
    assert [str(variant) for variant in find_variants(words, precisions)] == expected


def test_all_is_every_format_in_every_precision():
    from tfyolo.export.registry import exportable

    variants = find_variants(["all"])
    entries = [entry for entry in exportable() if not entry.source]
    assert len(variants) == sum(len(entry.precisions) for entry in entries) > 20
    assert not {"keras", "pt"} & {variant.format.name for variant in variants}
    stems = [variant.stem("a") + variant.format.suffix for variant in variants]
    assert len(set(stems)) == len(stems)
    assert not any(variant.named for variant in variants)


def test_precisions_that_need_images():
    variants = find_variants(["all"])
    kept, left_out = calibratable_variants(variants, data=False, quantized=False)
    assert {variant.precision for variant, _ in left_out} == {"int8", "int16x8"}
    assert len(kept) + len(left_out) == len(variants)
    for data in (False, True):
        _, left_out = calibratable_variants(variants, data=data, quantized=True)
        assert {variant.precision for variant, _ in left_out} == {"int16x8"}
        assert all("already rounded" in reason for _, reason in left_out)
    assert calibratable_variants(variants, data=True, quantized=False) == (variants, [])
    named = find_variants(["all", "tflite:int16x8"])
    with pytest.raises(TfyoloError, match="tflite:int16x8 needs --data"):
        calibratable_variants(named, data=False, quantized=False)
    with pytest.raises(
        TfyoloError, match="tflite:int16x8 cannot be exported: its ranges would be calibrated"
    ):
        calibratable_variants(named, data=True, quantized=True)


def test_csv_has_ratio_and_difference_to_the_first(tmp_path):
    rows = [row_of("a.keras", 10, 0.4), row_of("b.tflite", 4, 0.37), BenchmarkRow("c.pb", Path("c.pb"), 2.0)]
    rows[2].fail("does not load")
    with save_csv(rows, (1, 4), tmp_path / "new" / "a.csv").open(newline="") as stream:
        first, second, third = csv.DictReader(stream)
    assert (first["threads_1_ratio"], second["threads_1_ratio"]) == ("1.0", "2.5")
    assert (second["threads_1_median_ms"], second["threads_4_median_ms"]) == ("4.0", "2.0")
    assert (second["threads_1_p90_ms"], second["threads_1_inference_median_ms"]) == ("5.6", "2.0")
    assert (first["difference"], second["difference"]) == ("0.0", "-0.03")
    assert (third["error"], third["threads_1_ratio"], third["megabytes"]) == ("does not load", "", "2.0")


def test_what_this_machine_cannot_run_is_left_out_of_all_but_not_by_name(monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("shutil.which", lambda name: None)
    kept, left_out = runnable_variants(find_variants(["all:float32", "coreml"]))
    reasons = {str(variant): reason for variant, reason in left_out}
    assert set(reasons) == {"engine:float32", "tfjs:float32"}
    assert "Node" in reasons["tfjs:float32"]
    assert "tensorrt" in reasons["engine:float32"] or "no NVIDIA GPU" in reasons["engine:float32"]
    assert [v.named for v in kept if v.format.name == "coreml"] == [True]
    assert {"tflite", "onnx", "saved_model"} <= {variant.format.name for variant in kept}
    _, left_out = runnable_variants(find_variants(["all:float16"]))
    assert ("coreml:float16", "Core ML models run on macOS only") in [(str(v), why) for v, why in left_out]


def test_keras_is_what_others_are_compared_with():
    rows = [row_of("a.tflite", 4, 0.3), row_of("b.keras", 10, 0.4, kind="keras")]
    assert reference(rows) is rows[1]
    assert reference(rows[:1]) is rows[0]
    rows[1].fail("does not load")
    assert reference(rows) is rows[0]


def test_a_floor_names_the_file_and_its_figure():
    rows = [
        row_of("a.tflite", 4, 0.3),
        row_of("b.pb", 4, 0.29996),
        BenchmarkRow("c.tflite", Path("c.tflite")),
    ]
    rows[2].fail("does not load")
    assert failures(rows) == ["c.tflite: does not load"]
    assert failures(rows, 0.3) == [
        "b.pb: mAP50-95 is 0.29996, below the floor of 0.3",
        "c.tflite: does not load",
    ]
    assert failures(rows[:1], 0.3) == []


def test_exports_that_fail_have_rows_or_are_left_out(monkeypatch):
    def write(request, variant, stem):
        if variant.format.name == "tfjs":
            raise MissingExtraError("a library", "extra")
        raise ValueError("the converter\n has no idea")

    monkeypatch.setattr(benchmark_files, "_write", write)
    bench = FileBenchmark(np.zeros((8, 8, 3), np.uint8), (1,))
    requests = dict.fromkeys(
        ("float32", "float16"), ExportJob(None, None, ExportOptions(image_size=(64, 64)))
    )
    monkeypatch.setattr(benchmark_files, "runnable_variants", lambda variants: (list(variants), []))
    wanted = ["tfjs", "all:float16"]
    variants = [v for v in find_variants(wanted) if v.format.name in ("tfjs", "saved_model", "pb", "tflite")]
    left_out = add_exports(bench, requests.__getitem__, variants, "best", Path("nowhere"))
    assert {row.name: row.error for row in bench.rows} == {
        "best_web_model": "cannot be exported: a library is not installed (fix: pip install 'tfyolo[extra]')",
        "best_float16_saved_model": "cannot be exported: ValueError: the converter has no idea",
        "best_float16.pb": "cannot be exported: ValueError: the converter has no idea",
        "best_float16.tflite": "cannot be exported: ValueError: the converter has no idea",
    }
    assert "tfjs:float16" in [str(variant) for variant, _ in left_out]


def test_slow_files_are_timed_less_often(monkeypatch):
    class Slow:
        def __call__(self, pixels, rect):
            clock[0] += 0.4
            return [type("Result", (), {"speed_ms": {"inference": 400.0}})]

    clock = [0.0]
    monkeypatch.setattr("tfyolo.benchmark.latency.perf_counter", lambda: clock[0])
    total, inference = time_round(Slow(), np.zeros((8, 8, 3), np.uint8), 10)
    assert total == pytest.approx([400, 400, 400])
    assert inference == [400, 400, 400]


def test_measured_precisions_are_exported_last_and_keep_their_places(monkeypatch, tmp_path):
    asked, written = [], []

    def request(precision):
        asked.append(precision)
        return ExportJob(None, None, ExportOptions(image_size=(64, 64)))

    def write(request, variant, stem):
        path = tmp_path / f"{stem.name}{variant.format.suffix}"
        path.write_bytes(b"")
        written.append(str(variant))
        return path

    monkeypatch.setattr(benchmark_files, "_write", write)
    bench = FileBenchmark(np.zeros((8, 8, 3), np.uint8), (1,))
    variants = find_variants(["tflite:int8", "tflite", "pb:int8", "pb"])
    assert add_exports(bench, request, variants, "best", tmp_path) == []
    assert written == ["tflite:float32", "pb:float32", "tflite:int8", "pb:int8"]
    assert asked == ["float32", "float32", "int8", "int8"]
    names = [row.name for row in bench.rows]
    assert names == ["best_int8.tflite", "best.tflite", "best_int8.pb", "best.pb"]


@pytest.mark.parametrize("name", ["named.onnx", "all.onnx"], ids=["another name", "the same name"])
def test_a_missing_library_leaves_out_what_nobody_named(monkeypatch, name):
    def request(self, command, path, **more):
        raise MissingHereError("onnxruntime is not installed (fix: pip install 'tfyolo[onnx]')")

    monkeypatch.setattr(Worker, "request", request)
    with FileBenchmark(np.zeros((8, 8, 3), np.uint8), (1,)) as bench:
        bench.add("all.onnx", Path("exported/all.onnx"), optional=True)
        bench.add(name, Path(name))
        bench.time(1, 1)
    assert [row.path for row in bench.rows] == [Path(name)]
    assert failures(bench.rows)[0].startswith(f"{name}: onnxruntime is not installed")
    assert [name for name, _ in bench.left_out] == ["all.onnx"]


def test_progress_ends_at_the_total(monkeypatch):
    answer = {"load_seconds": 0.1, "format": "tflite", "precision": "float32", "task": "detect"}
    times = {"total_ms": [1.0], "inference_ms": [1.0], "image_size": (8, 8), "runtime": "LiteRT"}
    answers = {"map": {"map50": 0.5}, "load": answer, "time": answer | times}
    monkeypatch.setattr(Worker, "request", lambda self, command, **more: answers[command])
    calls = []
    pixels = np.zeros((8, 8, 3), np.uint8)
    with FileBenchmark(pixels, (1,), data="x.yaml", progress=lambda *call: calls.append(call)) as bench:
        bench.add("a.tflite", Path("a.tflite"))
        bench.add("b.tflite", Path("b.tflite"))
        bench.time(1, 1)
    labels = ("measuring mAP", "loading", "timing")
    assert calls == [(label, done, 2) for label in labels for done in range(3)]


@pytest.mark.parametrize(
    ("precisions", "message"),
    [
        (["foo"], "unknown precision `foo`\n  fix: use one of float32, "),
        (["float32"], "`float32` sets only the precision"),
        (["int8"], "--int8 sets only the precision"),
    ],
)
def test_precisions_without_formats_are_refused(precisions, message):
    with pytest.raises(TfyoloError, match=f"^{message}"):
        find_variants([], precisions)


def test_a_process_that_dies_costs_one_request():
    with Worker(1) as worker:
        for expected in ("no such model file", "killed by SIGKILL", "no such model file"):
            if "SIGKILL" in expected:
                worker._process.kill()
            with pytest.raises(TfyoloError, match=expected):
                worker.request("time", path="nothing.tflite", image_size=None, image="", runs=1)


def test_modules_of_the_working_directory_are_not_imported(tmp_path, monkeypatch):
    (tmp_path / "cv2.py").write_text("open('imported', 'w').close()")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    with Worker(1) as worker, pytest.raises(TfyoloError, match="no such model file"):
        worker.request("time", path="nothing.tflite", image_size=None, image="", runs=1)
    assert not (tmp_path / "imported").exists()


def test_chart_names():
    assert row_labels([row_of("a", 1), row_of("b", 1, precision="int8")]) == ["tflite float32", "tflite int8"]
    assert row_labels([row_of("a", 1), row_of("b", 1)]) == ["a", "b"]


@pytest.mark.parametrize("scored", [True, False], ids=["with mAP", "without"])
@pytest.mark.parametrize("count", [1, 12, 25])
def test_chart(tmp_path, count, scored):
    rows = [row_of(f"file {i}", 5 + i, 0.3 + i / 1000 if scored else None) for i in range(count)]
    rows.append(BenchmarkRow("broken", Path("broken"), error="does not load"))
    image = cv2.imread(str(save_chart(rows, (1, 4), tmp_path / "a.png", "speed")))
    assert image.shape[1] == 1500
    orange = np.abs(image.astype(int) - (31, 122, 224)).max(-1) < 40  # BGR of TensorFlow Lite's marks
    assert orange.sum() > 100 * count


def test_texts_of_panels_stand_apart_and_inside():
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 1.3 + LINE_INCHES * 24), dpi=150)
    rows = [row_of(f"a{i}", 3 * 1.2**i, 0.3 - 0.002 * (i % 5)) for i in range(24)]
    draw_panels(figure, rows, [row.name for row in rows], ["black"] * 24, (1, 4), "speed")
    figure.draw_without_rendering()
    assert len(figure.axes) == 3
    for axes in figure.axes:
        frame = axes.get_window_extent()
        boxes = [text.get_window_extent() for text in axes.texts]
        assert len(boxes) == 24
        assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 for box in boxes)
        assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


@pytest.mark.parametrize("masks", [False, True])
def test_the_table_fits_80_columns_in_two_parts(masks):
    from rich.console import Console

    rows = [row_of(f"fruit-n_int8.{end}", 21.5, 0.5) for end in ("tflite", "onnx")]
    for row in rows:
        row.load_seconds, row.megabytes = 12.25, 7.1
        row.latencies = {count: replace(row.latencies[1], runtime="ONNX Runtime") for count in (1, 2)}
        row.mask_map50_95 = 0.25 if masks else None
    result = BenchmarkResult(rows, (1, 2), (), has_scores=True, has_exports=False)
    printed = {}
    for width in (80, 140):
        out = Console(width=width, file=io.StringIO())
        print_table(result, out)
        printed[width] = out.file.getvalue()
        assert max(map(len, printed[width].splitlines())) <= width
    assert [text.count("fruit-n_int8.onnx") for text in printed.values()] == [2, 1]
    assert set(printed[80].split()) == set(printed[140].split())


def test_nothing_to_draw(tmp_path):
    assert save_chart([BenchmarkRow("a", Path("a"))], (1,), tmp_path / "a.png", "speed") is None
    with pytest.raises(TfyoloError, match=r"use one of \.png"):
        check_chart(Path("chart.txt"))
