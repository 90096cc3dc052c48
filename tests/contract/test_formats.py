"""Every exported format has the contract's signature and metadata and predicts the boxes of Keras."""

import importlib
import json
import subprocess
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from tests.exports import exported_once, run_folder
from tests.shared import ELSEWHERE, SHARED
from tfyolo.errors import TfyoloError
from tfyolo.export.graph.nms import NMS, OUTSIDE
from tfyolo.export.registry import FORMATS, exportable, find_format, format_of
from tfyolo.files import megabytes
from tfyolo.inference.boxes import iou_matrix
from tfyolo.inference.load import load_predictor

IMAGE = SHARED / "data" / "bccd" / "JPEGImages" / "BloodImage_00000.jpg"
FLOAT = [
    entry for entry in exportable() if "float32" in entry.precisions and entry.name not in (*ELSEWHERE, "pt")
]
KINDS = [(entry.name, entry.nms[0]) for entry in FLOAT] + [("tflite", "none")]
"""The default NMS of each format, for a trained detector; test_sweep.py has all kinds for a small one."""


@pytest.fixture(scope="module")
def expected(cells_detector):
    """Boxes that Keras predicts for an image, letterboxed to the square input of exported files."""
    result = cells_detector(IMAGE, rect=False)[0]
    assert len(result) > 10
    return result


@pytest.fixture(scope="module")
def nano_float16(nano, tmp_path_factory):
    """yolov5n with 80 classes in float16 with multi-label NMS, and a photograph."""
    from tfyolo.export.graph.options import GraphNmsOptions
    from tfyolo.export.job import ExportJob
    from tfyolo.export.options import ExportOptions

    settings = GraphNmsOptions(max_detections=300, multi_label=True)
    request = ExportJob(
        nano.model,
        nano.contract,
        ExportOptions(image_size=(640, 640), nms_options=settings, precision="float16"),
    )
    path = exported_once(request, "tflite", run_folder(tmp_path_factory))
    return path, SHARED / "images" / "bus.jpg"


@pytest.mark.parametrize("entry", FORMATS, ids=lambda entry: entry.name)
def test_functions_of_an_entry_exist(entry):
    for dotted in filter(None, (entry.exporter, entry.runtime, entry.inspector)):
        module, _, name = dotted.partition(":")
        assert callable(getattr(importlib.import_module(module), name))
    assert set(entry.nms) <= {*NMS, *OUTSIDE}
    assert find_format(entry.name) is entry


@pytest.mark.parametrize(("name", "nms"), KINDS)
def test_same_boxes_as_keras(export, expected, name, nms):
    detector = load_predictor(export(name, nms))
    found = detector(IMAGE)[0]
    np.testing.assert_array_equal(found.class_ids, expected.class_ids)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
    np.testing.assert_allclose(found.boxes_xyxy_px, expected.boxes_xyxy_px, atol=0.1)


@pytest.mark.parametrize(
    ("name", "precision", "min_iou", "max_relative_size"),
    [
        ("tflite", "float16", 0.85, 0.6),
        pytest.param("saved_model", "float16", 0.85, 0.6, marks=pytest.mark.slow),
        ("pb", "float16", 0.85, 0.7),
        ("tfjs", "float16", 0.85, 0.6),
        pytest.param("pt", "float16", 0.85, 0.6, marks=pytest.mark.slow),
        ("onnx", "float16", 0.85, 0.6),
        ("openvino", "float16", 0.85, 0.6),
        ("tflite", "dynamic", 0.7, 0.4),
        ("tflite", "int16x8", 0.7, 0.5),
    ],
)
def test_lower_precision_gives_smaller_files_and_similar_boxes(
    export, expected, name, precision, min_iou, max_relative_size
):
    path = export(name, precision=precision)
    assert megabytes(path) < max_relative_size * megabytes(export(name))
    found = load_predictor(path)(IMAGE, rect=False)[0]
    assert abs(len(found) - len(expected)) <= (0 if precision == "float16" else 2)
    # NMS may keep another of two boxes with similar scores, so each box is compared with its nearest one.
    iou = iou_matrix(expected.boxes_xyxy_px, found.boxes_xyxy_px)
    near = iou.max(1) > min_iou
    assert near.all() if precision == "float16" else near.mean() > 0.85
    assert np.median(iou.max(1)) > (0.99 if precision == "float16" else 0.93)
    atol = 0.01 if precision == "float16" else 0.12
    np.testing.assert_allclose(found.scores[iou.argmax(1)][near], expected.scores[near], atol=atol)


@pytest.mark.parametrize(("name", "nms"), KINDS)
def test_signature_is_the_contract(export, name, nms):
    path = export(name, nms)
    rows = 3 * (40 * 40 + 20 * 20 + 10 * 10)
    expected_shapes = {"boxes": (1, rows, 4), "scores": (1, rows, 3)}
    if nms != "none":
        expected_shapes = {
            "detection_boxes": (1, 100, 4),
            "detection_classes": (1, 100),
            "detection_scores": (1, 100),
            "num_detections": (1,),
        }
    if name == "tflite":
        from ai_edge_litert.interpreter import Interpreter

        runner = Interpreter(str(path)).get_signature_runner("serving_default")
        inputs = {k: (tuple(v["shape"]), v["dtype"]) for k, v in runner.get_input_details().items()}
        outputs = {k: tuple(v["shape"]) for k, v in runner.get_output_details().items()}
        assert inputs == {"images": ((1, 320, 320, 3), np.float32)}
    elif name == "pb":
        import tensorflow as tf

        graph = tf.compat.v1.GraphDef.FromString(path.read_bytes())
        assert {node.name for node in graph.node} >= {"images", *expected_shapes}
        return
    elif name == "tfjs":
        signature = json.loads((path / "model.json").read_text())["signature"]
        assert list(signature["inputs"]) == ["images"]
        assert set(signature["outputs"]) == set(expected_shapes)
        return
    elif name in ("onnx", "openvino", "torchscript"):
        found = find_format(name).inspect(path)
        size = (1, 320, 320, 3) if name == "openvino" else (1, 3, 320, 320)
        assert [(x.name, x.shape, x.dtype.removesuffix("32")) for x in found.inputs] == [
            ("images", size, "float")
        ]
        assert {x.name: x.shape for x in found.outputs} == expected_shapes
        return
    else:
        import tensorflow as tf

        loaded = tf.saved_model.load(str(path)).signatures["serving_default"]
        outputs = {k: tuple(v.shape) for k, v in loaded.structured_outputs.items()}
        assert list(loaded.structured_input_signature[1]) == ["images"]
    assert outputs == expected_shapes


@pytest.mark.parametrize("entry", FLOAT, ids=lambda entry: entry.name)
def test_file_carries_the_contract(export, cells_detector, entry):
    carried = load_predictor(export(entry.name)).contract
    original = cells_detector.contract
    assert carried.names == original.names == ("Platelets", "RBC", "WBC")
    assert (carried.anchors_px, carried.strides, carried.config) == (
        original.anchors_px,
        original.strides,
        original.resized((320, 320)).config,
    )
    assert carried.image_size == (320, 320)
    assert carried.export["format"] == entry.name
    assert carried.export["nms"] == entry.nms[0]
    assert carried.export.get("conf_thres") == (None if entry.nms[0] == "none" else 0.25)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_tflite_is_the_same_on_any_number_of_threads(export, expected, threads):
    path = export("tflite", "postprocess", confidence=0.001, iou=0.6, max_detections=300, multi_label=True)
    found = load_predictor(path, threads=threads)(
        IMAGE, confidence=0.001, iou_threshold=0.6, max_detections=300
    )[0]
    one = load_predictor(path, threads=1)(IMAGE, confidence=0.001, iou_threshold=0.6, max_detections=300)[0]
    assert len(found) > 100
    np.testing.assert_array_equal(found.class_ids, one.class_ids)
    np.testing.assert_allclose(found.scores, one.scores, atol=1e-5)


def test_tflite_runs_without_tensorflow(export):
    code = (
        "import sys; from tfyolo.inference.load import load_predictor; "
        f"print(len(load_predictor({str(export('tflite'))!r})({str(IMAGE)!r})[0])); "
        "print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    lines = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split("\n")
    assert int(lines[0]) > 10
    assert lines[1] == "[]"


@pytest.mark.parametrize(("name", "nms"), [("tflite", "combined")])
def test_impossible_nms_is_refused(name, nms):
    with pytest.raises(TfyoloError, match="does not support --nms combined"):
        find_format(name).check(nms)


def test_unknown_format_and_file():
    with pytest.raises(TfyoloError, match="unknown format `coreml2`"):
        find_format("coreml2")
    with pytest.raises(TfyoloError, match="not a model file of a known format"):
        format_of(SHARED / "README.md")


@pytest.mark.parametrize("damage", ["truncated", "empty", "no contract", "noise"])
def test_damaged_tflite_is_refused(export, tmp_path, damage):
    data = export("tflite").read_bytes()
    if damage == "no contract":
        with zipfile.ZipFile(export("tflite")) as archive:
            end = min(info.header_offset for info in archive.infolist())
        data = data[:end]
    broken = {
        "truncated": data[: len(data) // 2],
        "empty": b"",
        "no contract": data,
        "noise": bytes(range(256)) * 40,
    }
    path = tmp_path / "broken.tflite"
    path.write_bytes(broken[damage])
    with pytest.raises(TfyoloError, match=r"broken\.tflite"):
        load_predictor(path)


def test_damaged_saved_model_is_refused(export, tmp_path):
    import shutil

    copy = tmp_path / "x_saved_model"
    shutil.copytree(export("saved_model"), copy)
    (copy / "saved_model.pb").write_bytes(b"nonsense")
    with pytest.raises(TfyoloError, match="x_saved_model: TensorFlow cannot read it"):
        load_predictor(copy)
    (copy / "tfyolo.json").unlink()
    with pytest.raises(TfyoloError, match=r"contains no tfyolo\.json"):
        load_predictor(copy)


def test_size_that_strides_do_not_divide_is_refused(cells_detector, tmp_path):
    from tfyolo.export.job import ExportJob, export_model
    from tfyolo.export.options import ExportOptions

    request = ExportJob(cells_detector.model, cells_detector.contract, ExportOptions(image_size=(300, 320)))
    with pytest.raises(TfyoloError, match="300x320 pixels is not a multiple of the stride 32"):
        export_model(request, ["tflite"], tmp_path / "x")


def test_fixed_input_refuses_another_size(export):
    with pytest.raises(TfyoloError, match="fixed input size of 320x320"):
        load_predictor(export("tflite"), 640)


def test_limits_names_thresholds_of_the_exported_nms(export, cells_detector):
    from tfyolo.inference.nms import NmsOptions

    loose, strict = (
        NmsOptions(confidence=0.001, iou_threshold=0.6),
        NmsOptions(confidence=0.5, iou_threshold=0.3),
    )
    exported = load_predictor(export("tflite"))
    note = "NMS that keeps confidence over 0.25, IoU up to 0.45 and at most 100 boxes"
    assert exported.limits(loose).endswith(note)
    assert exported.limits(strict) == ""
    assert exported.limits(replace(strict, max_detections=101)).endswith("NMS that keeps at most 100 boxes")
    assert exported.limits(replace(strict, max_detections=100)) == ""
    assert load_predictor(export("tflite", "none")).limits(loose) == ""
    assert cells_detector.limits(loose) == ""


def test_float16_keeps_the_classes_of_multi_label_boxes(nano_float16, nano):
    expected = nano(nano_float16[1], rect=False)[0]
    found = load_predictor(nano_float16[0])(nano_float16[1])[0]
    assert len(found) >= len(expected) > 2
    assert set(expected.class_ids) <= set(found.class_ids)


def test_loading_a_tflite_file_prints_nothing(export):
    """LiteRT prints the delegate that it creates to stderr, once per process."""
    code = f"from tfyolo.inference.load import load_predictor; load_predictor({str(export('tflite'))!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
