"""Calibration of a real detector, and the integer file that comes of it."""

import numpy as np
import pytest
import tensorflow as tf

from tests.quantization.conftest import IMAGE_HW, cell_images
from tfyolo.data.detection.scan import read_dataset
from tfyolo.data.synthetic import create_shapes_dataset
from tfyolo.export.graph.nodes import FakeQuantization, run_network
from tfyolo.models.nodes import IMAGES
from tfyolo.models.quantization import KEEPS_SCALE, range_names
from tfyolo.quantization import calibration_images
from tfyolo.quantization.calibration import CalibrationOptions, calibrate
from tfyolo.quantization.calibration_images import dataset_images
from tfyolo.quantization.fidelity import DetectorFidelity
from tfyolo.quantization.model import quantized_model
from tfyolo.quantization.reconstruction import _BLOCK, _gptq


def heads(network, images, rounding=None):
    """Per image and scale the three parts."""
    found = []
    for image in images:
        scales = run_network(network, image[None] / np.float32(255), rounding)
        found.append([tuple(part[0].numpy() for part in parts) for parts in scales])
    return found


def fidelity(cells, network, spec):
    measured = DetectorFidelity(cells.contract)
    pairs = zip(
        heads(cells.exact, cells.images),
        heads(network, cells.images, FakeQuantization(network, spec)),
        strict=True,
    )
    for exact, rounded in pairs:
        measured.add(exact, rounded)
    return measured


def test_every_tensor_has_a_range_and_every_kernel_lies_on_its_grid(cells_int8):
    owners = range_names(cells_int8.network)
    assert set(cells_int8.spec.ranges) == set(owners.values())
    for node in cells_int8.network.nodes:
        if node.kind == "conv":
            step = np.float32(cells_int8.spec.bounds[node.layer]) / 127
            units = cells_int8.network.weights[node.layer].kernel / step
            np.testing.assert_allclose(units, np.round(units), atol=1e-2)
            assert np.abs(units).max() < 127.01


def test_tensors_that_share_a_scale_share_a_range(cells_int8):
    owners = range_names(cells_int8.network)
    for node in cells_int8.network.nodes:
        if node.kind in KEEPS_SCALE:
            assert owners[node.name] == owners[node.inputs[0]]
    assert owners[IMAGES] == IMAGES
    # Read by a concatenation alone: rounded once, on its scale.
    assert owners["model.2.cv2.act"] == "model.2.cat"
    # Read by another layer, too: a range of its own.
    assert owners["model.4.cv3.act"] == "model.4.cv3.act"


def test_default_beats_plain_calibration(cells_int8):
    default = fidelity(cells_int8, cells_int8.network, cells_int8.spec)
    plain = calibrate(
        cells_int8.exact, cell_images(12), CalibrationOptions(ranges="minmax", reconstruct=False)
    )
    simple = fidelity(cells_int8, *plain)
    assert default.score_error < 0.9 * simple.score_error
    assert default.score_error < 0.01
    assert default.fidelity > 0.75
    assert default.interval().low < default.fidelity < default.interval().high
    change = default.score_error_change(simple)
    assert change.value == pytest.approx(default.score_error - simple.score_error)
    assert not change.is_noise
    assert default.gain(default).is_noise


def test_what_is_kept_in_float_is_not_rounded(cells_int8):
    spec = cells_int8.spec.model_copy(update={"keep_float": ("model.24",)})
    network = cells_int8.network.with_weights(
        {k: v for k, v in cells_int8.exact.weights.items() if k.startswith("model.24.")}
    )
    image = cells_int8.images[:1]
    seen = {}
    run_network(network, image / np.float32(255), FakeQuantization(network, spec), seen.__setitem__)
    values = seen["model.24.m.0.box"].numpy().ravel()
    assert len(np.unique(values)) > 256
    assert len(np.unique(seen["model.17.cv3.act"].numpy())) <= 256


def test_integer_file_computes_what_the_graph_says(cells_int8, tmp_path):
    """Raw int8 heads of LiteRT beside the fake-quantized graph: a step or so apart."""
    from ai_edge_litert.interpreter import Interpreter

    from tfyolo.export.job import ExportJob
    from tfyolo.export.options import ExportOptions
    from tfyolo.export.tflite.flatbuffer import write
    from tfyolo.export.tflite.writer import convert

    model, contract = quantized_model(cells_int8.network, cells_int8.spec, cells_int8.contract)
    interpreter = Interpreter(
        model_content=write(
            convert(
                ExportJob(model, contract, ExportOptions(image_size=IMAGE_HW, nms="raw", precision="int8"))
            )
        )
    )
    kinds = {d["dtype"] for d in interpreter.get_tensor_details() if d["name"]}
    assert kinds <= {np.int8, np.uint8, np.int32}
    run = interpreter.get_signature_runner()
    scales = {name: detail["quantization"][0] for name, detail in run.get_output_details().items()}
    image = cells_int8.images[:1]
    outputs = run(images=image)
    graph = heads(cells_int8.network, image, FakeQuantization(cells_int8.network, cells_int8.spec))[0]
    for i, parts in enumerate(graph):
        for name, expected in zip(("box", "objectness", "classes"), parts, strict=True):
            zero = run.get_output_details()[f"{name}_{i}"]["quantization"][1]
            found = (outputs[f"{name}_{i}"][0].astype(np.float32) - zero) * scales[f"{name}_{i}"]
            steps = np.abs(found - expected) / scales[f"{name}_{i}"]
            assert np.mean(steps) < 1.5
            assert np.quantile(steps, 0.99) < 8.5  # float32 rounds in an order of its own on each CPU


def test_quantization_is_saved_with_the_model(cells_int8, tmp_path):
    from tfyolo.weights import load_model
    from tfyolo.weights.keras_file import save_keras

    path = save_keras(
        *quantized_model(cells_int8.network, cells_int8.spec, cells_int8.contract), tmp_path / "q.keras"
    )
    model, contract = load_model(path)
    assert contract.quantization == cells_int8.spec
    image = tf.constant(cells_int8.images[:1] / np.float32(255))
    from tfyolo.models.network import Network

    again = Network.of(model, contract.spec)
    for name, weights in cells_int8.network.weights.items():
        np.testing.assert_allclose(again.weights[name].kernel, weights.kernel, rtol=1e-5, atol=1e-7)
    before, after = (
        run_network(n, image, FakeQuantization(n, cells_int8.spec)) for n in (cells_int8.network, again)
    )
    for a, b in zip(before, after, strict=True):
        for x, y in zip(a, b, strict=True):
            assert np.mean(np.abs(x - y) > 1e-6) < 0.01


@pytest.mark.parametrize("change", ["equal", "noise", "nothing"])
def test_fidelity(cells_int8, change):
    exact = heads(cells_int8.exact, cells_int8.images[:2])
    random = np.random.default_rng(0)
    measured = DetectorFidelity(cells_int8.contract)
    for parts in exact:
        other = {
            "equal": parts,
            "noise": [tuple(x + random.normal(0, 0.5, x.shape) for x in scale) for scale in parts],
            "nothing": [tuple(np.full_like(x, -20) for x in scale) for scale in parts],
        }[change]
        measured.add(parts, other)
    if change == "equal":
        assert measured.score_error == 0
        assert measured.fidelity > 0.98
    elif change == "noise":
        assert 0.01 < measured.score_error < 0.2
        assert 0.02 < measured.fidelity < 0.98
    else:
        assert measured.fidelity == 0


def test_gptq_in_blocks_rounds_as_row_by_row():
    random = np.random.default_rng(0)
    inputs, step = random.normal(size=(900, 2 * _BLOCK + 40)), np.array([0.05, 0.02])
    hessian, weights = inputs.T @ inputs, random.normal(size=(inputs.shape[1], len(step)))
    order = np.argsort(-np.diag(hessian))
    upper = np.linalg.cholesky(np.linalg.inv(hessian[np.ix_(order, order)])).T
    remaining, rounded = weights[order], np.empty_like(weights)
    for i, row in enumerate(order):
        rounded[row] = np.clip(np.round(remaining[i] / step), -127, 127) * step
        remaining[i + 1 :] -= np.outer(upper[i, i + 1 :], (remaining[i] - rounded[row]) / upper[i, i])
    np.testing.assert_allclose(_gptq(weights, hessian, step), rounded, atol=1e-9)


def test_images_that_cannot_be_read_are_noted(tmp_path):
    data = create_shapes_dataset(tmp_path, train=4, val=1, image_size=64)
    first, second, *others = sorted((tmp_path / "images/train").iterdir())
    first.write_bytes(b"")
    content = second.read_bytes()
    second.write_bytes(
        content[:60] + bytes(40) + content[100:]
    )  # begin and end, which the scan reads, are whole
    notes = []
    images = dataset_images(read_dataset(data), "train", (32, 32), 4, log=notes.append)
    assert len(images) == len(others)
    assert notes[0].startswith(f"1 of 4 images cannot be used: {first}: ")
    assert notes[1:] == [f"{second}: cannot be read; 1 of 3 images are left out"]


@pytest.mark.parametrize(("free", "count"), [(None, 8), (1, 1)])
def test_calibration_takes_the_images_that_fit_into_memory(cells_int8, monkeypatch, free, count):
    monkeypatch.setattr(calibration_images, "available_memory_bytes", lambda: free)
    assert calibration_images.fitting_count(cells_int8.network, IMAGE_HW, 8) == count
