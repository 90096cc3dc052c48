"""What a network begins with: layers by name, classes of the head by theirs."""

from pathlib import Path

import keras
import numpy as np
import pytest

from tfyolo.inference.load import create_predictor
from tfyolo.training.classification import initialization as classification
from tfyolo.training.detection import initialization as detection

TESTS = Path(__file__).parents[1]
KINDS = {
    "detect": (str(TESTS / "tiny.yaml"), "model.12.m.0", 3, 5),
    "classify": (str(TESTS / "tiny-cls.yaml"), "linear", 1, 0),
}
"""Configuration, what the head layer's name contains, anchors, values before the classes."""
OLD = ("ant", "bee", "cat")


@pytest.fixture(scope="module", params=KINDS)
def begun(request, tmp_path_factory):
    """A function from class names to the head before and after transfer, (anchors, values, inputs) each."""
    config, head, anchors, before = KINDS[request.param]
    keras.utils.set_random_seed(0)
    source = create_predictor(config, names=OLD)
    path = str(source.save(tmp_path_factory.mktemp("old") / "old.keras"))

    def rows(model):
        layer = next(layer for layer in model.layers if head in layer.name)
        kernel, bias = layer.get_weights()
        kernel = kernel.reshape(-1, anchors, kernel.shape[-1] // anchors)
        return np.concatenate([kernel, bias.reshape(1, anchors, -1)]).transpose(1, 2, 0)

    def begin(names):
        if request.param == "detect":
            start = detection.plan_initial_weights(path, "", names, 64)
            model = detection.build_training_model(start, 64)
        else:
            start = classification.plan_initial_weights("", path, names, 32)
            model = classification.build_training_model(start, 32)
        np.testing.assert_array_equal(rows(model.network), rows(model.averaged))
        return start, rows(source.model), rows(model.network), before

    return begin


@pytest.mark.parametrize(
    ("names", "origins", "said"),
    [
        (OLD, [0, 1, 2], ""),
        (("cat", "ant", "bee"), [2, 0, 1], "classes copied by name, in the dataset's order"),
        (("cat", "dog", "ant"), [2, None, 0], "2 of 3 classes copied by name; new: dog"),
        (("bee",), [1], "classes copied by name"),
        (("elk", "cat", "Bee", "ant", "fly"), [None, 2, 1, 0, None], "3 of 5 classes copied by name"),
        (
            ("x", "y", "z"),
            [None, None, None],
            "the weights have none of the classes (they have ant, bee, cat)",
        ),
        (("class0", "class1", "class2"), [0, 1, 2], "classes copied in order, since one side has no names"),
    ],
)
def test_each_class_begins_with_the_one_of_its_name(begun, names, origins, said):
    start, old, new, before = begun(names)
    assert said in start.describe()
    for index, origin in enumerate(origins):
        row = new[:, before + index]
        if origin is None:
            assert not any(np.array_equal(row, old[:, before + other]) for other in range(len(OLD)))
        else:
            np.testing.assert_array_equal(row, old[:, before + origin])
    np.testing.assert_array_equal(new[:, :before], old[:, :before])
    assert (start.num_copied == start.num_arrays) == (None not in origins)


def test_a_head_that_shares_no_class_and_has_another_number_begins_anew(begun):
    start, old, new, before = begun(("x", "y"))
    assert start.num_arrays - start.num_copied == (6 if before else 2)
    assert not np.array_equal(new[:, : before + 1], old[:, : before + 1])
