"""`benchmarks/int8_decoding.py`: which results of suppression are right, and which are not."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from tfyolo.inference.nms import Candidates, NmsOptions, non_max_suppression

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def decoding():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        yield importlib.import_module("int8_decoding")
    del sys.modules["int8_decoding"]


def rows(*boxes):
    """Candidates of one image, by left side and score: 10 pixels wide, so those 3 pixels apart overlap."""
    left, scores = np.float32(boxes).T
    corners = np.stack([left, 0 * left, left + 10, 0 * left + 10], 1)
    return Candidates(corners, scores[:, None])


def kept(decoding, candidates):
    options = NmsOptions(decoding.SETTINGS.confidence, decoding.SETTINGS.iou_threshold)
    return non_max_suppression(candidates, options)


def test_numpys_suppression_is_right(decoding):
    random = np.random.default_rng(0)
    corner, size = random.uniform(0, 300, (200, 2)), random.uniform(20, 80, (200, 2))
    corners = np.float32(np.concatenate([corner, corner + size], 1))
    candidates = Candidates(corners, random.uniform(0, 1, (200, 2)).astype(np.float32))
    found = kept(decoding, candidates)
    assert decoding.detections(found, candidates) == (0, 0, 0, len(found))


def test_of_equal_scores_either_may_be_kept(decoding):
    candidates = rows((0, 0.5), (3, 0.5), (6, 0.4))  # the middle one overlaps both
    found = kept(decoding, candidates)
    other = kept(decoding, rows((3, 0.5), (0, 0.5), (6, 0.4)))
    assert (len(found), len(other)) == (2, 1)
    assert decoding.detections(found, candidates)[2] == decoding.detections(other, candidates)[2] == 0


@pytest.mark.parametrize(
    ("index", "wrong"),
    [
        ([0], 1),  # the second box is left out
        ([0, 1, 1], 1),  # twice
    ],
)
def test_wrong_decisions_are_counted(decoding, index, wrong):
    candidates = rows((0, 0.9), (20, 0.8), (1, 0.7))
    found = kept(decoding, candidates)
    assert decoding.detections(found[np.array(index)], candidates)[2] == wrong


def test_boxes_below_the_threshold_are_wrong(decoding):
    candidates = rows((0, 0.9), (20, 0.1))
    options = NmsOptions(0.05, decoding.SETTINGS.iou_threshold)
    assert decoding.detections(non_max_suppression(candidates, options), candidates)[2] == 1
