"""TF.js folders: predictions in Node, storage of weights, and refusal of damaged folders."""

import gc
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from tests.shared import SHARED
from tests.small import confident
from tfyolo.data.images.read import read_image
from tfyolo.errors import TfyoloError
from tfyolo.export.graph.options import GraphNmsOptions
from tfyolo.export.job import ExportJob, export_model
from tfyolo.export.options import ExportOptions
from tfyolo.export.registry import find_format
from tfyolo.export.runtime.decode import decode
from tfyolo.export.tfjs import runtime as tfjs
from tfyolo.inference.boxes import iou_matrix
from tfyolo.inference.load import load_predictor
from tfyolo.models.quantization import QuantizationSpec

IMAGE = SHARED / "data" / "bccd" / "JPEGImages" / "BloodImage_00000.jpg"


def have_node() -> bool:
    try:
        tfjs.find_node()
    except TfyoloError:
        return False
    return True


# In CI these tests fail without Node instead of being skipped.
needs_node = pytest.mark.skipif(
    not have_node() and not os.environ.get("CI"), reason="Node or its packages are not installed: make setup"
)


@pytest.fixture(scope="module")
def expected(cells_detector):
    result = cells_detector(IMAGE, rect=False)[0]
    assert len(result) > 10
    return result


@pytest.fixture(scope="module")
def int8_export(cells_detector, tmp_path_factory):
    """The blood cell detector with int8 weights: the job and its folder."""
    contract = cells_detector.contract.model_copy(update={"quantization": QuantizationSpec(ranges={})})
    request = ExportJob(
        cells_detector.model, contract, ExportOptions(image_size=(320, 320), nms="none", precision="int8")
    )
    return request, export_model(request, ["tfjs"], tmp_path_factory.mktemp("int8") / "cells")["tfjs"]


@pytest.fixture(scope="module")
def small(tiny, tmp_path_factory):
    """An untrained detector of 64 pixels; tests copy and damage its folder."""
    request = ExportJob(tiny.model, tiny.contract, ExportOptions(image_size=(64, 64), nms="raw"))
    return export_model(request, ["tfjs"], tmp_path_factory.mktemp("small") / "tiny")["tfjs"]


@pytest.fixture
def damaged(small, tmp_path):
    """A copy of `small`, and a function that changes its model.json."""
    folder = tmp_path / "tiny_web_model"
    shutil.copytree(small, folder)

    def change(edit):
        model = json.loads((folder / "model.json").read_text())
        edit(model)
        (folder / "model.json").write_text(json.dumps(model))

    return folder, change


def nearest(expected, found) -> tuple[np.ndarray, np.ndarray]:
    """Return IoU and score of the nearest box of the same class, for each expected box."""
    iou = iou_matrix(expected.boxes_xyxy_px, found.boxes_xyxy_px)
    iou = iou * (expected.class_ids[:, None] == found.class_ids[None])
    return iou.max(1), found.scores[iou.argmax(1)]


def weight_bytes(folder) -> int:
    return sum(file.stat().st_size for file in folder.glob("*.bin"))


@needs_node
@pytest.mark.parametrize("nms", find_format("tfjs").nms)
def test_same_boxes_as_keras(export, expected, nms):
    found = load_predictor(export("tfjs", nms))(IMAGE)[0]
    np.testing.assert_array_equal(found.class_ids, expected.class_ids)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
    assert np.diag(iou_matrix(found.boxes_xyxy_px, expected.boxes_xyxy_px)).min() > 0.999


@needs_node
def test_float16_is_half_the_size_and_nearly_equal(export, expected):
    folder = export("tfjs", "none", "float16")
    assert weight_bytes(folder) < 0.55 * weight_bytes(export("tfjs", "none"))
    found = load_predictor(folder)(IMAGE)[0]
    iou, score = nearest(expected, found)
    # Measured on six images: IoU >= 0.997, score differences <= 0.0025.
    # NMS may keep another of two similar boxes.
    assert len(found) == len(expected)
    assert np.median(iou) > 0.999
    assert iou.min() > 0.85
    np.testing.assert_allclose(score, expected.scores, atol=0.01)


@needs_node
def test_int8_computes_with_the_quantized_kernels(int8_export):
    from tfyolo.export.graph.nodes import FakeQuantization, run_network

    request, folder = int8_export
    network, contract = request.network, request.contract
    fake_quantization = FakeQuantization(network, contract.quantization)
    quantized = {
        node.layer: network.weights[node.layer]._replace(
            kernel=fake_quantization.kernel(network.weights[node.layer].kernel, node).numpy()
        )
        for node in network.nodes
        if node.layer in network.weights
    }
    image = read_image(IMAGE)[:320, :320]
    heads = []
    for parts in run_network(network.with_weights(quantized), np.float32(image[None]) / 255):
        cells = (*parts[1].shape[1:], -1)
        joined = np.concatenate([part.numpy()[0].reshape(cells) for part in parts], -1)
        heads.append(joined.reshape(*joined.shape[:2], -1))
    expected = decode(heads, contract.anchors_px, contract.strides)
    found = tfjs.TfjsRuntime(folder)(image[None], 0.0)[0]
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
    np.testing.assert_allclose(found.boxes_xyxy_px, expected.boxes_xyxy_px, atol=0.01)


@needs_node
def test_int8_is_a_quarter_of_the_size_and_close(export, int8_export, expected):
    request, folder = int8_export
    assert weight_bytes(folder) < 0.3 * weight_bytes(export("tfjs", "none"))
    (group,) = json.loads((folder / "model.json").read_text())["weightsManifest"]
    kinds = [weight["quantization"]["dtype"] for weight in group["weights"] if "quantization" in weight]
    assert kinds == ["uint8"] * len(request.network.weights)
    found = load_predictor(folder)(IMAGE)[0]
    iou, score = nearest(expected, found)
    # Measured on six images: IoU 0.95 on average, scores differ by 0.016 on average; one scale for a whole
    # kernel gives 0.92 and 0.028.
    assert np.mean(iou) > 0.9
    assert np.mean(np.abs(score - expected.scores)) < 0.025


def test_signature_names_every_output(export):
    model = json.loads((export("tfjs", "tensor") / "model.json").read_text())
    outputs = model["signature"]["outputs"]
    shapes = {name: [int(dim["size"]) for dim in x["tensorShape"]["dim"]] for name, x in outputs.items()}
    assert shapes == {
        "detection_boxes": [1, 100, 4],
        "detection_classes": [1, 100],
        "detection_scores": [1, 100],
        "num_detections": [1],
    }
    # TF.js gives the results of predict() these names, in this order.
    assert list(outputs) == model["userDefinedMetadata"]["structuredOutputKeys"]
    assert list(model["signature"]["inputs"]) == ["images"]


def test_metadata_is_the_contract(export, cells_detector):
    folder = export("tfjs", "tensor")
    metadata = json.loads((folder / "model.json").read_text())["userDefinedMetadata"]
    assert metadata["tfyolo"] == json.loads((folder / "tfyolo.json").read_text())
    assert metadata["names"] == metadata["tfyolo"]["names"] == ["Platelets", "RBC", "WBC"]
    assert metadata["tfyolo"]["export"]["format"] == "tfjs"
    assert metadata["tfyolo"]["anchors_px"] == [list(row) for row in cells_detector.contract.anchors_px]


@needs_node
def test_process_ends_with_its_runtime(small):
    runtime = tfjs.TfjsRuntime(small)
    assert runtime.backend == "wasm"
    process = runtime._node.process
    assert process.poll() is None
    del runtime
    gc.collect()
    assert process.poll() is not None


@needs_node
def test_process_ends_with_python(small):
    code = (
        "import sys; from pathlib import Path; from tfyolo.export.tfjs.runtime import TfjsRuntime\n"
        "runtime = TfjsRuntime(Path(sys.argv[1])); print(runtime._node.process.pid)\n"
        "assert 'tensorflow' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code, small], capture_output=True, text=True, check=True)
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)


@needs_node
def test_a_process_that_ended_is_replaced(small):
    image = np.full((1, 64, 64, 3), 90, np.uint8)
    runtime = tfjs.TfjsRuntime(small)
    expected = runtime.outputs(image)
    first = runtime._node.process
    first.kill()
    first.wait()
    for name, values in runtime.outputs(image).items():
        np.testing.assert_array_equal(values, expected[name])
    assert runtime._node.process is not first


@needs_node
@pytest.mark.parametrize("failure", ["Ctrl-C", "oversized output", "killed"])
def test_the_call_after_a_failed_one_succeeds(small, monkeypatch, failure):
    image = np.zeros((1, 64, 64, 3), np.uint8)
    runtime = tfjs.TfjsRuntime(small)
    node, errors = runtime._node, (KeyboardInterrupt, TfyoloError)

    def interrupted():
        raise KeyboardInterrupt

    def killed(size):
        node.process.kill()
        return tfjs._NodeProcess._read(node, 1 << 30)

    with monkeypatch.context() as patch:
        if failure == "Ctrl-C":
            patch.setattr(node, "_receive", interrupted)
        elif failure == "killed":
            patch.setattr(node, "_read", killed)
        else:
            patch.setattr(tfjs, "MAX_OUTPUT_BYTES", 8)
        with pytest.raises(errors) as caught:
            runtime.outputs(image)
    fix = {"oversized output": "export it again", "killed": "try again, which starts a new Node process"}
    assert getattr(caught.value, "fix", None) == fix.get(failure)
    assert runtime.outputs(image)


@needs_node
def test_operation_that_is_not_allowed_is_refused(damaged):
    folder, change = damaged

    def rename(model):
        model["modelTopology"]["node"][-1]["op"] = "Frobnicate"

    change(rename)
    with pytest.raises(TfyoloError, match=r"tiny_web_model/model\.json: contains the operation 'Frobnicate'"):
        tfjs.TfjsRuntime(folder)(np.zeros((1, 64, 64, 3), np.uint8), 0.25)


def test_error_names_missing_node(small, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(TfyoloError, match="needs Node, but there is no `node` command\n  fix: install Node"):
        tfjs.TfjsRuntime(small)


def test_error_names_missing_packages(small, monkeypatch, tmp_path):
    shutil.copy(tfjs.NODE_FOLDER / "package.json", tmp_path)
    monkeypatch.setattr(tfjs, "NODE_FOLDER", tmp_path)
    monkeypatch.setattr(shutil, "which", lambda _: "node")
    with pytest.raises(TfyoloError, match=f"@tensorflow/.* not installed\n  fix: npm ci --prefix {tmp_path}"):
        tfjs.TfjsRuntime(small)


def test_failed_export_keeps_the_previous_folder(tiny, monkeypatch, tmp_path):
    from tfyolo.export.tfjs import writer as exporter

    previous = tmp_path / "tiny_web_model"
    previous.mkdir()
    (previous / "model.json").write_text("previous export")
    (previous / "tfyolo.json").write_text("{}")
    monkeypatch.setattr(exporter, "write_weights", lambda *_: 1 / 0)
    request = ExportJob(tiny.model, tiny.contract, ExportOptions(image_size=(64, 64), nms="raw"))
    with pytest.raises(ZeroDivisionError):
        export_model(request, ["tfjs"], tmp_path / "tiny")
    assert [file.name for file in tmp_path.iterdir()] == ["tiny_web_model"]
    assert (previous / "model.json").read_text() == "previous export"


def test_grouped_convolution_is_refused(tiny, tmp_path):
    request = ExportJob(tiny.model, tiny.contract, ExportOptions(image_size=(64, 64)))
    nodes = list(request.network.nodes)
    i = next(i for i, node in enumerate(nodes) if node.kind == "conv" and node.inputs[0] != "images")
    nodes[i] = replace(nodes[i], arguments={**nodes[i].arguments, "groups": 2})
    request._shared["network"] = (request.model, replace(request.network, nodes=tuple(nodes)))
    with pytest.raises(TfyoloError, match=f"does not support grouped convolutions such as {nodes[i].name}"):
        export_model(request, ["tfjs"], tmp_path / "tiny")
    assert list(tmp_path.iterdir()) == []


def test_unsupported_operation_is_refused(tiny, monkeypatch, tmp_path):
    from tfyolo.export.tfjs import graph as tfjs_graph

    supported = tfjs_graph.OPERATIONS - {"ResizeNearestNeighbor"}
    monkeypatch.setattr(tfjs_graph, "OPERATIONS", supported)
    with pytest.raises(TfyoloError, match="does not support ResizeNearestNeighbor, which this network needs"):
        export_model(
            ExportJob(tiny.model, tiny.contract, ExportOptions(image_size=(64, 64))),
            ["tfjs"],
            tmp_path / "tiny",
        )
    assert list(tmp_path.iterdir()) == []


@needs_node
@pytest.mark.parametrize("nms", ["builtin", "tensor"])
def test_fewer_boxes_than_rows(tmp_path, nms):
    detector = confident(4, (32, 32))  # 63 boxes, and 100 rows
    settings = GraphNmsOptions(confidence=0.3)
    request = ExportJob(
        detector.model, detector.contract, ExportOptions(image_size=(32, 32), nms=nms, nms_options=settings)
    )
    found = load_predictor(export_model(request, ["tfjs"], tmp_path / "few")["tfjs"])(IMAGE)[0]
    expected = detector(IMAGE, rect=False, confidence=0.3)[0]
    assert 3 < len(expected) < 63
    np.testing.assert_array_equal(found.class_ids, expected.class_ids)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
    np.testing.assert_allclose(found.boxes_xyxy_px, expected.boxes_xyxy_px, atol=0.1)


SHARD = "group1-shard1of1.bin"


def test_missing_shard(damaged):
    folder, _ = damaged
    (folder / SHARD).unlink()
    with pytest.raises(TfyoloError, match=f"tiny_web_model: the weight file {SHARD} is missing"):
        load_predictor(folder)


def test_truncated_shard(damaged):
    folder, _ = damaged
    data = (folder / SHARD).read_bytes()
    (folder / SHARD).write_bytes(data[:-4])
    with pytest.raises(TfyoloError, match=f"have {len(data) - 4} bytes, but model.json declares {len(data)}"):
        load_predictor(folder)


@pytest.mark.parametrize(
    "name",
    [
        "../secret.bin",
        "/etc/hostname",
        "sub/x.bin",
        "..",
        "",
        "http://example.org/x.bin",
        "..\\x.bin",
        "a\0b",
    ],
)
def test_shard_outside_of_the_folder(damaged, name):
    folder, change = damaged
    (folder.parent / "secret.bin").write_bytes((folder / SHARD).read_bytes())
    change(lambda model: model["weightsManifest"][0].update(paths=[name]))
    with pytest.raises(TfyoloError, match=r"model\.json: refers to weights outside the folder"):
        load_predictor(folder)


def test_shard_that_is_a_link(damaged):
    folder, _ = damaged
    (folder / SHARD).rename(folder.parent / "secret.bin")
    (folder / SHARD).symlink_to(folder.parent / "secret.bin")
    with pytest.raises(TfyoloError, match="refers to weights outside the folder"):
        load_predictor(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [-1]},
        {"shape": "many"},
        {"shape": [1e9]},
        {"dtype": "string"},
        {"dtype": None},
        {"quantization": 3},
    ],
)
def test_damaged_list_of_weights(damaged, change):
    folder, edit = damaged
    edit(lambda model: model["weightsManifest"][0]["weights"][0].update(change))
    with pytest.raises(TfyoloError, match=r"model\.json: its weights manifest is damaged"):
        load_predictor(folder)


def test_weights_larger_than_their_files(damaged):
    folder, edit = damaged
    edit(lambda model: model["weightsManifest"][0]["weights"][0].update(shape=[10**6, 10**6]))
    with pytest.raises(TfyoloError, match="its weight files have"):
        load_predictor(folder)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "[1, 2]", "{}", '{"weightsManifest": []}'])
def test_model_json_of_another_structure_is_refused(damaged, text):
    folder, _ = damaged
    (folder / "model.json").write_text(text)
    with pytest.raises(TfyoloError, match=r"model\.json: (is not valid JSON|was not written)"):
        load_predictor(folder)


def test_model_of_another_tool(damaged):
    folder, change = damaged
    change(lambda model: model["userDefinedMetadata"].pop("tfyolo"))
    with pytest.raises(TfyoloError, match="contains no tfyolo metadata"):
        load_predictor(folder)


def test_folder_without_a_model(damaged):
    folder, _ = damaged
    (folder / "model.json").unlink()
    with pytest.raises(TfyoloError, match=r"tiny_web_model: contains no model\.json"):
        load_predictor(folder)
