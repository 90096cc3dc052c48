"""ONNX, OpenVINO and TensorRT: what is particular to them; test_sweep.py has what they find."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from tfyolo.export.nms import NmsSettings
from tfyolo.export.request import ExportRequest, export_model

from tests.shared import needs_shared
from tests.small import PICTURES, confident, letterboxed
from tfyolo.errors import MissingExtraError, TfyoloError
from tfyolo.inference.boxes import iou_matrix
from tfyolo.inference.load import load
from tfyolo.quiet import import_openvino

HW = (128, 128)
pytestmark = needs_shared


@pytest.fixture(scope="module")
def small():
    """A network that sees things, and how to export it."""
    detector = confident(4, HW)
    settings = NmsSettings(confidence=0.25, iou=0.45, max_detections=100)
    return detector, ExportRequest(
        detector.model, detector.contract, HW, settings=settings, pictures=letterboxed(HW)
    )


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_any_number_of_images(small, tmp_path, name):
    detector, request = small
    path = export_model(replace(request, dynamic_batch=True, simplify=False), [name], tmp_path / "x")[name]
    exported = load(path)
    assert exported.runtime.max_batch > 1
    expected = detector(PICTURES, rect=False)
    for a, b in zip(expected, exported(PICTURES), strict=True):
        np.testing.assert_allclose(b.scores, a.scores, atol=1e-4)
        np.testing.assert_allclose(b.boxes_xyxy_px, a.boxes_xyxy_px, atol=0.2)


def test_any_number_of_images_is_refused_where_it_cannot_be(small, tmp_path):
    request = replace(small[1], dynamic_batch=True)
    with pytest.raises(TfyoloError, match="TensorFlow Lite takes one image at a time"):
        export_model(request, ["tflite"], tmp_path / "x")
    with pytest.raises(TfyoloError, match="suppresses the boxes of one image"):
        export_model(replace(request, nms="builtin"), ["onnx"], tmp_path / "x")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_runtimes_calibrate_themselves(small, tmp_path, name):
    detector, request = small
    request = replace(request, nms="none", precision="int8", calibrator="runtime")
    path = export_model(request, [name], tmp_path / "x")[name]
    expected = detector(PICTURES, rect=False)
    for a, b in zip(expected, load(path)(PICTURES), strict=True):
        iou = iou_matrix(a.boxes_xyxy_px, b.boxes_xyxy_px).max(1)
        assert abs(len(a) - len(b)) < 0.3 * len(a)
        assert np.median(iou) > 0.5
    if name == "openvino":  # nor NNCF
        assert sys.modules["openvino_telemetry"] is None, "OpenVINO reports over the network"


def test_only_some_runtimes_calibrate(small, tmp_path):
    request = replace(small[1], precision="int8", calibrator="runtime")
    with pytest.raises(TfyoloError, match="TensorFlow Lite has no calibration of its own"):
        export_model(request, ["tflite"], tmp_path / "x")
    with pytest.raises(TfyoloError, match="a runtime calibrates on pictures"):
        export_model(replace(request, pictures=None), ["onnx"], tmp_path / "x")


def test_onnx_has_yolov5s_metadata_and_opset(small, tmp_path):
    import onnx

    path = export_model(replace(small[1], nms="none", opset=15), ["onnx"], tmp_path / "x")["onnx"]
    model = onnx.load(str(path))
    assert [entry.version for entry in model.opset_import if not entry.domain] == [15]
    found = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(found["names"]) == {str(i): f"thing{i}" for i in range(4)}
    assert (found["stride"], found["task"]) == ("32", "detect")


@pytest.mark.parametrize("damage", ["truncated", "empty", "no contract", "noise"])
def test_damaged_onnx_is_one_sentence(small, tmp_path, damage):
    import onnx
    from tfyolo.export.registry import find_format

    path = export_model(replace(small[1], nms="raw"), ["onnx"], tmp_path / "x")["onnx"]
    model = onnx.load(str(path))
    del model.metadata_props[:]
    broken = {
        "truncated": path.read_bytes()[:2000],
        "empty": b"",
        "no contract": model.SerializeToString(),
        "noise": bytes(range(256)) * 40,
    }
    path.write_bytes(broken[damage])
    for use in (load, find_format("onnx").inspect):
        with pytest.raises(TfyoloError, match=r"x\.onnx: "):
            use(path)


def test_damaged_openvino_is_one_sentence(small, tmp_path):
    path = export_model(replace(small[1], nms="raw"), ["openvino"], tmp_path / "x")["openvino"]
    (path / "model.xml").write_text("<net>")
    with pytest.raises(TfyoloError, match="x_openvino_model: OpenVINO cannot read it"):
        load(path)
    (path / "tfyolo.json").unlink()
    with pytest.raises(TfyoloError, match=r"holds no tfyolo\.json"):
        load(path)


def test_damaged_torchscript_is_one_sentence(tmp_path):
    path = tmp_path / "x.torchscript"
    path.write_bytes(b"nonsense")
    with pytest.raises(TfyoloError, match=r"x\.torchscript: is damaged or no TorchScript file"):
        load(path)


def test_tensorrt_is_given_a_graph_with_its_own_suppression(small):
    from tfyolo.export.tensorrt import build_graph

    graph = build_graph(replace(small[1], nms="efficient", precision="float16")).graph
    (plugin,) = (node for node in graph.node if node.op_type == "EfficientNMS_TRT")
    values = {a.name: a.i or a.f for a in plugin.attribute}
    assert values["max_output_boxes"] == 100
    assert values["score_threshold"] == pytest.approx(0.25)
    assert values["iou_threshold"] == pytest.approx(0.45)
    assert list(plugin.input) == ["boxes", "scores"]
    shapes = {x.name: [d.dim_value for d in x.type.tensor_type.shape.dim] for x in graph.output}
    assert shapes == {
        "detection_boxes": [1, 100, 4],
        "detection_classes": [1, 100],
        "detection_scores": [1, 100],
        "num_detections": [1],
    }


def test_engine_file_without_a_gpu(small, tmp_path):
    from tfyolo.export.registry import find_format
    from tfyolo.export.tensorrt import build_graph, engine_contract, with_contract

    request = replace(small[1], nms="efficient")
    path = tmp_path / "x.engine"
    with pytest.raises(TfyoloError, match=r"tensorrt is not installed|NVIDIA GPU"):
        find_format("engine").write(request, path)
    assert not path.exists()
    path.write_bytes(with_contract(b"engine", engine_contract(request, build_graph(request))))
    found = find_format("engine").inspect(path)
    assert found.contract.names == small[0].names
    assert {x.name: x.shape for x in found.outputs}["detection_boxes"] == (1, 100, 4)
    assert found.operators["EfficientNMS_TRT"] == 1
    with pytest.raises((MissingExtraError, TfyoloError), match=r"not installed|NVIDIA GPU"):
        load(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(TfyoloError, match=r"x\.engine: "):
        load(path)


@pytest.mark.parametrize("multi_label", [False, True])
def test_openvino_does_not_sort_its_candidates(small, tmp_path, multi_label):
    """Stable sorting takes it longer than the network does."""
    request = small[1]
    request = replace(
        request, settings=replace(request.settings, candidates=200, multi_label=multi_label), nms="builtin"
    )
    paths = export_model(request, ["onnx", "openvino"], tmp_path / "x")
    model = import_openvino().Core().read_model(str(paths["openvino"] / "model.xml"))
    chosen = [op.get_attributes() for op in model.get_ops() if op.get_type_name() == "TopK"]
    large = [kind for kind in chosen if not kind["stable"]]
    assert len(large) == 1 + multi_label
    assert all(kind["sort"] == "index" for kind in large)
    results = [load(path)(PICTURES) for path in paths.values()]
    for a, b in zip(*results, strict=True):
        assert len(a) > 10
        np.testing.assert_allclose(b.scores, a.scores, atol=1e-4)
        np.testing.assert_allclose(b.boxes_xyxy_px, a.boxes_xyxy_px, atol=0.2)
