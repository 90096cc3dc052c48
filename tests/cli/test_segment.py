"""`tfyolo segment predict` and `val`, and segmentation models in the other commands."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.test_main import exit_code
from tests.inference.videos import make_video


@pytest.fixture
def segment(tiny_seg_keras, tmp_path, monkeypatch, capsys):
    """Run a command in a folder of its own; gives the exit code, the files below runs/, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*words, command=("segment", "predict")):
        code = exit_code(*command, "--weights", tiny_seg_keras, "--max-det", 3, *words)
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
    assert "the labels have no polygons" in err
    assert exit_code("segment", "val", "--weights", tiny_keras, "--data", polygons_yaml) == 2
    assert "is a detector, not a segmentation model" in capsys.readouterr().err


def test_training_does_not_exist_yet(capsys):
    assert exit_code("segment", "train", "--data", "coco128-seg.yaml") == 2
    assert "segmentation models cannot be trained yet" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["train", "--data", "bccd-mini", "--epochs", "1", "--weights"],
        ["train", "--data", "bccd-mini", "--weights", "", "--cfg"],
        ["quantize", "--data", "bccd-mini", "--output", "q.keras", "--weights"],
        ["quant-debug", "--data", "bccd-mini", "--weights"],
        ["benchmark", "--weights"],
    ],
    ids=lambda words: words[0],
)
def test_what_does_not_exist_yet_is_refused(words, tiny_seg_keras, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    model = "yolov5n-seg" if words[-1] == "--cfg" else tiny_seg_keras
    assert exit_code(*words, model) == 2
    err = capsys.readouterr().err
    assert (
        "is a segmentation model, which can predict and be validated, but not be trained or quantized yet"
        in err
    )
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_exports(tiny_seg_keras, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert exit_code("export", "--weights", tiny_seg_keras, "--include", "tflite", "--output", "x") == 2
    assert "TensorFlow Lite cannot hold a segmentation model yet" in capsys.readouterr().err
    assert exit_code("export", "--weights", tiny_seg_keras, "--include", "pt", "--output", "x") == 0
    assert "next: tfyolo segment predict --weights x.pt" in capsys.readouterr().out
    assert exit_code("convert", "x.pt", "y.keras") == 0


def test_a_model_of_another_task(tiny_keras, image, capsys):
    assert exit_code("segment", "predict", "--weights", tiny_keras, "--source", image) == 2
    assert "is a detector, not a segmentation model" in capsys.readouterr().err
