"""Checkpoints of every release as Keras models: PyTorch's outputs, and sentences for what is no detector."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from tests.shared import SHARED, needs_shared
from tfyolo.errors import TfyoloError
from tfyolo.export.runtime.decode import decode
from tfyolo.models import load_spec
from tfyolo.weights.checkpoint import checkpoint_contract, load_checkpoint
from tfyolo.weights.modules import Module
from tfyolo.weights.torch_file import TorchCheckpoint, read_checkpoint

ARCH = SHARED / "reference" / "arch"
NAMES = [
    "yolov5n-v7.0",
    "yolov5n6-v7.0",
    "yolov5-p2-v7.0",
    "yolov5s-ghost-v7.0",
    "yolov5s-transformer-v7.0",
    "yolov5s-LeakyReLU-v7.0",
    "yolov3-spp-v7.0",
    "yolov3-tiny-v7.0",
    "yolov5s-v1.0",
    "yolov5s-v2.0",
    "yolov5s-v5.0",
    "yolov5s-v6.0",
]
SEGMENTER = "yolov5n-seg-v7.0"
pytestmark = needs_shared


@cache
def computed(name: str):
    """Raw heads of a reference network on its stored images, its contract and the stored outputs."""
    with np.load(ARCH / f"{name}.npz") as stored:
        reference = dict(stored)
    model, contract = load_checkpoint(ARCH / f"{name}.pt")
    heads = model(reference["images_nchw"].transpose(0, 2, 3, 1))
    return [np.asarray(head) for head in heads], contract, reference


def test_every_reference_is_named():
    assert set(NAMES) == {p.stem for p in ARCH.glob("*.pt")} - {"yolov5n-cls-v7.0", SEGMENTER}


@pytest.mark.parametrize("name", NAMES)
def test_raw_heads_are_pytorchs(name):
    heads, _, reference = computed(name)
    for i, head in enumerate(heads):
        expected = reference[f"out{i + 1}"].transpose(0, 2, 3, 1, 4)  # batch, height, width, anchor, values
        np.testing.assert_allclose(head.reshape(expected.shape), expected, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_decoded_boxes_are_pytorchs(name):
    heads, contract, reference = computed(name)
    found = decode([head[0] for head in heads], contract.anchors_px, contract.strides).boxes_xyxy_px
    expected = expected_rows(heads, reference)[:, :4]
    xywh = np.concatenate([(found[:, :2] + found[:, 2:]) / 2, found[:, 2:] - found[:, :2]], 1)
    np.testing.assert_allclose(xywh, expected, atol=2e-3)


@pytest.mark.parametrize("name", NAMES)
def test_decoded_scores_are_pytorchs(name):
    heads, contract, reference = computed(name)
    found = decode([head[0] for head in heads], contract.anchors_px, contract.strides).scores
    expected = expected_rows(heads, reference)
    np.testing.assert_allclose(found, expected[:, 4:5] * expected[:, 5:], atol=1e-6)


def expected_rows(heads, reference) -> np.ndarray:
    """`out0`, (anchor, y, x) within a scale, as `decode` orders it: (y, x, anchor)."""
    rows, start = [], 0
    for head in heads:
        height, width = head.shape[1:3]
        part = reference["out0"][0, start : start + 3 * height * width]
        rows.append(part.reshape(3, height, width, 9).transpose(1, 2, 0, 3).reshape(-1, 9))
        start += len(part)
    return np.concatenate(rows)


@pytest.mark.parametrize("scale", [0, 1, 2])
def test_official_weights_compute_what_pytorch_does(nano, scale):
    with np.load(SHARED / "reference" / "yolov5n_bus320.npz") as stored:
        images = stored["image_rgb_uint8"][None].astype(np.float32) / 255
        expected = stored[f"raw_p{scale + 3}"]
    head = np.asarray(nano.model(images)[scale])[0]
    by_anchor = head.reshape(*head.shape[:2], 3, 85)
    np.testing.assert_allclose(by_anchor.transpose(2, 0, 1, 3), expected, atol=1e-4)


def test_segmentation_model_gives_pytorchs_heads_and_prototypes():
    *heads, prototypes = computed(SEGMENTER)[0]
    _, contract, reference = computed(SEGMENTER)
    assert (contract.task, contract.num_coefficients, contract.strides) == ("segment", 32, (8, 16, 32))
    np.testing.assert_allclose(prototypes, reference["out1"].transpose(0, 2, 3, 1), atol=1e-5)
    for i, head in enumerate(heads):
        expected = reference[f"out{i + 2}"].transpose(0, 2, 3, 1, 4)
        np.testing.assert_allclose(head.reshape(expected.shape), expected, atol=1e-5)


def test_classifier_gives_pytorchs_logits():
    model, contract = load_checkpoint(ARCH / "yolov5n-cls-v7.0.pt")
    assert (contract.task, contract.anchors_px, contract.strides) == ("classify", (), (32,))
    mean, deviation = contract.spec.normalization
    with np.load(ARCH / "yolov5n-cls-v7.0.npz") as stored:
        # PyTorch was given images as they are; the network here normalizes them itself.
        images = stored["images_nchw"].transpose(0, 2, 3, 1) * deviation + mean
        np.testing.assert_allclose(model(images.astype(np.float32)), stored["out0"], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("yolov5s-v1.0", "activation", "leaky_relu"),
        ("yolov5s-v1.0", "bn_epsilon", 1e-4),
        ("yolov5s-v2.0", "csp_activation", "leaky_relu"),
        ("yolov5n-v7.0", "activation", "silu"),
        ("yolov5s-v1.0", "strides", (32, 16, 8)),
        ("yolov5n6-v7.0", "strides", (8, 16, 32, 64)),
        ("yolov5n-v7.0", "num_classes", 4),
    ],
)
def test_configuration(name, field, value):
    assert getattr(checkpoint_contract(read_checkpoint(ARCH / f"{name}.pt")).spec, field) == value


def test_official_anchors():
    contract = checkpoint_contract(read_checkpoint(SHARED / "weights" / "yolov5n.pt"))
    assert contract.anchors_px == load_spec("yolov5n").anchors


def test_official_names():
    contract = checkpoint_contract(read_checkpoint(SHARED / "weights" / "yolov5n.pt"))
    assert (len(contract.names), contract.names[0], contract.names[79]) == (80, "person", "toothbrush")


@pytest.fixture
def checkpoint() -> TorchCheckpoint:
    return read_checkpoint(ARCH / "yolov5n-v7.0.pt")


def detect(checkpoint: TorchCheckpoint) -> Module:
    return list(checkpoint.model.children["model"].children.values())[-1]


def first_activation(checkpoint: TorchCheckpoint) -> Module:
    return checkpoint.model.children["model"].children["0"].children["act"]


def set_attribute(name, value):
    return lambda checkpoint: checkpoint.model.attributes.update({name: value})


def set_in_config(name, value):
    return lambda checkpoint: checkpoint.model.attributes["yaml"].update({name: value})


def set_stride(value):
    return lambda checkpoint: detect(checkpoint).attributes.update(stride=value)


def set_activation(name, **attributes):
    def change(checkpoint):
        act = first_activation(checkpoint)
        act.class_name = name
        act.attributes.update(attributes)

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (set_attribute("yaml", None), "contains no configuration"),
        (set_attribute("yaml", "text"), "contains no configuration"),
        (set_attribute("names", ["a"]), "1 class names, but"),
        (set_attribute("names", {0: "a", "x": "b"}), "1 class names, but"),
        (set_stride(None), "the head's stride are not numbers"),
        (set_stride("abc"), "the head's stride are not numbers"),
        (set_stride(np.array([8.0, np.nan, 32.0])), "the head's stride are not numbers"),
        (set_stride(np.array([8.0, 16.0])), "2 strides"),
        (set_stride(np.array([4.0, 16.0, 32.0])), "strides are"),
        (set_in_config("backbone", 5), "its configuration: `backbone` must be a list"),
        (set_in_config("nc", "many"), "its configuration: `classes`: input should be"),
        (set_in_config("head", [[-1, 1, "models.evil.Block", [1]]]), "unknown block"),
        (set_activation("torch.nn.modules.activation.GELU"), "unknown activation `GELU`"),
        (set_activation("torch.nn.modules.activation.LeakyReLU", negative_slope=0.2), "only LeakyReLU(0.1)"),
    ],
)
def test_what_does_not_fit_is_named(checkpoint, change, words):
    change(checkpoint)
    with pytest.raises(TfyoloError) as caught:
        checkpoint_contract(checkpoint)
    assert caught.value.path == checkpoint.path
    assert words in caught.value.message


@pytest.mark.parametrize("names", [None, 5, [], {}])
def test_names_that_are_missing_are_counted(checkpoint, names):
    checkpoint.model.attributes["names"] = names
    assert checkpoint_contract(checkpoint).names == ("class0", "class1", "class2", "class3")


def test_names_by_index(checkpoint):
    checkpoint.model.attributes["names"] = {3: "d", 2: "c", 1: "b", 0: "a"}
    assert checkpoint_contract(checkpoint).names == ("a", "b", "c", "d")
