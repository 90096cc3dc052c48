"""A detector or classifier that eight threads share predicts what it predicts in one thread."""

from concurrent.futures import ThreadPoolExecutor
from itertools import combinations

import numpy as np
import pytest

from tests.shared import ELSEWHERE, SHARED, needs_shared
from tests.small import confident, letterboxed
from tfyolo.data.images.read import read_image
from tfyolo.export.job import ExportJob, export_model
from tfyolo.export.options import ExportOptions
from tfyolo.export.registry import exportable
from tfyolo.inference.load import create_predictor, load_predictor
from tfyolo.quantization.calibration import CalibrationOptions
from tfyolo.quantization.model import calibrate_model

# Keras also runs .pt.
NAMES = [*(entry.name for entry in exportable() if entry.name not in (*ELSEWHERE, "pt")), "keras"]
THREADS = 8
pytestmark = needs_shared


@pytest.fixture(scope="module")
def cells():
    """Eight different images of 320 x 320, uint8 (8, 320, 320, 3)."""
    files = sorted((SHARED / "data" / "bccd" / "JPEGImages").glob("*.jpg"))[:THREADS]
    return np.stack([read_image(file)[80:400, 100:420] for file in files])


def in_threads(run, images, calls):
    """Run in eight threads and return the image index and the result of each call."""

    def work(thread):
        numbers = [(thread + call) % len(images) for call in range(calls)]
        return [(number, run(images[number])) for number in numbers]

    with ThreadPoolExecutor(THREADS) as pool:
        return [pair for pairs in pool.map(work, range(THREADS)) for pair in pairs]


def check_detector(detector, images, calls):
    def run(image):
        return detector(image, confidence=0.1)[0]

    sequential = [run(image) for image in images]
    boxes = [result.boxes_xyxy_px for result in sequential]
    assert not any(np.array_equal(a, b) for a, b in combinations(boxes, 2))
    for number, result in in_threads(run, images, calls):
        np.testing.assert_array_equal(result.class_ids, sequential[number].class_ids)
        np.testing.assert_allclose(result.boxes_xyxy_px, sequential[number].boxes_xyxy_px, atol=0.01)
        np.testing.assert_allclose(result.scores, sequential[number].scores, atol=1e-5)


@pytest.fixture
def detector(request, export, cells_detector, tmp_path_factory):
    """The blood cell detector in a format; a small network for the Edge TPU."""
    if request.param == "keras":
        return cells_detector
    if request.param == "edgetpu":
        return load_predictor(small_int8(tmp_path_factory.mktemp("int8")), threads=1)
    return load_predictor(export(request.param), threads=1)


def small_int8(folder):
    """Export a small network for the Edge TPU, which runs on the CPU."""
    small, images = confident(3, (128, 128)), letterboxed((128, 128))
    model, contract = calibrate_model(
        small.model, small.contract, images, CalibrationOptions(reconstruct=False)
    )
    request = ExportJob(model, contract, ExportOptions(image_size=(128, 128), precision="int8"))
    return export_model(request, ["edgetpu"], folder / "small")["edgetpu"]


@pytest.mark.parametrize("detector", NAMES, indirect=True)
def test_detector_in_eight_threads(detector, cells):
    check_detector(detector, cells, calls=4)


@pytest.mark.slow
@pytest.mark.parametrize("detector", NAMES, indirect=True)
def test_thousand_calls_of_a_detector(detector, cells):
    check_detector(detector, cells, calls=1000 // THREADS)


@pytest.mark.parametrize("name", ["tflite", "openvino", "keras"])
def test_classifier_in_eight_threads(cells, tmp_path, name):
    import keras

    keras.utils.set_random_seed(0)
    created = create_predictor("tests/tiny-cls.yaml", names=("a", "b", "c"), image_size=(64, 64))
    kernel, bias = created.model.layers[-1].get_weights()
    created.model.layers[-1].set_weights([kernel * 300, bias])  # so that images differ
    classifier = created
    if name != "keras":
        request = ExportJob(created.model, created.contract, ExportOptions(image_size=(64, 64)))
        classifier = load_predictor(
            export_model(request.with_options(nms="none"), [name], tmp_path / "x")[name], threads=1
        )
    images = [image[:64, :64] for image in cells]

    def run(image):
        return classifier(image)[0].probabilities

    sequential = [run(image) for image in images]
    assert min(np.abs(a - b).max() for a in sequential for b in sequential if a is not b) > 1e-4
    for number, values in in_threads(run, images, 6):
        np.testing.assert_allclose(values, sequential[number], atol=1e-6)
