"""Clients that `tfyolo inspect --snippet` prints find what tfyolo finds; web_demo/tests runs JavaScript."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.clients import OUTPUTS, inspection
from tests.shared import SHARED, needs_shared
from tests.small import confident, decided, letterboxed
from tfyolo.cli.main import main
from tfyolo.errors import TfyoloError
from tfyolo.export.registry import find_format
from tfyolo.export.runtime.inspection import Inspection, TensorInfo
from tfyolo.inference.load import load_predictor
from tfyolo.inference.snippets.languages import LANGUAGES, find_language
from tfyolo.inference.snippets.write import client, snippet

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "tfyolo" / "assets" / "bccd-mini" / "images" / "test"


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> list[Path]:
    """Two photographs that ship, the second cut so that its padding is odd."""
    path = tmp_path_factory.mktemp("images") / "odd.png"
    cv2.imwrite(str(path), cv2.imread(str(IMAGES / "BloodImage_00062.jpg"))[:, :251])
    return [IMAGES / "BloodImage_00007.jpg", path]


def run(code: str, image: Path, capsys, monkeypatch) -> list[str]:
    """Lines that a Python client prints."""
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["client.py", str(image)])
    exec(compile(code, "client.py", "exec"), {})
    return capsys.readouterr().out.splitlines()


def compare(path: Path, images: list[Path], capsys, monkeypatch) -> None:
    """The Python client of a file, and tfyolo, on the same images."""
    code, detector = snippet(path, "python"), load_predictor(path)
    assert not re.search(r"^(import|from) tfyolo", code, re.MULTILINE)
    monkeypatch.chdir(path.parent)
    for image in images:
        (expected,) = detector(image)
        assert len(expected) > 4
        lines = run(code, image, capsys, monkeypatch)
        found = [re.fullmatch(r"(\w+) (.*): \[(.*), (.*), (.*), (.*)\]", line) for line in lines]
        assert [match[1] for match in found] == [expected.names[i] for i in expected.class_ids]
        numbers = np.array([[float(match[i]) for i in range(2, 7)] for match in found])
        np.testing.assert_allclose(numbers[:, 0], expected.scores, atol=6e-4)
        np.testing.assert_allclose(numbers[:, 1:], expected.boxes_xyxy_px, atol=0.06)


@needs_shared
@pytest.mark.parametrize(
    ("form", "nms"), [("tflite", "postprocess"), ("tflite", "none"), ("onnx", "builtin")]
)
def test_python_finds_the_boxes_of_tfyolo(export, images, capsys, monkeypatch, form, nms):
    compare(export(form, nms), images, capsys, monkeypatch)


@needs_shared
def test_python_prints_no_box_without_detections_and_no_more_than_the_maximum(
    export, images, capsys, monkeypatch
):
    path = export("tflite", "none")
    monkeypatch.chdir(path.parent)
    code = snippet(path, "python")
    for old, new, count in (("_threshold=0.25", "_threshold=2.0", 0), ("[:300]", "[:3]", 3)):
        assert len(run(code.replace(old, new), images[0], capsys, monkeypatch)) == count


def test_names_of_files_are_urls_in_javascript():
    file = Path("a#1 50%.TFLITE")
    code = client(file, "tflite", inspection("suppressed", "uint8"), find_language("js"))
    assert '"a%231%2050%25.TFLITE"' in code
    code = client(file, "tflite", inspection("suppressed", "uint8"), find_language("swift"))
    assert '"a#1 50%"' in code


@needs_shared
def test_python_finds_the_boxes_of_an_integer_model(images, tmp_path, capsys, monkeypatch):
    """Its input is no square, so that height and width cannot be exchanged."""
    from tfyolo.export.job import ExportJob, export_model
    from tfyolo.export.options import ExportOptions
    from tfyolo.quantization.calibration import CalibrationOptions
    from tfyolo.quantization.model import calibrate_model

    size = (96, 160)
    detector, options = confident(4, size), CalibrationOptions(ranges="minmax", reconstruct=False)
    model, contract = calibrate_model(detector.model, detector.contract, letterboxed(size), options)
    request = ExportJob(model, contract, ExportOptions(image_size=size, precision="int8"))
    path = export_model(request, ["tflite"], tmp_path / "best")["tflite"]
    compare(path, images, capsys, monkeypatch)
    assert main(["inspect", str(path), "--snippet", "python"]) == 0
    assert capsys.readouterr().out == snippet(path, "python")


def test_python_gives_the_probabilities_of_tfyolo(images, tmp_path, capsys, monkeypatch):
    from tfyolo.export.job import ExportJob, export_model
    from tfyolo.export.options import ExportOptions

    model = decided(("ant", "bee", "cat"), (64, 96), images)
    request = ExportJob(model.model, model.contract, ExportOptions(image_size=(64, 96)))
    path = export_model(request, ["tflite"], tmp_path / "best")["tflite"]
    monkeypatch.chdir(tmp_path)
    best = set()
    for image in images:
        lines = [line.split() for line in run(snippet(path, "python"), image, capsys, monkeypatch)]
        (expected,) = load_predictor(path)(image)
        assert [name for name, _ in lines] == [name for _, name, _ in expected.top(3)]
        found = [float(probability) for _, probability in lines]
        np.testing.assert_allclose(found, [probability for _, _, probability in expected.top(3)], atol=6e-4)
        best.add(expected.name)
    assert len(best) == 2


def test_the_client_of_the_docs_is_what_is_printed():
    found = inspection("suppressed", "uint8")
    code = client(Path("best.tflite"), "tflite", found, find_language("python"))
    assert f"```python fragment\n{code}```" in (ROOT / "docs" / "deploy" / "clients.md").read_text("utf-8")
    assert len([line for line in code.splitlines() if line and not line.startswith("#")]) <= 16


CASES = [
    (language.name, form, kind, dtype)
    for language in LANGUAGES
    for form in language.formats
    for kind in OUTPUTS
    for dtype in ("uint8", "float32")
]


@pytest.mark.parametrize(("language", "form", "kind", "dtype"), CASES)
def test_every_client_is_whole(tmp_path, language, form, kind, dtype):
    entry, found = find_language(language), inspection(kind, dtype, size=(64, 96))
    code = client(Path("elsewhere") / f"best{find_format(form).suffix}", form, found, entry)
    assert not re.search(r"\{\{|\}\}|^@@", code, re.MULTILINE)
    assert max(map(len, code.splitlines())) <= 130
    for first, second in ("()", "[]", "{}"):
        assert code.count(first) == code.count(second)
    assert re.search(r"\b64\b", code)
    assert re.search(r"\b96\b", code)
    assert '"Platelets", "RBC", "WBC"' in code
    assert "best" in code
    assert "elsewhere" not in code
    assert ("255" in code.split("images (1", 1)[1].split("\n", 1)[1]) == (
        dtype == "float32" or "and 255" in code
    )
    for name, _ in OUTPUTS[kind]:
        assert name in code
    if kind == "suppressed":
        assert f"{entry.comment} NMS inside: score over 0.25, IoU up to 0.45, at most 100 boxes" in code
    else:
        assert ("0.25" in code and "0.45" in code) == (kind == "boxes")
    if language == "python":
        ast.parse(code)
    if language == "js" and (node := shutil.which("node")):
        path = tmp_path / "client.mjs"
        path.write_text(code)
        subprocess.run([node, "--check", path], check=True)


HOSTILE = (
    'a"); import os #',
    "back\\slash",
    "$name ${1}",
    "\x1b[2J",
    "two\nlines",
    "\u202eleft",
    "\U0001f600 ok",
)


def test_names_stay_inside_their_quotes():
    for language in LANGUAGES:
        text = language.list(HOSTILE)
        assert all(character.isprintable() or character == "\n" for character in text)
        assert len(text.splitlines()) < 6
    assert ast.literal_eval(find_language("python").list(HOSTILE)) == list(HOSTILE)
    assert find_language("kotlin").text("$a\x1b\U000e0001") == r'"\$a\u001b\udb40\udc01"'
    assert find_language("js").text("a\x1b'") == '"a\\u{1b}\'"'
    assert find_language("swift").text('\\(x)"') == r'"\\(x)\""'
    if node := shutil.which("node"):
        code = f"console.log(JSON.stringify({find_language('js').list(HOSTILE)}))"
        done = subprocess.run([node, "-e", code], capture_output=True, text=True, check=True)
        assert ast.literal_eval(done.stdout.strip()) == list(HOSTILE)


def test_a_name_of_a_file_stays_in_its_comment():
    path = Path('a\nimport os"b.tflite')
    code = client(path, "tflite", inspection("suppressed", "uint8"), find_language("python"))
    assert code.startswith('# a\\nimport os"b.tflite: detector with 3 classes')
    strings = [node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant)]
    assert path.name in strings


def test_long_lists_are_wrapped():
    names = tuple(f"class number {i}" for i in range(80))
    text = find_language("python").list(names)
    assert max(map(len, text.splitlines())) <= 100
    assert ast.literal_eval(text) == list(names)


def test_raw_heads_are_refused():
    heads = tuple(TensorInfo(f"{part}_0", (1, 8, 8, 3), "int8") for part in ("box", "objectness", "classes"))
    found = inspection("boxes", "uint8")
    raw = Inspection(found.contract, found.inputs, heads, {})
    with pytest.raises(
        TfyoloError, match=r"not decoded.*\n  fix: export it with --nms none, or with NMS inside"
    ):
        client(Path("best.tflite"), "tflite", raw, find_language("js"))


@pytest.mark.parametrize(
    ("file", "language", "fix"),
    [
        ("best.keras", "python", "`tfyolo export --include tflite` writes a file that this client supports"),
        ("best.onnx", "swift", "pass --snippet python, or export to tflite"),
        ("best_web_model", "kotlin", "pass --snippet js, or export to tflite"),
        (
            "best_edgetpu.tflite",
            "python",
            "docs/deploy/edge-tpu.md has a client for ai-edge-litert, and one for pycoral",
        ),
    ],
)
def test_other_formats_are_refused_with_the_remedy(tmp_path, capsys, file, language, fix):
    path = tmp_path / file
    if file.endswith("model"):
        path.mkdir()
        path = path / "model.json"
    path.write_bytes(b"{}")
    assert main(["inspect", str(tmp_path / file), "--snippet", language]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"there is no {language} client for " in captured.err
    assert f"fix: {fix}" in captured.err


def test_the_command_knows_every_language(capsys):
    with pytest.raises(SystemExit):
        main(["inspect", "best.tflite", "--snippet", "java"])
    choices = ", ".join(f"'{language.name}'" for language in LANGUAGES)
    assert f"(choose from {choices})" in capsys.readouterr().err


@needs_shared
@pytest.mark.parametrize("form", ["tflite", "onnx"])
def test_python_finds_the_masks_of_tfyolo(export_segmenter, capsys, monkeypatch, form):
    path = export_segmenter(form)
    (expected,) = load_predictor(path)(SHARED / "images" / "bus.jpg")
    monkeypatch.chdir(path.parent)
    lines = run(snippet(path, "python"), SHARED / "images" / "bus.jpg", capsys, monkeypatch)
    areas = [int(line.rpartition(": ")[2].split()[0]) for line in lines if line.endswith("pixels")]
    assert len(areas) == len(expected) > 2
    np.testing.assert_allclose(areas, expected.areas_px, rtol=0.02)
    if form == "tflite":
        with pytest.raises(TfyoloError, match="there is no kotlin client for a segmentation model"):
            snippet(path, "kotlin")
