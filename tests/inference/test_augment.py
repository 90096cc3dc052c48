from types import SimpleNamespace

import numpy as np
import pytest

from tfyolo.export.runtime.predictions import Candidates, Detections
from tfyolo.inference.augment import VARIANTS, predict_augmented

SIZES = [(64, 96), (96, 64), (320, 320), (32, 32)]


class Finder:
    """A runtime that finds the bright rectangle of what it is shown."""

    max_batch = 64

    def __init__(self, input_hw=None, suppresses=False):
        self.input_hw, self.suppresses, self.seen = input_hw, suppresses, []
        self.contract = SimpleNamespace(names=("dim", "bright"), strides=(8, 16, 32))

    def __call__(self, images, confidence):
        self.seen.append(images.shape)
        return [self.find(image) for image in images]

    def find(self, image):
        y, x = np.nonzero(image[..., 0] > 184)
        if not len(x):
            boxes, scores = np.zeros((0, 4), np.float32), np.zeros((0, 2), np.float32)
        else:
            boxes = np.float32([[x.min(), y.min(), x.max() + 1, y.max() + 1]])
            scores = np.float32([[0.1, 0.8]])
        if self.suppresses:
            return Detections(boxes, scores[:, 1], np.ones(len(boxes), np.int64))
        return Candidates(boxes, scores)


def synthetic_image(height, width):
    """A bright rectangle off the middle, and its box."""
    image = np.full((height, width, 3), 114, np.uint8)
    x1, y1, x2, y2 = width // 8, height // 4, width // 2, height - height // 8
    image[y1:y2, x1:x2] = 255
    return image, [x1, y1, x2, y2]


@pytest.mark.parametrize("suppresses", [False, True])
def test_nothing_found(suppresses):
    found = predict_augmented(Finder(suppresses=suppresses), np.zeros((1, 64, 64, 3), np.uint8), 0.25)
    assert found[0].boxes_xyxy_px.shape == (0, 4)
    assert found[0].scores.shape == (0, 2)


@pytest.mark.parametrize("hw", SIZES)
@pytest.mark.parametrize("fixed", [False, True])
def test_all_variants_give_the_same_box(hw, fixed):
    img, box = synthetic_image(*hw)
    found = predict_augmented(Finder(hw if fixed else None), img[None], 0.25)[0]
    assert len(found.boxes_xyxy_px) == len(VARIANTS)
    np.testing.assert_allclose(found.boxes_xyxy_px, [box] * 3, atol=1)


@pytest.mark.parametrize("hw", SIZES)
def test_boxes_go_back_by_the_ratio_of_whole_pixels(hw):
    image = np.full((*hw, 3), 255, np.uint8)
    found = predict_augmented(Finder(), image[None], 0.25)[0]
    np.testing.assert_allclose(found.boxes_xyxy_px, [[0, 0, hw[1], hw[0]]] * 3, atol=1e-3)


@pytest.mark.parametrize("hw", SIZES)
def test_a_fixed_input_stays_what_it_is(hw):
    finder = Finder(hw)
    predict_augmented(finder, np.stack([synthetic_image(*hw)[0]] * 2), 0.25)
    assert finder.seen == [(2, *hw, 3)] * 3


def test_a_free_input_shrinks_by_whole_strides():
    finder = Finder()
    predict_augmented(finder, synthetic_image(320, 640)[0][None], 0.25)
    assert finder.seen == [(1, 320, 640, 3), (1, 288, 544, 3), (1, 224, 448, 3)]


def test_suppressed_boxes_keep_their_class():
    image, _ = synthetic_image(64, 64)
    found = predict_augmented(Finder(suppresses=True), image[None], 0.25)[0]
    np.testing.assert_allclose(found.scores, [[0, 0.8]] * 3)


def test_each_image_of_a_batch_has_its_own_boxes():
    first, box = synthetic_image(64, 64)
    found = predict_augmented(Finder(), np.stack([first, np.zeros_like(first)]), 0.25)
    assert [len(c.scores) for c in found] == [3, 0]
    np.testing.assert_allclose(found[0].boxes_xyxy_px[0], box)


class Grids:
    """A runtime with candidates of all grid cells; scores are indices of the call and the feature map."""

    def __init__(self, strides, input_hw=None):
        self.contract = SimpleNamespace(names=("thing",), strides=strides)
        self.input_hw, self.counts = input_hw, []

    def __call__(self, images, confidence):
        height, width = images.shape[1:3]
        strides = self.contract.strides
        self.counts.append([3 * (height // stride) * (width // stride) for stride in strides])
        scores = np.repeat(np.arange(len(strides)), self.counts[-1]) + 10 * (len(self.counts) - 1)
        boxes = np.zeros((len(scores), 4), np.float32)
        of_rows = np.repeat(strides, self.counts[-1])
        return [Candidates(boxes, scores[:, None].astype(np.float32), strides=of_rows)] * len(images)


@pytest.mark.parametrize("strides", [(8, 16, 32), (8, 16, 32, 64), (8, 16), (32, 16, 8)])
@pytest.mark.parametrize("fixed", [False, True])
def test_one_scale_is_left_out_of_the_largest_and_of_the_smallest_variant(strides, fixed):
    runtime = Grids(strides, (128, 192) if fixed else None)
    (found,) = predict_augmented(runtime, np.zeros((1, 128, 192, 3), np.uint8), 0.25)
    kept = [
        [int((found.scores == 10 * call + scale).sum()) for scale in range(len(strides))] for call in range(3)
    ]
    first, middle, last = (list(counts) for counts in runtime.counts)
    first[strides.index(max(strides))] = last[strides.index(min(strides))] = 0
    assert kept == [first, middle, last]


@pytest.mark.parametrize("count", [2, 3, 4])
def test_as_many_candidates_are_left_out_as_in_yolov5(count):
    runtime = Grids(tuple(8 * 2**i for i in range(count)))
    (found,) = predict_augmented(runtime, np.zeros((1, 320, 640, 3), np.uint8), 0.25)
    first, middle, last = map(sum, runtime.counts)
    shares = sum(4**i for i in range(count))  # a feature map has four times the cells of the next
    expected = first - first // shares + middle + last - last // shares * 4 ** (count - 1)
    assert len(found.scores) == expected


def test_the_only_scale_is_kept():
    (found,) = predict_augmented(runtime := Grids((8,)), np.zeros((1, 64, 64, 3), np.uint8), 0.25)
    assert len(found.scores) == sum(map(sum, runtime.counts))
