"""`tfyolo segment predict` and `val`, and segmentation models in the other commands."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.test_main import exit_code
from tests.inference.videos import make_video
from tfyolo.inference.load import create_predictor


@pytest.fixture
def segment(tiny_seg_keras, tmp_path, monkeypatch, capsys):
    """Run a command in a folder of its own; gives the exit code, the files below runs/, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*words, command=("segment", "predict")):
        most = () if command[0] == "benchmark" else ("--max-det", 3)
        code = exit_code(*command, "--weights", tiny_seg_keras, *most, *words)
        files = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.glob("runs/**/*") if p.is_file())
        return code, files, *capsys.readouterr()

    return run


@pytest.mark.parametrize("retina", [False, True])
def test_images(segment, tiny_seg, image, retina):
    png = image.with_suffix(".png")
    with Image.open(image) as jpeg:
        jpeg.save(png)
    code, files, out, err = segment("--source", png, *["--retina-masks"][: int(retina)])
    assert (code, files, err) == (0, ["runs/predict-seg/exp/image.png"], "")
    lines = out.splitlines()
    assert lines[0].startswith(f"1/1 {png}: 64x48, ")
    assert lines[-3] == "1 images, 3 boxes, 0 skipped"
    assert " ms masks" in lines[-2]
    expected = tiny_seg(png, max_detections=3, retina_masks=retina)[0].plot()
    with Image.open(files[0]) as drawn:
        np.testing.assert_array_equal(np.asarray(drawn), expected)


def test_everything(segment, tiny_seg, image):
    flags = ("--save-txt", "--save-conf", "--save-crop", "--save-csv", "--nosave")
    code, files, _, _ = segment("--source", image, *flags)
    assert code == 0
    folder = "runs/predict-seg/exp"
    assert {f"{folder}/labels/image.txt", f"{folder}/predictions.csv"} < set(files)
    assert sum("/crops/" in name for name in files) == 3
    expected = tiny_seg(image, max_detections=3)[0]
    rows = [line.split() for line in Path(f"{folder}/labels/image.txt").read_text().splitlines()]
    kept = [i for i, parts in enumerate(expected.polygons_px) if parts]
    assert [int(row[0]) for row in rows] == expected.class_ids[kept].tolist()
    for row, i in zip(rows, kept, strict=True):
        assert float(row[-1]) == pytest.approx(expected.scores[i], abs=1e-5)
        polygon = np.array(row[1:-1], float).reshape(-1, 2) * [64, 48]
        np.testing.assert_allclose(polygon, expected.polygons_px[i][0], atol=1e-3)
    with Path(f"{folder}/predictions.csv").open() as file:
        assert [row["Prediction"] for row in csv.DictReader(file)] == [
            expected.names[i] for i in expected.class_ids
        ]


def test_a_video(segment, tmp_path):
    video = make_video(tmp_path / "clip.mp4", 3)
    code, files, out, _ = segment("--source", video, "--save-txt")
    assert code == 0
    assert "runs/predict-seg/exp/clip.mp4" in files
    assert "3 images, 9 boxes" in out


def test_detect_accepts_a_segmentation_model(segment, image):
    code, files, out, _ = segment("--source", image, "--save-txt", command=["detect"])
    assert (code, files[0]) == (0, "runs/detect/exp/image.jpg")
    assert "3 boxes" in out
    code, _, _, err = segment("--source", image, "--augment", command=["detect"])
    assert code == 2
    assert "segmentation models have no test-time augmentation" in err


def test_summary_and_inspect(tiny_seg_keras, capsys):
    assert exit_code("summary", "yolov5n-seg") == 0
    out = capsys.readouterr().out
    assert "1,991,549" in out
    assert "32 prototypes" in out
    assert "160x160x32" in out
    assert exit_code("inspect", tiny_seg_keras) == 0
    out = capsys.readouterr().out
    assert "model.12.proto" in out
    assert "height/4" in out


@pytest.fixture
def polygons_yaml(tmp_path, image):
    """One image with two triangles, of the classes of `tiny_seg`."""
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    image.rename(tmp_path / "images" / "image.jpg")
    (tmp_path / "labels" / "image.txt").write_text("0 0.1 0.1 0.6 0.2 0.3 0.9\n1 0.5 0.5 0.9 0.5 0.7 0.9\n")
    path = tmp_path / "two.yaml"
    path.write_text("path: .\ntrain: images\nval: images\nnames: [ant, bee]\n")
    return path


@pytest.mark.parametrize("command", [("segment", "val"), ("val",)])
def test_validation(segment, polygons_yaml, command):
    flags = ["--retina-masks"] if command[0] == "segment" else []
    code, files, out, err = segment(
        "--data", polygons_yaml, "--img", 64, "--save-json", *flags, command=command
    )
    assert (code, err) == (0, "")
    folder = "runs/val-seg/exp" if flags else "runs/val/exp"
    assert {f"{folder}/MaskPR_curve.png", f"{folder}/predictions.json"} < set(files)
    metrics = json.loads(Path(f"{folder}/metrics.json").read_text())
    assert metrics["settings"]["retina_masks"] == bool(flags)
    assert len(metrics["mask"]["coco"]) == 12
    header = next(line for line in out.splitlines() if "class" in line)
    assert header.split()[2:] == [
        word for kind in ("box", "mask") for name in ("P", "R", "mAP50", "mAP50-95") for word in (kind, name)
    ]
    (row,) = [line.split() for line in out.splitlines() if line.split()[:2] == ["all", "2"]]
    assert float(row[-1]) == pytest.approx(metrics["mask"]["map50_95"], abs=5e-4)
    assert "COCO protocol, masks: ap " in out


def test_validation_refuses_what_masks_do_not_have(segment, polygons_yaml, tiny_keras, capsys):
    code, files, _, err = segment("--data", polygons_yaml, "--augment", command=["val"])
    assert (code, files) == (2, [])
    assert "segmentation models have no test-time augmentation" in err
    (polygons_yaml.parent / "labels" / "image.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    code, _, _, err = segment("--data", polygons_yaml, command=["segment", "val"])
    assert code == 2
    assert "none of the labels in `val` is a polygon" in err
    assert exit_code("segment", "val", "--weights", tiny_keras, "--data", polygons_yaml) == 2
    assert "is a detector, not a segmentation model" in capsys.readouterr().err


def test_benchmark(segment, polygons_yaml):
    words = [
        "--img",
        "64",
        "--include",
        "pt",
        "--threads",
        "1",
        "--rounds",
        "1",
        "--runs",
        "1",
        "--json",
        "rows.json",
    ]
    code, _, out, err = segment("--data", polygons_yaml, *words, command=["benchmark"])
    assert (code, err) == (0, "")
    assert "batch 1, letterbox to masks" in out
    assert re.search(r"box +mask .*\nfile .* mAP50-95 +change +mAP50-95 +change ", out)
    keras, torch = json.loads(Path("rows.json").read_text())
    assert (keras["file"], torch["file"]) == ("tiny-seg.keras", "tiny-seg.pt")
    for name in ("map50_95", "mask_map50_95", "mask_map50"):
        assert keras[name] is not None
        assert torch[name] == pytest.approx(keras[name], abs=1e-4)
    assert keras["mask_difference"] == 0


@pytest.mark.parametrize("words", [["--weights"], ["--weights", "", "--cfg"]], ids=["weights", "cfg"])
def test_detection_does_not_train_it(words, tiny_seg_keras, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    model = "yolov5n-seg" if words[-1] == "--cfg" else tiny_seg_keras
    assert exit_code("train", "--data", "bccd-mini", "--epochs", "1", *words, model) == 2
    err = capsys.readouterr().err
    assert "is a segmentation model, not a detector" in err
    assert "tfyolo segment train" in err
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_exports(tiny_seg_keras, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert exit_code("export", "--weights", tiny_seg_keras, "--include", "pt", "tflite", "--output", "x") == 0
    assert "next: tfyolo segment predict --weights x.pt" in capsys.readouterr().out
    assert exit_code("convert", "x.pt", "y.keras") == 0
    assert exit_code("inspect", "x.tflite") == 0
    assert "detection_masks (1, 100, 16, 16) float32" in capsys.readouterr().out


def test_quantize(polygons_yaml, tmp_path, monkeypatch, capsys):
    """Calibration and QAT on masks; the file predicts, and the report names layers."""
    monkeypatch.chdir(tmp_path)
    network = Path(__file__).parents[1] / "micro-seg.yaml"
    micro = create_predictor(network, names=("ant", "bee")).save(tmp_path / "micro.keras")
    data = ["--data", polygons_yaml, "--img", "64", "--calibration", "1"]
    weights = ["--weights", micro]
    train = ["--steps", "2", "--loss", "both", "--output", "q.keras"]
    assert exit_code("quantize", *weights, *data, *train) == 0
    budget = ["--float-budget", "20%", "--budget-of", "multiply-adds", "--budget-images", "1", "--steps", "0"]
    assert exit_code("quantize", *weights, *data, *budget, "--output", "mixed.keras") == 0
    assert "mask error" in capsys.readouterr().out
    assert exit_code("quant-debug", *weights, *data, "--images", "1", "--worst", "1") == 0
    assert "model." in capsys.readouterr().out
    assert Path("runs/quant-debug/exp/noise.png").exists()
    assert exit_code("export", "--weights", "q.keras", "--include", "tflite", "--int8", "--output", "q") == 0
    assert exit_code("segment", "predict", "--weights", "q.tflite", "--source", "images") == 0


def test_a_model_of_another_task(tiny_keras, image, capsys):
    assert exit_code("segment", "predict", "--weights", tiny_keras, "--source", image) == 2
    assert "is a detector, not a segmentation model" in capsys.readouterr().err
