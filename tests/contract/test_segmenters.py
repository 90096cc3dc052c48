"""Every format, kind of NMS and precision with a segmentation model: the boxes and masks that Keras gives."""

import numpy as np
import pytest

from tests.pairs import pairwise_of_groups, rest_is_slow
from tests.shared import ELSEWHERE, SHARED, needs_shared
from tests.small import IMAGES, letterboxed
from tfyolo.errors import TfyoloError
from tfyolo.export.registry import exportable, find_format
from tfyolo.inference.boxes import iou_matrix
from tfyolo.inference.load import load_predictor

HW = (320, 320)
CONFIDENCE = 0.3
SWEEP = [
    (entry.name, nms, precision)
    for entry in exportable()
    for nms in entry.nms
    for precision in ("float32", "float16", "int8")
    if entry.name not in ELSEWHERE
    and precision in entry.precisions
    and nms in ("builtin", "tensor", "none", "raw")
]
WRITERS = (("pt", "torchscript"), ("onnx", "openvino"), ("saved_model", "pb", "tfjs"), ("tflite", "edgetpu"))
"""Formats whose graphs have the same operations; test_sweep.py has all pairs of each format."""
MIN_IOU = {"float32": 0.99, "float16": 0.97, "int8": 0.85}
"""IoU of a mask with that of Keras in float32, for objects of a score of at least 0.6."""
pytestmark = needs_shared


@pytest.fixture(scope="module")
def expected(coco_segmenter):
    """Results of Keras for two photographs, in the square input of exported files."""
    results = coco_segmenter(IMAGES, CONFIDENCE, rect=False)
    assert sum((result.scores > 0.6).sum() for result in results) > 3
    return results


def mask_ious(found, wanted) -> np.ndarray:
    """Return the largest IoU of each wanted mask with a mask of its class."""
    ious = np.zeros(len(wanted))
    for i, (mask, class_id) in enumerate(zip(wanted.masks, wanted.class_ids, strict=True)):
        others = [other for other, kind in zip(found.masks, found.class_ids, strict=True) if kind == class_id]
        ious[i] = max(((mask & other).sum() / (mask | other).sum() for other in others), default=0.0)
    return ious


@pytest.mark.parametrize(
    ("name", "nms", "precision"), rest_is_slow(SWEEP, pairwise_of_groups(SWEEP, WRITERS))
)
def test_same_masks_as_keras(export_segmenter, expected, name, nms, precision):
    exported = load_predictor(export_segmenter(name, precision, nms), HW)
    assert exported.contract.task == "segment"
    for found, wanted in zip(exported(IMAGES, CONFIDENCE, rect=False), expected, strict=True):
        sure = wanted.scores > 0.6
        assert (mask_ious(found, wanted)[sure] > MIN_IOU[precision]).all()
        if precision == "float32":
            assert len(found) == len(wanted)
            assert (mask_ious(found, wanted) > MIN_IOU[precision]).all()
            assert (iou_matrix(wanted.boxes_xyxy_px, found.boxes_xyxy_px).max(1) > 0.99).all()
            np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-3)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_signature_of_a_tflite_file(export_segmenter, precision):
    """A plain runtime finds the outputs by name, and masks lie inside of their boxes."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(str(export_segmenter("tflite", precision))).get_signature_runner()
    details = runner.get_output_details()
    assert {name: tuple(x["shape"]) for name, x in details.items()} == {
        "detection_boxes": (1, 20, 4),
        "detection_classes": (1, 20),
        "detection_scores": (1, 20),
        "num_detections": (1,),
        "detection_masks": (1, 20, 80, 80),
    }
    integer = precision == "int8"
    assert details["detection_masks"]["dtype"] == (np.uint8 if integer else np.float32)
    images = letterboxed(HW)[:1]
    outputs = runner(images=images if integer else images / np.float32(255))
    count, masks = int(outputs["num_detections"][0]), outputs["detection_masks"][0]
    assert count > 0
    assert not masks[count:].any()
    assert masks.max() > (250 if integer else 0.98)
    assert masks.max() <= (255 if integer else 1)
    if integer:
        scale, zero = details["detection_masks"]["quantization"]
        assert (zero, scale) == (0, pytest.approx(1 / 255))
    boxes = outputs["detection_boxes"][0][:count] * 80
    for mask, (top, left, bottom, right) in zip(masks, boxes, strict=False):
        y, x = np.nonzero(mask)
        assert top <= y.min()
        assert y.max() < bottom
        assert left <= x.min()
        assert x.max() < right


@pytest.mark.parametrize(
    ("name", "nms"), [("tflite", "postprocess"), ("saved_model", "combined"), ("coreml", "pipeline")]
)
def test_nms_without_indices_is_refused(name, nms):
    with pytest.raises(
        TfyoloError, match=f"does not support --nms {nms} for a segmentation model, since it returns no"
    ):
        find_format(name).check(nms, task="segment")


def test_masks_that_are_cropped_already_cannot_be_retina_masks(export_segmenter):
    path = export_segmenter("tflite", nms="builtin")
    with pytest.raises(TfyoloError, match="cropped already") as error:
        load_predictor(path)(SHARED / "images" / "bus.jpg", retina_masks=True)
    assert "--nms none" in (error.value.fix or "")
