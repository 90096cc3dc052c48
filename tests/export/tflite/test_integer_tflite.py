"""Integer TensorFlow Lite files: what follows the network is float, and equals raw heads decoded by NumPy."""

import re
import sys
import types
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from tensorflow.lite.tools import flatbuffer_utils

from tests.export.tflite.conftest import IMAGE_SIZE, IMAGES, NMS_OPTIONS
from tfyolo.export.graph.options import GraphNmsOptions
from tfyolo.export.job import ExportJob, export_model
from tfyolo.export.options import ExportOptions
from tfyolo.export.runtime.decode import softmax
from tfyolo.export.tflite.flatbuffer import read
from tfyolo.inference.load import create_predictor, load_runtime
from tfyolo.inference.nms import NmsOptions, non_max_suppression
from tfyolo.models.outputs import BOXES, DETECTIONS
from tfyolo.models.tasks import TASKS

SUPPRESSED = ("postprocess", "builtin", "tensor")
SCORE, BOX_PX = 1e-3, 0.05
"""Most that a score and a corner may differ."""


def predictions(path: Path) -> list:
    """Of each image; raw heads are decoded by NumPy."""
    return load_runtime(path)(IMAGES, 0.0)


def operators(path: Path) -> list[tuple]:
    """Name, types, scales and zero points of each operation."""
    model = read(path.read_bytes())
    tensors = model.subgraphs[0].tensors

    def described(index: int) -> tuple:
        tensor, marks = tensors[index], tensors[index].quantization
        marks = () if marks is None or marks.scale is None else (*marks.scale, *marks.zeroPoint)
        return flatbuffer_utils.type_to_name(tensor.type), *marks

    return [
        (
            flatbuffer_utils.opcode_to_name(model, x.opcodeIndex),
            *(described(i) for i in (*x.inputs, *x.outputs) if i >= 0),
        )
        for x in model.subgraphs[0].operators
    ]


def test_ranges_of_the_heads_differ_by_design(uneven_detector):
    ranges = uneven_detector.contract.quantization.ranges
    for part in TASKS["detect"].parts:
        widths = [high - low for low, high in (ranges[f"model.12.m.{scale}.{part}"] for scale in range(3))]
        assert max(widths) > 3 * min(widths)


@pytest.mark.parametrize(
    ("precision", "name"), [("int8", "tflite"), ("int8", "edgetpu"), ("int16x8", "tflite")]
)
def test_all_boxes_equal_raw_heads(export_uneven, precision, name):
    expected = predictions(export_uneven("raw", precision))
    assert max(x.scores.max() for x in expected) > 0.9
    for found, exact in zip(predictions(export_uneven("none", precision, name)), expected, strict=True):
        np.testing.assert_allclose(found.scores, exact.scores, atol=SCORE)
        np.testing.assert_allclose(found.boxes_xyxy_px, exact.boxes_xyxy_px, atol=BOX_PX)


@pytest.mark.parametrize(
    ("nms", "precision", "name"),
    [
        *((kind, precision, "tflite") for kind in SUPPRESSED for precision in ("int8", "int16x8")),
        ("postprocess", "int8", "edgetpu"),
    ],
)
def test_detections_equal_raw_heads(export_uneven, nms, precision, name):
    maximum = NMS_OPTIONS.max_detections
    options = NmsOptions(NMS_OPTIONS.confidence, NMS_OPTIONS.iou_threshold, max_detections=maximum)
    for found, raw in zip(
        predictions(export_uneven(nms, precision, name)),
        predictions(export_uneven("raw", precision)),
        strict=True,
    ):
        expected = non_max_suppression(raw, options)
        assert 5 < len(expected) < maximum
        np.testing.assert_allclose(found.scores, expected.scores, atol=SCORE)
        # Among equal scores the order is free.
        far = np.abs(found.boxes_xyxy_px[:, None] - expected.boxes_xyxy_px[None]).max(-1)
        far[np.abs(found.scores[:, None] - expected.scores[None]) > SCORE] = np.inf
        far[found.class_ids[:, None] != expected.class_ids[None]] = np.inf
        assert far.min(0).max() < BOX_PX


@pytest.mark.parametrize("nms", ["none", *SUPPRESSED])
def test_the_network_is_that_of_raw_heads_and_nothing_after_it_is_integer_arithmetic(export_uneven, nms):
    network, whole = operators(export_uneven("raw")), operators(export_uneven(nms))
    assert whole[: len(network)] == network
    for name, *tensors in whole[len(network) :]:
        if any(tensor[0] == "INT8" for tensor in tensors):
            assert name in ("RESHAPE", "GATHER", "DEQUANTIZE")
    if nms != "none":  # rows are chosen before they are converted
        assert sum(name == "GATHER" and tensors[0][0] == "INT8" for name, *tensors in whole) == 6


def test_classifier_equals_its_logits(export_loud):
    logits = load_runtime(export_loud("raw")).outputs
    probabilities = load_runtime(export_loud("none")).outputs
    found = np.stack([probabilities(image[None])["probabilities"][0] for image in IMAGES])
    expected = np.stack([softmax(logits(image[None])["logits"][0]) for image in IMAGES])
    np.testing.assert_allclose(found, expected, atol=1e-6)
    # An integer softmax would give multiples of 1/256.
    assert np.abs(found * 256 - np.round(found * 256)).max() > 0.01


@pytest.mark.parametrize(
    ("precision", "nms", "names"),
    [
        ("float32", "postprocess", DETECTIONS),
        *(("int8", kind, DETECTIONS) for kind in SUPPRESSED),
        ("int8", "none", BOXES),
    ],
)
def test_outputs_stand_in_the_order_of_the_contract(export_uneven, precision, nms, names):
    """A client that knows indices, not names: boxes, classes, scores, count."""
    path = export_uneven(nms, precision)
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    unit = IMAGES[:1] if precision == "int8" else np.float32(IMAGES[:1] / 255)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], unit)
    interpreter.invoke()
    by_index = [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]
    by_name = load_runtime(path).outputs(IMAGES[:1])
    for name, values in zip(names, by_index, strict=True):
        np.testing.assert_allclose(values, by_name[name], atol=1e-4)
    model = read(path.read_bytes())
    assert [x.name.decode() for x in model.signatureDefs[0].outputs] == list(names)
    if nms != "none":
        count = int(by_index[3][0])
        assert 0 < count < NMS_OPTIONS.max_detections
        assert [x.shape for x in by_index] == [(1, 100, 4), (1, 100), (1, 100), (1,)]


def code_of(page: str, word: str) -> str:
    """The block of code in a page of docs/deploy that holds a word."""
    text = (Path(__file__).parents[3] / "docs" / "deploy" / page).read_text("utf-8")
    return next(block for block in re.findall(r"```python[^\n]*\n(.*?)```", text, re.DOTALL) if word in block)


def test_readers_of_the_docs_read_what_tfyolo_reads(export_uneven, monkeypatch, capsys):
    """By index with a plain interpreter, and in place of pycoral's `get_objects`."""
    path = export_uneven("postprocess", "int8", "edgetpu")
    expected = load_runtime(path)(IMAGES[:1], 0.0)[0]
    coral = types.ModuleType("pycoral.adapters.detect")
    coral.BBox = namedtuple("BBox", "xmin ymin xmax ymax")
    coral.Object = namedtuple("Object", "id score bbox")
    for name in ("pycoral", "pycoral.adapters", "pycoral.adapters.detect"):
        monkeypatch.setitem(sys.modules, name, coral)
    here = {"image": IMAGES[0], "width": IMAGE_SIZE[1], "height": IMAGE_SIZE[0]}
    exec(code_of("clients.md", "get_output_details()]\ncount").replace("best.tflite", str(path)), here)
    rows = np.array([line.split() for line in capsys.readouterr().out.splitlines()], float)
    np.testing.assert_allclose(rows[:, 0], expected.class_ids)
    np.testing.assert_allclose(rows[:, 1], expected.scores, atol=1e-5)
    np.testing.assert_allclose(rows[:, 2:], expected.boxes_xyxy_px, atol=1e-3)
    exec(code_of("edge-tpu.md", "def get_objects"), here)
    objects = here["get_objects"](here["interpreter"], 0.5, (0.5, 0.25))
    assert [x.id for x in objects] == expected.class_ids[expected.scores >= 0.5].tolist()
    wanted = expected.boxes_xyxy_px[expected.scores >= 0.5] * [2, 4, 2, 4]
    np.testing.assert_allclose([x.bbox for x in objects], wanted, atol=1.001)


@pytest.mark.parametrize("nms", ["postprocess", "builtin", "tensor"])
def test_a_score_that_equals_the_threshold_is_left_out(tmp_path, nms):
    """As in NumPy and in YOLOv5; integer heads give such scores."""
    detector = create_predictor(Path(__file__).parents[2] / "micro.yaml")
    detector.model.set_weights([np.zeros_like(x) for x in detector.model.get_weights()])  # all scores are 1/4
    request = ExportJob(detector.model, detector.contract, ExportOptions(image_size=(64, 64), nms=nms))
    found = {}
    for threshold in (0.25, 0.2499):
        settings = GraphNmsOptions(confidence=threshold)
        path = export_model(request.with_options(nms_options=settings), ["tflite"], tmp_path / f"{threshold}")
        found[threshold] = len(load_runtime(path["tflite"])(np.zeros((1, 64, 64, 3), np.uint8), 0.0)[0])
    assert found[0.25] == 0
    assert found[0.2499] > 0
