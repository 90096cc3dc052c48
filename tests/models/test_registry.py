"""Names, YAML paths and entries of `models`."""

from __future__ import annotations

import pytest

from tfyolo.errors import TfyoloError
from tfyolo.models import load_spec

SMALL = """
classes: 3
models:
  one: {width: 0.25}
  two: {width: 0.5}
backbone:
  - [-1, 1, Conv, [64, 3, 2]]
head:
  - [[0], 1, Detect, []]
"""


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


def filters(spec) -> int:
    return spec.layers[0].arguments["filters"]


def test_the_first_model_is_the_default(small):
    assert (load_spec(small).name, filters(load_spec(small))) == ("one", 16)


def test_another_model_after_a_colon(small):
    assert (load_spec(f"{small}:two").name, filters(load_spec(f"{small}:two"))) == ("two", 32)


def test_overrides_win(small):
    assert load_spec(small, num_classes=9).num_classes == 9


def test_none_is_no_override(small):
    assert load_spec(small, num_classes=None).num_classes == 3


def test_without_models_the_file_names_the_model(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(SMALL.replace("models:\n  one: {width: 0.25}\n  two: {width: 0.5}\n", ""))
    assert load_spec(path).name == "mine"


def test_an_entry_without_models(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("classes: 1\n")
    with pytest.raises(TfyoloError, match="has no `models`"):
        load_spec(f"{path}:one")


def test_an_unknown_entry_lists_the_known(small):
    with pytest.raises(TfyoloError, match="one of one, two") as caught:
        load_spec(f"{small}:three")
    assert caught.value.line == 3


@pytest.mark.parametrize(
    ("name", "near"),
    [("yolov5ss", "yolov5s"), ("yolo5n", "yolov5n"), ("yolov5z.yaml", "yolov5s"), ("x" * 9, "lists all")],
)
def test_an_unknown_name_suggests_near_ones(name, near):
    with pytest.raises(TfyoloError, match=near):
        load_spec(name)


@pytest.mark.parametrize("name", ["yolov5s.yml", "models/yolov5s.yaml", "./models/yolov5s.yml"])
def test_yolov5s_paths_mean_the_shipped_model(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_spec(name) == load_spec("yolov5s")


def test_a_file_with_a_name_like_a_shipped_model_is_read(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "yolov5s2.yaml").write_text(small.read_text())
    assert load_spec("yolov5s2.yaml:one") == load_spec(f"{small}:one")


def test_a_file_that_is_not_there():
    with pytest.raises(TfyoloError, match=r"none\.yaml: does not exist"):
        load_spec("none.yaml")
