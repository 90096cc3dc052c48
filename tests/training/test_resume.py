"""What an unfinished run has saved is checked before it is used."""

import json
import zipfile
from pathlib import Path

import pytest

from tfyolo.errors import TfyoloError
from tfyolo.training.classify.options import ClassifyOptions
from tfyolo.training.classify.train import from_plain as classify_from_plain
from tfyolo.training.classify.train import plain as classify_plain
from tfyolo.training.options import TrainOptions
from tfyolo.training.resume import absolute, tell_ignored
from tfyolo.training.state import read_state
from tfyolo.training.train import from_plain, plain

OPTIONS = TrainOptions(Path("fruit.yaml"), freeze=(1, 2))
CLASSIFY = ClassifyOptions(Path("cells"))


def test_files_are_kept_by_absolute_paths_and_names_as_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("best.keras", "tiny.yaml", "mine.yaml"):
        Path(name).write_text("")
    values = plain(TrainOptions(Path("d.yaml"), weights="best.keras", cfg="tiny.yaml:n", hyp="mine.yaml"))
    assert {name: values[name] for name in ("data", "weights", "cfg", "hyp")} == {
        "data": str(tmp_path / "d.yaml"),
        "weights": str(tmp_path / "best.keras"),
        "cfg": f"{tmp_path / 'tiny.yaml'}:n",
        "hyp": str(tmp_path / "mine.yaml"),
    }
    assert [absolute(name) for name in ("", "yolov5n", "finetune")] == ["", "yolov5n", "finetune"]


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
    for values, read in ((plain(OPTIONS), from_plain), (classify_plain(CLASSIFY), classify_from_plain)):
        with pytest.raises(TfyoloError, match=f"last.keras: {message}"):
            read({**values, **change}, Path("last.keras"))
        del values["data"]
        with pytest.raises(TfyoloError, match="its `data` is missing"):
            read(values, Path("last.keras"))


def test_options_of_other_versions_are_left_out():
    values = json.loads(json.dumps(plain(OPTIONS)))
    del values["seed"]
    read = from_plain({**values, "new": 1}, Path("last.keras"))
    assert read == TrainOptions(Path("fruit.yaml").absolute(), freeze=(1, 2))


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
    with pytest.raises(TfyoloError, match="no mapping"):
        read_state(tmp_path / "last.keras")


def test_only_what_differs_is_said_to_be_ignored():
    said = []
    tell_ignored({"epochs": 9, "seed": 0, "unknown": 1}, {"epochs": 3, "seed": 0}, said.append)
    assert said == [
        "`epochs` = 9 is ignored: a resumed run keeps its settings, here 3; begin a new run for others"
    ]
