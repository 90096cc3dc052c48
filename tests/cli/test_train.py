"""`tfyolo train`, `autoanchor` and `detect` without weights, from the command line's side."""

from pathlib import Path

import pytest

from tfyolo import datasets
from tfyolo.cli.main import main

TINY = str(Path(__file__).parents[1] / "tiny.yaml")


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return str(datasets.shapes(tmp_path_factory.mktemp("shapes"), train=8, val=4, image_size=64))


def test_train_says_what_it_did_and_what_is_next(shapes, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given = ["--weights", "", "--cfg", TINY, "--img", "64", "--epochs", "1", "--batch", "8", "--noplots"]
    folder = Path(shapes).parent
    (folder / "images/val/strange.heic").write_bytes(b"x")
    assert main(["train", "--data", shapes, "--single-cls", *given]) == 0
    (folder / "images/val/strange.heic").unlink()
    out = capsys.readouterr().out
    assert out.count("1 .heic") == 1  # a scan is told of once
    line = next(line for line in out.splitlines() if line.startswith("next: tfyolo val"))
    assert main([*line.split()[2:], "--noplots", "--project", "val"]) == 0
    capsys.readouterr()
    assert "epoch 1/1" in out
    assert "tfyolo export --weights runs/train/exp/weights/best.keras" in out
    assert main(["train", "--resume"]) == 2
    assert "no unfinished run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "--data is missing"),
        (["--data", "nowhere.yaml"], "nowhere.yaml"),
        (["--data", "SHAPES", "--weights", ""], "pass --cfg"),
        (["--data", "SHAPES", "--weights", "", "--cfg", "yolov5q"], "no model is called"),
        (["--data", "SHAPES", "--set", "lr0"], "--set lr0=0.02"),
        (["--data", "SHAPES", "--set", "lr=1"], "lr"),
        (["--data", "SHAPES", "--weights", "", "--cfg", TINY, "--img", "100"], "--img 96"),
        (["--data", "SHAPES", "--weights", "", "--cfg", TINY, "--img", "64", "--batch", "-1"], "GPU"),
        (["--data", "SHAPES", "--weights", "", "--cfg", TINY, "--img", "64", "--freeze", "99"], "--freeze"),
        (["--data", "SHAPES", "--strategy", "multiworker"], "TF_CONFIG"),
        (["--resume", "nowhere.keras"], "no such file"),
        (["--resume", "."], "no such file"),
        (["--resume", "--project", "elsewhere"], "no unfinished run in elsewhere"),
    ],
)
def test_mistakes_end_in_a_sentence(given, message, shapes, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *[shapes if word == "SHAPES" else word for word in given]]) == 2
    assert message in capsys.readouterr().err


def test_autoanchor_prints_a_block_to_paste(shapes, tmp_path, capsys):
    target = tmp_path / "anchors.yaml"
    given = ["--img", "64", "--force", "--gen", "20", "--output", str(target)]
    assert main(["autoanchor", "--data", shapes, *given]) == 0
    assert "anchors:\n  - [" in capsys.readouterr().out
    assert target.read_text().count("  - [") == 3


def test_detect_without_weights_uses_the_shipped_model_and_says_so(tmp_path, monkeypatch, capsys):
    from tfyolo.assets import MINI_DATA

    monkeypatch.chdir(tmp_path)
    picture = sorted((MINI_DATA.parent / "images/test").glob("*.jpg"))[0]
    assert main(["detect", "--source", str(picture)]) == 0
    captured = capsys.readouterr()
    assert "bccd-n looks for Platelets, RBC, WBC" in captured.err
    assert "RBC" in captured.out
