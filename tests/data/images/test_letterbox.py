import json

import numpy as np
import pytest

from tests.shared import SHARED, needs_shared
from tfyolo.data.images.letterbox import PAD_VALUE, Letterbox

SIZES = [(480, 640), (1080, 810), (33, 47), (1, 900)]


def reference():
    path = SHARED / "reference" / "letterbox.json"
    return json.loads(path.read_text()) if path.exists() else []


@needs_shared
def test_the_reference_is_complete():
    assert len(reference()) == 72


@pytest.mark.parametrize("case", reference(), ids=str)
def test_fit_matches_reference(case):
    target = case["new_shape"]
    target_hw = (target, target) if isinstance(target, int) else tuple(target)
    fit = Letterbox.fit(
        tuple(case["image_hw"]),
        target_hw,
        stride=32 if case["auto"] else None,
        max_ratio=np.inf if case["scaleup"] else 1,
    )
    assert list(fit.out_hw) == case["out_hw"]
    assert [fit.ratio, fit.ratio] == pytest.approx(case["ratio"])
    assert list(fit.pad_xy) == pytest.approx(case["pad_wh"])


@pytest.mark.parametrize("image_size", SIZES)
@pytest.mark.parametrize("stride", [None, 32])
def test_to_image_undoes_to_input(image_size, stride):
    height, width = image_size
    boxes = np.random.default_rng(0).uniform(0, 1, (20, 4)) * [width, height, width, height]
    fit = Letterbox.fit(image_size, (320, 320), stride=stride)
    np.testing.assert_allclose(fit.to_image(fit.to_input(boxes)), boxes, atol=1e-4 * max(image_size))


def test_no_boxes():
    fit = Letterbox.fit((480, 640), (320, 320))
    empty = np.zeros((0, 4), np.float32)
    assert fit.to_image(empty).shape == fit.to_input(empty).shape == (0, 4)


def test_to_image_clips_what_lies_on_the_padding():
    fit = Letterbox.fit((480, 640), (640, 640))
    assert fit.to_image(np.array([[0, 0, 640, 640]])).tolist() == [[0, 0, 640, 480]]


@pytest.mark.parametrize("image_size", SIZES)
@pytest.mark.parametrize("stride", [None, 32])
def test_apply_puts_the_image_where_fit_says(image_size, stride):
    fit = Letterbox.fit(image_size, (96, 96), stride=stride)
    out = fit.apply(np.full((*image_size, 3), 255, np.uint8))
    assert out.shape == (*fit.out_hw, 3)
    white = (out == 255).all(2)
    assert white.sum() == fit.resized_hw[0] * fit.resized_hw[1]
    assert (out[~white] == PAD_VALUE).all()
    y, x = (int(axis.min()) for axis in np.nonzero(white))
    assert (x, y) == tuple(int(pad) for pad in fit.pad_xy)


def test_apply_of_a_fitting_image_is_the_image():
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    assert Letterbox.fit((64, 64), (64, 64)).apply(image) is image
