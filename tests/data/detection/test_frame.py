"""Coordinates of annotations that were made for another copy of an image."""

import numpy as np
import pytest
from PIL import Image

from tests.data.formats.readers.sets import annotation, coco, coco_value, voc, xml
from tfyolo.data.detection.frame import Frame
from tfyolo.data.detection.scan import read_dataset, scan_split
from tfyolo.data.images.header import ImageHeader
from tfyolo.data.images.read import read_image

BOX = (10.0, 4.0, 30.0, 24.0)


@pytest.mark.parametrize("orientation", range(5, 9))
@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("kind", ["voc", "coco"])
def test_boxes_on_pixels_before_the_rotation_are_rotated(tmp_path, orientation, scale, kind):
    """The annotation says 64x48, which the pixels are before they are rotated to 48x64."""
    root = tmp_path / "set"
    corners = tuple(scale * value for value in BOX)
    size = (64 * scale, 48 * scale)
    if kind == "voc":
        path, image = voc(root, a=xml(("dog", *corners), wh=size)), root / "JPEGImages/a.jpg"
    else:
        x1, y1, x2, y2 = corners
        value = coco_value(annotation([x1, y1, x2 - x1, y2 - y1]))
        value["images"][0] |= dict(zip(("width", "height"), size, strict=True))
        path, image = coco(root, value), next(iter(root.rglob("a.jpg")))
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[4:24, 10:30] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(image, exif=exif, quality=100, subsampling=0)
    scan = scan_split(read_dataset(path), "train", cache=False)
    (sample,) = scan.samples
    y, x = np.nonzero(read_image(image)[..., 0] > 128)
    (cx, cy, w, h), (height, width) = sample.boxes_xywh_norm[0], sample.hw
    assert (height, width) == (64, 48)
    found = [(cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height]
    np.testing.assert_allclose(found, [x.min(), y.min(), x.max() + 1, y.max() + 1], atol=1e-3)
    assert any("EXIF" in problem.message for problem in scan.problems)
    assert sample.annotated_hw == (None if scale == 1 else (128, 96))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_to_pixels_is_the_inverse(orientation):
    frame = Frame((64.0, 48.0), orientation)
    points = np.random.default_rng(0).uniform(-1, 2, (9, 2))
    np.testing.assert_allclose(frame.to_shares(frame.to_pixels(points)), points)


@pytest.mark.parametrize(
    ("said", "fits"),
    [((400, 200), True), ((50, 25), True), ((67, 33), True), ((400, 210), False), ((100, 200), False)],
)
def test_sizes_of_the_same_proportions_fit_but_for_rounding(said, fits):
    header = ImageHeader("JPEG", (100, 200), 1)
    assert (Frame.of(tuple(map(float, said)), header) is not None) == fits


def test_boxes_that_stick_out_stay_outside():
    assert Frame((10.0, 10.0)).box_to_shares((-5, 2, 15, 4)) == (-0.5, 0.2, 1.5, 0.4)
    assert Frame((10.0, 10.0), 3).box_to_shares((-5, 2, 15, 4)) == pytest.approx((-0.5, 0.6, 1.5, 0.8))
