"""The stream of training batches: images show what labels say, and their order follows the seed."""

import os

import cv2
import numpy as np
import pytest
import tensorflow as tf

from tfyolo.data.augment.options import AugmentationOptions
from tfyolo.data.detection.pipeline import Pipeline, PipelineOptions
from tfyolo.data.detection.sample import Sample
from tfyolo.errors import TfyoloError

COLORS = ((255, 0, 0), (0, 255, 0), (0, 0, 255))  # RGB of the classes
PLAIN = {"hsv_h": 0.0, "hsv_s": 0.0, "hsv_v": 0.0}
WARPS = {"degrees": 20.0, "shear": 8.0, "perspective": 0.0005}


def draw(path, boxes, hw=(96, 128)):
    """A gray image with a filled rectangle of its class's color for each (class, x1, y1, x2, y2)."""
    pixels = np.full((*hw, 3), 60, np.uint8)
    for kind, x1, y1, x2, y2 in boxes:
        pixels[y1:y2, x1:x2] = COLORS[kind]
    cv2.imwrite(str(path), pixels[..., ::-1])
    rows = np.array(boxes, np.float32).reshape(-1, 5)
    size = np.array([hw[1], hw[0]], np.float32)
    center, wide = (rows[:, 1:3] + rows[:, 3:5]) / 2 / size, (rows[:, 3:5] - rows[:, 1:3]) / size
    return Sample(path, hw, rows[:, 0].astype(np.int64), np.concatenate([center, wide], 1))


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder, random = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    made = []
    for number in range(6):
        hw = [(96, 128), (128, 96), (100, 100)][number % 3]
        boxes = []
        for kind, (left, top) in enumerate([(4, 4), (hw[1] // 2 + 4, 4), (10, hw[0] // 2 + 4)]):
            wide, high = random.integers(24, 36, 2)
            boxes.append((kind, left, top, left + wide, top + high))
        made.append(draw(folder / f"{number}.png", boxes, hw))
    return [*made, draw(folder / "empty.png", [])]


def pipeline(samples, settings=None, **options):
    given = {"image_size": 128, "batch": 4, **options}
    return Pipeline(samples, AugmentationOptions(**{**PLAIN, **(settings or {})}), PipelineOptions(**given))


def batches(stream, count):
    return [(images.numpy(), labels.numpy()) for images, labels in stream.take(count)]


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({}, {}),
        ({"mosaic": 0.0}, {}),
        ({"mosaic9": 1.0}, {}),
        ({"mosaic": 0.5, "flipud": 0.5, "mosaic9": 0.5}, {}),
        ({**WARPS}, {}),
        ({**WARPS, "mosaic": 0.0}, {}),
        ({"mosaic": 0.0}, {"rect": True}),
        ({}, {"multi_scale": True}),
        ({}, {"cache": "ram"}),
    ],
)
def test_boxes_sit_on_what_they_name(samples, settings, options):
    seen = 0
    for images, labels in batches(pipeline(samples, settings, **options).stream(), 12):
        height, width = images.shape[1:3]
        for image, rows in zip(images, labels, strict=True):
            for kind, x, y, w, h in rows[rows[:, 0] >= 0]:
                touches = min(x - w / 2, y - h / 2, 1 - x - w / 2, 1 - y - h / 2) < 0.01
                if settings.get("degrees") and touches:  # the middle of a cut turned shape may be outside it
                    continue
                seen += 1
                color = np.array(COLORS[int(kind)])
                middle = image[min(int(y * height), height - 1), min(int(x * width), width - 1)]
                assert np.abs(middle.astype(int) - color).max() < 60, (kind, x, y, w, h)
                if not settings.get("degrees"):  # the box ends where the color does
                    x1, x2 = round((x - w / 2) * width), round((x + w / 2) * width)
                    y1, y2 = round((y - h / 2) * height), round((y + h / 2) * height)
                    inside = np.abs(image[y1:y2, x1:x2].astype(int) - color).max(-1) < 110
                    inner = inside[2:-2, 2:-2]
                    assert inner.size == 0 or inner.mean() > 0.97
    assert seen > 40


def test_equal_seeds_give_equal_batches_and_others_do_not(samples):
    first, again = (batches(pipeline(samples).stream(), 2) for _ in range(2))
    other = batches(pipeline(samples, seed=1).stream(), 2)
    assert all((a[0] == b[0]).all() and (a[1] == b[1]).all() for a, b in zip(first, again, strict=True))
    assert any((a[0] != b[0]).any() for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("rect", [False, True])
def test_a_resumed_stream_is_what_an_unbroken_one_would_have_been(samples, rect):
    made = pipeline(samples, rect=rect)
    whole = batches(made.stream(), 3 * made.steps_per_epoch)[2 * made.steps_per_epoch :]
    resumed = batches(made.stream(first_epoch=2, epochs=1), 99)
    assert len(resumed) == made.steps_per_epoch
    for (a, b), (c, d) in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, d)


def test_workers_parts_make_up_the_whole_batch(samples):
    made = pipeline(samples, max_boxes=40)
    whole = batches(made.stream(), 2)
    parts = [batches(made.stream(shard=(i, 2)), 2) for i in range(2)]
    for step, (images, labels) in enumerate(whole):
        np.testing.assert_array_equal(images, np.concatenate([part[step][0] for part in parts]))
        np.testing.assert_array_equal(labels, np.concatenate([part[step][1] for part in parts]))
    with pytest.raises(TfyoloError, match="cannot be split evenly"):
        made.stream(shard=(0, 3))


def test_an_epoch_shows_every_image(samples):
    made = pipeline(samples, batch=2)
    order = [int(row[2]) for row in made._epoch(tf.constant(0, tf.int64), None, 0, 1)]
    assert sorted(order[: len(samples)]) == list(range(len(samples)))
    assert len(order) == 2 * made.steps_per_epoch
    assert order != [int(row[2]) for row in made._epoch(tf.constant(1, tf.int64), None, 0, 1)]


def test_image_weights_choose_images(samples):
    weights = np.zeros(len(samples))
    weights[3] = 1
    made = pipeline(samples)
    chosen = made._epoch(tf.constant(0, tf.int64), tf.math.log(weights + 1e-12), 0, 1)
    assert {int(row[2]) for row in chosen} == {3}


@pytest.mark.parametrize("cache", ["ram", "disk"])
def test_a_cache_changes_nothing(samples, cache, tmp_path, monkeypatch):
    monkeypatch.setenv("TFYOLO_CACHE", str(tmp_path))
    for (a, b), (c, d) in zip(
        batches(pipeline(samples).stream(), 2),
        batches(pipeline(samples, cache=cache).stream(), 2),
        strict=True,
    ):
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, d)


def test_a_disk_cache_serves_later_runs_until_a_image_changes(tmp_path, monkeypatch):
    monkeypatch.setenv("TFYOLO_CACHE", str(tmp_path / "cache"))
    sample = draw(tmp_path / "a.png", [(0, 10, 10, 40, 40)], (128, 128))

    def first_pixel():
        made = Pipeline([sample], None, PipelineOptions(image_size=128, batch=1, cache="disk"))
        return next(iter(made.stream()))[0].numpy()[0, 0, 0, 0]

    def folders():
        return list((tmp_path / "cache/images").iterdir())

    assert first_pixel() == 60
    pixels = folders()[0] / "0.rgb"
    assert pixels.stat().st_size == 128 * 128 * 3
    pixels.write_bytes(bytes([7]) * (128 * 128 * 3))
    assert first_pixel() == 7  # read, not decoded again
    pixels.write_bytes(bytes(5))
    assert first_pixel() == 60  # a damaged file is made anew
    state = sample.image.stat()
    sample.image.write_bytes(sample.image.read_bytes())
    os.utime(sample.image, ns=(state.st_atime_ns, state.st_mtime_ns))
    first_pixel()
    assert len(folders()) == 2  # written anew, with its time set back
    draw(tmp_path / "a.png", [], (128, 160))
    sample = Sample(sample.image, (128, 160), *map(np.array, (np.zeros(0, int), np.zeros((0, 4)))))
    assert first_pixel() == 114  # another image, letterboxed
    assert len(folders()) == 3


def test_a_full_disk_and_an_unknown_cache_are_named(samples, tmp_path, monkeypatch):
    monkeypatch.setenv("TFYOLO_CACHE", str(tmp_path))
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 0}))
    with pytest.raises(TfyoloError, match="--cache disk needs about"):
        pipeline(samples, cache="disk")
    assert not list((tmp_path / "images").iterdir())
    with pytest.raises(TfyoloError, match="unknown cache `rma`"):
        pipeline(samples, cache="rma")


def test_without_augmentation_images_are_letterboxed_in_order(samples):
    made = Pipeline(samples, None, PipelineOptions(image_size=128, batch=1))
    for sample, (images, labels) in zip(samples, batches(made.stream(0, 1), 99), strict=True):
        rows = labels[0][labels[0][:, 0] >= 0]
        assert len(rows) == len(sample.classes)
        assert (images[0, 0, 0] == (114 if sample.hw[0] < sample.hw[1] else images[0, 0, 0])).all()
        scale = np.array(sample.hw[::-1]) / max(sample.hw)
        np.testing.assert_allclose(rows[:, 3:], sample.boxes_xywh_norm[:, 2:] * scale, atol=0.01)


def test_labels_are_padded_with_class_minus_one(samples):
    ((_, labels),) = batches(pipeline(samples).stream(), 1)
    padding = labels[labels[..., 0] < 0]
    assert labels.shape[1] % 16 == 0
    np.testing.assert_array_equal(padding, np.tile([-1, 0, 0, 0, 0], (len(padding), 1)))


def test_max_boxes_makes_the_shape_static(samples):
    spec = pipeline(samples, max_boxes=7).stream().element_spec[1]
    assert spec.shape[1] == 7 or next(iter(pipeline(samples, max_boxes=7).stream()))[1].shape == (4, 7, 5)


def test_images_without_labels_alone(samples):
    ((images, labels),) = batches(pipeline(samples[-1:]).stream(), 1)
    assert images.shape == (4, 128, 128, 3)
    assert (labels[..., 0] == -1).all()


def test_multi_scale_sizes_are_multiples_of_the_stride(samples):
    sizes = {images.shape[1:3] for images, _ in batches(pipeline(samples, multi_scale=True).stream(), 12)}
    assert len(sizes) > 1
    assert all(h == w and h % 32 == 0 and 64 <= h <= 192 for h, w in sizes)


def test_rect_batches_are_no_larger_than_needed(samples):
    wide = [sample for sample in samples if sample.hw == (96, 128)]
    ((images, _),) = batches(pipeline(wide, rect=True, batch=2).stream(), 1)
    assert images.shape[1:3] == (96, 128)


def test_single_cls_makes_all_labels_class_0(samples):
    ((_, labels),) = batches(pipeline(samples, single_cls=True).stream(), 1)
    assert set(labels[..., 0].ravel()) == {-1, 0}


def test_mixup_keeps_the_labels_of_both(samples):
    plain = batches(pipeline(samples).stream(), 4)
    mixed = batches(pipeline(samples, {"mixup": 1.0}).stream(), 4)
    count = [sum((labels[..., 0] >= 0).sum() for _, labels in some) for some in (plain, mixed)]
    assert count[1] > 1.4 * count[0]


def test_exif_rotation_is_applied(tmp_path):
    from PIL import Image

    upright = np.zeros((64, 48, 3), np.uint8)
    upright[:20, :20] = (255, 0, 0)
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(upright)).save(path, exif=exif, quality=95)
    sample = Sample(
        path, (64, 48), np.array([0]), np.array([[10 / 48, 10 / 64, 20 / 48, 20 / 64]], np.float32)
    )
    made = Pipeline([sample], None, PipelineOptions(image_size=64, batch=1))
    ((images, labels),) = batches(made.stream(), 1)
    x, y = (labels[0, 0, 1:3] * 64).astype(int)
    assert images[0, y, x, 0] > 200 > images[0, y, x, 1] + 100


def test_it_holds_no_python_function(samples):
    graph = str(pipeline(samples, {**WARPS, "mixup": 0.5, "mosaic": 0.5}).stream()._as_serialized_graph())
    assert "PyFunc" not in graph


def test_mistakes_are_named(samples):
    with pytest.raises(TfyoloError, match="use --img 96"):
        pipeline(samples, image_size=100)
    with pytest.raises(TfyoloError, match="no images"):
        pipeline([])


def test_the_stream_runs_under_tf_data_service(samples):
    service = tf.data.experimental.service
    dispatcher = service.DispatchServer()
    worker = service.WorkerServer(service.WorkerConfig(dispatcher.target.split("://")[1]))
    stream = pipeline(samples).stream(0, 1)
    away = stream.apply(service.distribute(service.ShardingPolicy.OFF, dispatcher.target))
    for (a, b), (c, d) in zip(batches(stream, 9), batches(away, 9), strict=True):
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, d)
    del worker
