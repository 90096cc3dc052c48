"""The page's tests compare with stored numbers: they are what the library computes today."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from tfyolo.inference.boxes import iou_matrix

SCRIPT = Path(__file__).resolve().parents[2] / "web_demo" / "tests" / "vectors.py"


def load_script():
    spec = importlib.util.spec_from_file_location("web_vectors", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


VECTORS = load_script()


@pytest.mark.parametrize("name", VECTORS.FILES)
def test_stored_vectors_are_what_python_computes(name):
    """Where they differ on purpose: python web_demo/tests/vectors.py."""
    stored = json.loads((VECTORS.FOLDER / f"{name}.json").read_text("utf-8"))
    now = json.loads(VECTORS.text_of(VECTORS.FILES[name]()))
    if name == "decode":  # exp is not the same to the bit on all processors
        for old, new in zip(stored, now, strict=True):
            for key, atol in (("boxes_xyxy_px", 2e-3), ("scores", 2e-5)):
                np.testing.assert_allclose(old.pop(key), new.pop(key), rtol=0, atol=atol)
    assert stored == now


def test_every_file_is_of_the_script_and_together_they_are_small():
    files = sorted(VECTORS.FOLDER.iterdir())
    assert [file.name for file in files] == sorted(f"{name}.json" for name in VECTORS.FILES)
    assert sum(file.stat().st_size for file in files) < 400_000


def test_no_case_hangs_on_the_last_bit():
    """Scores and thresholds are the same in float32 and float64, or too far apart for it to matter."""
    for case in VECTORS.nms_cases() + VECTORS.refine_cases():
        if "exactly" in case["name"]:
            continue
        boxes, options = np.float32(case["boxes_xyxy_px"]).reshape(-1, 4), case["options"]
        iou = iou_matrix(boxes, boxes)
        assert (abs(iou[iou < 0.999] - options["iou"]) > 1e-4).all(), case["name"]
        if options["confidence"] * 256 % 1:
            assert (abs(np.array(case["scores"]) - options["confidence"]) > 1e-4).all(), case["name"]
    for case in VECTORS.decode_cases():
        if case["confidence"]:
            threshold = np.log(case["confidence"] / (1 - case["confidence"]))
            objectness = np.concatenate([head["objectness"] for head in case["heads"]])
            assert (abs(objectness - threshold) > 1e-4).all()
