"""Boxes and labels on images."""

import re
from pathlib import Path

import numpy as np
import pytest

from tfyolo.inference.drawing.annotate import draw_boxes, place_labels
from tfyolo.inference.drawing.palette import PALETTE, class_color, contrast, text_color

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("class_id", [*range(12), 79, 364])
def test_labels_can_be_read_on_the_color_of_their_class(class_id):
    color = class_color(class_id)
    assert contrast(color, text_color(color)) >= 4.5


def test_classes_beyond_the_palette_have_colors_of_their_own():
    colors = [class_color(index) for index in range(80)]
    assert len(set(colors)) == 80
    assert all(len(color) == 3 and all(0 <= value <= 255 for value in color) for color in colors)


def test_the_page_has_the_same_palette():
    source = (ROOT / "web_demo/src/page/colors.ts").read_text()
    listed = source[source.index("PALETTE = [") : source.index("]")]
    assert tuple(re.findall(r"#[0-9a-f]{6}", listed)) == PALETTE


@pytest.mark.parametrize("seed", range(5))
def test_labels_are_inside_the_image_and_apart(seed):
    random = np.random.default_rng(seed)
    low = random.uniform(-10, 500, (6, 2))
    boxes = np.concatenate([low, low + random.uniform(30, 140, (6, 2))], 1)
    places = np.array(place_labels(boxes, [60] * 6, 16, (640, 480)))
    assert (places[:, :2] >= 0).all()
    assert (places[:, 2:] <= (640, 480)).all()
    for index, place in enumerate(places):
        others = np.delete(places, index, 0)
        apart = (place[2:] <= others[:, :2]).any(1) | (others[:, 2:] <= place[:2]).any(1)
        assert apart.all()


def test_equal_boxes_at_the_border_have_labels_at_different_corners():
    boxes = np.array([[0, 0, 100, 100]] * 3, np.float32)
    assert len(set(place_labels(boxes, [40] * 3, 12, (200, 200)))) == 3


def test_a_label_wider_than_the_image_begins_at_its_left_edge():
    assert place_labels(np.array([[5.0, 5, 9, 9]]), [300], 12, (50, 50))[0][0] == 0


def test_names_that_are_not_ascii_are_drawn():
    image = np.zeros((60, 120, 3), np.uint8)
    boxes, ids = np.array([[10.0, 30, 100, 50]]), np.array([0])
    drawn = [draw_boxes(image, boxes, ids, [text], thickness=2, text_px=14) for text in ("für", "f?r")]
    assert (drawn[0] != drawn[1]).any()
