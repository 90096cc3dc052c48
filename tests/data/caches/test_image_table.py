"""Images of every kind as TensorFlow operations read them."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.data.classification.class_folders import class_folders
from tfyolo.cli.main import main
from tfyolo.data.caches.image_table import CACHES, ImageTable
from tfyolo.data.classification.folders import read_folders, scan_folders
from tfyolo.data.images.read import read_image
from tfyolo.errors import TfyoloError

TINY = str(Path(__file__).parents[2] / "tiny-cls.yaml")


def waves(height, width):
    """Smooth colors, which JPEG keeps."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], -1).astype(np.uint8)


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kinds")
    for name in ("train/a", "train/b"):
        (folder / name).mkdir(parents=True)
    large = Image.fromarray(waves(320, 400))
    for suffix in ("bmp", "tif", "webp", "png"):
        large.save(folder / f"train/a/large.{suffix}", **({"lossless": True} if suffix == "webp" else {}))
    large.convert("P").save(folder / "train/a/palette.bmp")
    Image.new("RGB", (80, 60)).save(folder / "train/a/black.bmp")  # its file ends in zeros
    large.save(folder / "train/b/large.jpg", quality=95)
    turned = Image.Exif()
    turned[0x0112] = 6
    large.save(folder / "train/b/turned.jpg", quality=95, exif=turned)
    return scan_folders(read_folders(folder), "train").samples


@pytest.mark.parametrize("cache", CACHES)
def test_every_kind_is_decoded_as_elsewhere(samples, cache, tmp_path, monkeypatch):
    monkeypatch.setenv("TFYOLO_CACHE", str(tmp_path))
    table = ImageTable(samples, 64, cache=cache)
    read = tf.function(table.pixels, autograph=False)
    for index, sample in enumerate(samples):
        found, wanted = read(tf.constant(index)).numpy(), read_image(sample.image)
        if sample.image.suffix == ".jpg":  # at a quarter of its size, by another decoder
            assert found.shape == (wanted.shape[0] // 4, wanted.shape[1] // 4, 3)
            wanted = wanted.reshape(found.shape[0], 4, found.shape[1], 4, 3).mean((1, 3))
            assert np.abs(found - wanted).mean() < 4
        else:
            np.testing.assert_array_equal(found, wanted)


@pytest.fixture(params=["png", "webp"])
def damaged(request, tmp_path):
    """Colored images, of which one has a whole header and broken pixels."""
    folder = class_folders(tmp_path / "colors", hw=(64, 64), suffix=request.param, train=3, val=1)
    path = folder / f"train/green/1.{request.param}"
    data = bytearray(path.read_bytes())
    data[48:-16] = b"\xff" * (len(data) - 64)
    path.write_bytes(data)
    return folder, path


@pytest.mark.parametrize("cache", ["none", "ram"])
def test_a_damaged_image_is_named(damaged, cache, tmp_path, capsys):
    folder, path = damaged
    words = ["--model", TINY, "--img", "32", "--batch", "4", "--epochs", "1", "--noplots", "--cache", cache]
    assert main(["classify", "train", "--data", str(folder), *words, "--project", str(tmp_path)]) == 2
    assert f"{path}: cannot be decoded: it is damaged" in capsys.readouterr().err


def test_other_errors_stay_what_they_are(samples):
    table = ImageTable(samples, 64)
    with pytest.raises(tf.errors.InvalidArgumentError, match="mine"), table.naming_damaged():
        raise tf.errors.InvalidArgumentError(None, None, "mine")
    with pytest.raises(TfyoloError, match="unknown cache `x`"):
        ImageTable(samples, 64, cache="x")
