"""Files of a detector and a classifier whose outputs vary a lot, written once per test run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.exports import exported_once, exporter, run_folder
from tfyolo.export.graph.nodes import run_network
from tfyolo.export.graph.options import GraphNmsOptions
from tfyolo.export.job import ExportJob
from tfyolo.export.options import ExportOptions
from tfyolo.inference.load import create_predictor
from tfyolo.models.network import Network, Weights
from tfyolo.models.tasks import TASKS
from tfyolo.quantization.calibration import CalibrationOptions, calibrate
from tfyolo.quantization.model import quantized_model

IMAGE_SIZE = (64, 64)
IMAGES = np.random.default_rng(0).integers(0, 256, (4, *IMAGE_SIZE, 3), np.uint8)
NMS_OPTIONS = GraphNmsOptions(confidence=0.2, iou_threshold=0.5, candidates=200)


def uneven(network: Network) -> Network:
    """Heads whose ranges differ from scale to scale: a common one would clip or coarsen most of them."""
    kinds = {node.name: node for node in network.nodes}
    changed = {}
    for scale, (parts, heads) in enumerate(
        zip(network.heads, run_network(network, np.float32(IMAGES / 255)), strict=True)
    ):
        for part, name, head in zip(TASKS["detect"].parts, parts, heads, strict=True):
            kernel, bias = network.weights[kinds[name].layer]
            values = head.numpy().reshape(-1, head.shape[-1])
            gain = (0.4, 1.2, 3.0)[scale] / values.std(0)
            middle = (-2.0, -1.0, 1.0)[scale] if part == "objectness" else 0.0
            changed[kinds[name].layer] = Weights(kernel * gain, (bias - values.mean(0)) * gain + middle)
    return network.with_weights(changed)


def loud(network: Network) -> Network:
    """Logits that tell classes apart."""
    node = next(node for node in network.nodes if node.name == network.heads[0][0])
    kernel, _ = network.weights[node.layer]
    return network.with_weights({node.layer: Weights(kernel * 100, np.float32([0.3, -1, 2, 0.5]))})


def quantized(detector, change) -> ExportJob:
    """A request for the integer network of a detector or classifier."""
    network = change(Network.of(detector.model, detector.contract.spec))
    network, ranges = calibrate(network, IMAGES, CalibrationOptions(ranges="minmax", reconstruct=False))
    model, contract = quantized_model(network, ranges, detector.contract)
    options = ExportOptions(image_size=IMAGE_SIZE, nms_options=NMS_OPTIONS, precision="int8")
    return ExportJob(model, contract, options, calibration_images=IMAGES)


@pytest.fixture(scope="session")
def uneven_detector(tiny) -> ExportJob:
    """`tiny` with uneven heads, quantized."""
    return quantized(tiny, uneven)


@pytest.fixture(scope="session")
def export_uneven(uneven_detector, tmp_path_factory) -> Callable[..., Path]:
    """A function that exports the detector with uneven heads once for each kind of request."""

    def run(nms: str, precision: str = "int8", name: str = "tflite") -> Path:
        job = uneven_detector.with_options(nms=nms, precision=precision)
        return exported_once(job, name, run_folder(tmp_path_factory))

    return run


@pytest.fixture(scope="session")
def export_masks(tiny_seg, tmp_path_factory) -> Callable[..., Path]:
    """A function that exports a segmentation model of two classes once for each kind of request."""
    options = ExportOptions(image_size=IMAGE_SIZE, nms_options=NMS_OPTIONS)
    job = ExportJob(tiny_seg.model, tiny_seg.contract, options, calibration_images=IMAGES)
    run = exporter(job, IMAGES, run_folder(tmp_path_factory))
    return lambda nms, precision="int8": run("tflite", precision, nms)


@pytest.fixture(scope="session")
def export_loud(tmp_path_factory) -> Callable[..., Path]:
    """A function that exports a quantized classifier of four classes once for each kind of request."""
    keras.utils.set_random_seed(0)
    path = Path(__file__).parents[2] / "tiny-cls.yaml"
    job = quantized(create_predictor(path, names=("ant", "bee", "cat", "dog")), loud)

    def run(nms: str, precision: str = "int8") -> Path:
        this = job.with_options(nms=nms, precision=precision)
        return exported_once(this, "tflite", run_folder(tmp_path_factory))

    return run
