import numpy as np
import pytest
import tensorflow as tf

from tfyolo.data.augment.boxes import clip_labels, flip_labels, normalize
from tfyolo.data.augment.color import color_matrix


@pytest.mark.parametrize(
    ("box", "kept"),
    [
        ((10, 10, 30, 30), True),
        ((-30, 10, 30, 30), True),  # half inside
        ((-91, 10, 9, 30), False),  # 9 % inside
        ((-89, 10, 11, 30), True),  # 11 %
        ((10, 10, 12, 30), False),  # 2 px wide
        ((10, 10, 12.5, 30), True),
        ((0, 10, 100, 12.5), True),
        ((200, 200, 220, 220), False),
        ((10, 10, 10, 10), False),
    ],
)
def test_boxes_of_which_too_little_remains_are_dropped(box, kept):
    labels = clip_labels(tf.constant([[1.0, *box]]), (0, 0, 100, 100)).numpy()
    assert len(labels) == kept
    if kept:
        np.testing.assert_allclose(labels[0, 1:], np.clip(box, 0, 100))


def test_long_boxes_are_dropped():
    assert len(clip_labels(tf.constant([[0.0, 0, 0, 400, 3]]), (0, 0, 400, 400))) == 0


def test_no_boxes():
    assert clip_labels(tf.zeros((0, 5)), (0, 0, 10, 10)).shape == (0, 5)


def test_flips():
    labels = tf.constant([[2.0, 10, 20, 30, 60]])
    both = flip_labels(labels, (100, 200), tf.constant(True), tf.constant(True)).numpy()
    np.testing.assert_allclose(both, [[2, 170, 40, 190, 80]])
    none = flip_labels(labels, (100, 200), tf.constant(False), tf.constant(False)).numpy()
    np.testing.assert_allclose(none, labels)


def test_normalize():
    found = normalize(tf.constant([[2.0, 10, 20, 30, 60]]), (100, 200)).numpy()
    np.testing.assert_allclose(found, [[2, 0.1, 0.4, 0.1, 0.4]], rtol=1e-6)


def test_color_matrix_without_change_is_the_identity():
    np.testing.assert_allclose(color_matrix(0.0, 1.0, 1.0), np.eye(3), atol=1e-5)


def test_color_matrix_keeps_gray_gray_and_scales_brightness():
    gray = np.array([[100.0, 100.0, 100.0]], np.float32)
    np.testing.assert_allclose(gray @ color_matrix(0.1, 0.3, 1.2).numpy(), 1.2 * gray, rtol=1e-3)


def test_no_saturation_leaves_the_luma():
    red = np.array([[255.0, 0, 0]], np.float32) @ color_matrix(0.0, 0.0, 1.0).numpy()
    np.testing.assert_allclose(red, 255 * 0.213, rtol=1e-2)


def test_a_third_of_a_turn_takes_red_towards_green():
    turned = (np.array([[1.0, 0, 0]], np.float32) @ color_matrix(1 / 3, 1.0, 1.0).numpy())[0]
    assert turned.argmax() == 1
