"""The exported graph against the NumPy implementation of the same formulas."""

import numpy as np
import pytest
import tensorflow as tf
from tfyolo.export.graph import Cells, ClassGrid, DetectionModule
from tfyolo.export.nms import NmsSettings, to_corners

from tfyolo.inference.decode import decode
from tfyolo.inference.nms import NmsOptions, non_max_suppression
from tfyolo.inference.runtimes.base import from_signature
from tfyolo.models import Contract, load_spec

IMAGE_HW = (64, 96)


def contract(classes: int) -> Contract:
    return Contract.of(load_spec("yolov5n", classes=classes))


def random_heads(classes: int, seed: int) -> list[np.ndarray]:
    """Raw heads of 64 x 96 pixels with a few dozen confident cells."""
    random = np.random.default_rng(seed)
    heads = []
    for stride in (8, 16, 32):
        shape = (1, IMAGE_HW[0] // stride, IMAGE_HW[1] // stride, 3, 5 + classes)
        head = random.normal(0, 2, shape).astype(np.float32)
        head[..., 4] = random.normal(-2, 3, shape[:-1])
        heads.append(head.reshape(*shape[:3], -1))
    return heads


def test_cells_decode_as_numpy_does():
    heads = random_heads(4, seed=0)
    info = contract(4)
    cells = Cells(info, IMAGE_HW)
    raw = np.concatenate([head.reshape(-1, 9) for head in heads])
    boxes, scores = cells.decode(tf.constant(raw), tf.constant(cells.table))
    expected = decode([head[0] for head in heads], info.anchors_px, info.strides)
    corners = to_corners(boxes).numpy()[:, [1, 0, 3, 2]] * np.float32([96, 64, 96, 64])
    np.testing.assert_allclose(corners, expected.boxes_xyxy_px, atol=1e-3)
    np.testing.assert_allclose(scores, expected.scores, atol=1e-6)


@pytest.mark.parametrize("classes", [1, 2, 4, 5, 80, 91, 1000])
def test_class_grid_returns_every_class(classes):
    grid = ClassGrid(classes, largest=2.3)
    indices = np.arange(classes, dtype=np.float32)
    shift = grid.shift(tf.constant(indices)).numpy()
    for centre in (-0.1, 0.0, 0.5, 1.0, 1.1):
        for size in (0.0, 2.3):
            low, high = centre + shift - size / 2, centre + shift + size / 2
            corners = tf.constant(np.concatenate([low, high], 1))
            np.testing.assert_array_equal(grid.locate(corners), indices)


def test_class_grid_keeps_neighbours_apart():
    grid = ClassGrid(9, largest=2.3)
    shift = grid.shift(tf.range(9, dtype=tf.float32)).numpy()
    distance = np.abs(shift[:, None] - shift[None]).max(-1)
    # Two of the largest boxes, one at either end of the image, must not touch.
    assert distance[~np.eye(9, dtype=bool)].min() > 2.3 + 1.2


@pytest.mark.parametrize("nms", ["combined", "postprocess"])
@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("classes", [1, 4, 80])
def test_suppression_equals_numpy(nms, multi_label, classes):
    heads = random_heads(classes, seed=classes)
    info = contract(classes)
    settings = NmsSettings(0.3, 0.45, max_detections=50, candidates=300, multi_label=multi_label)
    module = DetectionModule(lambda _: [tf.constant(h) for h in heads], info, IMAGE_HW, nms, settings)
    outputs = {name: value.numpy() for name, value in module.detect(tf.zeros((1, *IMAGE_HW, 3))).items()}
    found = from_signature(outputs, IMAGE_HW)
    candidates = decode([head[0] for head in heads], info.anchors_px, info.strides)
    options = NmsOptions(0.3, 0.45, multi_label=multi_label, max_detections=50)
    expected = non_max_suppression(candidates, options)
    assert len(expected) > 5
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    np.testing.assert_array_equal(found.classes, expected.classes)
    np.testing.assert_allclose(found.boxes_xyxy_px, expected.boxes_xyxy_px, atol=2e-2)


def test_rows_past_the_count_are_zero():
    heads = [np.full((1, 64 // s, 96 // s, 27), -20, np.float32) for s in (8, 16, 32)]
    heads[0][0, 2, 3, :9] = [0, 0, 0, 0, 8, -8, 8, -8, -8]
    module = DetectionModule(
        lambda _: [tf.constant(h) for h in heads],
        contract(4),
        IMAGE_HW,
        "combined",
        NmsSettings(max_detections=5),
    )
    out = {name: value.numpy() for name, value in module.detect(tf.zeros((1, *IMAGE_HW, 3))).items()}
    assert out["num_detections"].tolist() == [1]
    assert out["detection_classes"].tolist() == [[1, 0, 0, 0, 0]]
    assert not out["detection_boxes"][0, 1:].any()
    assert not out["detection_scores"][0, 1:].any()


def test_fewer_candidates_keep_the_best():
    heads = random_heads(4, seed=3)
    few = NmsSettings(0.01, 0.45, max_detections=10, candidates=40)
    all_of_them = NmsSettings(0.01, 0.45, max_detections=10, candidates=10_000)
    scores = [
        DetectionModule(
            lambda _: [tf.constant(h) for h in heads], contract(4), IMAGE_HW, "combined", settings
        )
        .detect(tf.zeros((1, *IMAGE_HW, 3)))["detection_scores"]
        .numpy()[0]
        for settings in (few, all_of_them)
    ]
    np.testing.assert_allclose(scores[0][:5], scores[1][:5], atol=1e-6)
