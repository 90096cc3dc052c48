"""Masks in the tf.data graph: they equal those of NumPy, and follow every augmentation."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

from tests.shared import SHARED, needs_shared
from tfyolo.data.augment.options import AugmentationOptions
from tfyolo.data.augment.outlines import visible_outlines
from tfyolo.data.detection.pipeline import Pipeline, PipelineOptions
from tfyolo.data.detection.sample import Sample
from tfyolo.data.segmentation.masks import draw_masks
from tfyolo.data.segmentation.options import MaskOptions
from tfyolo.data.segmentation.rasters import index_mask, rasterize
from tfyolo.errors import TfyoloError

PLAIN = {"hsv_h": 0.0, "hsv_s": 0.0, "hsv_v": 0.0}
WARPS = {"degrees": 20.0, "shear": 8.0, "perspective": 0.0005}
SIZE = 128


def outlines_of(polygons, region=None):
    points = np.concatenate([np.zeros((0, 2)), *polygons]).astype(np.float32)
    owner = np.repeat(np.arange(len(polygons)), [len(polygon) for polygon in polygons])
    regions = np.tile(np.float32([-999, -999, 999, 999]) if region is None else region, (len(polygons), 1))
    return visible_outlines(tf.constant(points), tf.constant(owner, tf.int32), tf.constant(regions))


def drawn(polygons, hw, region=None, **options):
    outlines = outlines_of(polygons, region)
    return draw_masks(outlines, tf.constant(len(polygons)), hw, MaskOptions(**options)).numpy()


@pytest.fixture(scope="module")
def stored():
    with np.load(SHARED / "reference" / "segment_rasters.npz") as arrays:
        return dict(arrays)


@needs_shared
def test_they_are_those_of_yolov5(stored):
    polygons = [stored[f"polygon_xy_px_{i}"] for i in range(5)]
    hw = tuple(stored["image_hw"].tolist())
    separate = drawn(polygons, hw, overlap=False)
    assert separate.dtype == np.uint8
    assert (separate == stored["separate"]).mean() > 0.999
    rows = np.concatenate([[0], stored["sorted_index"] + 1])
    merged = drawn(polygons, hw)
    assert merged.dtype == np.int32
    assert (merged == rows[stored["overlap"]]).mean() > 0.999


def star(random, middle, radius, points):
    angles = np.sort(random.uniform(0, 2 * np.pi, points))
    return middle + radius * random.uniform(0.4, 1, (points, 1)) * np.stack(
        [np.cos(angles), np.sin(angles)], 1
    )


@pytest.mark.parametrize("ratio", [1, 2, 4, 8])
def test_they_are_those_of_numpy(ratio):
    random = np.random.default_rng(ratio)
    polygons = [
        star(random, random.uniform(0, 160, 2), radius, points)
        for radius, points in zip([5, 20, 40, 90] * 3, range(3, 15), strict=True)
    ]
    wanted = rasterize([[polygon] for polygon in polygons], (128, 160), ratio)
    found = drawn(polygons, (128, 160), ratio=ratio, overlap=False)
    assert (found == wanted).mean() > 0.999
    merged, order = index_mask(found)
    np.testing.assert_array_equal(drawn(polygons, (128, 160), ratio=ratio), np.append(0, order + 1)[merged])


def test_what_is_outside_of_the_region_is_cut_off():
    bend = np.array(
        [[8, 8], [120, 8], [120, 120], [8, 120], [8, 88], [96, 88], [96, 40], [8, 40]], np.float32
    )
    (whole,) = drawn([bend], (128, 128), overlap=False)
    (cut,) = drawn([bend], (128, 128), np.float32([0, 0, 64, 128]), overlap=False)
    np.testing.assert_array_equal(cut[:, :16], whole[:, :16])  # no line along the border joins the parts
    assert not cut[:, 16:].any()


def test_no_objects_and_objects_outside_of_the_image():
    assert drawn([], (64, 96)).shape == (16, 24)
    assert drawn([], (64, 96), overlap=False).shape == (0, 16, 24)
    far = np.array([[200, 200], [220, 200], [220, 220]])
    near = np.array([[0, 0], [40, 0], [40, 40]])
    masks = drawn([far, -far, near], (64, 96), overlap=False)
    assert [int(mask.any()) for mask in masks] == [0, 0, 1]
    assert set(np.unique(drawn([far, -far, near], (64, 96)))) == {0, 3}


def draw(path, hw, polygons):
    """A gray image with bright polygons, the labels of which are boxes for an empty polygon."""
    pixels = np.full((*hw, 3), 60, np.uint8)
    boxes = []
    for polygon in polygons:
        cv2.fillPoly(pixels, [polygon.astype(np.int32)], (0, 0, 255))
        low, high = polygon.min(0) / hw[::-1], polygon.max(0) / hw[::-1]
        boxes.append(np.concatenate([(low + high) / 2, high - low]))
    cv2.imwrite(str(path), pixels)
    norm = tuple((polygon / np.array(hw[::-1])).astype(np.float32) for polygon in polygons)
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    return Sample(path, hw, np.arange(len(boxes)), boxes, norm)


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder, random = tmp_path_factory.mktemp("polygons"), np.random.default_rng(0)
    made = []
    for number, hw in enumerate([(96, 128), (128, 96), (100, 100), (128, 128)]):
        middles = [(hw[1] * x, hw[0] * y) for x, y in ((0.25, 0.25), (0.7, 0.3), (0.4, 0.75))]
        made.append(draw(folder / f"{number}.png", hw, [star(random, np.array(m), 22, 9) for m in middles]))
    plain = draw(folder / "boxes.png", (128, 128), [np.array([[20, 20], [80, 20], [80, 60], [20, 60]])])
    boxes = Sample(plain.image, plain.hw, plain.classes, plain.boxes_xywh_norm)
    return [*made, boxes, draw(folder / "empty.png", (64, 64), [])]


def batches(samples, settings, count, masks=None, **options):
    augmentation = None if settings is None else AugmentationOptions(**{**PLAIN, **settings})
    given = PipelineOptions(image_size=SIZE, batch=4, **options, masks=masks or MaskOptions())
    stream = Pipeline(samples, augmentation, given).stream()
    return [
        (images.numpy(), {key: value.numpy() for key, value in targets.items()})
        for images, targets in stream.take(count)
    ]


def bounds(mask):
    ys, xs = np.nonzero(mask)
    return np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])


CASES = [
    (None, {}, True),
    pytest.param({}, {}, True, marks=pytest.mark.slow),
    ({"mosaic": 0.0}, {"rect": True}, True),
    pytest.param({"mosaic9": 1.0}, {}, True, marks=pytest.mark.slow),
    ({"mosaic": 0.5, "flipud": 0.5, "mosaic9": 0.5}, {}, False),
    ({**WARPS, "mosaic": 0.0}, {}, True),
    pytest.param({"mixup": 1.0}, {}, True, marks=pytest.mark.slow),
    ({**WARPS, "mixup": 0.5, "copy_paste": 0.5}, {}, False),
    ({"copy_paste": 1.0}, {}, True),
    ({}, {"multi_scale": True}, True),
    pytest.param({}, {"multi_scale": True}, False, marks=pytest.mark.slow),
    ({}, {"max_boxes": 5}, False),
]


@pytest.mark.parametrize(("settings", "options", "overlap"), CASES)
def test_masks_agree_with_boxes_and_images(samples, settings, options, overlap):
    seen, good, blended = 0, [], bool((settings or {}).get("mixup"))
    margin = 8 if options.get("multi_scale") else 4  # a mask is rounded twice when it is resized
    for images, targets in batches(samples, settings, 6, MaskOptions(overlap=overlap), **options):
        labels, masks = targets["labels"], targets["masks"]
        height, width = images.shape[1:3]
        shape = (4, height // 4, width // 4) if overlap else (4, labels.shape[1], height // 4, width // 4)
        assert masks.shape == shape
        for image, rows, mask in zip(images, labels, masks, strict=True):
            if overlap:
                mask = mask == np.arange(1, len(rows) + 1)[:, None, None]
            assert not mask[rows[:, 0] < 0].any()
            for row, one in zip(rows, mask, strict=True):
                if row[0] < 0:
                    continue
                box = np.concatenate([row[1:3] - row[3:] / 2, row[1:3] + row[3:] / 2])
                box *= np.array([width, height] * 2)
                assert one.any() or min(box[2:] - box[:2]) < 12 or overlap
                if not one.any():
                    continue
                found = 4 * bounds(one)
                assert (found[:2] >= box[:2] - margin).all()
                assert (found[2:] <= box[2:] + margin).all()
                inner = cv2.erode(one.astype(np.uint8), np.ones((3, 3)), borderValue=0)
                if not blended and inner.any():
                    ys, xs = np.nonzero(inner)
                    colors = image[ys * 4 + 2, xs * 4 + 2].astype(int)
                    good.append((np.abs(colors - [255, 0, 0]).max(1) < 90).mean())
                seen += 1
    assert seen > 25
    assert blended or np.mean(good) > 0.98


MIXED = {**WARPS, "mosaic": 0.7, "mixup": 0.5, "copy_paste": 0.5, "flipud": 0.5}


@pytest.fixture(scope="module")
def mixed(samples):
    """Batches with every augmentation, whose graph takes seconds to build."""
    return batches(samples, MIXED, 3)


@pytest.mark.parametrize("settings", [MIXED, pytest.param({}, marks=pytest.mark.slow)])
def test_equal_seeds_give_equal_masks(samples, mixed, settings):
    once = mixed if settings else batches(samples, settings, 3)
    for (_, first), (_, again) in zip(once, batches(samples, settings, 3), strict=True):
        np.testing.assert_array_equal(first["masks"], again["masks"])


@pytest.mark.parametrize("settings", [None, MIXED, pytest.param({}, marks=pytest.mark.slow)])
def test_both_kinds_of_masks_agree(samples, mixed, settings):
    merged = mixed if settings else batches(samples, settings, 3)
    separate = batches(samples, settings, 3, MaskOptions(overlap=False))
    for (a, one), (b, many) in zip(merged, separate, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(one["labels"], many["labels"])
        for index, masks in zip(one["masks"], many["masks"], strict=True):
            top, order = index_mask(masks)
            np.testing.assert_array_equal(index, np.append(0, order + 1)[top])


def test_images_and_labels_are_those_of_detection(samples):
    # Without warps: before these, polygons are clipped to their tile if there are masks.
    settings = {"mosaic": 0.5, "mixup": 0.5, "copy_paste": 0.5}
    options = PipelineOptions(image_size=SIZE, batch=4)
    plain = Pipeline(samples, AugmentationOptions(**{**PLAIN, **settings}), options)
    for (images, labels), (again, targets) in zip(
        plain.stream().take(3), batches(samples, settings, 3), strict=True
    ):
        np.testing.assert_array_equal(images, again)
        np.testing.assert_array_equal(labels, targets["labels"])


def test_letterboxed_masks_are_those_of_numpy(samples):
    options = PipelineOptions(image_size=SIZE, batch=1, masks=MaskOptions(overlap=False))
    wrong = total = 0
    for sample, (_, targets) in zip(samples, Pipeline(samples, None, options).stream(0, 1), strict=True):
        if not sample.polygons_norm:
            continue
        scaled = np.array(sample.hw) * SIZE / max(sample.hw)
        pad = (SIZE - scaled) / 2
        objects = [[polygon * scaled[::-1] + pad[::-1]] for polygon in sample.polygons_norm]
        wanted = rasterize(objects, (SIZE, SIZE))
        wrong += (wanted != targets["masks"][0, : len(objects)].numpy()).sum()
        total += wanted.size
    assert wrong / total < 0.001


def test_a_box_is_its_rectangle(samples):
    options = PipelineOptions(image_size=SIZE, batch=1, masks=MaskOptions())
    ((_, targets),) = Pipeline(samples[4:5], None, options).stream(0, 1)
    mask = targets["masks"][0].numpy()
    np.testing.assert_array_equal(bounds(mask), [5, 5, 20, 15])
    assert mask.sum() == 15 * 10


def test_no_python_function_and_static_shapes(samples):
    options = PipelineOptions(image_size=SIZE, batch=4, masks=MaskOptions())
    settings = {**WARPS, "mixup": 0.5, "mosaic": 0.5, "copy_paste": 0.5}
    stream = Pipeline(samples, AugmentationOptions(**settings), options).stream()
    assert "PyFunc" not in str(stream._as_serialized_graph())
    assert stream.element_spec[1]["masks"].shape == (4, 32, 32)


def test_a_ratio_that_does_not_divide_the_stride_is_refused(samples):
    with pytest.raises(TfyoloError, match="mask ratio 5 does not divide the stride 32"):
        Pipeline(samples, None, PipelineOptions(image_size=SIZE, masks=MaskOptions(ratio=5)))
