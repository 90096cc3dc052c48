"""Graphs of TF.js models: fusion of convolutions with bias and activation, and int8 kernels."""

import os
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfyolo.errors import TfyoloError
from tfyolo.export.tensorflow_graph.operations import ALLOWED
from tfyolo.export.tfjs.graph import build
from tfyolo.export.tfjs.operations import FUSED_CONVOLUTIONS, FUSED_OPERATIONS, OPERATIONS
from tfyolo.export.tfjs.runtime import NODE_FOLDER

RNG = np.random.default_rng(0)
KERNEL = RNG.normal(size=(3, 3, 4, 4)).astype(np.float32)
DEPTHWISE = RNG.normal(size=(3, 3, 4, 2)).astype(np.float32)
MATRIX = RNG.normal(size=(4, 4)).astype(np.float32)
BIAS = RNG.normal(size=4).astype(np.float32)


def graph_of(function, steps=(), shape=(1, 8, 8, 4)):
    module = tf.Module()
    specification = [tf.TensorSpec(shape, tf.float32, name="images")]
    module.detect = tf.function(lambda images: {"y": function(images)}, input_signature=specification)
    return build(module, dict(steps))


def operations(graph):
    return sorted(node.op for node in graph.nodes if node.op not in ("Const", "Placeholder", "Identity"))


def only(graph, operation):
    (node,) = [node for node in graph.nodes if node.op == operation]
    return node


def conv(x, kernel=KERNEL):
    return tf.nn.conv2d(x, kernel, 1, "SAME")


def depthwise(x):
    return tf.nn.depthwise_conv2d(x, DEPTHWISE, [1, 1, 1, 1], "SAME")


FUSABLE = {
    "bias": (lambda x: conv(x) + BIAS, "_FusedConv2D", [b"BiasAdd"]),
    "bias on the left": (lambda x: BIAS + conv(x), "_FusedConv2D", [b"BiasAdd"]),
    "relu6": (lambda x: tf.nn.relu6(conv(x) + BIAS), "_FusedConv2D", [b"BiasAdd", b"Relu6"]),
    "no bias": (lambda x: tf.nn.relu(conv(x)), "_FusedConv2D", [b"NoOp", b"Relu"]),
    "bias of zeros": (lambda x: tf.nn.relu(conv(x) + 0 * BIAS), "_FusedConv2D", [b"NoOp", b"Relu"]),
    "depthwise": (
        lambda x: tf.nn.relu(depthwise(x) + np.tile(BIAS, 2)),
        "FusedDepthwiseConv2dNative",
        [b"BiasAdd", b"Relu"],
    ),
    "matrix": (lambda x: tf.reshape(x, [-1, 4]) @ MATRIX + BIAS, "_FusedMatMul", [b"BiasAdd"]),
}


@pytest.mark.parametrize(("function", "operation", "fused"), FUSABLE.values(), ids=FUSABLE)
def test_fused(function, operation, fused):
    graph = graph_of(function)
    node = only(graph, operation)
    assert list(node.attr["fused_ops"].list.s) == fused
    assert node.attr["num_args"].i == len(node.input) - 2 == (b"BiasAdd" in fused)
    assert [x for x in operations(graph) if x != "Reshape"] == [operation]


def test_leaky_relu_keeps_its_slope():
    node = only(graph_of(lambda x: tf.nn.leaky_relu(conv(x) + BIAS, 0.1)), "_FusedConv2D")
    assert node.attr["leakyrelu_alpha"].f == pytest.approx(0.1)


UNFUSABLE = {
    "another tensor": lambda x: conv(x) + x,
    "another tensor and a bias of zeros": lambda x: conv(x) + 0 * BIAS + x,
    "a constant of one value per pixel": lambda x: conv(x) + RNG.normal(size=(8, 8, 4)).astype(np.float32),
    "a constant of one value": lambda x: conv(x) + np.float32([3]),
}


@pytest.mark.parametrize("function", UNFUSABLE.values(), ids=UNFUSABLE)
def test_additions_that_are_not_a_bias_are_not_fused(function):
    assert operations(graph_of(function)) == ["AddV2", "Conv2D"]


def test_outputs_with_two_readers_are_not_fused():
    assert operations(graph_of(lambda x: tf.sigmoid(y := conv(x)) * y)) == ["Conv2D", "Mul", "Sigmoid"]
    fused = graph_of(lambda x: tf.nn.relu(y := conv(x) + BIAS) * y)
    assert operations(fused) == ["Mul", "Relu", "_FusedConv2D"]


def run(graph, x):
    """Compute a graph of `Conv2D` and `_FusedConv2D` as TF.js defines them."""
    values = {"images": x, **graph.constants}
    waiting = {node.name: node for node in graph.nodes if node.name not in values}
    while waiting:
        for name, node in [*waiting.items()]:
            if not all(key in values for key in node.input):
                continue
            inputs = [values[key] for key in node.input]
            steps = [node.op.encode()]
            if node.op in ("Conv2D", "_FusedConv2D"):
                y, steps = conv(*inputs[:2]), list(node.attr["fused_ops"].list.s)
            elif node.op == "Mul":
                y, steps = inputs[0] * inputs[1], []
            else:
                y = inputs[0]
            for step in steps:
                if step == b"BiasAdd":
                    y = y + inputs[2]
                elif step in (b"Relu", b"Relu6"):
                    y = getattr(tf.nn, step.decode().lower())(y)
            values[name] = y
            del waiting[name]
    return values["y"].numpy()


@pytest.mark.parametrize("activation", [tf.identity, tf.nn.relu, tf.nn.relu6])
@pytest.mark.parametrize("bias", [BIAS, 0 * BIAS], ids=["bias", "no bias"])
def test_integer_kernels_compute_the_same(activation, bias):
    steps = np.abs(KERNEL).max((0, 1, 2)) / 127
    integers = np.rint(KERNEL / steps)
    kernel = np.float32(integers * steps)
    graph = graph_of(lambda x: activation(conv(x, kernel) + bias), [(kernel.tobytes(), steps)])
    (name,) = graph.steps
    np.testing.assert_array_equal(graph.constants[name], integers)
    # Relu is fused with the integer kernel; Relu6 follows the product with the steps.
    assert ("Relu6" in operations(graph)) == (activation is tf.nn.relu6)
    assert "Relu" not in operations(graph)
    x = RNG.normal(size=(1, 8, 8, 4)).astype(np.float32)
    np.testing.assert_allclose(run(graph, x), activation(conv(x, kernel) + bias), atol=1e-4)


def test_kernel_with_other_readers_stays_float():
    steps = np.full(4, 0.5, np.float32)
    kernel = np.rint(KERNEL) * steps
    function = lambda x: conv(x, kernel) + BIAS + tf.reshape(x, [-1])[0] * kernel[0, 0, 0]  # noqa: E731
    assert len(graph_of(function, [(kernel.tobytes(), steps)]).steps) == 1
    shared = lambda x: conv(conv(x, k := tf.constant(kernel)), k * x[0, 0, 0, 0])  # noqa: E731
    graph = graph_of(shared, [(kernel.tobytes(), steps)])
    assert not graph.steps
    assert operations(graph).count("Conv2D") == 2


def test_inputs_and_outputs_have_the_names_of_the_contract():
    graph = graph_of(lambda x: conv(x) + BIAS)
    assert [info.name for info in (graph.signature.inputs["images"], graph.signature.outputs["y"])] == [
        "images:0",
        "y:0",
    ]
    assert {"images", "y"} < {node.name for node in graph.nodes}
    assert not any(node.attr["value"].tensor.tensor_content for node in graph.nodes)


def test_unsupported_operation_is_refused():
    with pytest.raises(TfyoloError, match="does not support SpaceToDepth, which"):
        graph_of(lambda x: tf.nn.space_to_depth(x, 2))


def test_operations_are_pure_and_known_to_tfjs():
    converter = Path(NODE_FOLDER, "node_modules/@tensorflow/tfjs-converter/dist/operations/op_list")
    if not converter.exists() and not os.environ.get("CI"):  # in CI it must fail
        pytest.skip("Node's packages are not installed: make setup")
    text = "".join(file.read_text() for file in converter.glob("*.js"))
    assert set(re.findall(r"'tfOpName': '(\w+)'", text)) >= OPERATIONS
    assert {*ALLOWED, *FUSED_OPERATIONS.values(), "Prelu", "Const", "Placeholder", "NoOp"} >= OPERATIONS
    assert set(FUSED_CONVOLUTIONS) <= OPERATIONS
