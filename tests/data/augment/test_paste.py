"""Copy-paste and polygons: what is filled, what is pasted and where, and boxes that follow their polygons."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

from tfyolo.data.augment.options import AugmentationOptions
from tfyolo.data.augment.paste import filled
from tfyolo.data.augment.random_stream import RandomStream
from tfyolo.data.detection.pipeline import Pipeline, PipelineOptions
from tfyolo.data.detection.sample import Sample

PLAIN = {"hsv_h": 0.0, "hsv_s": 0.0, "hsv_v": 0.0, "fliplr": 0.0, "scale": 0.0, "translate": 0.0}
RED = np.array([255, 0, 0])


@pytest.mark.parametrize("seed", range(5))
def test_filling_agrees_with_opencv_but_for_the_edge(seed):
    random = np.random.default_rng(seed)
    angles = np.sort(random.uniform(0, 2 * np.pi, 12))
    points = 40 + random.uniform(10, 38, (12, 1)) * np.stack([np.cos(angles), np.sin(angles)], 1)
    ours = filled(tf.constant(points, tf.float32), 80, 90).numpy()
    theirs = np.zeros((80, 90), np.uint8)
    cv2.fillPoly(theirs, [np.round(points).astype(np.int32)], 1)
    edge = np.zeros_like(theirs)
    cv2.polylines(edge, [np.round(points).astype(np.int32)], True, 1, 3)
    assert (ours == theirs)[edge == 0].all()
    assert ours.sum() > 300


def test_order_is_a_permutation():
    assert sorted(RandomStream(0, tf.constant(3)).permutation(7).numpy()) == list(range(7))


def triangle_sample(folder, number):
    """A gray image with a red triangle at the left, with its polygon."""
    pixels = np.full((128, 128, 3), 60, np.uint8)
    corners = np.array([[10, 20], [50, 30], [20, 60]])
    cv2.fillPoly(pixels, [corners.astype(np.int32)], (0, 0, 255))
    path = folder / f"{number}.png"
    cv2.imwrite(str(path), pixels)
    low, high = corners.min(0) / 128, (corners.max(0) + 1) / 128
    box = np.concatenate([(low + high) / 2, high - low])[None].astype(np.float32)
    return Sample(path, (128, 128), np.zeros(1, np.int64), box, ((corners / 128).astype(np.float32),))


@pytest.fixture(scope="module")
def triangles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("triangles")
    return [triangle_sample(folder, number) for number in range(4)]


def batch(samples, **settings):
    options = PipelineOptions(image_size=128, batch=4)
    images, labels = next(
        iter(Pipeline(samples, AugmentationOptions(**{**PLAIN, **settings}), options).stream())
    )
    return [
        (image, rows[rows[:, 0] >= 0]) for image, rows in zip(images.numpy(), labels.numpy(), strict=True)
    ]


def red_share(image, row):
    x1, y1, x2, y2 = (
        (np.concatenate([row[1:3] - row[3:5] / 2, row[1:3] + row[3:5] / 2]) * 128).round().astype(int)
    )
    return (np.abs(image[y1:y2, x1:x2].astype(int) - RED).max(-1) < 90).mean()


def test_pasted_objects_are_seen_where_their_labels_say(triangles):
    plain, pasted = batch(triangles), batch(triangles, copy_paste=1.0)
    assert sum(len(rows) for _, rows in pasted) > sum(len(rows) for _, rows in plain) > 0
    for (before, few), (after, more) in zip(plain, pasted, strict=True):
        np.testing.assert_array_equal(few, more[: len(few)])
        for row in more[len(few) :]:
            assert red_share(after, row) > 0.25
            mirror = np.array([row[0], 1 - row[1], *row[2:]])
            assert np.abs(few - mirror).max(1).min() < 1e-5  # the one it is a copy of
        assert (before != after).any() == (len(more) > len(few))


def test_a_box_without_an_polygon_is_not_pasted(triangles):
    plain = [Sample(s.image, s.hw, s.classes, s.boxes_xywh_norm) for s in triangles[:3]]
    counts = [len(rows) for _, rows in batch([*plain, triangles[3]], copy_paste=1.0)]
    assert counts  # the table mixes both kinds
    for (a, b), (c, d) in zip(batch(plain), batch(plain, copy_paste=1.0), strict=True):
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, d)


def test_boxes_of_turned_polygons_are_tight(triangles):
    settings = {"mosaic": 0.0, "degrees": 90.0}
    plain = [Sample(s.image, s.hw, s.classes, s.boxes_xywh_norm) for s in triangles]
    tight = np.concatenate([rows for _, rows in batch(triangles, **settings)])
    loose = np.concatenate([rows for _, rows in batch(plain, **settings)])
    assert (tight[:, 3] * tight[:, 4]).mean() < 0.9 * (loose[:, 3] * loose[:, 4]).mean()
    for image, rows in batch(triangles, **settings):
        for x, y, w, h in rows[:, 1:]:
            if min(x - w / 2, y - h / 2, 1 - x - w / 2, 1 - y - h / 2) < 0.01:
                continue
            ys, xs = np.where(np.abs(image.astype(int) - RED).max(-1) < 120)
            found = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
            np.testing.assert_allclose(found / 128, [x - w / 2, y - h / 2, x + w / 2, y + h / 2], atol=0.025)
