"""OpenVINO and TF.js folders with operations that are not allowed, or with weights elsewhere, are refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tfyolo.errors import TfyoloError
from tfyolo.export.openvino.vetting import ALLOWED, check_folder, check_resources
from tfyolo.export.tfjs.vetting import read_folder
from tfyolo.models import Contract, load_spec
from tfyolo.quiet import import_openvino

CONTRACT = Contract.of(load_spec(Path(__file__).parents[2] / "tiny.yaml"), ("ant", "bee", "cat", "dog"))
LAYER = '<layer id="0" name="images" type="Parameter" version="opset1"/>'


def written(folder: Path, text: str) -> Path:
    (folder / "model.xml").write_text(text)
    (folder / "model.bin").write_bytes(b"")
    return folder


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('<layer name="x" type="Loop" version="opset5"/>', "'opset5.Loop'"),
        ('<layer name="x" type="TensorIterator" version="opset1"/>', "TensorIterator"),
        ('<layer name="x" type="ReadValue" version="opset6"/>', "ReadValue"),
        ('<layer name="x" type="Add" version="extension"/>', "'extension.Add'"),
        ('<layer type="Loop" version="opset5" name=\'type="Add" version="opset1"\'/>', "'opset5.Loop'"),
        ('<layer type="Add" version="opset1"><body><layer type="If" version="opset8"/></body></layer>', "If"),
        ("<layer", "damaged"),
    ],
)
def test_openvino_layers_are_on_the_allow_list(tmp_path, text, reason):
    check_folder(written(tmp_path, f"<net><layers>{LAYER}</layers></net>"))
    with pytest.raises(TfyoloError, match=reason):
        check_folder(written(tmp_path, f"<net><layers>{LAYER}{text}</layers></net>"))


def test_openvino_document_types_and_links_are_refused(tmp_path):
    text = f'<?xml version="1.0"?><!DOCTYPE net [<!ENTITY a "b">]><net><layers>{LAYER}</layers></net>'
    with pytest.raises(TfyoloError, match="document type"):
        check_folder(written(tmp_path, text))
    written(tmp_path, f"<net><layers>{LAYER}</layers></net>")
    (tmp_path / "model.bin").unlink()
    (tmp_path / "model.bin").symlink_to("/etc/passwd")
    with pytest.raises(TfyoloError, match=r"model\.bin as a link"):
        check_folder(tmp_path)


@pytest.mark.parametrize("text", ['<net xmlns="urn:x">', '<net xmlns:a="urn:x"><a:layer type="Loop"/>'])
def test_openvino_namespaces_are_refused(tmp_path, text):
    """OpenVINO's parser ignores them, so that these names are layers for it."""
    layer = '<layer name="x" type="Loop" version="opset5"/>'
    with pytest.raises(TfyoloError, match="XML namespace"):
        check_folder(written(tmp_path, f"{text}<layers>{layer}</layers></net>"))


def test_loaded_operations_are_on_the_allow_list_too(tmp_path):
    openvino = import_openvino()
    from openvino import opset13

    x = opset13.parameter([1], np.float32, name="x")
    state = opset13.read_value(x, "state", np.float32, [1])
    model = openvino.Model([opset13.assign(state, "state"), opset13.result(state)], [x], "m")
    with pytest.raises(TfyoloError, match="the operation 'ReadValue'"):
        check_resources(model, (64, 64), 1, tmp_path)


def test_openvino_allow_list_has_no_control_flow():
    assert not ALLOWED & {"If", "Loop", "TensorIterator", "ReadValue", "Assign", "ExperimentalDetectronROI"}


@pytest.mark.parametrize("kind", ["softmax", "relu", "prelu", "constant"])
def test_openvino_layers_are_accepted_under_the_names_that_files_use(tmp_path, kind):
    import openvino
    from openvino import opset13

    images = opset13.parameter([1, 4], name="images")
    made = {
        "softmax": lambda: opset13.softmax(images, 1),
        "relu": lambda: opset13.relu(images),
        "prelu": lambda: opset13.prelu(images, opset13.constant(np.float32([0.5]))),
        "constant": lambda: opset13.add(images, opset13.constant(np.float32([0.5]))),
    }
    openvino.save_model(openvino.Model([made[kind]()], [images], "small"), tmp_path / "model.xml")
    check_folder(tmp_path)


@pytest.mark.parametrize(("length", "refused"), [(100, False), (20_000, True)])
def test_memory_of_attention_scores_is_bounded(tmp_path, length, refused):
    openvino = import_openvino()
    from openvino import opset13

    inputs = [opset13.parameter([1, 4, length, 8], name=name) for name in ("query", "key", "value")]
    attention = opset13.scaled_dot_product_attention(*inputs)
    model = openvino.Model([attention], inputs, "attention")
    openvino.save_model(model, tmp_path / "model.xml")
    check_folder(tmp_path)
    if not refused:
        check_resources(model, (64, 64), 1, tmp_path)
        return
    with pytest.raises(TfyoloError, match=r"creates a tensor of .* bytes .*scores"):
        check_resources(model, (64, 64), 1, tmp_path)


@pytest.mark.parametrize("kind", ["pool", "transposed convolution", "nms", "many reductions"])
def test_arithmetic_of_openvino_layers_is_bounded(tmp_path, kind):
    openvino = import_openvino()
    from openvino import opset13

    x = opset13.parameter([1, 16, 1024, 1024], name="images")
    kernel = opset13.parameter([16, 1, 1000, 1000], name="kernel")
    boxes = opset13.parameter([1, 100_000, 4], name="boxes")
    scores = opset13.parameter([1, 80, 100_000], name="scores")
    most = opset13.constant(np.int64(100_000))
    result, inputs = {
        "pool": lambda: (opset13.max_pool(x, [1, 1], [1, 1], [500] * 2, [500] * 2, [1001] * 2), [x]),
        "transposed convolution": lambda: (
            opset13.convolution_backprop_data(x, kernel, [1, 1]),
            [x, kernel],
        ),
        "nms": lambda: (opset13.non_max_suppression(boxes, scores, most), [boxes, scores]),
        "many reductions": lambda: (
            opset13.concat([opset13.reduce_max(x, [1, 2, 3], True) for _ in range(400)], 1),
            [x],
        ),
    }[kind]()
    model = openvino.Model([result.output(0)], inputs, "m")
    with pytest.raises(TfyoloError, match="multiplications"):
        check_resources(model, (64, 64), 1, tmp_path)


def tfjs_model(**topology):
    """The content of a model.json."""
    return {
        "userDefinedMetadata": {"tfyolo": json.loads(CONTRACT.to_json())},
        "weightsManifest": [],
        "modelTopology": {"node": [{"op": "Placeholder"}, {"op": "_FusedConv2D"}], **topology},
    }


@pytest.mark.parametrize("key", ["modelInitializer", "initializerSignature", "userDefinedMetadata.signature"])
def test_tfjs_runs_nothing_else_of_the_file(tmp_path, key):
    model = tfjs_model()
    *outer, inner = key.split(".")
    (model[outer[0]] if outer else model)[inner] = {"node": [{"op": "StatelessWhile"}]}
    (tmp_path / "model.json").write_text(json.dumps(model))
    with pytest.raises(TfyoloError, match=f"contains the entry '{inner}' of model"):
        read_folder(tmp_path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"node": [{"op": "While"}]}, "'While'"),
        ({"node": [{"op": "HashTableV2"}]}, "'HashTableV2'"),
        ({"library": {"function": [{"signature": {"name": "f"}}]}}, "functions"),
        ({"node": 7}, "graph cannot be read"),
    ],
)
def test_tfjs_operations_are_on_the_allow_list(tmp_path, change, reason):
    model = tfjs_model(**change)
    (tmp_path / "model.json").write_text(json.dumps(model))
    if reason is None:
        assert read_folder(tmp_path).names == CONTRACT.names
        return
    with pytest.raises(TfyoloError, match=reason):
        read_folder(tmp_path)
