"""What a model file says about itself."""

from __future__ import annotations

import json

import pytest

from tfyolo.errors import TfyoloError
from tfyolo.models import Contract, load_spec
from tfyolo.version import __version__

NAMES = ("cat", "dog")


@pytest.fixture
def contract() -> Contract:
    return Contract.of(load_spec("yolov5n", num_classes=2), NAMES, (320, 416))


def altered(contract: Contract, **changes) -> str:
    return json.dumps({**json.loads(contract.to_json()), **changes})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("task", "detect"),
        ("names", NAMES),
        ("strides", (8, 16, 32)),
        ("image_size", (320, 416)),
        ("version", __version__),
        ("export", {}),
    ],
)
def test_fields_survive(contract, field, value):
    assert getattr(Contract.from_json(contract.to_json()), field) == value


def test_anchors_survive(contract):
    assert Contract.from_json(contract.to_json()).anchors_px == load_spec("yolov5n").anchors


def test_names_and_size_by_default():
    contract = Contract.of(load_spec("yolov5n", num_classes=2, image_size=64))
    assert (contract.names, contract.image_size) == (("class0", "class1"), (64, 64))


def test_the_configuration_has_the_size_of_the_model(contract):
    """One number there, the longer side; after another size was chosen, too."""
    assert contract.config["image_size"] == 416
    small = Contract.from_json(contract.resized((64, 96)).to_json())
    assert (small.image_size, small.config["image_size"], small.spec.image_size) == ((64, 96), 96, 96)


@pytest.mark.parametrize(
    ("image_size", "fix"),
    [
        ((333, 333), "320"),
        ((320, 333), "320"),
        ((320, 340), "320 352"),
        ((340, 320), "352 320"),
        ((5, 640), "32 640"),
        ((0, 0), "32"),
    ],
)
def test_the_nearest_size_is_named(contract, image_size, fix):
    with pytest.raises(TfyoloError, match=rf"not a multiple of the stride 32\n.*use --img {fix}$"):
        contract.check_size(image_size)


def test_wrong_number_of_names():
    with pytest.raises(TfyoloError, match="1 class names, but model yolov5n has 2 classes"):
        Contract.of(load_spec("yolov5n", num_classes=2), ["cat"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"names": []}, "names"),
        ({"names": "cat"}, "names"),
        ({"anchors_px": [[1, 2]]}, "differ in length"),
        ({"anchors_px": [[1], [1], [1]]}, "width, height pairs"),
        ({"anchors_px": None}, "anchors_px"),
        ({"strides": [0, 16, 32]}, r"strides\.0"),
        ({"image_size": [640, 10**9]}, r"image_size\.1"),
        ({"image_size": 640}, "image_size"),
        ({"config": []}, "config"),
    ],
)
def test_wrong_fields_are_named(contract, changes, words):
    with pytest.raises(TfyoloError, match=words) as caught:
        Contract.from_json(altered(contract, **changes), "a.keras")
    assert str(caught.value).startswith("a.keras: its tfyolo.json is invalid")


def test_a_segmentation_model():
    contract = Contract.of(load_spec("yolov5n-seg", num_classes=2), NAMES)
    assert (contract.task, contract.num_coefficients, contract.prototype_stride) == ("segment", 32, 4)
    assert contract.parts == {"box": 4, "objectness": 1, "classes": 2, "coefficients": 32}
    assert Contract.from_json(contract.to_json()) == contract
    with pytest.raises(TfyoloError, match="31 mask coefficients, but the configuration has 32"):
        _ = Contract.from_json(altered(contract, num_coefficients=31)).spec
    for task in ("detect", "segment"):
        with pytest.raises(TfyoloError, match=f"num_coefficients does not fit the task {task}"):
            Contract.from_json(
                altered(contract, task=task, num_coefficients=None if task == "segment" else 32)
            )


def test_a_detector_names_no_coefficients(contract):
    assert "num_coefficients" not in json.loads(contract.to_json())


@pytest.mark.parametrize("text", ["", "[1]", "{", b"\xff", "[" * 100_000, "3" * 10_000])
def test_what_is_no_json(text):
    with pytest.raises(TfyoloError, match=r"its tfyolo\.json is invalid"):
        Contract.from_json(text)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"names": ["cat"]}, "1 names and strides"),
        ({"strides": [4, 16, 32]}, r"strides \(4, 16, 32\)"),
        ({"anchors_px": [[1, 2]] * 3}, "3 anchors per scale"),
        ({"config": {}}, "the last layer must be Detect"),
        ({"config": {"backbone": [[-1, 1, "os.system", ["x"]]]}}, "unknown block `os.system`"),
    ],
)
def test_a_configuration_that_belongs_to_another_model(contract, changes, words):
    found = Contract.from_json(altered(contract, **changes))
    with pytest.raises(TfyoloError, match=words):
        _ = found.spec


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("image_size",), [65_536, 65_536]),
        (("image_size",), [0, 64]),
        (("strides",), [8, 16, 10**9]),
        (("names",), ["x" * 10_000]),
        (("names",), [f"class{i}" for i in range(40_000)]),
        (("anchors_px",), [[float("nan"), 1.0]] * 3),
        (("anchors_px",), [[-1.0, 1.0]] * 3),
        (("anchors_px",), [[1.0, 1.0]] * 100),
        (("version",), "9" * 1000),
        (("export",), {"max_det": "many"}),
        (("export",), {"max_det": 2**60}),
        (("export",), {"conf_thres": float("nan")}),
        (("export",), {"iou_thres": 7}),
        (("export",), {"outputs": 3}),
        (("export",), {"outputs": {"boxes": ["x"]}}),
        (("export",), {"outputs": ["x" * 10_000]}),
        (("export",), {"operators": {"Conv": -1}}),
        (("export",), {"precision": ["int8"]}),
        (("export",), {"compiled": "perhaps"}),
    ],
)
def test_hostile_values_are_refused_by_name(contract, path, value):
    values = json.loads(contract.to_json())
    values[path[0]] = value
    with pytest.raises(TfyoloError, match=rf"its tfyolo\.json is invalid: {path[0]}"):
        Contract.from_json(json.dumps(values))
