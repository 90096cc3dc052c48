"""What an unfinished run has saved is checked before it is used."""

import json
import zipfile
from pathlib import Path

import pytest

from tfyolo.errors import TfyoloError
from tfyolo.training.classification.options import ClassifyOptions
from tfyolo.training.detection.options import TrainOptions
from tfyolo.training.resume import absolute_path, log_ignored_options
from tfyolo.training.state import read_state

OPTIONS = TrainOptions(Path("fruit.yaml"), freeze=(1, 2))
CLASSIFY = ClassifyOptions(Path("cells"))


def test_files_are_kept_by_absolute_paths_and_names_as_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("best.keras", "tiny.yaml", "mine.yaml"):
        Path(name).write_text("")
    options = TrainOptions(Path("d.yaml"), weights="best.keras", cfg="tiny.yaml:n", hyp="mine.yaml")
    values = options.to_plain()
    assert {name: values[name] for name in ("data", "weights", "cfg", "hyp")} == {
        "data": str(tmp_path / "d.yaml"),
        "weights": str(tmp_path / "best.keras"),
        "cfg": f"{tmp_path / 'tiny.yaml'}:n",
        "hyp": str(tmp_path / "mine.yaml"),
    }
    assert [absolute_path(name) for name in ("", "yolov5n", "finetune")] == ["", "yolov5n", "finetune"]


@pytest.mark.parametrize("name", ["bccd-mini", "bccd.yaml", "coco128"])
def test_names_of_known_datasets_are_kept(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bccd-mini").mkdir()  # such a folder does not hide the shipped dataset
    assert TrainOptions(Path(name)).to_plain()["data"] == name
    (tmp_path / "bccd.yaml").write_text("")
    assert TrainOptions(Path("bccd.yaml")).to_plain()["data"] == str(tmp_path / "bccd.yaml")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": "many"}, "its `epochs` is 'many'"),
        ({"epochs": True}, "its `epochs` is True"),
        ({"freeze": 3}, "its `freeze` is 3"),
        ({"data": None}, "its `data` is None"),
    ],
)
def test_options_of_another_kind_are_refused(change, message):
    for options in (OPTIONS, CLASSIFY):
        values, read = options.to_plain(), type(options).from_plain
        with pytest.raises(TfyoloError, match=f"last.keras: {message}"):
            read({**values, **change}, Path("last.keras"))
        del values["data"]
        with pytest.raises(TfyoloError, match="its `data` is missing"):
            read(values, Path("last.keras"))


def test_options_of_other_versions_are_left_out():
    values = json.loads(json.dumps(OPTIONS.to_plain()))
    del values["seed"]
    read = TrainOptions.from_plain({**values, "new": 1}, Path("last.keras"))
    assert read == TrainOptions(Path("fruit.yaml").absolute(), freeze=(1, 2))


@pytest.mark.parametrize("options", [OPTIONS, CLASSIFY])
def test_runs_of_earlier_releases_are_resumed_without_a_warning(options, recwarn):
    values = json.loads(json.dumps(options.to_plain()))
    values["batch"] = values.pop("batch_size") + 1
    assert type(options).from_plain(values, Path("last.keras")).batch_size == options.batch_size + 1
    assert not recwarn.list


@pytest.mark.parametrize("kind", [TrainOptions, ClassifyOptions])
def test_the_old_name_of_batch_size_warns(kind):
    with pytest.warns(DeprecationWarning, match="`batch` is deprecated.*use `batch_size`"):
        assert kind(Path("data"), batch=3).batch_size == 3


@pytest.mark.parametrize("notes", [{"epoch": "x"}, {"epoch": 1.5}, {"options": []}, {"best_fitness": None}])
def test_damaged_notes_are_refused(notes, tmp_path):
    path = tmp_path / "last.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("training.json", json.dumps(notes))
    with pytest.raises(TfyoloError, match=f"last.keras: its `{next(iter(notes))}` is"):
        read_state(path)


def test_notes_that_are_no_mapping_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "last.keras", "w") as archive:
        archive.writestr("training.json", "[]")
    with pytest.raises(TfyoloError, match="not a mapping"):
        read_state(tmp_path / "last.keras")


def test_only_what_differs_is_said_to_be_ignored():
    said = []
    log_ignored_options({"epochs": 9, "seed": 0, "unknown": 1}, {"epochs": 3, "seed": 0}, said.append)
    assert said == [
        "`epochs` = 9 is ignored: a resumed run keeps its settings, here 3; start a new run to change them"
    ]
