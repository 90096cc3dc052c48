import pytest

from tfyolo.errors import TfyoloError
from tfyolo.training.detection.hyps import ELSEWHERE, Hyps, list_hyps, read_hyps


@pytest.mark.parametrize("name", list_hyps())
def test_every_file_names_every_field(name):
    from tfyolo.configs.reader import read_yaml
    from tfyolo.training.detection.hyps import FOLDER

    read_hyps(name)
    assert set(read_yaml(FOLDER / f"{name}.yaml").value) == set(Hyps.model_fields) - {"anchors"}


def test_scratch_low_is_the_default():
    assert read_hyps("scratch-low") == Hyps()
    assert read_hyps("hyp.scratch-low.yaml", lr0=0.02).lr0 == 0.02


def test_every_field_is_described():
    assert all(field.description for field in Hyps.model_fields.values())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr0: 0.01\nmosiac: 1.0\n", r":2: .*mosiac[\s\S]*mosaic"),
        ("lr0: -1\n", ":1: `lr0`"),
        ("scale: yes please\n", ":1: `scale`"),
        ("lr0: .nan\n", ":1: `lr0`"),
    ],
)
def test_mistakes_are_named_with_their_line(tmp_path, text, message):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(TfyoloError, match=message):
        read_hyps(path)


def test_unknown_names_and_overrides():
    with pytest.raises(TfyoloError, match="scratch-low"):
        read_hyps("scratch-lo")
    with pytest.raises(TfyoloError, match="lr0"):
        read_hyps("finetune", lr0=-1)


@pytest.mark.parametrize("name", ["finetune", "hyp.finetune.yaml"])
def test_a_folder_of_the_same_name_is_not_taken_for_the_file(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    assert read_hyps(name).lr0 == read_hyps("finetune", lr0=read_hyps(name).lr0).lr0 != Hyps().lr0


def test_a_missing_file_is_not_replaced_by_what_ships(tmp_path):
    with pytest.raises(TfyoloError, match="does not exist"):
        read_hyps(tmp_path / "finetune.yaml")


def test_names_of_older_releases(tmp_path):
    path = tmp_path / "old.yaml"
    path.write_text("lr0: 0.02\ngiou: 0.07\nanchors: 0\n")
    assert (read_hyps(path).box, read_hyps(path).anchors) == (0.07, None)
    assert read_hyps("scratch-low", giou="0.08", anchors="2.6").model_dump(include={"box", "anchors"}) == {
        "box": 0.08,
        "anchors": 3,
    }
    path.write_text("box: 0.05\ngiou: -1\n")
    with pytest.raises(TfyoloError, match=r":2: [\s\S]*`box` is its new name"):
        read_hyps(path)
    path.write_text("lr0: 0.02\ngiou: -1\n")
    with pytest.raises(TfyoloError, match=":2: `box`"):
        read_hyps(path)


@pytest.mark.parametrize("name", sorted({*ELSEWHERE} - {"giou"}))
def test_names_that_belong_elsewhere_get_no_misleading_advice(name):
    with pytest.raises(TfyoloError) as caught:
        read_hyps("scratch-low", **{name: 1})
    assert "write" not in str(caught.value)


@pytest.mark.parametrize("name", [n for n, f in Hyps.model_fields.items() if f.annotation is float])
@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "[", "", "one"])
def test_no_field_takes_what_is_no_finite_number(name, value):
    with pytest.raises(TfyoloError, match=name):
        read_hyps("scratch-low", **{name: value})
