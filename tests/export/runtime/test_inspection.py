"""What model files say of themselves, format by format, against what was put into them."""

import contextlib
import json
import random
import re
import shutil
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from tfyolo.errors import TfyoloError
from tfyolo.export.registry import FORMATS, exportable
from tfyolo.export.runtime.inspection import Inspection, TensorInfo, inspect_file
from tfyolo.export.tensorflow_graph.operation_counts import GraphNode, count_operations
from tfyolo.models.network import Network

SUPPRESSED = {
    "detection_boxes": (1, 100, 4),
    "detection_classes": (1, 100),
    "detection_scores": (1, 100),
    "num_detections": (1,),
}
ALL_BOXES = {"boxes": (1, 252, 4), "scores": (1, 252, 4)}
VARIANTS = [
    (entry, precision)
    for entry in exportable()
    for precision in entry.precisions
    if entry.name != "engine"  # written on an NVIDIA GPU only; onnx/test_onnx.py makes one by hand
]
WITHOUT_TENSORFLOW = ("keras", "pt", "tflite", "edgetpu", "tfjs")


@pytest.fixture(scope="module")
def network(tiny):
    return Network.of(tiny.model, tiny.contract.spec)


def convolutions(found: Inspection) -> int:
    return sum(
        count
        for name, count in found.operators.items()
        if "conv" in name.lower() and "convert" not in name.lower()
    )


@pytest.mark.parametrize(
    ("entry", "precision"), VARIANTS, ids=[f"{entry.name}-{precision}" for entry, precision in VARIANTS]
)
def test_every_format_says_what_it_holds(export_tiny, tiny, network, entry, precision):
    path = export_tiny(entry.name, precision)
    found = inspect_file(path)
    carried, original = found.contract, tiny.contract
    assert (carried.task, carried.names) == ("detect", ("ant", "bee", "cat", "dog"))
    assert (carried.anchors_px, carried.strides) == (original.anchors_px, original.strides)
    assert (carried.image_size, carried.version) == ((64, 64), original.version)
    kind = entry.check("auto", precision)
    assert (found.precision, found.nms) == (precision, kind)
    images, *more = found.inputs
    assert images.name == "images"
    if kind == "pipeline":  # Apple's suppression has names of its own, and thresholds as inputs
        assert {tensor.name for tensor in found.outputs} == {"confidence", "coordinates"}
        assert len(more) == 2
        return
    assert more == []
    if not entry.source:
        assert sorted(images.shape) == [1, 3, 64, 64]
        outputs = {tensor.name: tensor.shape for tensor in found.outputs}
        wanted = ALL_BOXES if kind == "none" else SUPPRESSED
        assert outputs == wanted
        assert found.thresholds.get("conf_thres") == (None if kind == "none" else 0.25)
    # Prediction layers are split in three by exporters, but not in what holds the network itself.
    count = sum(node.kind == "conv" for node in network.nodes)
    assert convolutions(found) == (count - 2 * len(network.heads) if entry.source else count)


def test_a_keras_file_has_the_layers_of_the_model(tiny, tiny_keras):
    found = inspect_file(tiny_keras)
    counts = Counter(type(layer).__name__ for layer in tiny.model.layers)
    assert found.operators == {name: n for name, n in counts.items() if name != "InputLayer"}
    assert found.inputs == (TensorInfo("images", ("batch", "height", "width", 3), "float32"),)
    assert [tensor.shape for tensor in found.outputs] == [
        ("batch", f"height/{stride}", f"width/{stride}", 27) for stride in (8, 16, 32)
    ]
    assert [tensor.name for tensor in found.outputs] == [
        output._keras_history.operation.name for output in tiny.model.outputs
    ]
    assert (found.precision, found.nms, found.thresholds) == ("float32", "raw", {})


def test_half_of_a_keras_file(tiny, tmp_path):
    from tfyolo.weights.keras_file import save_keras

    path = save_keras(tiny.model, tiny.contract, tmp_path / "half.keras", half=True)
    assert inspect_file(path).precision == "float16"


def test_integer_tensors_have_scales(export_tiny):
    found = inspect_file(export_tiny("tflite", "int8", "raw"))
    assert [tensor.dtype for tensor in found.inputs] == ["uint8"]
    assert found.inputs[0].quantization == (pytest.approx(1 / 255), 0)
    assert {tensor.name for tensor in found.outputs} == {
        f"{part}_{i}" for part in ("box", "objectness", "classes") for i in range(3)
    }
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(str(export_tiny("tflite", "int8", "raw"))).get_signature_runner()
    for name, details in runner.get_output_details().items():
        (tensor,) = (tensor for tensor in found.outputs if tensor.name == name)
        assert tensor.shape == tuple(details["shape"])
        assert tensor.dtype == np.dtype(details["dtype"]).name
        assert tensor.quantization == pytest.approx(details["quantization"])
    assert found.operators["CONV_2D"] == inspect_file(export_tiny("tflite")).operators["CONV_2D"]


def test_kinds_of_suppression_are_seen_in_the_operations(export_tiny):
    custom = inspect_file(export_tiny("tflite", "float32", "postprocess")).operators
    builtin = inspect_file(export_tiny("tflite", "float16", "builtin")).operators
    assert custom["TFLite_Detection_PostProcess"] == 1
    assert "TFLite_Detection_PostProcess" not in builtin
    assert sum(count for name, count in builtin.items() if name.startswith("NON_MAX_SUPPRESSION")) == 1
    assert inspect_file(export_tiny("pb")).operators["CombinedNonMaxSuppression"] == 1
    assert inspect_file(export_tiny("saved_model")).operators["CombinedNonMaxSuppression"] == 1


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_what_a_gpu_delegate_leaves_to_the_cpu(export_tiny, precision):
    """Nothing of a graph without suppression; of the default its suppression and what leads to it."""
    for kind in ("none", "raw"):
        assert inspect_file(export_tiny("tflite", precision, kind)).not_on_gpu == {}
    found = inspect_file(export_tiny("tflite", precision))
    assert found.not_on_gpu["TFLite_Detection_PostProcess"] == 1
    assert "CONV_2D" not in found.not_on_gpu
    assert found.to_dict()["not_on_gpu"] == found.not_on_gpu
    assert inspect_file(export_tiny("edgetpu", "int8")).not_on_gpu is None


def test_a_compiled_file_without_signature_keeps_its_names(export_tiny, tmp_path):
    from tensorflow.lite.tools import flatbuffer_utils

    from tfyolo.export.tflite.metadata import attach_files

    path = export_tiny("edgetpu", "int8")
    contract = inspect_file(path).contract
    data = path.read_bytes()
    model = flatbuffer_utils.convert_bytearray_to_object(bytearray(data))
    model.signatureDefs = None
    names = ["one", "two", "three", "four"]
    note = contract.model_copy(update={"export": {**contract.export, "outputs": names}})
    lost = tmp_path / "lost_edgetpu.tflite"
    lost.write_bytes(attach_files(bytes(flatbuffer_utils.convert_object_to_bytearray(model)), note))
    found = inspect_file(lost)
    assert [tensor.name for tensor in found.inputs] == ["images"]
    assert [tensor.name for tensor in found.outputs] == names


def test_plain_values_are_json(export_tiny):
    values = json.loads(json.dumps(inspect_file(export_tiny("tflite")).to_dict()))
    assert values["nms"]["kind"] == "postprocess"
    assert values["inputs"] == [{"name": "images", "shape": [1, 64, 64, 3], "dtype": "float32"}]
    counts = list(values["operators"].values())
    assert counts == sorted(counts, reverse=True)


def test_tensorflow_is_left_alone(export_tiny, tiny_keras):
    files = [str(tiny_keras), str(export_tiny("tflite")), str(export_tiny("tfjs"))]
    code = (
        "import sys; from tfyolo.export.runtime.inspection import inspect_file\n"
        f"for path in {files}: assert inspect_file(path).operators\n"
        "print(sorted({'tensorflow', 'keras', 'ai_edge_litert.interpreter'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("damage", ["noise", "empty"])
@pytest.mark.parametrize("entry", FORMATS, ids=lambda entry: entry.name)
def test_a_damaged_or_foreign_file_is_one_sentence(tmp_path, entry, damage):
    path = tmp_path / f"broken{entry.suffix}"
    target = path
    if entry.holds:
        path.mkdir()
        target = path / entry.holds
    target.write_bytes(b"" if damage == "empty" else bytes(range(256)) * 20)
    with pytest.raises(TfyoloError, match=re.escape(path.name)):
        inspect_file(path)


@pytest.mark.parametrize("name", ["saved_model", "tfjs"])
def test_a_folder_whose_graph_is_damaged(export_tiny, tmp_path, name):
    path = export_tiny(name)
    copy = tmp_path / path.name
    shutil.copytree(path, copy)
    (file,) = copy.glob("saved_model.pb" if name == "saved_model" else "model.json")
    data = file.read_bytes()
    if name == "saved_model":
        file.write_bytes(data[: len(data) // 2])
    else:
        model = json.loads(data)
        model["modelTopology"]["node"][0] = "no node"
        file.write_text(json.dumps(model))
    with pytest.raises(TfyoloError, match="cannot"):
        inspect_file(copy)


@pytest.mark.parametrize("name", ["tflite", "keras", "pb"])
def test_wrong_bytes_never_escape(export_tiny, tiny_keras, tmp_path, name):
    data = (tiny_keras if name == "keras" else export_tiny(name)).read_bytes()
    path = tmp_path / f"changed.{name}"
    chance = random.Random(0)
    for _ in range(60):
        changed = bytearray(data)
        for _ in range(chance.choice((1, 20, 400))):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        path.write_bytes(changed)
        with contextlib.suppress(TfyoloError):
            json.dumps(inspect_file(path).to_dict())


def test_functions_are_counted_where_they_are_called():
    def step(name, operation, *inputs, calls=()):
        return GraphNode(name, operation, inputs, calls)

    library = {
        "inner": [step("a", "Conv2D"), step("b", "Mul", "a"), step("c", "Const")],
        "outer": [step("d", "inner"), step("e", "PartitionedCall", calls=("inner",)), step("f", "Add")],
        "circle": [step("g", "circle")],
    }
    steps = [
        step("images", "Placeholder"),
        step("call", "StatefulPartitionedCall", "images", "^wait", calls=("outer",)),
        step("wait", "Sub"),
        step("save", "SaveV2"),
        step("loop", "circle"),
    ]
    assert count_operations(steps, library, ["call:2"]) == {"Conv2D": 2, "Mul": 2, "Add": 1, "Sub": 1}
    with pytest.raises(ValueError, match="calls itself"):
        count_operations(steps, library, ["loop"])


def test_a_checkpoint_of_tensors_has_the_modules_of_its_configuration(export_tiny, tiny):
    found = inspect_file(export_tiny("pt", "float16"))
    counts = Counter(type(layer).__name__ for layer in tiny.model.layers)
    assert found.operators == {
        "Conv2d": counts["Conv2D"],
        "BatchNorm2d": counts["BatchNormalization"],
        "SiLU": counts["Activation"],
        "MaxPool2d": counts["MaxPooling2D"],
        "Upsample": counts["NearestUpsample"],
        "Concat": counts["Concatenate"],
    }
    assert [tensor.shape for tensor in found.outputs] == [
        ("batch", 3, f"height/{stride}", f"width/{stride}", 9) for stride in (8, 16, 32)
    ]
