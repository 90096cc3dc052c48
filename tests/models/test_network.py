"""The network as a list of operations computes what the Keras model computes, and goes back into one."""

import numpy as np
import pytest

from tests.shared import needs_shared
from tests.weights.test_checkpoint import ARCH, NAMES, SEGMENTER
from tfyolo.export.graph.nodes import run_network
from tfyolo.export.runtime.decode import join_parts
from tfyolo.models import Contract, build_model, load_spec
from tfyolo.models.network import Network
from tfyolo.models.outputs import raw_outputs
from tfyolo.weights.checkpoint import load_checkpoint


def raw_heads(network: Network, images: np.ndarray) -> list[np.ndarray]:
    """Raw heads of every image (batch, height, width, channels), and prototypes."""
    groups = run_network(network, images)
    return [
        np.stack([join_parts([part[i].numpy() for part in parts]) for i in range(len(images))])
        if len(parts) > 1
        else parts[0].numpy()
        for parts in groups
    ]


@needs_shared
@pytest.mark.parametrize("name", [*NAMES, SEGMENTER])
def test_network_equals_the_keras_model_and_goes_back_into_one(name):
    model, contract = load_checkpoint(ARCH / f"{name}.pt")
    images = np.load(ARCH / f"{name}.npz")["images_nchw"].transpose(0, 2, 3, 1)[:1]
    network = Network.of(model, contract.spec)
    assert not any(node.kind == "batch_norm" for node in network.nodes)
    expected = [np.asarray(head) for head in model(images)]
    for found, head in zip(raw_heads(network, images), expected, strict=True):
        np.testing.assert_allclose(found, head, atol=2e-5)
    model.set_weights([np.ones_like(array) for array in model.get_weights()])
    network.load_into(model, contract.spec)
    for found, head in zip(model(images), expected, strict=True):
        np.testing.assert_allclose(found, head, atol=2e-5)


def test_heads_are_split_by_part(tiny):
    network = Network.of(tiny.model, tiny.contract.spec)
    assert network.heads[0] == ("model.12.m.0.box", "model.12.m.0.objectness", "model.12.m.0.classes")
    by_name = {node.name: node.channels for node in network.nodes}
    assert [by_name[name] for name in network.heads[0]] == [3 * 4, 3 * 1, 3 * 4]


@pytest.mark.parametrize("activation", ["silu", "relu", "linear"])
def test_a_segmentation_model_has_prototypes_as_the_last_output(activation):
    spec = load_spec("yolov5n-seg", num_classes=2, activation=activation)
    network = Network.of(build_model(spec), spec)
    parts = ("box", "objectness", "classes", "coefficients")
    assert network.heads[0] == tuple(f"model.24.m.0.{part}" for part in parts)
    *_, scale, (prototypes,) = network.heads
    assert scale == tuple(f"model.24.m.2.{part}" for part in parts)
    by_name = {node.name: node.channels for node in network.nodes}
    assert [by_name[name] for name in network.heads[0]] == [3 * 4, 3 * 1, 3 * 2, 3 * 32]
    assert by_name[prototypes] == 32
    assert [len(names) for names in raw_outputs(Contract.of(spec))] == [len(names) for names in network.heads]


def test_relu_belongs_to_its_convolution():
    from tfyolo.configs.reader import Document
    from tfyolo.inference.load import create_predictor
    from tfyolo.models import parse_spec

    config = {**create_predictor("yolov5n", num_classes=2).contract.config, "activation": "relu6"}
    spec = parse_spec(Document(None, config), "x")
    network = Network.of(build_model(spec), spec)
    first = network.nodes[0]
    assert (first.kind, first.function, first.name) == ("conv", "relu6", "model.0.act")
    assert not any(node.kind == "activation" for node in network.nodes)
