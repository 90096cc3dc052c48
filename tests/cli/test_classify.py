"""`tfyolo classify` and `tfyolo crops`, from the command line's side."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.classification.class_folders import class_folders
from tests.inference.videos import make_video
from tfyolo.cli.main import main
from tfyolo.data import synthetic as datasets

TINY = str(Path(__file__).parents[1] / "tiny-cls.yaml")
SMALL = ["--model", TINY, "--img", "32", "--batch", "8", "--noplots"]


@pytest.fixture(scope="module")
def colors(tmp_path_factory):
    return class_folders(tmp_path_factory.mktemp("colors"), train=4, val=2, test=2)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """An untrained classifier of the colors."""
    import keras

    import tfyolo

    keras.utils.set_random_seed(0)
    created = tfyolo.create(TINY, names=("blue", "green", "red"))
    return str(created.save(tmp_path_factory.mktemp("model") / "colors.keras"))


def test_train_then_val(colors, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["classify", "train", "--data", str(colors), *SMALL, "--epochs", "1", "--cutmix", "0.5"]) == 0
    out = capsys.readouterr().out
    assert "weights: random" in out
    assert re.search(r"^device: .*, float32$", out, re.MULTILINE)
    header = next(line for line in out.splitlines() if line.startswith("epoch "))
    assert header.split()[:4] == ["epoch", "loss", "accuracy", "val"]
    assert len(next(line for line in out.splitlines() if line.startswith("1/1 "))) == len(header) <= 80
    best = "runs/train-cls/exp/weights/best.keras"
    assert f"tfyolo classify val --weights {best} --data {colors} --split test" in out
    assert f"tfyolo export --weights {best} --include tflite --img 32" in out
    assert main(["classify", "val", "--data", str(colors), "--weights", best, "--split", "test"]) == 0
    out = capsys.readouterr().out
    assert "test: 6 images of 3 classes; 0 left out, 0 duplicates" in out
    assert "top-1 0." in out
    for name in ("metrics.json", "confusion_matrix.png", "val_batch0.jpg"):
        assert (tmp_path / "runs/val-cls/exp" / name).exists()
    assert main(["classify", "train", "--resume"]) == 2
    assert "no unfinished run in runs/train-cls" in capsys.readouterr().err


def test_weights_as_model_are_what_training_starts_from(colors, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seen = []
    monkeypatch.setattr("tfyolo.cli.classify_train._train", lambda options, *_: seen.append(options) or 0)
    assert main(["classify", "train", "--data", str(colors), "--model", model]) == 0
    assert (seen[0].model, seen[0].pretrained) == ("", model)


def test_predict_writes_what_it_says(colors, model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make_video(tmp_path / "video.avi", 3)
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    sources = [str(colors / "test/red"), "video.avi", "broken.jpg"]
    given = ["--source", *sources, "--weights", model, "--save-txt", "--save-csv", "--top", "2"]
    assert main(["classify", "predict", *given]) == 1
    captured = capsys.readouterr()
    assert "skipped broken.jpg" in captured.err
    assert "5 images, 1 skipped" in captured.out
    lines = [line for line in captured.out.splitlines() if "0.png" in line]
    assert len(lines) == 1
    assert lines[0].startswith("1/6 ")
    assert ": 32x32, " in lines[0]
    folder = tmp_path / "runs/predict-cls/exp"
    rows = (folder / "labels/0.txt").read_text().splitlines()
    assert len(rows) == 2
    values = [float(row.split(" ")[0]) for row in rows]
    assert values == sorted(values, reverse=True)
    assert {row.split(" ")[1] for row in rows} < {"blue", "green", "red"}
    assert len(list(folder.glob("labels/video_*.txt"))) == 3
    table = list(csv.DictReader((folder / "predictions.csv").open()))
    assert len(table) == 10
    assert table[0]["Image Name"] == "0.png"
    assert table[0]["Prediction"] == rows[0].split(" ")[1]
    annotated = np.array(Image.open(folder / "0.png"))
    assert annotated.shape == (320, 320, 3)  # enlarged, to hold the text
    assert (annotated.min(2) > 250).any()  # which is white
    assert (folder / "video.mp4").stat().st_size > 0


def test_predict_writes_nothing_where_nothing_is_wanted(colors, model, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given = ["--source", str(colors / "test/red/0.png"), "--weights", model, "--nosave"]
    assert main(["classify", "predict", *given]) == 0
    assert "1 images, 0 skipped" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_predict_goes_on_after_a_bad_item(colors, model, tmp_path, monkeypatch, capsys):
    from tfyolo.export.keras.runtime import KerasRuntime

    monkeypatch.chdir(tmp_path)
    whole, calls = KerasRuntime._run, []

    def damaged(self, session, images, confidence):
        calls.append(1)
        outputs = whole(self, session, images, confidence)
        return {"logits": outputs["logits"] * np.nan} if len(calls) == 3 else outputs

    monkeypatch.setattr(KerasRuntime, "_run", damaged)
    make_video(tmp_path / "0.avi", 3)
    sources = ["0.avi", str(colors / "test/red/0.png"), str(colors / "test/blue/0.png")]
    given = ["--source", *sources, "--weights", model, "--save-txt", "--save-csv", "--nosave"]
    assert main(["classify", "predict", *given]) == 1
    captured = capsys.readouterr()
    assert "skipped 0.avi: the model's probabilities are not numbers between 0 and 1\n" in captured.err
    assert "4 images, 1 skipped" in captured.out
    labels = sorted(path.name for path in (tmp_path / "runs/predict-cls/exp/labels").iterdir())
    assert labels == ["0-2.txt", "0-3.txt", "0_1.txt", "0_3.txt"]


def test_crops_say_what_is_next(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    datasets.create_shapes_dataset("shapes", train=4, val=2, image_size=64)
    given = [
        "--data",
        "shapes/shapes.yaml",
        "--out",
        "crops",
        "--margin",
        "0.2",
        "--square",
        "--min-size",
        "12",
    ]
    assert main(["crops", *given]) == 0
    out = capsys.readouterr().out
    assert "circle" in out
    assert "boxes under 12 pixels are left out" in out
    assert "crops are in crops\nnext: tfyolo classify train --data crops" in out
    files = list(Path("crops").rglob("*.jpg"))
    assert f"{len(files)} crops" in out
    assert all(width == height for width, height in (Image.open(file).size for file in files))
    assert main(["crops", *given]) == 2
    assert "is not an empty folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["train"], "--data is missing"),
        (["train", "--data", "nowhere"], "nowhere: does not exist"),
        (["train", "--data", "DATA", "--lr0", "-1"], "--lr0 -1.0: input should be greater than 0"),
        (["train", "--data", "DATA", "--decay", "2"], "--decay 2.0: input should be less than 1"),
        (["train", "--data", "DATA", "--scale", "0"], "--scale 0.0: input should be greater than 0"),
        (["train", "--data", "DATA", "--model", "yolov5n"], "is a detector, not a classifier"),
        (["train", "--data", "DATA", "--model", "MODEL", "--pretrained", "MODEL"], "are both weights"),
        (["train", "--data", "DATA", "--img", "50"], "use --img 64"),
        (["train", "--resume", "nowhere.keras"], "does not exist"),
        (["val", "--data", "nowhere", "--weights", "MODEL"], "nowhere: does not exist"),
        (["val", "--data", "DATA", "--weights", "DETECTOR"], "is a detector, not a classifier"),
        (["predict", "--source", "nowhere.jpg", "--weights", "MODEL"], "no such image"),
    ],
)
def test_mistakes_end_in_a_sentence(given, message, colors, model, tiny_keras, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    places = {"DATA": str(colors), "MODEL": model, "DETECTOR": str(tiny_keras)}
    assert main(["classify", *[places.get(word, word) for word in given]]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert "Traceback" not in error


@pytest.mark.parametrize("words", [["classify"], ["classify", "fly"], ["classify", "val", "--split", "tset"]])
def test_a_wrong_command_line_exits_with_2(words, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(words)
    assert exit_.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("part", ["train", "val", "predict"])
def test_each_part_has_help_with_examples(part, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["classify", part, "--help"])
    assert exit_.value.code == 0
    assert f"  tfyolo classify {part} " in capsys.readouterr().out
