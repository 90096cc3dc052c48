"""Verification of `.tflite` files: exported files pass, files that would crash an interpreter do not."""

from __future__ import annotations

import inspect
import random
import re
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tests.fuzz import tflite as fuzzer
from tfyolo.errors import TfyoloError
from tfyolo.export.graph.options import GraphNmsOptions
from tfyolo.export.job import ExportJob
from tfyolo.export.options import ExportOptions
from tfyolo.export.registry import find_format
from tfyolo.export.runtime import budget
from tfyolo.export.tflite.runtime import LiteRtRuntime
from tfyolo.export.tflite.vetting import check
from tfyolo.export.tflite.vetting.check import check_model
from tfyolo.export.tflite.vetting.flexbuffer import read_map
from tfyolo.export.tflite.vetting.graph import Graph, Operator, Tensor
from tfyolo.export.tflite.vetting.reader import DamagedError
from tfyolo.export.tflite.vetting.schema import BUILTINS, OPTIONS, TABLES, TYPES


@pytest.fixture(scope="module")
def file(tiny, tmp_path_factory) -> Path:
    """A small float detector with TFLite_Detection_PostProcess inside."""
    path = tmp_path_factory.mktemp("tflite") / "tiny.tflite"
    find_format("tflite").write(
        ExportJob(tiny.model, tiny.contract, ExportOptions(image_size=(64, 64), nms="postprocess")), path
    )
    return path


@pytest.fixture
def changed(file, tmp_path):
    """A function that modifies the model as an object and writes it with the zip archive of the original."""

    def write(change) -> Path:
        data = file.read_bytes()
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
        change(model, model.subgraphs[0])
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        path = tmp_path / "changed.tflite"
        path.write_bytes(bytes(builder.Output()) + data[data.find(b"PK\x03\x04") :])
        return path

    return write


def operator(model, graph, name):
    """Return the first operator of a kind."""
    number = getattr(schema.BuiltinOperator, name)
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    return next(x for x in graph.operators if codes[x.opcodeIndex] == number)


def set_constant(model, graph, index, values):
    """Set the values of a constant tensor."""
    model.buffers[graph.tensors[index].buffer].data = np.frombuffer(np.array(values).tobytes(), np.uint8)


def test_exported_file_passes_and_runs(file, changed):
    graph = check_model(file.read_bytes(), file)
    assert graph.has_signature
    assert graph.inputs["images"].shape == (1, 64, 64, 3)
    assert graph.outputs["detection_boxes"].shape == (1, 100, 4)
    again = changed(lambda model, graph: None)  # `changed` itself writes valid files
    image = np.zeros((1, 64, 64, 3), np.uint8)
    found, expected = (LiteRtRuntime(path, 1)(image, 0.1)[0] for path in (again, file))
    np.testing.assert_array_equal(found.scores, expected.scores)


@pytest.mark.parametrize("name", sorted(TABLES))
def test_tables_have_as_many_fields_as_the_schema(name):
    begin = getattr(schema, f"{name}Start")
    (count,) = re.findall(r"StartObject\((\d+)\)", inspect.getsource(begin))
    assert len(TABLES[name]) == int(count)


def test_enum_values_equal_the_schema():
    assert {getattr(schema.BuiltinOperator, name): name for name in BUILTINS.values()} == BUILTINS
    assert {getattr(schema.BuiltinOptions, name): name for name in OPTIONS.values()} == OPTIONS
    assert {getattr(schema.TensorType, name.upper()): name for name in TYPES.values()} == TYPES
    assert set(BUILTINS.values()) <= set(check.RULES)
    assert {rule.options_table for rule in check.RULES.values()} <= {*OPTIONS.values(), ""}


def set_element(owner, field, at, value):
    """Set one element of an array."""
    values = np.array(getattr(owner, field))
    values[at] = value
    setattr(owner, field, values)


def _stride(model, graph):
    operator(model, graph, "CONV_2D").builtinOptions.strideW = 0


def _no_options(model, graph):
    found = operator(model, graph, "CONV_2D")
    found.builtinOptions, found.builtinOptionsType = None, 0


def _kernel(model, graph):
    operator(model, graph, "MAX_POOL_2D").builtinOptions.filterHeight = 0


def _padding(model, graph):
    set_constant(model, graph, operator(model, graph, "PAD").inputs[1], np.full(8, 2**30, np.int32))


def _slice(model, graph):
    strides = operator(model, graph, "STRIDED_SLICE").inputs[3]
    set_constant(model, graph, strides, np.zeros(graph.tensors[strides].shape, np.int32))


def _axis(model, graph):
    operator(model, graph, "CONCATENATION").builtinOptions.axis = 9


def _index(model, graph):
    set_element(graph.operators[3], "inputs", 0, len(graph.tensors))


def _negative_output(model, graph):
    set_element(graph.operators[3], "outputs", 0, -1)


def _missing_input(model, graph):
    set_element(operator(model, graph, "MUL"), "inputs", 0, -1)


def _buffer(model, graph):
    graph.tensors[5].buffer = len(model.buffers)


def _short_constant(model, graph):
    tensor = graph.tensors[operator(model, graph, "CONV_2D").inputs[1]]
    model.buffers[tensor.buffer].data = model.buffers[tensor.buffer].data[:-4]


def _input_shape(model, graph):
    set_element(graph.tensors[graph.inputs[0]], "shape", 1, 65_536)


def _variable(model, graph):
    graph.tensors[operator(model, graph, "MUL").outputs[0]].isVariable = True


def _reordered(model, graph):
    graph.operators.insert(0, graph.operators.pop())


def _written_twice(model, graph):
    graph.operators.append(graph.operators[0])


def _control_flow(model, graph):
    code = model.operatorCodes[operator(model, graph, "MUL").opcodeIndex]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.WHILE


def _custom(model, graph):
    next(code for code in model.operatorCodes if code.customCode).customCode = "FlexWriteFile"


def _subgraphs(model, graph):
    model.subgraphs.append(graph)


def _signature(model, graph):
    model.signatureDefs[0].outputs[0].tensorIndex = 2**31


def _regular_nms(model, graph):
    found = next(x for x in graph.operators if x.customOptions is not None and len(x.customOptions))
    options = bytes(np.asarray(found.customOptions, np.uint8))
    assert read_map(options)["max_detections"] == 100
    at = options.find(bytes([100]), options.find(b"y_scale"))
    found.customOptions = np.frombuffer(options[:at] + bytes([101]) + options[at + 1 :], np.uint8)


def _shape_of_another_type(model, graph):
    tensor = graph.tensors[operator(model, graph, "RESHAPE").inputs[1]]
    values = model.buffers[tensor.buffer].data
    tensor.type = schema.TensorType.INT64
    model.buffers[tensor.buffer].data = np.frombuffer(
        np.frombuffer(bytes(values), np.int32).astype(np.int64).tobytes(), np.uint8
    )


def _scale(model, graph):
    tensor = graph.tensors[operator(model, graph, "MUL").outputs[0]]
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale = np.array([np.nan], np.float32)
    tensor.quantization.zeroPoint = np.array([0], np.int64)


def _name(model, graph):
    graph.tensors[operator(model, graph, "MUL").outputs[0]].name = b"mul\xd8\xd8:0"


def _many_scales(model, graph):
    _scale(model, graph)
    tensor = graph.tensors[operator(model, graph, "MUL").outputs[0]]
    tensor.quantization.scale = np.ones(3, np.float32)


CHANGES = {
    _stride: "stride, dilation or kernel size of 0",
    _no_options: "no options, not Conv2DOptions",
    _kernel: "stride, dilation or kernel size of 0",
    _padding: "(PAD): its output has the shape",
    _slice: "it has the stride 0",
    _axis: "axis 9 is out of range",
    _index: "an input of operator 3",
    _negative_output: "an output of operator 3",
    _missing_input: "an input is missing",
    _buffer: "the buffer of tensor 5",
    _short_constant: "bytes, but its shape",
    _input_shape: "but the file says",
    _variable: "is a variable",
    _reordered: "which no earlier operator writes",
    _written_twice: "which is a constant, an input, or written before",
    _control_flow: "the operator is not on the allow-list",
    _custom: "(FlexWriteFile): the operator is not on the allow-list",
    _subgraphs: "2 subgraphs",
    _signature: "one of the signature's outputs has the index",
    _regular_nms: "TFLite_Detection_PostProcess",
    _scale: "has a scale of nan",
    _shape_of_another_type: "its input 1 is not a list of int32 numbers",
    _name: "is not valid UTF-8",
    _many_scales: "has 3 scales for the shape",
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__.strip("_"))
def test_invalid_operators_are_refused(changed, change):
    path = changed(change)
    with pytest.raises(TfyoloError, match=re.escape(CHANGES[change])) as caught:
        LiteRtRuntime(path, 1)
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("name", "message"),
    [("PEAK_BYTES", "GiB of memory"), ("PRODUCTS", "needs more than [0-9,]+ multiplications")],
)
def test_memory_and_multiplications_are_bounded(file, monkeypatch, name, message):
    for bound in (name, f"{name}_PER_PIXEL"):
        monkeypatch.setattr(budget, bound, 1)
    with pytest.raises(TfyoloError, match=message):
        check_model(file.read_bytes(), file)


BIG = (1, 8192, 8192, 1)


def constant(values, index):
    values = np.array(values, np.int32)
    return Tensor(index, "constant", "int32", values.shape, memoryview(values.tobytes()), NO_SCALES, ZEROS, 0)


def computed(shape, index, dtype="float32"):
    return Tensor(index, "computed", dtype, shape, None, NO_SCALES, ZEROS, 0)


NO_SCALES, ZEROS = np.zeros(0, np.float32), np.zeros(0, np.int64)
IMAGE = computed(BIG, 0)
SELECTED = (1, 8192, 8192)
CHEAP_OUTPUTS = {
    "MEAN": ([IMAGE, constant([1, 2], 1)], [(1, 1)], {"keep_dims": False}),
    "REDUCE_MAX": ([IMAGE, constant([1, 2], 1)], [(1, 1)], {"keep_dims": False}),
    "ARG_MAX": ([IMAGE, constant([3], 1)], [SELECTED], {"output_type": 2}),
    "TOPK_V2": ([IMAGE, constant([1], 1)], [BIG, BIG], {}),
    "SPLIT": ([constant(1, 1), IMAGE], [(1, 4096, 8192, 1)] * 2, {"num_splits": 2}),
    "UNPACK": ([computed((1, 2, 8192, 8192), 0)], [SELECTED] * 2, {"num": 2, "axis": 1}),
}
"""Operators with large inputs: inputs, shapes of outputs, options."""


@pytest.mark.parametrize("name", CHEAP_OUTPUTS)
def test_all_inputs_and_outputs_of_an_operator_are_charged(name):
    inputs, shapes, options = CHEAP_OUTPUTS[name]
    dtypes = {"ARG_MAX": ["int32"], "TOPK_V2": ["float32", "int32"]}.get(name, ["float32"] * len(shapes))
    outputs = tuple(
        computed(shape, 2 + i, dtype) for i, (shape, dtype) in enumerate(zip(shapes, dtypes, strict=True))
    )
    kind = check.RULES[name].options_table
    found = Operator(0, name, tuple(inputs), outputs, kind, options, None)
    counter = budget.Budget(Path("x.tflite"), pixels=8192 * 8192)
    check.check_operators(Graph((*inputs, *outputs), (found,), {}, {}, True), counter)
    elements = sum(x.size for x in (*inputs, *outputs))
    assert counter.products >= elements + (25 * IMAGE.size if name == "TOPK_V2" else 0)


def test_an_iou_threshold_of_zero_is_written_and_passes(tiny, tmp_path):
    options = ExportOptions(
        image_size=(64, 64), nms="postprocess", nms_options=GraphNmsOptions(iou_threshold=0.0)
    )
    path = tmp_path / "zero.tflite"
    find_format("tflite").write(ExportJob(tiny.model, tiny.contract, options), path)
    LiteRtRuntime(path, 1)


def test_peak_memory(file):
    """More than the input alone, less than all tensors together."""
    graph = check_model(file.read_bytes(), file)
    assert 4 * 64 * 64 * 3 < check.peak_memory(graph) < sum(x.bytes for x in graph.tensors)


def test_mutated_files_pass_or_raise_a_printable_error(file):
    data, outcomes = file.read_bytes(), []
    for case in range(150):
        content = fuzzer.mutate(data, random.Random(case))
        try:
            check_model(content, file)
            outcomes.append(True)
        except TfyoloError as error:
            outcomes.append(not error.message.isprintable())
    assert 20 < sum(outcomes) < 130


def test_truncated_files_are_refused(file):
    data = file.read_bytes()
    model = data[: data.find(b"PK\x03\x04")]
    for length in range(0, len(model) - 1, 997):
        with pytest.raises(TfyoloError):
            check_model(model[:length], file)


@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"\x01\x02\x03", b"\xff" * 40, bytes(range(200)), b"\0" * 5000]
)
def test_custom_options_that_are_not_a_map(data):
    with pytest.raises(DamagedError):
        read_map(data)
