"""Formats, kinds of NMS and precisions, with 80 classes and with one, predict what Keras predicts.

All pairs are always tested, the full product in `make test-slow`.
"""

import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.exports import exported_once, run_folder
from tests.pairs import pairwise, rest_is_slow
from tests.shared import ELSEWHERE, needs_shared
from tests.small import IMAGES, confident, letterboxed
from tfyolo.evaluation.metrics import average_precision, match
from tfyolo.export.graph.options import GraphNmsOptions
from tfyolo.export.job import ExportJob, export_model
from tfyolo.export.options import ExportOptions
from tfyolo.export.registry import exportable, find_format
from tfyolo.inference.boxes import iou_matrix
from tfyolo.inference.load import load_predictor
from tfyolo.inference.results import Result
from tfyolo.models.contract import Contract
from tfyolo.models.network import Network
from tfyolo.quantization.calibration import CalibrationOptions, calibrate
from tfyolo.quantization.model import quantized_model

HW = (128, 128)
SWEPT = [entry for entry in exportable() if entry.name not in ELSEWHERE]
SWEEP = [
    (classes, entry.name, nms, precision)
    for classes in (80, 1)
    for entry in SWEPT
    for nms in entry.nms
    for precision in ("float32", "float16", "int8")
    # One class concerns NMS, which is float in every precision.
    if precision in entry.precisions and (classes > 1 or precision == "float32" or nms == entry.nms[0])
]
ONE_PER_FORMAT = list({case[1]: case for case in pairwise(SWEEP)}.values())
MIN_MAP50 = {"float16": 0.9, "int8": 0.75}
"""mAP50 of exported files by precision, with the boxes of Keras as ground truth. Random weights amplify
rounding errors; test_formats.py compares boxes and scores of a trained network."""
pytestmark = needs_shared


@dataclass(frozen=True)
class Small:
    """A network that detects a few dozen objects in any image, and the boxes of Keras for two photographs."""

    exact: ExportJob
    int8: ExportJob
    expected: list[Result]
    folder: Path

    def request(self, nms: str, precision: str) -> ExportJob:
        """Return the job for a kind of NMS and a precision."""
        base = self.int8 if precision == "int8" else self.exact
        return base.with_options(nms=nms, precision=precision)

    def exported(self, name: str, nms: str, precision: str) -> Path:
        """Return an exported file, which tests must not change."""
        return exported_once(self.request(nms, precision), name, self.folder)


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """A function: a network with the given number of classes, in float and quantized."""
    settings = GraphNmsOptions(confidence=0.25, iou_threshold=0.45, max_detections=100)
    images = letterboxed(HW)

    @cache
    def make(classes: int) -> Small:
        detector = confident(classes, HW, "small.yaml")
        exact = ExportJob(
            detector.model,
            detector.contract,
            ExportOptions(image_size=HW, nms_options=settings),
            calibration_images=images,
        )
        network = Network.of(detector.model, detector.contract.spec)
        quantized = calibrate(network, images, CalibrationOptions(reconstruct=False))
        model, contract = quantized_model(*quantized, detector.contract)
        expected = detector(IMAGES, rect=False, max_detections=100)
        assert min(map(len, expected)) > 5
        int8 = ExportJob(model, contract, ExportOptions(image_size=HW, nms_options=settings))
        return Small(exact, int8, expected, run_folder(tmp_path_factory))

    return make


def map50(predictions: list[Result], ground_truth: list[Result]) -> float:
    """Return mAP50 of predictions."""
    rows = [
        (
            match(a.boxes_xyxy_px, a.class_ids, b.boxes_xyxy_px, b.class_ids),
            a.scores,
            a.class_ids,
            b.class_ids,
        )
        for a, b in zip(predictions, ground_truth, strict=True)
    ]
    return average_precision(*map(np.concatenate, zip(*rows, strict=True))).map50


@pytest.mark.parametrize(("classes", "name", "nms", "precision"), rest_is_slow(SWEEP))
def test_predicts_what_keras_predicts(networks, classes, name, nms, precision):
    network = networks(classes)
    found = load_predictor(network.exported(name, nms, precision))(IMAGES, rect=False, max_detections=100)
    if precision != "float32":
        assert map50(found, network.expected) > MIN_MAP50[precision]
        return
    for result, expected in zip(found, network.expected, strict=True):
        assert len(result) == len(expected)
        a, b = expected.boxes_xyxy_px, result.boxes_xyxy_px
        # Boxes outside of the image are clipped to zero area, which has no IoU.
        same = (iou_matrix(a, b) > 0.99) | (np.abs(a[:, None] - b).max(-1) < 0.1)
        same &= expected.class_ids[:, None] == result.class_ids[None]
        assert same.any(1).all()
        np.testing.assert_allclose(result.scores[same.argmax(1)], expected.scores, atol=1e-3)


@pytest.mark.parametrize(("classes", "name", "nms", "precision"), ONE_PER_FORMAT)
def test_interrupted_export_keeps_the_previous_file(
    networks, tmp_path, monkeypatch, classes, name, nms, precision
):
    entry, network = find_format(name), networks(classes)
    exported, path = network.exported(name, nms, precision), tmp_path / f"best{entry.suffix}"
    (shutil.copytree if exported.is_dir() else shutil.copy)(exported, path)

    def contents():
        # The report of the Edge TPU compiler is written first: it says why a model is refused.
        files = (p for p in tmp_path.rglob("*") if p.is_file() and not p.name.endswith("_report.txt"))
        return {p.relative_to(tmp_path): p.read_bytes() for p in files}

    before = contents()

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Contract, "to_json", interrupt)
    with pytest.raises(KeyboardInterrupt):
        export_model(network.request(nms, precision), [name], tmp_path / "best")
    assert contents() == before
