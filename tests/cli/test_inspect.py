"""`tfyolo inspect` by its command line."""

import json
import zipfile

import pytest

from tfyolo.cli.main import main
from tfyolo.models.contract import FILE_NAME


def test_table(tiny, tiny_keras, capsys):
    assert main(["inspect", str(tiny_keras)]) == 0
    printed = capsys.readouterr().out
    for words in (
        "tiny.keras",
        "Keras, ",
        " MB",
        "detect",
        "4 classes",
        "ant, bee, cat, dog",
        "8, 16, 32",
        "at stride 8: 10x13, 16x30, 33x23",
        "at stride 32: 116x90, 156x198, 373x326",
        "64x64 pixels",
        "float32",
        "raw outputs",
        tiny.contract.version,
        "images (batch, height, width, 3) float32",
        "model.12.m.1 (batch, height/16, width/16, 27) float32",
        " BatchNormalization",
    ):
        assert words in printed
    convolutions = sum(type(layer).__name__ == "Conv2D" for layer in tiny.model.layers)
    assert f"{convolutions} Conv2D" in printed


@pytest.mark.parametrize(("width", "columns"), [(200, 3), (30, 2), (10, 1)])
def test_operators_are_in_as_many_columns_as_fit(width, columns):
    from tfyolo.cli.inspect import _in_columns

    cells = [f"{count} OPERATOR" for count in range(9)]
    rows = _in_columns(cells, width)
    assert len(rows[0]) == columns
    assert sorted(cell for row in rows for cell in row) == cells
    assert _in_columns([], width) == []


def test_json_is_the_same(tiny_keras, capsys):
    assert main(["inspect", str(tiny_keras), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["file"] == str(tiny_keras)
    assert values["format"] == "keras"
    assert values["megabytes"] == pytest.approx(tiny_keras.stat().st_size / 1e6, abs=1e-3)
    assert values["names"] == ["ant", "bee", "cat", "dog"]
    assert values["nms"] == {"kind": "raw"}
    assert len(values["outputs"]) == 3


def test_an_exported_file_names_its_suppression(tiny, tmp_path, capsys):
    from tfyolo.export.graph.options import GraphNmsOptions
    from tfyolo.export.job import ExportJob, export_model
    from tfyolo.export.options import ExportOptions

    settings = GraphNmsOptions(confidence=0.0, iou_threshold=0.375, max_detections=7, multi_label=True)
    request = ExportJob(tiny.model, tiny.contract, ExportOptions(image_size=(64, 64), nms_options=settings))
    path = export_model(request, ["tflite"], tmp_path / "tiny")["tflite"]
    assert main(["inspect", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "postprocess: confidence over 0.0, IoU up to 0.375, at most 7 boxes" in printed
    assert " several" in printed  # several classes per box; wrapped
    assert "detection_boxes (1, 7, 4) float32" in printed
    assert "1 TFLite_Detection_PostProcess" in printed
    assert "LiteRT's GPU delegate leaves to the CPU: " in printed


def test_a_file_that_a_gpu_can_take_as_a_whole(tiny, tmp_path, capsys):
    from tfyolo.export.job import ExportJob, export_model
    from tfyolo.export.options import ExportOptions

    request = ExportJob(tiny.model, tiny.contract, ExportOptions(image_size=(64, 64), nms="none"))
    path = export_model(request, ["tflite"], tmp_path / "tiny")["tflite"]
    assert main(["inspect", str(path)]) == 0
    assert "LiteRT's GPU delegate takes every operator" in capsys.readouterr().out


def renamed(source, target, names):
    """A copy of a .keras file with other class names, and as many classes."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == FILE_NAME:
                contract = json.loads(data)
                contract["names"] = names
                contract["config"]["classes"] = len(names)
                data = json.dumps(contract)
            new.writestr(name, data)
    return target


def test_many_names_are_shortened(tiny_keras, tmp_path, capsys):
    path = renamed(tiny_keras, tmp_path / "many.keras", [f"thing{i}" for i in range(30)])
    assert main(["inspect", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "thing8, and 21 more" in printed
    assert "thing9" not in printed
    assert main(["inspect", str(path), "--all-names"]) == 0
    assert "thing29" in capsys.readouterr().out


def test_names_cannot_control_the_terminal(tiny_keras, tmp_path, capsys):
    names = ["\x1b[2Jant", "[red]bee[/red]", "cat\nfake", "dog\u202e"]
    path = renamed(tiny_keras, tmp_path / "hostile.keras", names)
    for words in ([], ["--json"]):
        assert main(["inspect", str(path), *words]) == 0
        printed = capsys.readouterr().out
        assert "\x1b" not in printed
        assert "\u202e" not in printed
        assert "[red]bee[/red]" in printed
        assert "cat\\nfake" in printed


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("nothing.tflite", None, "no such model file"),
        ("broken.tflite", b"nothing" * 100, "not a tfyolo model"),
        ("broken.keras", b"", "not a tfyolo model"),
        ("broken.pt", b"PK\3\4" + b"nothing" * 100, "broken.pt"),
        ("letter.txt", b"Dear", "not a model file of a known format"),
    ],
)
def test_what_cannot_be_inspected_is_one_sentence(tmp_path, capsys, name, data, message):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    assert main(["inspect", str(tmp_path / name)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert message in captured.err
    assert "Traceback" not in captured.err
