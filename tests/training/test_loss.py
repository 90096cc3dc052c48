"""The loss against arrays computed with PyTorch YOLOv5, and where arrays do not reach."""

import json

import numpy as np
import pytest
import tensorflow as tf

from tests.shared import SHARED, needs_shared
from tfyolo.models import load_spec
from tfyolo.training.detection.label_assignment import assign_labels
from tfyolo.training.detection.loss import DetectionLoss, LossOptions, ciou

REFERENCE = SHARED / "reference"
CASES = ("default", "focal", "smoothing_posweight", "empty", "nc1")
SPEC = load_spec("yolov5n")


def padded(targets, batch=2, rows=32):
    labels = np.zeros((batch, rows, 5), np.float32)
    labels[..., 0] = -1
    for image in range(batch):
        own = targets[targets[:, 0] == image][:, 1:]
        labels[image, : len(own)] = own
    return labels


def reference(case):
    with np.load(REFERENCE / f"loss_{case}.npz") as arrays:
        ref = dict(arrays)
    hyp = json.loads((REFERENCE / "loss_hyp.json").read_text())[case]
    fields = LossOptions.__dataclass_fields__
    settings = LossOptions(**{name: hyp[name] for name in fields if name in hyp})
    heads = [ref[f"p{i}"].transpose(0, 2, 3, 1, 4) for i in (3, 4, 5)]
    classes = heads[0].shape[-1] - 5
    heads = [tf.constant(head.reshape(*head.shape[:3], -1)) for head in heads]
    return ref, heads, DetectionLoss(SPEC.anchors_px, SPEC.strides, classes, settings)


def gradients(loss, heads, labels, **options):
    @tf.function(**options)
    def run(heads, labels):
        with tf.GradientTape() as tape:
            tape.watch(heads)
            losses = loss(heads, labels)
        return losses, tape.gradient(losses.total, heads)

    return run(heads, tf.constant(labels))


@needs_shared
@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_match_pytorch(case):
    ref, heads, loss = reference(case)
    losses, slopes = gradients(loss, heads, padded(ref["targets"]))
    np.testing.assert_allclose(losses.total, ref["total"][0], rtol=1e-5)
    np.testing.assert_allclose([losses.box, losses.obj, losses.cls], ref["items"], rtol=1e-5, atol=1e-8)
    for slope, name in zip(slopes, ("g3", "g4", "g5"), strict=True):
        expected = ref[name].transpose(0, 2, 3, 1, 4).reshape(slope.shape)
        np.testing.assert_allclose(slope, expected, rtol=1e-4, atol=2e-8)


@needs_shared
def test_compiles_as_one_xla_graph_with_equal_values():
    ref, heads, loss = reference("default")
    losses, _ = gradients(loss, heads, padded(ref["targets"]), jit_compile=True)
    np.testing.assert_allclose(losses.total, ref["total"][0], rtol=1e-5)


@needs_shared
@pytest.mark.parametrize("rows", [24, 200])
def test_padding_changes_nothing(rows):
    ref, heads, loss = reference("default")
    losses = loss(heads, padded(ref["targets"], rows=rows))
    np.testing.assert_allclose(losses.total, ref["total"][0], rtol=1e-5)


@needs_shared
@pytest.mark.parametrize("scale", [0, 1, 2])
def test_assignment_matches_pytorch(scale):
    ref, heads, loss = reference("default")
    grid = heads[scale].shape[1:3]
    anchors = loss.anchors_wh_cells[scale]
    found = assign_labels(tf.constant(padded(ref["targets"])), grid, anchors, 4.0)
    valid = found.valid.numpy()
    b, a, gj, gi = (ref[f"{name}{scale}"].astype(int) for name in ("b", "a", "gj", "gi"))
    expected = ((b * grid[0] + gj) * grid[1] + gi) * 3 + a
    rows = np.column_stack([found.cells.numpy(), found.classes.numpy(), found.boxes_xywh_cells.numpy()])[
        valid
    ]
    wanted = np.column_stack([expected, ref[f"tcls{scale}"], ref[f"tbox{scale}"]])
    order, wanted_order = np.lexsort(rows.T[::-1].round(4)), np.lexsort(wanted.T[::-1].round(4))
    np.testing.assert_allclose(rows[order], wanted[wanted_order], atol=1e-4)


def small_heads(dtype=tf.float32):
    random = np.random.default_rng(0)
    return [tf.constant(random.normal(0, 2, (2, s, s, 24)), dtype) for s in (8, 4, 2)]


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16, tf.float16])
def test_zero_areas_and_low_precision_stay_finite(dtype):
    labels = padded(np.array([[0, 1, 0.5, 0.5, 0, 0], [0, 1, 1, 1, 0.2, 0], [1, 0, 0.3, 0.3, 0.4, 0.5]]))
    loss = DetectionLoss(SPEC.anchors_px, SPEC.strides, 3)
    losses, slopes = gradients(loss, small_heads(dtype), labels)
    assert np.isfinite(losses.total)
    assert all(np.isfinite(tf.cast(slope, tf.float32)).all() for slope in slopes)


def test_zero_area_box_is_not_matched():
    found = assign_labels(tf.constant([[[0, 0.5, 0.5, 0.0, 0.5]]]), (4, 4), tf.constant([[1.0, 1.0]]), 4.0)
    assert not found.valid.numpy().any()


def test_labels_on_the_far_border_stay_in_the_grid():
    labels = tf.constant([[[0, 1.0, 1.0, 0.25, 0.25]]])
    found = assign_labels(labels, (4, 4), tf.constant([[1.0, 1.0]]), 4.0)
    assert found.cells.numpy()[found.valid].max() == 15


@pytest.mark.parametrize(
    ("center", "cells"),
    [
        (0.5, {(2, 2), (1, 2), (2, 1)}),
        (0.25, {(1, 1)}),
        (0.6, {(2, 2), (1, 2), (2, 1)}),
        (0.7, {(2, 2), (3, 2), (2, 3)}),
    ],
)
def test_the_center_on_a_grid_line_has_the_left_and_upper_neighbors(center, cells):
    found = assign_labels(
        tf.constant([[[0, center, center, 0.25, 0.25]]]), (4, 4), tf.constant([[1.0, 1.0]]), 4.0
    )
    numbers = found.cells.numpy()[found.valid]
    assert len(numbers) == len(cells)
    assert {divmod(int(number), 4) for number in numbers} == cells
    assert (found.boxes_xywh_cells.numpy()[found.valid][:, :2] >= -0.5).all()


@needs_shared
def test_ciou_matches_the_stored_vectors():
    with np.load(REFERENCE / "iou.npz") as arrays:
        pairs = dict(arrays)
    boxes = [value for value in pairs.values() if value.ndim == 2 and value.shape[1] == 4][:2]
    expected = next(value for name, value in pairs.items() if "ciou" in name.lower())
    np.testing.assert_allclose(ciou(*boxes), expected.ravel(), rtol=1e-4, atol=1e-5)


def test_gains_scale_with_classes_scales_and_size():
    scaled = LossOptions().scaled(classes=40, scales=4, image_size=320)
    assert scaled.box == pytest.approx(0.05 * 3 / 4)
    assert scaled.cls == pytest.approx(0.5 * 0.5 * 3 / 4)
    assert scaled.obj == pytest.approx(0.25 * 3 / 4)


def test_balance_follows_strides_not_places():
    loss = DetectionLoss(SPEC.anchors_px[::-1], SPEC.strides[::-1], 3)
    assert loss.balance == (0.4, 1.0, 4.0)
