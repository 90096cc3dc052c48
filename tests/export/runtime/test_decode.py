import numpy as np
import pytest

from tests.shared import SHARED, needs_shared
from tfyolo.export.runtime.decode import decode, sigmoid
from tfyolo.inference.boxes import xywh_to_xyxy

ANCHORS = ((10, 13, 16, 30, 33, 23), (30, 61, 62, 45, 59, 119), (116, 90, 156, 198, 373, 326))
STRIDES = (8, 16, 32)


@pytest.fixture(scope="module")
def bus():
    """Raw heads (height, width, 3 * 85) of PyTorch's yolov5n, and what it decodes them to."""
    stored = np.load(SHARED / "reference" / "yolov5n_bus320.npz")
    heads = [stored[f"raw_p{i}"].transpose(1, 2, 0, 3) for i in (3, 4, 5)]
    return [head.reshape(*head.shape[:2], -1) for head in heads], stored["decoded_xywh_px"]


def ordered(candidates):
    """Candidates as rows in an order of their own: PyTorch lists anchors before cells."""
    rows = np.concatenate([candidates.boxes_xyxy_px, candidates.scores], 1)
    return rows[np.lexsort(rows.T[:6])]


def test_no_cell_is_confident():
    found = decode([np.full((2, 3, 14), -9.0, np.float32)], [(10, 10, 20, 20)], [8], confidence=0.5)
    assert found.boxes_xyxy_px.shape == (0, 4)
    assert found.scores.shape == (0, 2)


def test_a_box_by_hand():
    head = np.full((2, 3, 2, 7), -9.0, np.float32)  # two anchors, two classes
    head[1, 2, 1] = [0, 0, 0, 0, 2, 1, -1]  # sigmoid(0) = 1/2: the cell's center, the anchor's size
    found = decode([head.reshape(2, 3, 14)], [(10, 10, 20, 40)], [8], confidence=0.5)
    assert found.boxes_xyxy_px.tolist() == [[2.5 * 8 - 10, 1.5 * 8 - 20, 2.5 * 8 + 10, 1.5 * 8 + 20]]
    expected = 1 / (1 + np.exp(-2.0)) / (1 + np.exp([-1.0, 1.0]))
    np.testing.assert_allclose(found.scores, [expected], rtol=1e-6)


@needs_shared
def test_decode_matches_reference(bus):
    heads, decoded = bus
    found = decode(heads, ANCHORS, STRIDES)
    assert found.scores.shape == (6300, 80)
    # PyTorch's order is scale, anchor, row, column; ours scale, row, column, anchor.
    start, rows = 0, []
    for head in heads:
        height, width = head.shape[:2]
        index = np.arange(start, start + height * width * 3).reshape(3, height, width)
        rows.append(index.transpose(1, 2, 0).ravel())
        start += height * width * 3
    decoded = decoded[np.concatenate(rows)]
    np.testing.assert_allclose(found.boxes_xyxy_px, xywh_to_xyxy(decoded[:, :4]), atol=2e-3)
    np.testing.assert_allclose(found.scores, decoded[:, 5:] * decoded[:, 4:5], atol=1e-6)


@needs_shared
@pytest.mark.parametrize("confidence", [0.001, 0.25, 0.6])
def test_leaving_out_weak_cells_leaves_out_no_box_above_the_threshold(bus, confidence):
    heads, _ = bus
    every, fast = decode(heads, ANCHORS, STRIDES), decode(heads, ANCHORS, STRIDES, confidence)
    assert len(fast.scores) < len(every.scores)
    strong = [ordered(c)[:, 4:].max(1) > confidence for c in (every, fast)]
    np.testing.assert_array_equal(ordered(fast)[strong[1]], ordered(every)[strong[0]])


def test_sigmoid_of_extremes():
    with np.errstate(all="raise"):
        np.testing.assert_allclose(sigmoid(np.array([-1e4, 0, 1e4])), [0, 0.5, 1], atol=1e-30)
