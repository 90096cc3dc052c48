"""The demos' tests compare with stored numbers: they are what the library computes today."""

import json

import cv2
import numpy as np
import pytest

from tests.vectors import write as vectors
from tests.vectors.camera import rgb_of_yuv
from tfyolo.inference.boxes import iou_matrix


@pytest.mark.parametrize("name", vectors.FILES)
def test_stored_vectors_are_what_python_computes(name):
    """Where they differ on purpose: python -m tests.vectors.write."""
    stored = json.loads((vectors.FOLDER / f"{name}.json").read_text("utf-8"))
    now = json.loads(vectors.text_of(vectors.FILES[name]()))
    if name == "decode":  # exp is not the same to the bit on all processors
        for old, new in zip(stored, now, strict=True):
            for key, atol in (("boxes_xyxy_px", 2e-3), ("scores", 2e-5)):
                np.testing.assert_allclose(old.pop(key), new.pop(key), rtol=0, atol=atol)
    assert stored == now


def test_every_file_is_of_the_script_and_together_they_are_small():
    files = sorted(vectors.FOLDER.glob("*.json"))
    assert [file.name for file in files] == sorted(f"{name}.json" for name in vectors.FILES)
    assert sum(file.stat().st_size for file in files) < 500_000


def test_no_case_hangs_on_the_last_bit():
    """Scores and thresholds are the same in float32 and float64, or too far apart for it to matter."""
    for case in vectors.nms_cases() + vectors.refine_cases():
        if "exactly" in case["name"]:
            continue
        boxes, options = np.float32(case["boxes_xyxy_px"]).reshape(-1, 4), case["options"]
        iou = iou_matrix(boxes, boxes)
        assert (abs(iou[iou < 0.999] - options["iou"]) > 1e-4).all(), case["name"]
        if options["confidence"] * 256 % 1:
            assert (abs(np.array(case["scores"]) - options["confidence"]) > 1e-4).all(), case["name"]
    for case in vectors.decode_cases():
        if case["confidence"]:
            threshold = np.log(case["confidence"] / (1 - case["confidence"]))
            objectness = np.concatenate([head["objectness"] for head in case["heads"]])
            assert (abs(objectness - threshold) > 1e-4).all()


def test_colors_of_yuv_are_those_of_opencv():
    y, u, v = np.random.default_rng(0).integers(0, 256, (3, 64, 64), np.uint8)
    theirs = cv2.cvtColor(np.stack([y, v, u], -1), cv2.COLOR_YCrCb2RGB)
    np.testing.assert_allclose(rgb_of_yuv(y, u, v).astype(int), theirs.astype(int), atol=1)
