"""Where exports go: over an earlier export, and over nothing else; on a full disk, nowhere."""

import tempfile
from pathlib import Path

import pytest

from tests.full_disk import WORDS, limited, no_room_for_outputs
from tfyolo.api.load import load
from tfyolo.cli.main import main
from tfyolo.errors import TfyoloError
from tfyolo.export.registry import FORMATS, export_stem, exportable, find_format, format_of
from tfyolo.inference.load import create_predictor

FOLDERS = [entry for entry in exportable() if entry.owned]
FILES = [entry for entry in exportable() if not entry.owned]


@pytest.fixture(scope="module")
def micro_keras(tmp_path_factory) -> Path:
    """The smallest detector as a .keras file."""
    detector = create_predictor(Path(__file__).parents[1] / "micro.yaml")
    return detector.save(tmp_path_factory.mktemp("micro") / "micro.keras")


def run(micro_keras, entry, stem):
    flags = ["--img", "32", "--nms", "raw", "--include", entry.name, "--output", str(stem)]
    return main(["export", "--weights", str(micro_keras), *flags])


@pytest.mark.parametrize("entry", FORMATS, ids=lambda entry: entry.name)
def test_formats_that_are_folders_say_what_they_hold(entry):
    assert (entry.owned is None) == (entry.holds is None)


@pytest.mark.parametrize("entry", FOLDERS, ids=lambda entry: entry.name)
def test_a_folder_is_replaced_if_it_is_an_export_and_nothing_else(micro_keras, tmp_path, capsys, entry):
    stem = tmp_path / "best"
    path = tmp_path / f"best{entry.suffix}"
    assert run(micro_keras, entry, stem) == 0
    assert entry.owned.why_not(path) is None
    entry.check_target(path)
    files = sorted(path.rglob("*"))
    (path / "index.html").write_text("mine")
    capsys.readouterr()
    assert run(micro_keras, entry, stem) == 2  # before the model is loaded
    err = capsys.readouterr().err
    assert err.startswith(
        f"error: {path}: cannot be replaced: it contains `index.html`, which tfyolo did not write\n"
    )
    assert sorted(path.rglob("*")) == sorted([*files, path / "index.html"])
    assert sorted(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "entry",
    [x for x in exportable() if x.name != "engine" and "float32" in x.precisions],
    ids=lambda entry: entry.name,
)
def test_on_a_full_disk_the_file_is_named(micro_keras, tmp_path, capsys, monkeypatch, entry):
    path = tmp_path / f"best{entry.suffix}"
    with no_room_for_outputs(monkeypatch, 1000):
        assert run(micro_keras, entry, tmp_path / "best") == 2
    assert capsys.readouterr().err.startswith(f"error: {path}: {WORDS}")
    assert list(tmp_path.iterdir()) == []


def test_on_a_full_disk_the_folder_for_intermediate_files_is_named(micro_keras, tmp_path, capsys):
    with limited(1000):
        assert run(micro_keras, find_format("tflite"), tmp_path / "best") == 2
    err = capsys.readouterr().err
    assert err.startswith(f"error: {tempfile.gettempdir()}/tfyolo-")
    assert err.endswith(
        ": cannot be written: File too large\n  fix: set TMPDIR to a folder with more space\n"
    )


@pytest.mark.parametrize(
    ("output", "stem"),
    [
        ("a.tflite", "a"),
        ("a_EdgeTPU.tflite", "a"),
        ("a.onnx", "a"),
        ("v1.0", "v1.0"),
        (".tflite", ".tflite"),
        ("models", "models"),
        ("models/", "models/best"),
        ("..", "../best"),
        (".", "best"),
    ],
)
def test_an_output_is_a_stem_a_file_name_or_a_folder(tmp_path, monkeypatch, output, stem):
    monkeypatch.chdir(tmp_path)
    Path("models").mkdir()
    assert export_stem(output, "best") == Path(stem)


def test_a_name_that_another_format_would_take_is_refused(micro_keras, tmp_path, capsys):
    assert run(micro_keras, find_format("tflite"), tmp_path / "a_edgetpu") == 2
    assert "would be taken for a file of the format edgetpu" in capsys.readouterr().err


def test_a_file_of_a_saved_model_leads_to_its_folder(tmp_path):
    with pytest.raises(TfyoloError, match="is part of a SavedModel") as error:
        format_of(tmp_path / "saved_model.pb")
    assert error.value.fix == f"pass the folder {tmp_path}"


def test_an_output_may_be_a_file_name(micro_keras, tmp_path):
    assert run(micro_keras, find_format("tflite"), tmp_path / "cells.tflite") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["cells.tflite"]
    path = load(micro_keras).export("tflite", output=tmp_path / "python.tflite", nms="raw")
    assert path == tmp_path / "python.tflite"


@pytest.mark.parametrize("entry", FOLDERS, ids=lambda entry: entry.name)
def test_a_users_folder_of_that_name_stays(micro_keras, tmp_path, capsys, entry):
    path = tmp_path / f"best{entry.suffix}"
    path.mkdir()
    (path / entry.holds).write_text("a model of another program")
    assert run(micro_keras, entry, tmp_path / "best") == 2
    assert (
        "cannot be replaced: it contains files that tfyolo did not write\n  fix: move it away"
        in capsys.readouterr().err
    )
    assert (path / entry.holds).read_text() == "a model of another program"


@pytest.mark.parametrize("entry", FILES, ids=lambda entry: entry.name)
def test_a_folder_in_the_place_of_a_file_stays(tmp_path, entry):
    path = tmp_path / f"best{entry.suffix}"
    path.mkdir()
    with pytest.raises(TfyoloError, match="is a folder and cannot be overwritten"):
        entry.check_target(path)


def test_several_formats_are_checked_before_the_first_is_written(micro_keras, tmp_path, capsys):
    (tmp_path / "best_saved_model").mkdir()
    (tmp_path / "best_saved_model/mine.txt").write_text("mine")
    words = ["--include", "tflite", "saved_model", "--output", str(tmp_path / "best")]
    assert main(["export", "--weights", str(micro_keras), *words]) == 2
    assert "contains `mine.txt`" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["best_saved_model"]
