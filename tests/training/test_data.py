"""A dataset made ready for `fit`."""

import pytest

from tests.data.formats.readers.sets import data_yaml, write_image
from tfyolo.errors import TfyoloError
from tfyolo.training.classification.data import ClassificationData
from tfyolo.training.detection.data import TrainingData, training_model


@pytest.fixture
def half_usable(tmp_path):
    """Twelve images, six of which have label files that cannot be used."""
    (tmp_path / "labels").mkdir()
    for index in range(12):
        write_image(tmp_path / f"images/{index:02}.png", (64, 64), index)
        row = "0 0.5 0.5 0.5 0.5" if index % 2 else "0 320 240 64 64"
        (tmp_path / f"labels/{index:02}.txt").write_text(f"{row}\n")
    return data_yaml(tmp_path, train="images", val="images")


def test_what_is_left_out_is_warned_of(half_usable):
    with pytest.warns(
        UserWarning, match=r"6 of 12 images cannot be used:\n.*00\.txt:1: (.|\n)*and 1 more"
    ) as found:
        data = TrainingData(half_usable, image_size=64, batch_size=2)
    assert data.steps == 3
    assert [warning.filename for warning in found] == [__file__]


def test_nothing_usable_names_the_first_file_and_line(half_usable):
    for path in (half_usable.parent / "labels").iterdir():
        path.write_text("0 320 240 64 64\n")
    with pytest.raises(
        TfyoloError, match=r"none of the images in `train` can be used: .*00\.txt:1: .*12 problems"
    ):
        TrainingData(half_usable, image_size=64)


def test_a_data_set_without_labels_is_refused(tmp_path):
    write_image(tmp_path / "images/a.png")
    with pytest.raises(TfyoloError, match="none of the images in `train` has a label"):
        TrainingData(data_yaml(tmp_path, train="images"), image_size=64)


@pytest.mark.parametrize("weights", ["custom.yaml", "yolov5n.YML"])
def test_a_configuration_as_weights_is_refused(half_usable, weights):
    with pytest.warns(UserWarning, match="6 of 12"):
        data = TrainingData(half_usable, image_size=64)
    with pytest.raises(TfyoloError, match=rf"^{weights}: is a model configuration, not weights\n.*`cfg`"):
        training_model(weights, data)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": (64, 96)}, r"image_size must be a whole number of at least 1, not \(64, 96\)"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, not 0"),
        ({"batch_size": -1}, "batch_size must be a whole number of at least 1, not -1"),
    ],
)
@pytest.mark.parametrize("kind", [TrainingData, ClassificationData])
def test_sizes_are_checked(kind, options, message):
    with pytest.raises(TfyoloError, match=message):
        kind("bccd-mini", **options)


def test_data_says_what_it_is():
    data = TrainingData("bccd-mini", image_size=64, batch_size=8)
    assert repr(data) == "<TrainingData: 48 images of 3 classes, 64x64 pixels, 6 batches of 8>"
    assert len(data) == data.steps == 6
