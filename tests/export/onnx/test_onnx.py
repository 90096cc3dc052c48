"""ONNX, OpenVINO and TorchScript files: dynamic batch, calibration, metadata, and damaged files."""

import ast
import os
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.shared import needs_shared
from tests.small import IMAGES, confident, letterboxed
from tfyolo.errors import TfyoloError
from tfyolo.export.graph.options import GraphNmsOptions
from tfyolo.export.job import ExportJob, export_model
from tfyolo.export.options import ExportOptions
from tfyolo.export.registry import find_format
from tfyolo.export.runtime.base import MAX_JSON_BYTES
from tfyolo.inference.boxes import iou_matrix
from tfyolo.inference.load import create_predictor, load_predictor
from tfyolo.quiet import import_openvino

HW = (128, 128)
TINY_CLASSES = Path(__file__).parents[2] / "tiny-cls.yaml"
pytestmark = needs_shared


@pytest.fixture(scope="module")
def small():
    """A network that detects objects in any image, and its export job."""
    detector = confident(4, HW)
    settings = GraphNmsOptions(confidence=0.25, iou_threshold=0.45, max_detections=100)
    return detector, ExportJob(
        detector.model,
        detector.contract,
        ExportOptions(image_size=HW, nms_options=settings),
        calibration_images=letterboxed(HW),
    )


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_dynamic_batch(small, tmp_path, name):
    detector, request = small
    path = export_model(request.with_options(dynamic_batch=True, simplify=False), [name], tmp_path / "x")[
        name
    ]
    exported = load_predictor(path)
    assert exported.runtime.max_batch > 1
    expected = detector(IMAGES, rect=False)
    for a, b in zip(expected, exported(IMAGES), strict=True):
        np.testing.assert_allclose(b.scores, a.scores, atol=1e-4)
        np.testing.assert_allclose(b.boxes_xyxy_px, a.boxes_xyxy_px, atol=0.2)


def test_dynamic_batch_is_refused_where_unsupported(small, tmp_path):
    request = small[1].with_options(dynamic_batch=True)
    with pytest.raises(TfyoloError, match="TensorFlow Lite does not support dynamic batch sizes"):
        export_model(request, ["tflite"], tmp_path / "x")
    with pytest.raises(TfyoloError, match="does not support --dynamic-batch"):
        export_model(request.with_options(nms="builtin"), ["onnx"], tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_an_optimization_of_tf2onnx_that_fails_is_left_out(small, tmp_path, monkeypatch):
    from tf2onnx import optimizer

    class Failing:
        def optimize(self, graph, iteration):
            raise ValueError("no")

    monkeypatch.delenv("TF2ONNX_CATCH_ERRORS", raising=False)
    monkeypatch.setitem(optimizer._get_optimizers(), "remove_identity", Failing)
    exported = load_predictor(export_model(small[1], ["onnx"], tmp_path / "x")["onnx"])
    assert "TF2ONNX_CATCH_ERRORS" not in os.environ
    (a,), (b,) = small[0](IMAGES[:1], rect=False), exported(IMAGES[:1])
    np.testing.assert_allclose(b.scores, a.scores, atol=1e-4)


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_calibration_by_the_runtime(small, tmp_path, name):
    detector, request = small
    request = request.with_options(nms="none", precision="int8", calibrator="runtime")
    path = export_model(request, [name], tmp_path / "x")[name]
    expected = detector(IMAGES, rect=False)
    for a, b in zip(expected, load_predictor(path)(IMAGES), strict=True):
        iou = iou_matrix(a.boxes_xyxy_px, b.boxes_xyxy_px).max(1)
        assert abs(len(a) - len(b)) < 0.3 * len(a)
        assert np.median(iou) > 0.5
    if name == "openvino":  # NNCF reports, too
        assert sys.modules["openvino_telemetry"] is None, "OpenVINO reports over the network"


def test_calibration_by_the_runtime_is_refused_where_unsupported(small, tmp_path):
    request = small[1].with_options(precision="int8", calibrator="runtime")
    with pytest.raises(TfyoloError, match="TensorFlow Lite has no calibrator of its own"):
        export_model(request, ["tflite"], tmp_path / "x")
    with pytest.raises(TfyoloError, match="--calibrator runtime needs calibration images"):
        export_model(replace(request, calibration_images=None), ["onnx"], tmp_path / "x")


def test_onnx_has_yolov5s_metadata_and_opset(small, tmp_path):
    import onnx

    path = export_model(small[1].with_options(nms="none", opset=15), ["onnx"], tmp_path / "x")["onnx"]
    model = onnx.load(str(path))
    assert [entry.version for entry in model.opset_import if not entry.domain] == [15]
    found = {entry.key: entry.value for entry in model.metadata_props}
    assert ast.literal_eval(found["names"]) == {i: f"thing{i}" for i in range(4)}
    assert (found["stride"], found["task"]) == ("32", "detect")


@pytest.mark.parametrize("damage", ["truncated", "empty", "no contract", "noise"])
def test_damaged_onnx_is_refused(small, tmp_path, damage):
    import onnx

    from tfyolo.export.registry import find_format

    path = export_model(small[1].with_options(nms="raw"), ["onnx"], tmp_path / "x")["onnx"]
    model = onnx.load(str(path))
    del model.metadata_props[:]
    broken = {
        "truncated": path.read_bytes()[:2000],
        "empty": b"",
        "no contract": model.SerializeToString(),
        "noise": bytes(range(256)) * 40,
    }
    path.write_bytes(broken[damage])
    for use in (load_predictor, find_format("onnx").inspect):
        with pytest.raises(TfyoloError, match=r"x\.onnx: "):
            use(path)


def test_damaged_openvino_is_refused(small, tmp_path):
    path = export_model(small[1].with_options(nms="raw"), ["openvino"], tmp_path / "x")["openvino"]
    (path / "model.xml").write_text("<net>")
    with pytest.raises(
        TfyoloError, match=r"x_openvino_model/model\.xml: is damaged or not an OpenVINO model"
    ):
        load_predictor(path)
    (path / "tfyolo.json").unlink()
    with pytest.raises(TfyoloError, match=r"contains no tfyolo\.json"):
        load_predictor(path)


def test_loading_torchscript_runs_no_code(tmp_path, monkeypatch):
    import torch

    class Hostile(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.x = torch.zeros(3)

        @torch.jit.export
        def __getstate__(self) -> tuple[torch.Tensor, bool]:
            return (self.x, self.training)

        @torch.jit.export
        def __setstate__(self, state: tuple[torch.Tensor, bool]) -> None:
            self.x = state[0]
            self.training = state[1]
            torch.save(state[0], "written")

        def forward(self, images):
            return images.mean() + self.x

    path = tmp_path / "x.torchscript"
    contract = create_predictor(TINY_CLASSES, num_classes=3).contract
    torch.jit.save(torch.jit.script(Hostile()), str(path), _extra_files={"tfyolo.json": contract.to_json()})
    monkeypatch.chdir(tmp_path)
    for use in (load_predictor, find_format("torchscript").inspect):
        with pytest.raises(TfyoloError, match="contains the function __getstate__"):
            use(path)
    assert [p.name for p in tmp_path.iterdir()] == ["x.torchscript"]


def test_damaged_torchscript_is_refused(tmp_path):
    path = tmp_path / "x.torchscript"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/extra/tfyolo.json", bytes(1000))
    data = bytearray(path.read_bytes())
    data[len("x/extra/tfyolo.json") + 30] ^= 0xFF  # the first compressed byte
    for content in (b"nonsense", bytes(data)):
        path.write_bytes(content)
        with pytest.raises(TfyoloError, match=r"x\.torchscript: is damaged or not a TorchScript file"):
            load_predictor(path)


def test_torchscript_operations_that_trust_their_arguments_are_refused(tmp_path):
    import torch

    class Hostile(torch.nn.Module):
        def forward(self, images):
            indices, values = torch.tensor([[2**33]]), torch.ones(1)
            return images + torch.ops.aten._sparse_coo_tensor_unsafe(indices, values, [4]).to_dense().sum()

    path = tmp_path / "x.torchscript"
    contract = create_predictor(TINY_CLASSES, num_classes=3).contract
    torch.jit.save(torch.jit.script(Hostile()), str(path), _extra_files={"tfyolo.json": contract.to_json()})
    with pytest.raises(TfyoloError, match="the operation aten::"):
        load_predictor(path)


def test_torchscript_tensors_are_dense(tmp_path):
    import torch

    from tfyolo.export.torchscript.vetting import check_tensors

    class Sparse(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("weight", torch.eye(3).to_sparse())

        def forward(self, images):
            return images

    with pytest.raises(TfyoloError, match="a tensor of the layout"):
        check_tensors(torch.jit.script(Sparse()), tmp_path / "x.torchscript")


@pytest.mark.parametrize("multi_label", [False, True])
def test_openvino_does_not_sort_its_candidates(small, tmp_path, multi_label):
    """A stable sort takes longer in OpenVINO than the network."""
    request = small[1]
    request = request.with_options(
        nms_options=replace(request.options.nms_options, candidates=200, multi_label=multi_label),
        nms="builtin",
    )
    paths = export_model(request, ["onnx", "openvino"], tmp_path / "x")
    model = import_openvino().Core().read_model(str(paths["openvino"] / "model.xml"))
    chosen = [op.get_attributes() for op in model.get_ops() if op.get_type_name() == "TopK"]
    large = [kind for kind in chosen if not kind["stable"]]
    assert len(large) == 1 + multi_label
    assert all(kind["sort"] == "index" for kind in large)
    results = [load_predictor(path)(IMAGES) for path in paths.values()]
    for a, b in zip(*results, strict=True):
        assert len(a) > 10
        np.testing.assert_allclose(b.scores, a.scores, atol=1e-4)
        np.testing.assert_allclose(b.boxes_xyxy_px, a.boxes_xyxy_px, atol=0.2)


def graph_of(inputs=("images",), outputs=("logits",), **export):
    """Return an ONNX model with a classifier's contract, and with the given inputs and outputs."""
    import onnx
    from onnx import TensorProto, helper

    x = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 64, 64]) for name in inputs]
    y = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 64, 64]) for name in outputs]
    nodes = [helper.make_node("Identity", [inputs[0]], [name]) for name in outputs]
    model = helper.make_model(
        helper.make_graph(nodes, "g", x, y), opset_imports=[helper.make_opsetid("", 17)]
    )
    model.ir_version = 9
    contract = create_predictor(TINY_CLASSES, num_classes=3, image_size=(64, 64)).contract
    text = contract.model_copy(update={"export": export}).to_json()
    helper.set_model_props(model, {"tfyolo": text})
    return onnx.load_model_from_string(model.SerializeToString())


@pytest.mark.parametrize(
    ("graph", "reason"),
    [
        (lambda: graph_of(outputs=("boxes",)), "its outputs are boxes"),
        (lambda: graph_of(inputs=("images", "more")), "its input is `images`.*`more`"),
        (lambda: graph_of(outputs=("logits", "other")), "its outputs are logits, other"),
        (lambda: graph_of(outputs=("logits",), operators=[1]), "is invalid: .*operators"),
    ],
)
def test_graphs_with_other_inputs_or_outputs_are_refused(graph, reason, tmp_path):
    path = tmp_path / "x.onnx"
    path.write_bytes(graph().SerializeToString())
    with pytest.raises(TfyoloError, match=reason):
        load_predictor(path)


def test_probabilities_of_a_wrong_shape_are_refused(tmp_path):
    path = tmp_path / "x.onnx"
    path.write_bytes(graph_of(outputs=("probabilities",)).SerializeToString())
    with pytest.raises(TfyoloError, match=r"`probabilities` is float32 \(1, 3, 64, 64\)"):
        load_predictor(path)(IMAGES)


def test_contracts_that_are_too_large_are_refused(tmp_path):
    folder = tmp_path / "x_openvino_model"
    folder.mkdir()
    (folder / "model.xml").write_text("<net/>")
    (folder / "tfyolo.json").write_bytes(b" " * (MAX_JSON_BYTES + 1))
    with pytest.raises(TfyoloError, match=r"tfyolo\.json: is too large"):
        load_predictor(folder)
