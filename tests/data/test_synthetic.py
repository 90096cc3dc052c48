"""Synthetic datasets: the labels are right, and the same call gives the same files."""

import numpy as np
import pytest

from tfyolo.data import synthetic as datasets
from tfyolo.data.detection.scan import read_dataset, scan_split
from tfyolo.data.images.read import read_image
from tfyolo.errors import TfyoloError


def samples(path, split="train"):
    return scan_split(read_dataset(path), split, cache=False)


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_labels_are_exact(tmp_path):
    path = datasets.create_shapes_dataset(tmp_path, 30, 2, 96, max_objects=5)
    scan = samples(path)
    assert (scan.found, scan.problems, scan.duplicates) == (30, (), 0)
    assert {int(name) for sample in scan.samples for name in sample.classes} == {0, 1, 2}
    assert max(len(sample.classes) for sample in scan.samples) == 5
    for sample in scan.samples:
        bright = (read_image(sample.image) >= 110).all(2)
        covered = np.zeros_like(bright)
        for (x, y, w, h), name in zip(sample.boxes_xywh_norm * 96, sample.classes, strict=True):
            corners = np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
            x1, y1, x2, y2 = corners.round().astype(int)
            np.testing.assert_allclose(corners, (x1, y1, x2, y2), atol=1e-3)
            inside = bright[y1:y2, x1:x2]
            assert all(side.any() for side in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))
            assert inside.all() == (name == 1)
            covered[y1:y2, x1:x2] = True
        assert not (bright & ~covered).any()


def test_same_call_same_files(tmp_path):
    first, second, other, longer = (tmp_path / name for name in "abcd")
    datasets.create_shapes_dataset(first, 4, 2, 32)
    datasets.create_shapes_dataset(second, 4, 2, 32)
    datasets.create_shapes_dataset(other, 4, 2, 32, seed=1)
    datasets.create_shapes_dataset(longer, 6, 2, 32)
    assert files(first) == files(second)
    assert files(first) != files(other)
    assert files(first).items() <= files(longer).items()
    datasets.create_shapes_dataset(longer, 4, 2, 32)
    assert files(first) == files(longer)


def test_classes(tmp_path):
    path = datasets.create_shapes_dataset(tmp_path, 8, 2, 32, classes=1)
    assert read_dataset(path).names == ("circle",)
    assert {int(name) for sample in samples(path).samples for name in sample.classes} == {0}


@pytest.mark.parametrize(
    "wrong",
    [{"train": 0}, {"val": -1}, {"classes": 4}, {"classes": 0}, {"image_size": 8}, {"max_objects": 0}],
)
def test_wrong_numbers(tmp_path, wrong):
    with pytest.raises(TfyoloError, match=next(iter(wrong))):
        datasets.create_shapes_dataset(tmp_path / "x", **wrong)
    assert not (tmp_path / "x").exists()


def test_other_data_is_not_overwritten(tmp_path):
    (tmp_path / "images/train").mkdir(parents=True)
    (tmp_path / "images/train/mine.jpg").write_text("mine")
    with pytest.raises(TfyoloError, match="another dataset"):
        datasets.create_shapes_dataset(tmp_path, 2, 1)
    assert (tmp_path / "images/train/mine.jpg").exists()


def test_public():
    import tfyolo

    assert tfyolo.create_shapes_dataset is datasets.create_shapes_dataset
    with pytest.warns(DeprecationWarning, match="create_shapes_dataset"):
        assert tfyolo.datasets.shapes is datasets.create_shapes_dataset
    assert "create_shapes_dataset" in dir(tfyolo)


def test_importing_is_light():
    import subprocess
    import sys

    heavy = "{'tensorflow', 'keras', 'cv2'}"
    code = f"import sys, tfyolo.data.synthetic; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
