"""ONNX files that read other files, do not terminate, or need too much memory are refused before they run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tfyolo.errors import TfyoloError
from tfyolo.export.onnx import child_process as onnx_child
from tfyolo.export.onnx import operators as onnx_operators
from tfyolo.export.onnx import vetting as onnx_vetting
from tfyolo.inference.load import load_predictor
from tfyolo.models import Contract, load_spec

SPEC = load_spec(Path(__file__).parents[2] / "tiny.yaml")
CONTRACT = Contract.of(SPEC, ("ant", "bee", "cat", "dog"), (64, 64))
IMAGE = np.zeros((64, 64, 3), np.uint8)
BOXES = numpy_helper.from_array(np.tile(np.float32([0.1, 0.1, 0.5, 0.5]), (1, 10, 1)), "b")
SCORES = numpy_helper.from_array(np.full((1, 10, 4), 0.5, np.float32), "s")


def sizes(values, name="sizes"):
    return numpy_helper.from_array(np.array(values, np.int64), name)


def node(kind, inputs, outputs, **options):
    return helper.make_node(kind, inputs, outputs, **options)


def model(nodes=(), constants=(), boxes=BOXES, opsets=()) -> onnx.ModelProto:
    """Return a model with ten boxes and scores; an output `extra` of `nodes` is added to the scores."""
    made = {name for item in nodes for name in item.output}
    last = [
        node("Identity", ["b"], ["boxes"]),
        node("ReduceMean", ["extra"], ["mean"], keepdims=0),
        node("Add", ["s", "mean"], ["scores"]),
    ]
    if "extra" not in made:
        last = [last[0], node("Identity", ["s"], ["scores"])]
    outs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 10, 4]) for name in ("boxes", "scores")
    ]
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 64, 64])
    graph = helper.make_graph([*nodes, *last], "g", [images], outs, [boxes, SCORES, *constants])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), *opsets])
    made.ir_version = 8
    made.metadata_props.add(key="tfyolo", value=CONTRACT.to_json())
    return made


def external(location: str) -> onnx.TensorProto:
    tensor = TensorProto(name="b", data_type=TensorProto.FLOAT, dims=[1, 10, 4])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "160")):
        tensor.external_data.add(key=key, value=value)
    return tensor


def loop() -> onnx.ModelProto:
    value = helper.make_tensor_value_info("v", TensorProto.FLOAT, [1, 10, 4])
    condition = helper.make_tensor_value_info("c", TensorProto.BOOL, [])
    number = helper.make_tensor_value_info("i", TensorProto.INT64, [])
    same = [node("Identity", ["c"], ["d"]), node("Identity", ["v"], ["w"])]
    out = [helper.make_tensor_value_info("d", TensorProto.BOOL, []), *value_info("w")]
    body = helper.make_graph(same, "body", [number, condition, value], out)
    always = numpy_helper.from_array(np.array(True), "always")
    return model([node("Loop", ["", "always", "b"], ["extra"], body=body)], [always])


def value_info(name):
    return [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 10, 4])]


def function() -> onnx.ModelProto:
    made = model([node("Local", ["b"], ["extra"], domain="mine")], opsets=[helper.make_opsetid("mine", 1)])
    inside, opset = [node("Identity", ["x"], ["y"])], [helper.make_opsetid("", 17)]
    made.functions.append(helper.make_function("mine", "Local", ["x"], ["y"], inside, opset))
    return made


def long_constant() -> onnx.ModelProto:
    made = model()
    made.graph.initializer[0].dims[0] = 2**40
    return made


def suppression(amount, constants=()) -> onnx.ModelProto:
    """Return a model with NMS; nodes `amount` compute from the number `n` of boxes how many are padded."""
    given = [
        numpy_helper.from_array(np.zeros((1, 4, 10), np.float32), "t"),
        sizes(5, "most"),
        sizes([0, 0], "none"),
        *constants,
    ]
    nodes = [
        node("NonMaxSuppression", ["b", "t", "most"], ["kept"]),
        node("Shape", ["kept"], ["n"], start=0, end=1),
        *amount,
        node("Concat", ["none", "amount", "zero"], ["pads"], axis=0),
        node("Pad", ["kept", "pads"], ["padded"]),
        node("Cast", ["padded"], ["extra"], to=TensorProto.FLOAT),
    ]
    return model(nodes, [*given, sizes([0], "zero")])


MALICIOUS = {
    "another file (relative)": lambda: model(boxes=external("secret.bin")),
    "another file (absolute)": lambda: model(boxes=external("/etc/passwd")),
    "another file (above)": lambda: model(boxes=external("../secret.bin")),
    "another file (memory)": lambda: model(boxes=external("*/_ORT_MEM_ADDR_/*")),
    "another file (in a node)": lambda: model(
        [node("Constant", [], ["extra"], value=external("secret.bin"))]
    ),
    "'Loop'": loop,
    "functions": function,
    "'evil.Evil'": lambda: model(
        [node("Evil", ["b"], ["extra"], domain="evil")], opsets=[helper.make_opsetid("evil", 1)]
    ),
    "'com.microsoft.Gelu'": lambda: model(
        [node("Gelu", ["b"], ["extra"], domain="com.microsoft")],
        opsets=[helper.make_opsetid("com.microsoft", 1)],
    ),
    "6,000,000,000 bytes": lambda: model(
        [node("ConstantOfShape", ["sizes"], ["extra"])], [sizes([1_500_000_000])]
    ),
    "bytes (Expand)": lambda: model([node("Expand", ["b", "sizes"], ["extra"])], [sizes([999, 9999, 10, 4])]),
    "bytes (Tile)": lambda: model([node("Tile", ["b", "sizes"], ["extra"])], [sizes([9999, 9999, 9])]),
    "without a fixed shape": lambda: model(
        [
            node("ReduceSum", ["images"], ["sum"], keepdims=0),
            node("Cast", ["sum"], ["whole"], to=TensorProto.INT64),
            node("Unsqueeze", ["whole", "axis"], ["shape"]),
            node("ConstantOfShape", ["shape"], ["extra"]),
        ],
        [sizes([0], "axis")],
    ),
    "multiplications": lambda: model(
        [
            node("ConstantOfShape", ["sizes"], ["x0"]),
            *(node("MatMul", [f"x{i}", f"x{i}"], [f"x{i + 1}"]) for i in range(6)),
            node("Identity", ["x6"], ["extra"]),
        ],
        [sizes([8000, 8000])],
    ),
    "multiplications (Sum of many inputs)": lambda: model(
        [node("ConstantOfShape", ["sizes"], ["x"]), node("Sum", ["x"] * 5000, ["extra"])],
        [sizes([1000, 1000])],
    ),
    "multiplications (many reductions)": lambda: model(
        [
            node("ConstantOfShape", ["sizes"], ["x"]),
            *(node("ReduceMax", ["x"], [f"y{i}"], keepdims=0) for i in range(5000)),
            node("Sum", [f"y{i}" for i in range(5000)], ["extra"]),
        ],
        [sizes([1000, 1000])],
    ),
    "stores 40 of": long_constant,
    "bytes (Pad by as much as is kept)": lambda: suppression(
        [node("Add", ["n", "more"], ["amount"])], [sizes([10**11], "more")]
    ),
    "unknown way (a table)": lambda: suppression(
        [node("Gather", ["table", "n"], ["amount"])], [sizes([0, 10**12, 0, 0, 0, 0] + [0] * 20, "table")]
    ),
    "unknown way (a product)": lambda: suppression([node("Mul", ["n", "n"], ["amount"])]),
    "unknown way (a tent)": lambda: suppression(
        [
            node("Sub", ["n", "two"], ["a"]),
            node("Relu", ["a"], ["r"]),
            node("Sub", ["n", "r"], ["amount"]),
        ],
        [sizes([2], "two")],
    ),
}


def crash() -> onnx.ModelProto:
    """ONNX's shape inference reads the second dimension of weights that have none."""
    weight = numpy_helper.from_array(np.array(1.0, np.float32), "w")
    return model([node("ConvTranspose", ["b", "w"], ["extra"])], [weight])


def endless() -> onnx.ModelProto:
    """ONNX's shape inference propagates values that may be a shape; here they are repeated 10**10 times."""
    constants = [sizes([1, 40]), sizes([10**10], "times")]
    return model(
        [node("Tile", ["sizes", "times"], ["shape"]), node("Reshape", ["b", "shape"], ["extra"])], constants
    )


CRASHES = r"shape inference fails on it|shapes contradict"
"""Messages; newer versions of ONNX no longer crash."""


@pytest.mark.parametrize(("made", "words"), [(crash, CRASHES), (endless, rf"{CRASHES}|creates a tensor of")])
def test_graph_that_crashes_shape_inference_is_refused_and_the_next_file_runs(tmp_path, made, words):
    path = tmp_path / "x.onnx"
    path.write_bytes(made().SerializeToString())
    with pytest.raises(TfyoloError, match=words) as caught:
        load_predictor(path)
    assert caught.value.path == path
    path.write_bytes(model().SerializeToString())
    assert len(load_predictor(path, threads=1)(IMAGE)[0]) > 0


def test_response_that_ctrl_c_interrupted_is_not_used_for_the_next_file(tmp_path, monkeypatch):
    """The unread response to a valid file must not be taken for the response to a malicious one."""
    path = tmp_path / "x.onnx"
    path.write_bytes(model().SerializeToString())

    def interrupted(stream):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(onnx_child, "_receive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            load_predictor(path)
    path.write_bytes(crash().SerializeToString())
    with pytest.raises(TfyoloError, match=CRASHES):
        load_predictor(path)


@pytest.mark.parametrize("what", MALICIOUS)
def test_malicious_file_is_refused(tmp_path, monkeypatch, what):
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for place in (tmp_path, folder):
        (place / "secret.bin").write_bytes(bytes(160))
    path = folder / "x.onnx"
    path.write_bytes(MALICIOUS[what]().SerializeToString())
    with pytest.raises(TfyoloError) as caught:
        load_predictor(path)(IMAGE)
    assert what.partition(" (")[0] in caught.value.message
    assert caught.value.path == path
    assert caught.value.fix


def padded() -> onnx.ModelProto:
    return suppression([node("Sub", ["top", "n"], ["amount"])], [sizes([5], "top")])


@pytest.mark.parametrize("made", [model, padded])
def test_valid_file_runs(tmp_path, made):
    path = tmp_path / "x.onnx"
    path.write_bytes(made().SerializeToString())
    assert len(load_predictor(path, threads=1)(IMAGE)[0]) > 0


def test_vetted_model_is_a_clean_copy(tmp_path):
    made = model()
    made.metadata_props.add(key="ort_config", value="{}")
    made.graph.value_info.extend(value_info("mean"))
    found = onnx.load_model_from_string(onnx_vetting.vet(made, (64, 64), 1, tmp_path / "x.onnx"))
    assert {field.name for field, _ in found.ListFields()} == {"ir_version", "opset_import", "graph"}
    assert not found.graph.value_info
    assert not any(output.type.tensor_type.HasField("shape") for output in found.graph.output)


def test_allowed_operators_have_no_subgraphs():
    for name in onnx_operators.ALLOWED:
        attributes = onnx.defs.get_schema(name, 22).attributes.values() if name != "Upsample" else ()
        assert not {attribute.type for attribute in attributes} & {
            onnx.defs.OpSchema.AttrType.GRAPH,
            onnx.defs.OpSchema.AttrType.GRAPHS,
        }
