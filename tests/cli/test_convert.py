"""`tfyolo convert`."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from tests.shared import SHARED, needs_shared
from tfyolo.cli.main import main
from tfyolo.inference.load import load_predictor

CHECKPOINT = SHARED / "reference" / "arch" / "yolov3-tiny-v7.0.pt"


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    target = tmp_path_factory.mktemp("convert") / "b.keras"
    assert main(["convert", str(CHECKPOINT), str(target)]) == 0
    return target


@needs_shared
def test_raw_heads_are_equal(converted):
    images = np.random.default_rng(0).random((1, 64, 96, 3), np.float32)
    for before, after in zip(
        load_predictor(CHECKPOINT).model(images), load_predictor(converted).model(images), strict=True
    ):
        np.testing.assert_array_equal(before, after)


@pytest.fixture(scope="module")
def found(converted):
    """Detections of the checkpoint and of the converted file on one image."""
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    return [load_predictor(path, 96)(image, confidence=0.01)[0] for path in (CHECKPOINT, converted)]


@needs_shared
@pytest.mark.parametrize("field", ["boxes_xyxy_px", "scores", "classes"])
def test_detections_are_equal(found, field):
    before, after = found
    assert len(getattr(before, field)) > 0
    np.testing.assert_array_equal(getattr(before, field), getattr(after, field))


@needs_shared
def test_the_file_and_the_next_command_are_named(tmp_path, capsys):
    source = shutil.copy(CHECKPOINT, tmp_path / "a.pt")
    assert main(["convert", str(source)]) == 0
    out = capsys.readouterr().out
    assert f"{tmp_path / 'a.keras'}: 4 classes, " in out
    assert f"next: tfyolo detect --weights {tmp_path / 'a.keras'}" in out


@needs_shared
@pytest.mark.parametrize("target", ["my.keras", None])
def test_a_folder_in_the_place_of_the_file_stays(tmp_path, capsys, target):
    source = shutil.copy(CHECKPOINT, tmp_path / "my.pt")
    folder = tmp_path / "my.keras"
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    assert main(["convert", str(source), *([str(folder)] if target else [])]) == 2
    assert capsys.readouterr().err.startswith(f"error: {folder}: is a folder and cannot be overwritten\n")
    assert (folder / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        (str(CHECKPOINT), "b.h5", "b.h5: the name must end in .keras"),
        ("none.pt", "b.keras", "none.pt: no such model file"),
        ("none.pt", "b.h5", "must end in .keras"),
    ],
)
def test_mistakes(capsys, source, target, words):
    assert main(["convert", source, target]) == 2
    assert words in capsys.readouterr().err
