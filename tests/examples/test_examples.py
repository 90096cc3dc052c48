"""The Python projects in examples/ find what tfyolo finds."""

from __future__ import annotations

import importlib.util
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from tests.clients import inspection
from tests.small import rescaled
from tfyolo.data.images.letterbox import Letterbox
from tfyolo.data.images.read import read_image
from tfyolo.export.job import ExportJob, export_model
from tfyolo.export.options import ExportOptions
from tfyolo.inference.load import create_predictor, load_predictor
from tfyolo.inference.snippets.languages import find_language
from tfyolo.inference.snippets.write import client
from tfyolo.quantization.calibration import CalibrationOptions
from tfyolo.quantization.model import calibrate_model

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "tfyolo" / "assets" / "bccd-mini" / "images" / "test"
SIZE = (64, 96)


def example(name: str) -> ModuleType:
    """The script of a project as a module."""
    path = ROOT / "examples" / name
    spec = importlib.util.spec_from_file_location(re.sub(r"\W", "_", name), path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def image(tmp_path_factory) -> Path:
    """A photograph whose padding is odd."""
    path = tmp_path_factory.mktemp("images") / "odd.png"
    cv2.imwrite(str(path), cv2.imread(str(IMAGES / "BloodImage_00062.jpg"))[:, :251])
    return path


@pytest.fixture(scope="module")
def export(image, tmp_path_factory):
    """A function that exports a small detector that finds some objects."""
    import keras

    keras.utils.set_random_seed(0)
    detector = create_predictor(
        ROOT / "tests" / "tiny.yaml", image_size=SIZE, names=("ant", "bee", "cat", "dog")
    )
    pixels = read_image(image)
    images = np.stack([Letterbox.fit(pixels.shape[:2], SIZE).apply(pixels)] * 2)
    rescaled(detector, SIZE, images)
    settings = CalibrationOptions(ranges="minmax", reconstruct=False)
    models = {
        "float32": (detector.model, detector.contract),
        "int8": calibrate_model(detector.model, detector.contract, images, settings),
    }
    folder = tmp_path_factory.mktemp("models")

    def run(form: str, precision: str = "float32", nms: str = "auto") -> Path:
        options = ExportOptions(image_size=SIZE, precision=precision, nms=nms)
        return export_model(ExportJob(*models[precision], options), [form], folder / f"{precision}-{nms}")[
            form
        ]

    return run


def compare(lines: list[str], path: Path, image: Path) -> None:
    """Compare printed detections with those of tfyolo."""
    (expected,) = load_predictor(path)(image)
    assert len(expected) > 4
    matches = [re.fullmatch(r"(\w+) (\S+): (\S+), (\S+), (\S+), (\S+)", line) for line in lines]
    found = [match for match in matches if match]
    assert [match[1] for match in found] == [expected.names[i] for i in expected.class_ids]
    numbers = np.array([[float(match[i]) for i in range(2, 7)] for match in found])
    np.testing.assert_allclose(numbers[:, 0], expected.scores, atol=6e-4)
    np.testing.assert_allclose(numbers[:, 1:], expected.boxes_xyxy_px, atol=0.06)


def test_raspberry_pi(export, image, tmp_path, capsys):
    path, video = export("tflite"), tmp_path / "detected.mp4"
    example("raspberry-pi/detect.py").main([str(path), str(image), "--output", str(video)])
    compare(capsys.readouterr().out.splitlines(), path, image)
    assert cv2.VideoCapture(str(video)).read()[0]


def test_edge_tpu_on_the_cpu(export, image, capsys):
    path = export("edgetpu", "int8")
    example("edge-tpu/detect.py").main([str(path), str(image)])
    printed = capsys.readouterr()
    compare(printed.out.splitlines(), path, image)
    assert "running on the CPU" in printed.err


def test_openvino(export, image, capsys):
    path = export("openvino")
    example("openvino/detect.py").main([str(path), str(image)])
    compare(capsys.readouterr().out.splitlines(), path, image)


def test_tensorrt_with_onnx_runtime_in_its_place(export, image, capsys, monkeypatch):
    """Everything but the engine."""
    import onnxruntime

    path, module = export("onnx", nms="none"), example("tensorrt/detect.py")
    session = onnxruntime.InferenceSession(path)
    names = [output.name for output in session.get_outputs()]
    run = lambda images: dict(zip(names, session.run(names, {"images": images}), strict=True))  # noqa: E731
    monkeypatch.setattr(module, "open_engine", lambda _: (run, SIZE))
    module.main(["best.engine", str(image), "--names", "ant", "bee", "cat", "dog"])
    compare(capsys.readouterr().out.splitlines(), path, image)


def test_the_client_of_the_react_project_is_what_is_printed():
    code = client(Path("best.tflite"), "tflite", inspection("suppressed", "uint8"), find_language("js"))
    assert (ROOT / "examples/web-react/src/client.js").read_text("utf-8") == code


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_tensorflow_serving(export, image, capsys, precision):
    """A server that answers as TensorFlow Serving's REST API is documented to."""
    import tensorflow as tf

    path = export("saved_model", precision)
    signature = tf.saved_model.load(str(path)).signatures["serving_default"]
    dtypes = {name: spec.dtype for name, spec in signature.structured_input_signature[1].items()}

    class Serving(BaseHTTPRequestHandler):
        def do_POST(self):
            assert self.path == "/v1/models/detector:predict"
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert body["signature_name"] == "serving_default"
            inputs = {name: tf.constant(values, dtypes[name]) for name, values in body["inputs"].items()}
            outputs = {name: values.numpy().tolist() for name, values in signature(**inputs).items()}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"outputs": outputs}).encode())

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Serving)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/v1/models/detector"
    try:
        example("tf-serving/client.py").main([str(path / "tfyolo.json"), str(image), "--url", url])
    finally:
        server.shutdown()
        server.server_close()
    compare(capsys.readouterr().out.splitlines(), path, image)
