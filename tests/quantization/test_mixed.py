"""Mixed precision: which nodes are in float, and what is rounded between float and int8."""

import numpy as np
import pytest

from tests.quantization.conftest import IMAGE_HW
from tests.small import confident, letterboxed
from tfyolo.export.graph.nodes import FakeQuantization, fake_quantize, run_network
from tfyolo.export.job import ExportJob, export_model
from tfyolo.export.options import ExportOptions
from tfyolo.inference.load import load_runtime
from tfyolo.models.network import Network
from tfyolo.models.nodes import IMAGES
from tfyolo.models.quantization import Placement
from tfyolo.quantization.calibration import CalibrationOptions, calibrate
from tfyolo.quantization.keras_model import quantized_model
from tfyolo.quantization.mixed import MixedPrecision

INSIDE = ("model.17", "model.20.cv3", "model.24.m.0.box")
"""A module with an integer one behind it, a single layer, and a head."""


@pytest.fixture(scope="module")
def mixed(cells_int8):
    return MixedPrecision(cells_int8.exact, cells_int8.network, cells_int8.spec)


def test_operations_without_weights_between_float_parts_are_float(cells_int8):
    network = cells_int8.network
    nodes = {node.name: node for node in network.nodes}
    placement = Placement.of(network, ("model.18", "model.20", "model.14"))
    assert nodes["model.19.cat"].kind == "concat"
    assert set(nodes["model.19.cat"].inputs) == {"model.18.act", "model.14.act"}
    assert placement.is_float("model.19.cat")
    assert not Placement.of(network, ("model.18", "model.20")).is_float("model.19.cat")  # reads an integer
    assert not Placement.of(network, ("model.18",)).is_float("model.19.cat")  # read by integer nodes
    # What an integer concatenation alone reads has its range; a float one has none to give.
    assert Placement.of(network, ()).ranges["model.18.act"] == "model.19.cat"
    assert placement.ranges["model.18.act"] == "model.18.act"


def test_only_integer_readers_of_a_float_part_read_rounded_values(mixed, cells_int8):
    network, spec = mixed.keeping(("model.17",))
    image = cells_int8.images[:1] / np.float32(255)
    seen = {}
    run_network(network, image, FakeQuantization(network, spec), seen.__setitem__)
    leaving = seen["model.17.cv3.act"].numpy()
    assert len(np.unique(leaving)) > 256
    rounded = fake_quantize(leaving, spec.ranges["model.17.cv3.act"])
    (reader,) = (node for node in network.nodes if node.name == "model.18.conv")
    kernel, bias = network.weights[reader.layer]
    import tensorflow as tf

    expected = tf.nn.conv2d(
        tf.pad(rounded, [[0, 0], [1, 1], [1, 1], [0, 0]]), kernel, 2, "VALID"
    ) + tf.constant(bias)
    low, high = spec.ranges["model.18.conv"]
    steps = np.abs(fake_quantize(expected, (low, high)) - seen["model.18.conv"]) / ((high - low) / 255)
    assert np.mean(steps > 0.5) < 0.002


def test_float_parts_have_float_weights(mixed, cells_int8):
    network, spec = mixed.keeping(INSIDE)
    assert spec.keep_float == INSIDE
    for name in ("model.17.cv1.conv", "model.20.cv3.conv", "model.24.m.0.box"):
        np.testing.assert_array_equal(network.weights[name].kernel, cells_int8.exact.weights[name].kernel)
    for name in ("model.20.cv1.conv", "model.24.m.0.classes"):
        np.testing.assert_array_equal(network.weights[name].kernel, cells_int8.network.weights[name].kernel)


def test_integer_file_dequantizes_once_where_a_float_part_begins(mixed, cells_int8):
    """Operators and outputs of LiteRT's file, beside the fake-quantized graph."""
    from ai_edge_litert.interpreter import Interpreter
    from tensorflow.lite.python import schema_py_generated as schema

    from tfyolo.export.tflite.flatbuffer import write
    from tfyolo.export.tflite.writer import convert

    network, spec = mixed.keeping(INSIDE)
    model, contract = quantized_model(network, spec, cells_int8.contract)
    flat = convert(
        ExportJob(model, contract, ExportOptions(image_size=IMAGE_HW, nms="raw", precision="int8"))
    )
    graph, kinds = flat.subgraphs[0], []
    for operator in graph.operators:
        code = flat.operatorCodes[operator.opcodeIndex]
        kinds.append((max(code.builtinCode, code.deprecatedBuiltinCode), operator))
    dequantized = [
        operator.inputs[0] for kind, operator in kinds if kind == schema.BuiltinOperator.DEQUANTIZE
    ]
    # The inputs of model.17, which two convolutions read, and of model.20.cv3. The box convolution reads what
    # model.17 computes, in float.
    assert len(dequantized) == len(set(dequantized)) == 2
    made = {operator.outputs[0]: kind for kind, operator in kinds}
    assert schema.BuiltinOperator.DEQUANTIZE not in [
        made.get(operator.inputs[0]) for kind, operator in kinds if kind == schema.BuiltinOperator.QUANTIZE
    ]
    run = Interpreter(model_content=write(flat)).get_signature_runner()
    details = run.get_output_details()
    image = cells_int8.images[:1]
    outputs = run(images=image)
    graph_heads = run_network(network, image / np.float32(255), FakeQuantization(network, spec))
    assert details["box_0"]["dtype"] == np.float32
    assert details["box_1"]["dtype"] == np.int8
    for i, parts in enumerate(graph_heads):
        for part, expected in zip(("box", "objectness", "classes"), parts, strict=True):
            low, high = spec.ranges[f"model.24.m.{i}.{part}"]
            found = outputs[f"{part}_{i}"].astype(np.float32)
            if details[f"{part}_{i}"]["dtype"] == np.int8:
                scale, zero = details[f"{part}_{i}"]["quantization"]
                found = (found - zero) * scale
            assert np.mean(np.abs(found - expected)) < 1.5 * (high - low) / 255


@pytest.mark.parametrize("name", ["tflite", "onnx", "openvino", "saved_model", "pb", "tfjs"])
def test_every_integer_format_honours_float_parts(name, tmp_path):
    """With all modules in float, an integer file computes what the float network computes."""
    detector, hw = confident(4, (64, 64), "micro.yaml"), (64, 64)
    exact, images = Network.of(detector.model, detector.contract.spec), letterboxed(hw)
    rounded, spec = calibrate(exact, images, CalibrationOptions(reconstruct=False))
    network, kept = MixedPrecision(exact, rounded, spec).keeping(("model",))
    options = ExportOptions(image_size=hw, nms="raw", precision="int8")
    job = ExportJob(*quantized_model(network, kept, detector.contract), options)
    outputs = load_runtime(export_model(job, [name], tmp_path / "mixed")[name]).outputs(images[:1])
    image = images[:1] / np.float32(255)
    wanted, integer = run_network(exact, image), run_network(rounded, image, FakeQuantization(rounded, spec))
    for i, parts in enumerate(wanted):
        for part, values, coarse in zip(("box", "objectness", "classes"), parts, integer[i], strict=True):
            error = np.abs(outputs[f"{part}_{i}"] - values).mean()
            assert error < 1e-4 < 1e-2 * np.abs(coarse - values).mean()


@pytest.mark.parametrize(
    "kept", [("model.6",), ("model.14", "model.17"), ("model.4", "model.5"), ("model.10", "model.13.cv1")]
)
def test_tensors_with_several_readers_keep_the_scale_of_each(kept, mixed, cells_int8, tmp_path):
    """Integer readers behind a float part: padding, upsampling and concatenation, each with its own scale."""
    network, spec = mixed.keeping(kept)
    model, contract = quantized_model(network, spec, cells_int8.contract)
    options = ExportOptions(image_size=IMAGE_HW, nms="raw", precision="int8")
    path = export_model(ExportJob(model, contract, options), ["tflite"], tmp_path / "mixed")["tflite"]
    image = cells_int8.images[:1]
    outputs = load_runtime(path).outputs(image)
    expected = run_network(network, image / np.float32(255), FakeQuantization(network, spec))
    for i, parts in enumerate(expected):
        for part, values in zip(("box", "objectness", "classes"), parts, strict=True):
            low, high = spec.ranges[f"model.24.m.{i}.{part}"]
            # Rounding differs between processors; one with AMX comes to 1.51 steps.
            assert np.mean(np.abs(outputs[f"{part}_{i}"] - values)) < 2 * (high - low) / 255


def test_qat_model_rounds_as_the_exported_graph(mixed, cells_int8):
    from tfyolo.quantization.training.qat_model import QatModel

    network, spec = mixed.keeping(INSIDE)
    qat_model = QatModel(network, spec, IMAGE_HW)
    images = cells_int8.images[:1] / np.float32(255)
    values = {IMAGES: images}
    heads = run_network(network, images, FakeQuantization(network, spec), values.__setitem__)
    names = [name for parts in network.heads for name in parts]
    expected = [x for parts in heads for x in parts]
    for name, wanted, found in zip(names, expected, qat_model.model(images, training=False), strict=True):
        low, high = spec.ranges[name]
        assert np.mean(np.abs(found - wanted)) < 1.5 * (high - low) / 255
    trained, trained_spec = qat_model.trained()
    for name, weights in network.weights.items():
        np.testing.assert_allclose(trained.weights[name].kernel, weights.kernel, rtol=1e-5, atol=1e-7)
    for name, limits in spec.ranges.items():
        np.testing.assert_allclose(trained_spec.ranges[name], limits, atol=1e-5)
    # The kernel of a float part is trained as well, and so is the range in which integer nodes read it.
    variables = {variable.name for variable in qat_model.trained_variables}
    assert any("model.17.cv3.act.int8" in name for name in variables)
    assert any("model.17.cv1.conv" in name and "kernel" in name for name in variables)


def test_calibration_fits_what_follows_a_float_part_to_its_float_values(cells_int8):
    from tests.quantization.conftest import cell_images
    from tfyolo.quantization.calibration import CalibrationOptions, calibrate

    network, spec = calibrate(cells_int8.exact, cell_images(4), CalibrationOptions(keep_float=("model.0",)))
    np.testing.assert_array_equal(
        network.weights["model.0.conv"].kernel, cells_int8.exact.weights["model.0.conv"].kernel
    )
    assert "model.0.conv" not in spec.bounds
    assert "model.0.act" in spec.ranges  # in which model.1 reads it
