"""The exported graph against the NumPy implementation of the same formulas."""

import numpy as np
import pytest
import tensorflow as tf

from tests.shared import SHARED, needs_shared
from tfyolo.export.graph.anchor_grid import AnchorGrid
from tfyolo.export.graph.boxes import Boxes, ClassGrid, to_corners
from tfyolo.export.graph.module import DetectionModule
from tfyolo.export.graph.nms import NMS
from tfyolo.export.graph.options import GraphNmsOptions
from tfyolo.export.runtime.base import from_signature
from tfyolo.export.runtime.decode import decode
from tfyolo.export.runtime.predictions import Candidates, Detections
from tfyolo.inference.nms import NmsOptions, non_max_suppression
from tfyolo.models import Contract, load_spec

IMAGE_HW = (64, 96)
KINDS = [kind for kind, suppress in NMS.items() if suppress]


def contract(classes: int) -> Contract:
    return Contract.of(load_spec("yolov5n", num_classes=classes), image_size=IMAGE_HW)


def random_heads(classes: int, seed: int) -> list[np.ndarray]:
    """Raw heads (1, height, width, 3, 5 + classes) of 64 x 96 pixels with a few dozen confident cells."""
    random = np.random.default_rng(seed)
    heads = []
    for stride in (8, 16, 32):
        shape = (1, IMAGE_HW[0] // stride, IMAGE_HW[1] // stride, 3, 5 + classes)
        head = random.normal(0, 2, shape).astype(np.float32)
        head[..., 4] = random.normal(-2, 3, shape[:-1])
        heads.append(head)
    return heads


def run(heads: list[np.ndarray], nms: str, settings: GraphNmsOptions) -> dict[str, np.ndarray]:
    """Outputs of the exported graph for these heads."""

    def flat(x):
        return tf.constant(x.reshape(*x.shape[:3], -1))

    parts = [
        tuple(flat(head[..., part]) for part in (slice(4), slice(4, 5), slice(5, None))) for head in heads
    ]
    module = DetectionModule(lambda _: parts, contract(heads[0].shape[-1] - 5), IMAGE_HW, nms, settings)
    return {name: x.numpy() for name, x in module.detect(tf.zeros((1, *IMAGE_HW, 3))).items()}


def candidates(heads: list[np.ndarray]) -> Candidates:
    info = contract(heads[0].shape[-1] - 5)
    return decode([head[0].reshape(*head.shape[1:3], -1) for head in heads], info.anchors_px, info.strides)


def assert_same(found: Detections, expected: Detections) -> None:
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    np.testing.assert_array_equal(found.class_ids, expected.class_ids)
    np.testing.assert_allclose(found.boxes_xyxy_px, expected.boxes_xyxy_px, atol=2e-2)


def test_cells_decode_as_numpy_does():
    heads = random_heads(4, seed=0)
    cells = AnchorGrid(contract(4), IMAGE_HW)
    box = np.concatenate([head.reshape(-1, 9)[:, :4] for head in heads])
    corners = to_corners(cells.decode(tf.constant(box), tf.constant(cells.table))).numpy()
    in_pixels = corners[:, [1, 0, 3, 2]] * np.float32([96, 64, 96, 64])
    np.testing.assert_allclose(in_pixels, candidates(heads).boxes_xyxy_px, atol=1e-3)


@pytest.mark.parametrize("kind", ["none", "raw"])
def test_without_suppression_all_boxes_come_out(kind):
    heads = random_heads(4, seed=0)
    found = from_signature(run(heads, kind, GraphNmsOptions()), contract(4), 0.0)
    expected = candidates(heads)
    np.testing.assert_allclose(found.boxes_xyxy_px, expected.boxes_xyxy_px, atol=1e-3)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)
    np.testing.assert_array_equal(found.strides, expected.strides)


@pytest.mark.parametrize("classes", [1, 2, 4, 5, 80, 91, 1000])
def test_class_grid_returns_every_class(classes):
    grid = ClassGrid(classes, max_size=2.3)
    indices = np.arange(classes, dtype=np.float32)
    shift = grid.shift(tf.constant(indices)).numpy()
    for center in (-0.1, 0.0, 0.5, 1.0, 1.1):
        for size in (0.0, 2.3):
            low, high = center + shift - size / 2, center + shift + size / 2
            corners = tf.constant(np.concatenate([low, high], 1))
            np.testing.assert_array_equal(grid.locate(corners), indices)


def test_class_grid_keeps_neighbors_apart():
    grid = ClassGrid(9, max_size=2.3)
    shift = grid.shift(tf.range(9, dtype=tf.float32)).numpy()
    distance = np.abs(shift[:, None] - shift[None]).max(-1)
    # Two of the largest boxes, one at either end of the image, must not touch.
    assert distance[~np.eye(9, dtype=bool)].min() > 2.3 + 1.2


@pytest.mark.parametrize("nms", KINDS)
@pytest.mark.parametrize("how", ["best class", "several classes", "agnostic"])
@pytest.mark.parametrize("classes", [1, 4, 80])
def test_suppression_equals_numpy(nms, how, classes):
    heads = random_heads(classes, seed=classes)
    flags = {"multi_label": how == "several classes", "agnostic": how == "agnostic"}
    settings = GraphNmsOptions(0.3, 0.45, max_detections=50, candidates=300, **flags)
    found = from_signature(run(heads, nms, settings), contract(classes), 0.0)
    expected = non_max_suppression(candidates(heads), NmsOptions(0.3, 0.45, max_detections=50, **flags))
    assert len(expected) > 5
    assert_same(found, expected)


@pytest.mark.parametrize("nms", KINDS)
def test_few_of_each_class(nms):
    heads = random_heads(4, seed=11)
    settings = GraphNmsOptions(0.2, 0.6, max_detections=8, candidates=300, per_class=3)
    found = from_signature(run(heads, nms, settings), contract(4), 0.0)
    every = non_max_suppression(candidates(heads), NmsOptions(0.2, 0.6))
    rank = [int((every.class_ids[:i] == c).sum()) for i, c in enumerate(every.class_ids)]
    expected = every[np.flatnonzero(np.array(rank) < 3)[:8]]
    assert np.bincount(every.class_ids).max() > 3
    assert_same(found, expected)


@needs_shared
@pytest.mark.parametrize("nms", KINDS)
@pytest.mark.parametrize("case", ["default", "agnostic", "multi_label", "max_det"])
def test_stored_vectors(nms, case):
    """Boxes that PyTorch's YOLOv5 keeps of 1,200 predictions, in its order."""
    ref = np.load(SHARED / "reference" / "nms.npz")
    pred = ref["pred"].astype(np.float32)
    scores = pred[:, 5:] * pred[:, 4:5]
    limit = 0.05 if case == "multi_label" else 0.25
    if case == "multi_label":
        row, label = np.nonzero(scores > limit)
    else:
        row, label = np.arange(len(scores)), scores.argmax(1)
    order = np.argsort(-scores[row, label], kind="stable")
    row, label = row[order], label[order]
    boxes = Boxes(
        tf.constant(pred[row][:, [1, 0, 3, 2]] / 640),
        tf.constant(scores[row, label]),
        tf.constant(label.astype(np.float32)),
    )
    rows = 17 if case == "max_det" else 300
    settings = GraphNmsOptions(limit, 0.45, rows, agnostic=case == "agnostic")
    kept = NMS[nms](boxes, rows, settings, ClassGrid(4, 2.0))
    wanted, count = ref[f"out_{case}"], int(kept.count)
    assert count == len(wanted)
    np.testing.assert_allclose(kept.scores[:count], wanted[:, 4], atol=1e-5)
    np.testing.assert_array_equal(kept.classes[:count], wanted[:, 5])
    np.testing.assert_allclose(kept.corners.numpy()[:count, [1, 0, 3, 2]] * 640, wanted[:, :4], atol=0.02)


@pytest.mark.parametrize("nms", KINDS)
def test_rows_past_the_count_are_zero(nms):
    heads = [np.full((1, 64 // s, 96 // s, 3, 9), -20, np.float32) for s in (8, 16, 32)]
    heads[0][0, 2, 3, 0] = [0, 0, 0, 0, 8, -8, 8, -8, -8]
    out = run(heads, nms, GraphNmsOptions(max_detections=5))
    assert out["num_detections"].tolist() == [1]
    assert out["detection_classes"].tolist() == [[1, 0, 0, 0, 0]]
    assert not out["detection_boxes"][0, 1:].any()
    assert not out["detection_scores"][0, 1:].any()


def test_fewer_candidates_keep_the_best():
    heads = random_heads(4, seed=3)
    few, every = (
        run(heads, "combined", GraphNmsOptions(0.01, 0.45, max_detections=10, candidates=n))[
            "detection_scores"
        ]
        for n in (40, 10_000)
    )
    np.testing.assert_allclose(few[0, :5], every[0, :5], atol=1e-6)


@pytest.mark.parametrize("nms", ["builtin", "tensor", "postprocess"])
@pytest.mark.parametrize("agnostic", [False, True])
def test_a_box_without_height_is_selected_once_in_litert(tmp_path, nms, agnostic):
    from ai_edge_litert.interpreter import Interpreter

    grid, options = ClassGrid(4, 23.0), GraphNmsOptions(agnostic=agnostic)
    centers = np.float32([[0.5, 0.6, 0, 0.3], [0.2, 0.3, 0.1, 0], [0.8, 0.8, 0.1, 0.1]])
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec((3, 4), tf.float32)], autograph=False)
    def select(boxes):
        chosen = NMS[nms](
            Boxes(boxes, tf.constant([0.9, 0.8, 0.7]), tf.constant([3.0, 2.0, 1.0])), 9, options, grid
        )
        return {"scores": chosen.scores, "count": chosen.count}

    module.select = select
    tf.saved_model.save(module, str(tmp_path / "saved"), signatures={"serving_default": select})
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "saved"))
    converter.allow_custom_ops = True
    found = Interpreter(model_content=converter.convert()).get_signature_runner()(boxes=centers)
    assert found["count"] == 3
    np.testing.assert_allclose(found["scores"][:3], [0.9, 0.8, 0.7])
