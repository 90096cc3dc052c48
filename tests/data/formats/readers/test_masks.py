"""PNG masks: each color one object, classes by folder, and files made to hurt."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.data.formats.readers.sets import data_yaml, write_image
from tfyolo.data.detection.scan import read_dataset, scan_split
from tfyolo.data.formats.readers import mask_png
from tfyolo.data.formats.readers.mask_png import read_mask
from tfyolo.data.formats.readers.table import reader_for
from tfyolo.data.images.header import ImageError
from tfyolo.data.segmentation.rasters import rasterize
from tfyolo.errors import TfyoloError

RED, GREEN = (255, 0, 0), (0, 255, 0)


def paint(*areas, hw=(48, 64)):
    """A black mask with rectangles (color, x1, y1, x2, y2)."""
    mask = np.zeros((*hw, 3), np.uint8)
    for color, x1, y1, x2, y2 in areas:
        mask[y1:y2, x1:x2] = color
    return mask


def save(root, name, mask):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(path)
    return path


def dataset_of(root, masks, images=("a.jpg",), **keys):
    for name in images:
        write_image(root / "images/train" / name, color=ord(name[0]))
    for name, mask in masks.items():
        save(root / "masks/train", name, mask)
    return read_dataset(data_yaml(root, train="images/train", **keys))


def scan(dataset, **options):
    return scan_split(dataset, "train", **{"cache": False, **options})


def test_each_color_is_an_object_and_each_folder_a_class(tmp_path):
    cats = paint((RED, 4, 4, 20, 20), (GREEN, 30, 10, 50, 40), (RED, 4, 30, 20, 40))  # red in two parts
    dogs = paint((RED, 20, 4, 30, 44))
    dataset = dataset_of(
        tmp_path, {"cat/a.png": cats, "dog/a.png": dogs, "cat/b.png": paint()}, ("a.jpg", "b.jpg")
    )
    assert reader_for(dataset, "train").name == "masks"
    result = scan(dataset)
    assert (result.found, result.empty, result.problems) == (1, 1, ())
    sample = result.samples[0]
    assert sample.classes.tolist() == [0, 0, 1]
    corners = sample.boxes_xywh_norm * (64, 48, 64, 48)
    wanted = {(30, 10, 50, 40), (4, 4, 20, 40), (20, 4, 30, 44)}
    found = {(x - w / 2, y - h / 2, x + w / 2, y + h / 2) for x, y, w, h in corners.round(3).tolist()}
    assert found == wanted
    masks = rasterize([[polygon * (64, 48)] for polygon in sample.polygons_norm], (48, 64), 1)
    truth = [(cats == color).all(-1) for color in (RED, GREEN)] + [(dogs == RED).all(-1)]
    for mask, true in zip(masks, truth, strict=True):
        assert (mask >= true).all()
        assert mask.sum() - true.sum() < 12  # the bridge


@pytest.mark.parametrize("kind", ["palette", "gray", "gray16", "rgba", "gray_alpha", "bits"])
def test_kinds_of_png(tmp_path, kind):
    ids = np.zeros((48, 64), np.uint8)
    ids[4:20, 4:20], ids[30:40, 30:60] = 1, 7
    if kind == "palette":
        image = Image.fromarray(ids, "P")
        image.putpalette([0, 0, 0, *RED, *(9, 9, 9) * 5, *GREEN])
    elif kind == "gray16":
        image = Image.fromarray(ids.astype(np.uint16) * 1000)
    elif kind == "rgba":
        alpha = np.where(ids > 0, 255, 0).astype(np.uint8)  # transparent pixels have a color
        image = Image.fromarray(np.dstack([ids + 1, ids, ids, alpha]))
    elif kind == "gray_alpha":
        image = Image.fromarray(np.dstack([ids, np.full_like(ids, 255)]), "LA")
    elif kind == "bits":
        image = Image.fromarray(ids > 0)
    else:
        image = Image.fromarray(ids)
    image.save(tmp_path / "a.png")
    mask = read_mask(tmp_path / "a.png")
    assert mask.max() == (1 if kind == "bits" else 2)
    np.testing.assert_array_equal(mask > 0, ids > 0)


def test_one_class_needs_no_folder_and_a_full_mask_no_black(tmp_path):
    dataset = dataset_of(tmp_path, {"a.png": paint((RED, 0, 0, 64, 48))}, names=["cell"])
    (sample,) = scan(dataset).samples
    np.testing.assert_allclose(sample.boxes_xywh_norm, [[0.5, 0.5, 1, 1]])


def test_images_without_a_mask_are_background(tmp_path):
    result = scan(dataset_of(tmp_path, {"cat/a.png": paint((RED, 4, 4, 20, 20))}, ("a.jpg", "b.jpg")))
    assert (result.found, result.missing) == (1, 1)


def test_a_smaller_mask_is_scaled_and_another_shape_refused(tmp_path):
    small = paint((RED, 4, 4, 20, 20), hw=(24, 32))
    result = scan(dataset_of(tmp_path, {"cat/a.png": small}))
    np.testing.assert_allclose(result.samples[0].boxes_xywh_norm, [[12 / 32, 12 / 24, 0.5, 16 / 24]])
    save(tmp_path, "masks/train/cat/a.png", paint(hw=(30, 30)))
    result = scan(read_dataset(tmp_path / "data.yaml"))
    assert result.corrupt == 1
    assert "cat/a.png: says 30x30, but the image is 64x48" in result.problems[0].message


def test_a_changed_mask_is_read_again(tmp_path):
    dataset = dataset_of(tmp_path, {"cat/a.png": paint((RED, 4, 4, 20, 20))})
    assert [len(scan(dataset, cache=True).samples[0].classes) for _ in range(2)] == [1, 1]
    save(tmp_path, "masks/train/cat/a.png", paint((RED, 4, 4, 20, 20), (GREEN, 30, 4, 50, 20)))
    assert len(scan(dataset, cache=True).samples[0].classes) == 2
    save(tmp_path, "masks/train/dog/a.png", paint((GREEN, 30, 4, 50, 20)))
    assert len(scan(dataset, cache=True).samples[0].classes) == 3


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, data=b""):
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )


def test_hostile_masks_are_refused(tmp_path, monkeypatch):
    dataset = dataset_of(tmp_path, {"cat/a.png": paint()})
    path = tmp_path / "masks/train/cat/a.png"
    jpeg = cv2.imencode(".jpg", paint((RED, 4, 4, 20, 20)))[1].tobytes()
    for data in (b"", b"\x89PNG", png(100_000, 100_000), png(64, 48), jpeg, png(64, 48, b"x")):
        path.write_bytes(data)
        result = scan(dataset)
        assert result.corrupt == 1
        assert "cat/a.png: " in str(result.problems[0])
    monkeypatch.setattr(mask_png, "MAX_OBJECTS", 50)
    noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3)).astype(np.uint8)
    Image.fromarray(noise).save(path)
    with pytest.raises(ImageError, match="colors, and each color is one object") as caught:
        read_mask(path)
    assert "never save them as JPEG" in caught.value.fix


def test_wrong_folders_are_named(tmp_path):
    def error(**keys):
        with pytest.raises(TfyoloError) as caught:
            scan(read_dataset(data_yaml(tmp_path, format="masks", **{"train": "images/train", **keys})))
        return str(caught.value)

    assert "does not exist" in error()
    write_image(tmp_path / "images/train/a.jpg")
    assert "masks/train does not exist" in error()
    save(tmp_path, "masks/train/a.png", paint())
    assert "no folder that is named like a class" in error()
    save(tmp_path, "masks/train/Cat/a.png", paint())
    assert "`names` does not contain 'Cat'" in error()
    write_image(tmp_path / "photos/a.jpg")
    assert "is not in a folder named `images`" in error(train="photos")
    assert "is not a folder" in error(train="images/train/a.jpg")
