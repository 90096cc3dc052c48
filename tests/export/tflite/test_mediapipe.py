"""MediaPipe Tasks runs our files as they are, and finds what we find."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.readers import read_with
from tests.shared import needs_shared
from tests.small import confident, letterboxed
from tfyolo.export.graph.options import GraphNmsOptions
from tfyolo.export.job import ExportJob, export_model
from tfyolo.export.options import ExportOptions
from tfyolo.inference.load import create_predictor, load_predictor
from tfyolo.quantization.calibration import CalibrationOptions
from tfyolo.quantization.model import calibrate_model

HW = (128, 128)


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> list[Path]:
    """Two square photographs of the input's size: MediaPipe stretches an image, we letterbox it."""
    folder = tmp_path_factory.mktemp("images")
    paths = [folder / f"{number}.png" for number in range(2)]
    for path, pixels in zip(paths, letterboxed(HW), strict=True):
        Image.fromarray(pixels).save(path)
    return paths


@pytest.fixture(scope="module")
def requests() -> dict[str, ExportJob]:
    """A detector that finds a few dozen objects, in float and in integers."""
    detector = confident(80, HW)
    settings = GraphNmsOptions(confidence=0.25, iou_threshold=0.45, max_detections=50)
    request = ExportJob(detector.model, detector.contract, ExportOptions(image_size=HW, nms_options=settings))
    options = CalibrationOptions(ranges="minmax", reconstruct=False)
    model, contract = calibrate_model(detector.model, detector.contract, letterboxed(HW), options)
    return {
        "float32": request.with_options(nms="builtin"),
        "int8": replace(request, model=model, contract=contract).with_options(precision="int8"),
    }


@needs_shared
@pytest.mark.parametrize(("precision", "within", "share"), [("float32", 1e-4, 1.0), ("int8", 0.02, 0.8)])
def test_object_detector_finds_our_boxes(requests, images, tmp_path, precision, within, share):
    """Integers differ here and there, as MediaPipe has other kernels, and random weights amplify that."""
    path = export_model(requests[precision], ["tflite"], tmp_path / "best")["tflite"]
    expected, same = load_predictor(path)(images, rect=False, max_detections=50), []
    for result, found in zip(expected, read_with("mediapipe_tasks", "detect", path, *images), strict=True):
        # MediaPipe moves what is left of or above the image to its border, and keeps the size.
        inside = ((result.boxes_xyxy_px > 0) & (result.boxes_xyxy_px < HW[0])).all(1)
        assert inside.sum() > 5
        assert abs(len(found) - len(result)) < 3  # a score may equal the threshold
        for i in np.flatnonzero(inside):
            name, score, box = result.names[result.class_ids[i]], result.scores[i], result.boxes_xyxy_px[i]
            same.append(
                any(  # integers have equal scores, in any order; MediaPipe's boxes are whole pixels
                    its_name == name
                    and abs(its_score - score) < within
                    and np.abs(np.array([left, top, left + width, top + height]) - box).max() < 2
                    for its_name, its_score, (left, top, width, height) in found
                )
            )
    assert np.mean(same) >= share


@needs_shared
def test_image_classifier_gives_our_probabilities(images, tmp_path):
    import keras

    keras.utils.set_random_seed(0)
    classifier = create_predictor(
        Path(__file__).parents[2] / "tiny-cls.yaml", names=("ant", "bee", "cat"), image_size=HW
    )
    request = ExportJob(classifier.model, classifier.contract, ExportOptions(image_size=HW))
    path = export_model(request, ["tflite"], tmp_path / "best")["tflite"]
    for result, found in zip(
        load_predictor(path)(images), read_with("mediapipe_tasks", "classify", path, *images), strict=True
    ):
        probabilities = [found[name] for name in ("ant", "bee", "cat")]
        np.testing.assert_allclose(probabilities, result.probabilities, atol=1e-4)
