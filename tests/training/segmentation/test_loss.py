"""The segmentation loss against arrays computed with PyTorch YOLOv5, values and gradients."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tests.shared import SHARED, needs_shared
from tests.training.test_loss import padded
from tfyolo.models import load_spec
from tfyolo.training.detection.loss import LossOptions
from tfyolo.training.segmentation.loss import SegmentationLoss

REFERENCE = SHARED / "reference"
CASES = ("overlap", "separate", "empty", "nc1")
SPEC = load_spec("yolov5n-seg")
ROWS = 16


def separate(masks, targets):
    """Masks (n, height, width) in the order of the targets as (batch, ROWS, height, width)."""
    found = np.zeros((2, ROWS, *masks.shape[1:]), np.float32)
    for image in range(2):
        own = masks[targets[:, 0] == image]
        found[image, : len(own)] = own
    return found


def reference(case):
    with np.load(REFERENCE / f"segment_loss_{case}.npz") as arrays:
        ref = dict(arrays)
    hyp = json.loads((REFERENCE / "segment_loss_hyp.json").read_text())[case]
    fields = LossOptions.__dataclass_fields__
    settings = LossOptions(**{name: hyp[name] for name in fields if name in hyp})
    heads = [ref[f"p{i}"].transpose(0, 2, 3, 1, 4) for i in (3, 4, 5)]
    classes = heads[0].shape[-1] - 5 - 32
    heads = [tf.constant(head.reshape(*head.shape[:3], -1)) for head in heads]
    prototypes = tf.constant(ref["proto_nchw"].transpose(0, 2, 3, 1))
    loss = SegmentationLoss(SPEC.anchors_px, SPEC.strides, classes, 32, settings)
    labels = padded(ref["targets"], rows=ROWS)
    masks = separate(ref["masks"], ref["targets"]) if case == "separate" else ref["masks"]
    return ref, loss, heads, prototypes, labels, masks


@needs_shared
@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_match_pytorch(case):
    ref, loss, heads, prototypes, labels, masks = reference(case)

    @tf.function
    def run(heads, prototypes):
        with tf.GradientTape() as tape:
            tape.watch([heads, prototypes])
            losses = loss(heads, prototypes, labels, tf.constant(masks))
        return losses, tape.gradient(losses.total, [heads, prototypes])

    losses, (slopes, prototype_slope) = run(heads, prototypes)
    np.testing.assert_allclose(losses.total, ref["total"][0], rtol=1e-5)
    found = [losses.box, losses.seg, losses.obj, losses.cls]
    np.testing.assert_allclose(found, ref["items_box_seg_obj_cls"], rtol=1e-5, atol=1e-8)
    expected = ref["g_proto"].transpose(0, 2, 3, 1)
    if prototype_slope is None:
        prototype_slope = np.zeros_like(expected)
    close(prototype_slope, expected)
    for slope, name in zip(slopes, ("g3", "g4", "g5"), strict=True):
        close(slope, ref[name].transpose(0, 2, 3, 1, 4).reshape(slope.shape))


def close(found, expected):
    """Within 1e-5 of the largest gradient, and element by element within what float32 sums differ by."""
    scale = np.abs(expected).max() or 1.0
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * scale)
    difference = np.linalg.norm(np.asarray(found) - expected)
    assert difference <= 1e-5 * (np.linalg.norm(expected) or 1.0)


@needs_shared
def test_padding_and_the_form_of_masks_change_nothing():
    """An index mask and one mask per label are the same where objects do not overlap."""
    ref, loss, heads, prototypes, labels, masks = reference("overlap")
    wide = np.full((2, 40, 5), -1, np.float32)
    wide[:, :ROWS] = labels
    expected = loss(heads, prototypes, labels, tf.constant(masks))
    found = loss(heads, prototypes, wide, tf.constant(masks))
    np.testing.assert_allclose(found.seg, expected.seg, rtol=1e-6)
    each = np.stack([masks == number for number in range(1, ROWS + 1)], 1).astype(np.float32)
    found = loss(heads, prototypes, labels, tf.constant(each))
    np.testing.assert_allclose(found.seg, expected.seg, rtol=1e-6)
    assert float(ref["items_box_seg_obj_cls"][1]) == pytest.approx(float(expected.seg), rel=1e-5)


@needs_shared
def test_half_precision_heads_give_finite_losses():
    _, loss, heads, prototypes, labels, masks = reference("overlap")
    half = [tf.cast(head, tf.float16) for head in heads]
    found = loss(half, tf.cast(prototypes, tf.float16), labels, tf.constant(masks))
    expected = loss(heads, prototypes, labels, tf.constant(masks))
    np.testing.assert_allclose(found.total, expected.total, rtol=1e-2)
