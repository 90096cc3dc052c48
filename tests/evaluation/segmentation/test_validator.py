"""Validation of segmentation models end to end, on data small enough to know the answer."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from faster_coco_eval.core import mask
from PIL import Image

import tfyolo
from tests.shared import SHARED
from tfyolo.data.detection.scan import read_dataset, scan_split
from tfyolo.data.images.letterbox import Letterbox
from tfyolo.errors import TfyoloError
from tfyolo.evaluation import coco
from tfyolo.evaluation.detection_metrics import ValOptions
from tfyolo.evaluation.segmentation.accumulator import encode_all
from tfyolo.evaluation.segmentation.coco_masks import add_outlines, encode
from tfyolo.evaluation.validator import validate
from tfyolo.export.runtime.predictions import Candidates, Detections
from tfyolo.inference.segmentation.predictor import SegmentationPredictor, image_masks
from tfyolo.models import Contract, load_spec

NAMES = ("dark", "light")
PERFECT = pytest.approx(0.995, abs=1e-3)  # what 101-point interpolation makes of 1


class TriangleFinder:
    """A runtime that knows the truth: it finds the one black or white triangle in a gray image.

    Args:
        weight: coefficient of the mask; a negative one gives the complement.
    """

    def __init__(self, weight=9.0):
        spec = load_spec(Path(__file__).parents[2] / "tiny-seg.yaml", num_classes=2)
        self.contract = Contract.of(spec, NAMES, (128, 128))
        self.input_hw, self.max_batch, self.weight = None, 4, weight

    def __call__(self, images, confidence):
        return [self._find(image[..., 0].astype(int)) for image in images]

    def _find(self, image):
        boxes, scores = [], []
        for index, seen in enumerate((image < 60, image > 200)):
            y, x = np.nonzero(seen)
            if len(x):
                boxes.append([x.min(), y.min(), x.max() + 1, y.max() + 1])
                scores.append(np.eye(2)[index] * 0.9)
        shape = np.float32(np.abs(image - 128) > 70)
        prototypes = cv2.resize(shape, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA) - 0.5
        prototypes = np.stack([prototypes, np.zeros_like(prototypes)], -1)
        coefficients = np.tile(np.float32([self.weight, 1]), (len(boxes), 1))
        boxes, scores = np.float32(boxes).reshape(-1, 4), np.float32(scores).reshape(-1, 2)
        return Candidates(boxes, scores, "", coefficients, prototypes)


@pytest.fixture
def data(tmp_path) -> Path:
    """Six images with a black or white triangle each, and one background."""
    for kind in ("images", "labels"):
        (tmp_path / kind / "val").mkdir(parents=True)
    sizes = [(128, 96), (128, 96), (96, 160), (96, 160), (120, 120), (64, 64), (128, 64)]
    for number, (width, height) in enumerate(sizes):
        image = np.full((height, width, 3), 128, np.uint8)
        x, y, light = 4 + 3 * number, 2 + 2 * number, number % 2
        polygon = np.array([[x, y], [x + 40, y], [x, y + 44]])
        if number < 6:
            cv2.fillPoly(image, [polygon], (255 * light,) * 3)
            values = " ".join(map(str, (polygon / [width, height]).ravel()))
            (tmp_path / "labels" / "val" / f"{number}.txt").write_text(f"{light} {values}\n")
        Image.fromarray(image).save(tmp_path / "images" / "val" / f"{number}.png")
    path = tmp_path / "triangles.yaml"
    path.write_text("path: .\ntrain: images/val\nval: images/val\nnames: [dark, light]\n")
    return path


@pytest.mark.parametrize("rect", [True, False])
def test_a_model_that_knows_the_truth_is_perfect(data, rect):
    options = ValOptions(rect=rect, batch_size=3, plots=False)
    metrics = validate(SegmentationPredictor(TriangleFinder()), data, options)
    assert (metrics.map50, metrics.mask_map50) == (PERFECT, PERFECT)
    assert metrics.mask_map50_95 > 0.6  # the triangles are ten cells large, so that one cell counts
    assert metrics.mask_result.labels.tolist() == [3, 3]
    assert set(metrics.speed_ms) == {"preprocess", "inference", "nms", "masks"}
    assert metrics.notes == ()


def test_boxes_and_masks_are_measured_on_their_own(data):
    metrics = validate(SegmentationPredictor(TriangleFinder(-9)), data, ValOptions(plots=False))
    assert (metrics.map50, metrics.mask_map50, metrics.mask_map50_95) == (PERFECT, 0, 0)


def test_metrics_json_has_both(data, tmp_path):
    metrics = validate(
        SegmentationPredictor(TriangleFinder(-9)), data, ValOptions(plots=False), tmp_path / "run"
    )
    saved = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert saved == metrics.to_dict()
    assert saved["mask"]["map50"] == 0
    assert saved["mask"]["per_class"].keys() == saved["per_class"].keys() == set(NAMES)
    assert saved["mask"].keys() == {"precision", "recall", "map50", "map50_95", "per_class"}


@pytest.mark.parametrize("retina", [False, True])
def test_predictions_and_figures_of_coco(data, tmp_path, retina):
    options = ValOptions(plots=False, save_json=True, retina_masks=retina)
    predictor, folder = SegmentationPredictor(TriangleFinder()), tmp_path / "run"
    metrics = validate(predictor, data, options, folder)
    assert metrics.coco["ap50"] == metrics.mask_coco["ap50"] == pytest.approx(1)
    assert 0.5 < metrics.mask_coco["ap"] < metrics.coco["ap"]
    assert json.loads((folder / "metrics.json").read_text())["mask"]["coco"] == metrics.mask_coco
    rows = json.loads((folder / "predictions.json").read_text())
    assert len(rows) == 6
    first = rows[0]
    image = sorted((data.parent / "images" / "val").iterdir())[first["image_id"]]
    (expected,) = predictor(image, retina_masks=retina)[0].masks
    np.testing.assert_array_equal(mask.decode(first["segmentation"]), expected)
    # The same ground truth from a COCO JSON.
    annotations = tmp_path / "truth.json"
    samples = scan_split(read_dataset(data), "val").samples
    annotations.write_text(json.dumps(add_outlines(coco.ground_truth(samples, NAMES), samples)))
    again = validate(predictor, data, replace(options, annotations=annotations))
    assert (again.coco, again.mask_coco) == (metrics.coco, metrics.mask_coco)


def test_candidates_of_several_classes_have_one_mask():
    rng = np.random.default_rng(0)
    boxes, coefficients = np.float32([[0, 0, 20, 30], [8, 4, 64, 60]]), np.float32(rng.normal(size=(2, 3)))
    prototypes, letterbox = np.float32(rng.normal(size=(16, 16, 3))), Letterbox.fit((50, 80), (64, 64))
    twice = np.array([1, 0, 1, 1])
    found = Detections(boxes[twice], np.ones(4), np.arange(4), "", coefficients[twice], prototypes)
    expected = encode(image_masks(found, letterbox))
    assert len({mask["counts"] for mask in expected}) == 2
    assert encode_all(found, letterbox, retina_masks=False) == expected
    assert encode_all(found[:0], letterbox, retina_masks=False) == []


def test_plots_show_masks(data, tmp_path):
    folder = tmp_path / "run"
    validate(SegmentationPredictor(TriangleFinder()), data, ValOptions(batch_size=2), folder)
    curves = {f"{kind}{name}_curve.png" for kind in ("", "Mask") for name in ("PR", "F1", "P", "R")}
    mosaics = {"val_batch0_labels.jpg", "val_batch0_pred.jpg"}
    assert {path.name for path in folder.iterdir()} == {
        *curves,
        *mosaics,
        "confusion_matrix.png",
        "metrics.json",
    }
    for name in mosaics:
        drawn = cv2.imread(str(folder / name)).astype(int)
        colored = np.ptp(drawn, axis=-1) > 60
        assert colored.mean() > 0.03, name  # triangles are gray, and boxes are thin


def test_one_class(data):
    options = ValOptions(plots=False, single_cls=True)
    metrics = validate(SegmentationPredictor(TriangleFinder()), data, options)
    assert (metrics.names, metrics.mask_map50) == (("object",), PERFECT)


def test_labels_without_polygons(data):
    labels = sorted((data.parent / "labels" / "val").iterdir())
    labels[0].write_text("0 0.2 0.3 0.3 0.4\n")
    metrics = validate(SegmentationPredictor(TriangleFinder()), data, ValOptions(plots=False))
    (problem,) = metrics.problems
    assert "`val` has 1 box without a polygon; the mask is the rectangle of the box" in problem
    for path in labels:
        path.write_text("0 0.2 0.3 0.3 0.4\n")
    with pytest.raises(TfyoloError, match="none of the labels in `val` is a polygon"):
        validate(SegmentationPredictor(TriangleFinder()), data, ValOptions(plots=False))


def test_options_of_another_task_are_refused(data, nano):
    with pytest.raises(TfyoloError, match="no test-time augmentation"):
        validate(SegmentationPredictor(TriangleFinder()), data, ValOptions(augment=True))
    with pytest.raises(TfyoloError, match="a detector has no masks"):
        validate(nano, data, ValOptions(retina_masks=True))


def test_a_small_network_by_its_public_method(tiny_seg_keras, data):
    data.write_text(data.read_text().replace("[dark, light]", "[ant, bee]"))
    metrics = tfyolo.load(tiny_seg_keras).evaluate(data, image_size=64, plots=False)
    assert 0 <= metrics.mask_map50_95 <= 1
    assert metrics.settings["image_size"] == [64, 64]
    assert len(metrics.mask_result.ap) == 2


@pytest.mark.slow
def test_figures_of_a_trained_model_equal_pytorch(coco_segmenter):
    expected = json.loads((SHARED / "weights" / "coco128_yolov5n_seg_320.json").read_text())["batch_8"]
    data = SHARED / "data" / "coco128-seg" / "coco128-seg.yaml"
    metrics = validate(coco_segmenter, data, ValOptions(split="train", batch_size=8, plots=False))
    for result, name in ((metrics.result, "box"), (metrics.mask_result, "mask")):
        assert result.map50 == pytest.approx(expected[name]["map50"], abs=0.003)
        assert result.map50_95 == pytest.approx(expected[name]["map50_95"], abs=0.003)
