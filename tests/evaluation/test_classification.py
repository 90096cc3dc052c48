"""Top-1, top-5, tables and matrices of a classifier whose answers are known."""

import json

import numpy as np
import pytest

from tests.data.classification.class_folders import class_folders
from tfyolo.data.classification.folders import read_folders
from tfyolo.errors import TfyoloError
from tfyolo.evaluation.classification import (
    ClassifierValOptions,
    default_split,
    top_k,
    validate_classifier,
)


class Runtime:
    max_batch = 4


class ByColor:
    """Says what color is brightest, but takes green for red where the first pixel is even."""

    runtime, image_size = Runtime(), (32, 32)

    def __init__(self, names=("red", "green", "blue")):
        self.names, self.sizes = names, []

    def classify_batch(self, batch):
        self.sizes.append(len(batch))
        assert batch.dtype == np.uint8
        found = np.full((len(batch), len(self.names)), 0.1, np.float32)
        for row, image in zip(found, batch, strict=True):
            channel = image.mean((0, 1)).argmax()
            row[0 if channel == 1 and image[0, 0, 0] % 2 == 0 else channel] = 0.8
        return found / found.sum(1, keepdims=True), {"inference": 2.0}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return class_folders(tmp_path_factory.mktemp("colors"), train=1, val=6, test=2)


@pytest.fixture(scope="module")
def metrics(root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    return validate_classifier(ByColor(), root, folder=folder), folder


def even(root):
    """How many green images of val the classifier above takes for red."""
    from tfyolo.data.images.read import read_image

    return sum(read_image(path)[0, 0, 0] % 2 == 0 for path in (root / "val/green").iterdir())


def test_figures(root, metrics):
    found, _ = metrics
    wrong = even(root)
    assert 0 < wrong < 6
    assert found.names == ("red", "green", "blue")  # the model's order, not the folders'
    np.testing.assert_array_equal(found.confusion, [[6, wrong, 0], [0, 6 - wrong, 0], [0, 0, 6]])
    np.testing.assert_array_equal(found.images, [6, 6, 6])
    assert found.top1 == pytest.approx(1 - wrong / 18)
    assert found.top5 == 1.0
    np.testing.assert_allclose(found.recall, [1, 1 - wrong / 6, 1])
    np.testing.assert_allclose(found.precision, [6 / (6 + wrong), 1, 1])
    np.testing.assert_allclose(found.f1, [12 / (12 + wrong), (12 - 2 * wrong) / (12 - wrong), 1])
    assert found.balanced == pytest.approx((3 - wrong / 6) / 3)
    assert found.loss == pytest.approx(-((18 - wrong) * np.log(0.8) + wrong * np.log(0.1)) / 18, rel=1e-5)
    assert found.speed_ms["inference"] == pytest.approx(2.0)


def test_files(root, metrics):
    found, folder = metrics
    written = json.loads((folder / "metrics.json").read_text())
    assert written == found.to_dict()
    assert written["top1"] == round(found.top1, 5)
    assert [row["name"] for row in written["per_class"]] == ["red", "green", "blue"]
    assert written["settings"]["split"] == "val"
    for name in ("confusion_matrix.png", "val_batch0.jpg", "mistakes.jpg"):
        assert (folder / name).stat().st_size > 1000


def test_batches_are_as_large_as_the_runtime_takes(root):
    classifier = ByColor()
    validate_classifier(classifier, root, ClassifierValOptions("test", batch_size=64))
    assert classifier.sizes == [4, 2]


def test_a_image_that_breaks_in_decoding_is_left_out_and_named(root, tmp_path):
    class_folders(tmp_path, val=2)
    path = tmp_path / "val/red/0.png"
    data = bytearray(path.read_bytes())
    data[60:200] = bytes(140)  # the header is whole
    path.write_bytes(data)
    found = validate_classifier(ByColor(), tmp_path, ClassifierValOptions(plots=False))
    assert found.images.sum() == 5
    assert any("0.png" in problem for problem in found.problems)


def test_a_class_without_images_has_no_figures(root, tmp_path):
    found = validate_classifier(ByColor(("red", "green", "blue", "yellow")), root)
    assert np.isnan(found.recall[3])
    assert found.to_dict()["per_class"][3]["recall"] is None
    assert found.balanced == pytest.approx(np.mean(found.recall[:3]))
    assert any("no image of `yellow`" in problem for problem in found.problems)


def test_top_k_of_many_classes():
    probabilities = np.random.default_rng(0).random((50, 10))
    truth = np.arange(50) % 10
    rank = (probabilities > np.take_along_axis(probabilities, truth[:, None], 1)).sum(1)
    for k in (1, 2, 5, 10):
        np.testing.assert_array_equal(top_k(probabilities, truth, k), rank < k)


def test_top_k_of_equals_counts_the_first_only():
    assert top_k(np.ones((2, 3)), np.array([0, 1]), 1).tolist() == [True, False]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_top_k_of_scores_that_are_not_finite_is_false(value):
    scores = np.float32([[value] * 3, [1, value, 0], [1, 0, 0]])
    assert top_k(scores, np.array([0, 0, 0]), 3).tolist() == [False, False, True]


def test_the_split_that_is_there_is_taken(tmp_path):
    assert default_split(read_folders(class_folders(tmp_path, test=1, train=1))) == "test"


def test_other_classes_are_refused(root):
    with pytest.raises(TfyoloError, match="is not a class of the model"):
        validate_classifier(ByColor(("red", "green", "pink")), root)


def test_images_that_do_not_decode_are_left_out_and_counted(tmp_path):
    root = class_folders(tmp_path, hw=(64, 64), val=2)
    path = root / "val/green/1.png"
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 40] = bytes(40)
    path.write_bytes(data)
    found = validate_classifier(ByColor(), root)
    assert (found.scan.corrupt, len(found.scan.samples)) == (1, 5)
    assert found.to_dict()["images"] == {"used": 5, "corrupt": 1}
    (problem,) = found.problems
    assert "1.png: cannot be decoded" in problem


def test_imagenets_folders_are_said_to_be_taken_in_order(tmp_path):
    root = class_folders(tmp_path, val=1)
    for number, name in enumerate(("blue", "green", "red")):
        (root / "val" / name).rename(root / "val" / f"n0144076{number}")
    found = validate_classifier(ByColor(("a", "b", "c")), root)
    assert found.problems == (
        "folders are taken for the model's classes in sorted order: "
        "n01440760 = a, n01440761 = b, n01440762 = c",
    )
