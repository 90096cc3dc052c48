import pytest

from tfyolo.errors import TfyoloError
from tfyolo.training.hyps import Hyps, list_hyps, read_hyps


@pytest.mark.parametrize("name", list_hyps())
def test_every_file_names_every_field(name):
    from tfyolo.configs.reader import read_yaml
    from tfyolo.training.hyps import FOLDER

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
