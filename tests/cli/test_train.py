"""`tfyolo train`, `autoanchor` and `detect` without weights, from the command line's side."""

import json
import re
import zipfile
from pathlib import Path

import pytest

from tfyolo.cli.main import main
from tfyolo.data import synthetic as datasets

MICRO = str(Path(__file__).parents[1] / "micro.yaml")


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return str(
        datasets.create_shapes_dataset(tmp_path_factory.mktemp("shapes"), train=8, val=4, image_size=64)
    )


def test_train_says_what_it_did_and_what_is_next(shapes, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given = ["--weights", "", "--cfg", MICRO, "--img", "64", "--epochs", "1", "--batch", "8", "--noplots"]
    folder = Path(shapes).parent
    (folder / "images/val/strange.heic").write_bytes(b"x")
    assert main(["train", "--data", shapes, "--single-cls", *given]) == 0
    (folder / "images/val/strange.heic").unlink()
    out = capsys.readouterr().out
    assert out.count("1 .heic") == 1  # a scan is reported once
    line = next(line for line in out.splitlines() if line.startswith("next: tfyolo val"))
    assert main([*line.split()[2:], "--noplots", "--project", "val"]) == 0
    capsys.readouterr()
    size = r"^model: .*, 1 class, 0\.\d\d million parameters, 0\.\d GFLOPs at 64x64$"
    assert re.search(size, out, re.MULTILINE)
    assert re.search(r"^device: .*, float32$", out, re.MULTILINE)
    header = next(line for line in out.splitlines() if line.startswith("epoch "))
    assert header.split() == ["epoch", "box", "obj", "cls", "P", "R", "mAP50", "mAP50-95", "img/s", "GiB"]
    row = next(line for line in out.splitlines() if line.startswith("1/1 "))
    assert len(row) == len(header) <= 80
    assert all(float(value) >= 0 for value in row.split()[1:])
    assert "tfyolo export --weights runs/train/exp/weights/best.keras" in out
    assert main(["train", "--resume"]) == 2
    assert "no unfinished run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "--data is missing"),
        (["--data", "nowhere.yaml"], "nowhere.yaml"),
        (["--data", "SHAPES", "--weights", ""], "pass --cfg"),
        (["--data", "SHAPES", "--weights", "", "--cfg", "yolov5q"], "unknown model"),
        (["--data", "SHAPES", "--set", "lr0"], "--set lr0=0.02"),
        (["--data", "SHAPES", "--set", "lr=1"], "lr"),
        (["--data", "SHAPES", "--set", "lr0=["], "`lr0`: input should be a valid number"),
        (["--data", "SHAPES", "--set", "lr0=1", "lr0=2"], "sets `lr0` twice"),
        (["--data", "SHAPES", "--set", "label_smoothing=0", "--label-smoothing", "0"], "are the same"),
        (["--data", "SHAPES", "--weights", "", "--cfg", MICRO, "--img", "100"], "--img 96"),
        (["--data", "SHAPES", "--weights", "", "--cfg", "yolov5n", "--img", "100"], "the stride 32"),
        (["--data", "SHAPES", "--weights", "", "--cfg", MICRO, "--img", "64", "--batch", "-1"], "GPU"),
        (
            ["--data", "SHAPES", "--weights", "", "--cfg", MICRO, "--img", "64", "--freeze", "99"],
            "freeze fewer layers",
        ),
        (
            ["--data", "SHAPES", "--weights", "", "--cfg", MICRO, "--img", "64", "--freeze", "0", "13"],
            "0 to 2",
        ),
        (["--data", "SHAPES", "--strategy", "multiworker"], "TF_CONFIG"),
        (["--resume", "nowhere.keras"], "does not exist"),
        (["--resume", "."], "does not exist"),
        (["--resume", "--project", "elsewhere"], "no unfinished run in elsewhere"),
    ],
)
def test_mistakes_end_in_a_sentence(given, message, shapes, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *[shapes if word == "SHAPES" else word for word in given]]) == 2
    assert message in capsys.readouterr().err


def test_autoanchor_of_a_classifier_is_refused(shapes, capsys):
    assert main(["autoanchor", "--data", str(shapes), "--cfg", "yolov5n-cls"]) == 2
    assert capsys.readouterr().err.startswith("error: yolov5n-cls: has no anchors\n")


def test_autoanchor_prints_a_block_to_paste(shapes, tmp_path, capsys):
    target = tmp_path / "anchors.yaml"
    given = ["--img", "64", "--force", "--gen", "20", "--output", str(target)]
    assert main(["autoanchor", "--data", shapes, *given]) == 0
    assert "anchors:\n  - [" in capsys.readouterr().out
    assert target.read_text().count("  - [") == 3


def test_detect_without_weights_uses_the_shipped_model_and_says_so(tmp_path, monkeypatch, capsys):
    from tfyolo.assets import MINI_DATA

    monkeypatch.chdir(tmp_path)
    image = sorted((MINI_DATA.parent / "images/test").glob("*.jpg"))[0]
    assert main(["detect", "--source", str(image)]) == 0
    captured = capsys.readouterr()
    assert "bccd-n detects Platelets, RBC, WBC" in captured.err
    assert "RBC" in captured.out


@pytest.mark.parametrize("command", [["train"], ["classify", "train"]])
@pytest.mark.parametrize(
    ("flag", "off", "wrong"),
    [
        ("--patience", ["0", "-1", "-100"], ["1.5", "inf", "--", "9" * 5000]),
        ("--save-period", ["0", "-1"], ["x"]),
        ("--freeze", ["0", "-1"], ["x"]),
        ("--seed", ["0"], ["-1", "4294967296"]),
        ("--epochs", [], ["0", "-1", "99999999999999999999"]),
        ("--img", [], ["0", "-1", "16385"]),
        ("--nominal-batch", [], ["0", "-1"]),
        ("--qat-lr", [], ["0", "nan", "inf", "-1"]),
    ],
)
def test_values_that_switch_off_and_values_out_of_range(command, flag, off, wrong):
    if flag == "--nominal-batch" and command != ["train"]:
        return
    parser, words = parser_of(command)
    for text in off:
        value = getattr(parser.parse_args([*words, flag, text]), flag[2:].replace("-", "_"))
        assert value in (0, [0]), text
    for text in wrong:
        with pytest.raises(SystemExit) as caught:
            parser.parse_args([*words, flag, text])
        assert caught.value.code == 2


def parser_of(command):
    from importlib import import_module

    from tfyolo.cli.main import Parser

    parser = Parser(prog="tfyolo", allow_abbrev=False)
    import_module(f"tfyolo.cli.{command[0]}").add_arguments(parser)
    return parser, command[1:]


@pytest.mark.parametrize("ratio", ["0.5", "1", "nan", "inf", "x"])
def test_a_wrong_ratio_is_one_line(ratio, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["autoanchor", "--data", "x.yaml", "--anchor-t", ratio])
    assert caught.value.code == 2
    assert f"{ratio} is not a number above 1" in capsys.readouterr().err


@pytest.mark.parametrize("task", ["detect", "segment", "classify"])
def test_a_resumed_run_keeps_its_settings_and_names_the_flags_it_ignores(task, tmp_path, monkeypatch, capsys):
    from tfyolo.training.classification.options import ClassifyHyps, ClassifyOptions
    from tfyolo.training.detection.options import TrainOptions
    from tfyolo.training.segmentation.options import SegmentOptions

    run, calls = tmp_path / "run", []
    if task == "detect":
        saved = TrainOptions((tmp_path / "d.yaml"), epochs=3, image_size=64)
        values, words, begin = saved.to_plain(), ["train", "--set", "lr0=0.5"], "tfyolo.cli.train._train"
    elif task == "segment":
        saved = SegmentOptions((tmp_path / "d.yaml"), epochs=3, image_size=64, overlap=False)
        values, words = saved.to_plain(), ["segment", "train", "--set", "lr0=0.5", "--mask-ratio", "8"]
        begin = "tfyolo.cli.segment_train._train"
    else:
        saved = ClassifyOptions(tmp_path / "cells", epochs=3, image_size=64, hyps=ClassifyHyps(lr0=0.1))
        values, words = saved.to_plain(), ["classify", "train", "--lr0", "0.5"]
        begin = "tfyolo.cli.classify_train._train"
    (run / "weights").mkdir(parents=True)
    with zipfile.ZipFile(run / "weights/last.keras", "w") as archive:
        archive.writestr("training.json", json.dumps({"options": values, "task": task}))
    monkeypatch.setattr(begin, lambda *given: calls.append(given) or 0)
    flags = ["--epochs", "9", "--img", "64", "--seed", "0", "--name", "x", "--project", "p"]
    assert main([*words, "--resume", str(run), *flags]) == 0
    assert calls == [(saved, run, run / "weights/last.keras")]
    said = capsys.readouterr().out.splitlines()
    ignored = {"detect": ["hyp_overrides"], "segment": ["hyp_overrides", "mask_ratio"], "classify": ["lr0"]}
    assert sorted(line.partition("is ignored")[0].split(" = ")[0] for line in said) == [
        "--name ",
        "--project ",
        "`epochs`",
        *(f"`{name}`" for name in ignored[task]),
    ]
