"""The QAT model and its training."""

import json
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.small import confident, letterboxed
from tfyolo.data import synthetic as datasets
from tfyolo.errors import TfyoloError
from tfyolo.evaluation.detection_metrics import ValOptions
from tfyolo.evaluation.validator import validate
from tfyolo.export.graph.nodes import FakeQuantization, fake_quantize, run_network
from tfyolo.inference.load import load_predictor
from tfyolo.models.network import Network
from tfyolo.models.nodes import IMAGES
from tfyolo.models.quantization import range_names
from tfyolo.quantization.calibration import CalibrationOptions, calibrate
from tfyolo.quantization.run import QuantizeOptions, measure, quantize
from tfyolo.quantization.tasks import BatchOptions, find_task
from tfyolo.quantization.training.objectives import DetectionObjective
from tfyolo.quantization.training.qat import FusedAdam, QuantizedTraining, origin_of
from tfyolo.quantization.training.qat_model import QatModel, tf_keras
from tfyolo.quantization.training.qat_options import QatOptions
from tfyolo.weights import load_model

MICRO = Path(__file__).parents[1] / "micro.yaml"


@pytest.fixture(scope="module")
def tiny_int8():
    """A small network that sees something, float and calibrated."""
    detector = confident(4, (64, 64), "micro.yaml")
    exact, images = Network.of(detector.model, detector.contract.spec), letterboxed((64, 64))
    network, spec = calibrate(exact, images, CalibrationOptions(reconstruct=False))
    return exact, network, spec, detector.contract, images


def batches(images):
    batch = images.astype(np.float32) / 255
    labels = np.full((2, 16, 5), -1, np.float32)
    labels[:, 0] = [1, 0.5, 0.5, 0.4, 0.4]
    for count in cycle((16, 8)):  # as padding varies
        yield batch, labels[:, :count]


def test_adam_updates_weights_as_that_of_keras():
    random = np.random.default_rng(0)
    start, gradients = random.normal(size=(3, 4)), random.normal(size=(5, 3, 4)) * [[1], [1e-6], [0]]
    found = []
    for kind in (tf_keras.optimizers.Adam, FusedAdam):
        weight, scale = tf.Variable(start, dtype=tf.float32), tf.Variable(1.0)
        decay = tf_keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)
        optimizer = kind(decay, beta_2=0.99, epsilon=1e-12)
        optimizer.build([weight, scale])
        for gradient in gradients.astype(np.float32):
            optimizer.apply_gradients([(tf.constant(gradient), weight), (tf.constant(gradient[0, 0]), scale)])
        found.append([variable.numpy() for variable in (weight, scale, *optimizer.variables)])
    for expected, value in zip(*found, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-7)
    assert np.any(found[0][0] != start.astype(np.float32))


def test_qat_model_rounds_as_the_exported_graph(cells_int8):
    network, spec = cells_int8.network, cells_int8.spec
    qat_model = QatModel(network, spec, (160, 160))
    images = cells_int8.images[:1] / np.float32(255)
    values = {IMAGES: images}
    run_network(network, images, FakeQuantization(network, spec), values.__setitem__)
    owner = range_names(network)
    for node in network.nodes:
        low, high = spec.ranges[owner[node.name]]
        found = qat_model.run(node.name, [values[name] for name in node.inputs])
        if owner[node.name] != node.name:  # rounded by the concatenation that reads it
            found = fake_quantize(found, (low, high))
        steps = np.abs(found - values[node.name]) / ((high - low) / 255)
        # Values midway between two steps go either way, by float32's own rounding.
        assert np.max(steps) < 1.01
        assert np.mean(steps > 0.5) < 0.002
    # Those few add up through the layers, on each CPU in its own way.
    for name, found in zip(
        (name for parts in network.heads for name in parts),
        qat_model.model(images, training=False),
        strict=True,
    ):
        low, high = spec.ranges[name]
        assert np.mean(np.abs(found - values[name])) < 1.5 * (high - low) / 255
    network, spec = qat_model.trained()
    for name, weights in cells_int8.network.weights.items():
        np.testing.assert_allclose(network.weights[name].kernel, weights.kernel, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(network.weights[name].bias, weights.bias, rtol=1e-5, atol=1e-6)
    for name, limits in cells_int8.spec.ranges.items():
        np.testing.assert_allclose(spec.ranges[name], limits, atol=1e-5)


@pytest.mark.parametrize("loss", ["distill", "both"])
def test_training_lowers_the_loss_and_ends_on_the_grid(tiny_int8, loss, monkeypatch):
    exact, network, spec, contract, images = tiny_int8
    qat_model = QatModel(network, spec, (64, 64))
    options = QatOptions(steps=30, learning_rate=0.05, warmup=3, loss=loss)
    training = QuantizedTraining(exact, qat_model, DetectionObjective(contract), options)
    losses, traced, distillation = [], [], training.objective.distillation
    monkeypatch.setattr(
        training.objective, "distillation", lambda *heads: traced.append(1) or distillation(*heads)
    )
    training.run(batches(images), lambda step, value: losses.append(value))
    assert len(losses) == 30
    assert loss != "distill" or len(traced) == 1
    assert np.mean(losses[-5:]) < 0.97 * np.mean(losses[:3])
    trained, spec = qat_model.trained()
    moved = 0
    for name, weights in trained.weights.items():
        units = weights.kernel / (np.float32(spec.bounds[name]) / 127)
        np.testing.assert_allclose(units, np.round(units), atol=1e-2)
        moved += int((np.abs(weights.kernel - network.weights[name].kernel) > 1e-6).sum())
    assert moved > 10
    assert any(spec.ranges[name] != tiny_int8[2].ranges[name] for name in spec.ranges)


def test_a_killed_training_goes_on_where_it_was(tiny_int8, tmp_path):
    exact, network, spec, contract, images = tiny_int8
    options = QatOptions(steps=12, learning_rate=0.05, save_every=6)

    def run(stop=None, resume=False):
        qat_model = QatModel(network, spec, (64, 64))
        training = QuantizedTraining(exact, qat_model, DetectionObjective(contract), options)
        source = batches(images)
        if resume:
            assert training.resume(tmp_path / "state.npz")
            assert training.done == 6

        def log(step, loss):
            if step == stop:
                raise KeyboardInterrupt

        training.run(source, log, tmp_path / "state.npz")
        return qat_model.trained()[0]

    unbroken = run()
    with pytest.raises(KeyboardInterrupt):
        run(stop=9)
    resumed = run(resume=True)
    for name, weights in unbroken.weights.items():
        np.testing.assert_allclose(resumed.weights[name].bias, weights.bias, atol=1e-5)
    other = QuantizedTraining(
        exact, QatModel(network, spec, (64, 64)), DetectionObjective(contract), QatOptions(steps=13)
    )
    assert not other.resume(tmp_path / "state.npz")


def test_quantize_writes_a_model_that_exports_without_data(tmp_path):
    from tfyolo.inference.load import create_predictor

    data = datasets.create_shapes_dataset(tmp_path / "shapes", train=6, val=4, image_size=64)
    weights = create_predictor(MICRO, names=datasets.SHAPES).save(tmp_path / "tiny.keras")
    told = []
    output = tmp_path / "tiny_int8.keras"
    options = QuantizeOptions(data, str(weights), output, train=QatOptions(steps=3), batch_size=2)
    assert quantize(options, log=told.append) == output
    assert told[0] == "calibrating on 6 images"
    assert told[-1].startswith("step 3 of 3: loss")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["shapes", "tiny.keras", "tiny_int8.keras"]
    _, contract = load_model(output)
    assert contract.quantization.method.endswith("3 steps of training by distill")
    file, metrics = measure(output, data, tmp_path / "measured")
    assert file == tmp_path / "tiny_int8.tflite"
    written = json.loads((tmp_path / "measured" / "metrics.json").read_text())
    assert written["map50"] == pytest.approx(metrics.map50, abs=1e-5)
    again = validate(load_predictor(file), data, ValOptions(rect=False, plots=False))
    assert again.map50 == pytest.approx(metrics.map50, abs=1e-6)


def test_progress_of_other_weights_is_not_gone_on_with(tmp_path, monkeypatch):
    """A run that was killed, then the model it came from was trained anew."""
    from tfyolo.inference.load import create_predictor
    from tfyolo.quantization.training.qat_options import QatOptions

    data = datasets.create_shapes_dataset(tmp_path / "shapes", train=4, val=2, image_size=64)
    weights = create_predictor(MICRO, names=datasets.SHAPES).save(tmp_path / "tiny.keras")
    train = QatOptions(steps=4, save_every=2)
    options = QuantizeOptions(data, str(weights), tmp_path / "out.keras", train=train, batch_size=2)

    def kill(label, done, total):
        if label == "quantization-aware training" and done == 3:
            raise KeyboardInterrupt

    def run(options=options):
        told = []
        with pytest.raises(KeyboardInterrupt):
            quantize(options, kill, told.append)
        return [sentence for sentence in told if "calibra" in sentence or "resumed" in sentence]

    assert run() == ["calibrating on 4 images"]
    state = tmp_path / "out.progress.npz"
    going_on = [f"{options.output} is already calibrated", "resumed after step 2 of 4"]
    assert run() == going_on
    assert run(replace(options, weights=load_model(weights))) == going_on  # the same weights, in memory
    create_predictor(MICRO, names=datasets.SHAPES).save(weights)
    assert run() == ["calibrating on 4 images"]
    assert origin_of(state)
    state.write_bytes(state.read_bytes()[:100])
    assert origin_of(state) is None


def test_labels_are_numbered_as_the_model_numbers_its_classes(tmp_path):
    from tfyolo.models import Contract, load_spec

    data = datasets.create_shapes_dataset(tmp_path / "shapes", train=6, val=1, image_size=64)
    spec = load_spec(MICRO, num_classes=3)

    def rows(names):
        task = find_task(data, Contract.of(spec, names))
        _, labels = next(task.training(BatchOptions((64, 64), 6, 0, "labels", "scratch-low")).batches(0))
        return labels.numpy()

    plain, exchanged = rows(datasets.SHAPES), rows(datasets.SHAPES[::-1])
    np.testing.assert_array_equal(exchanged[..., 1:], plain[..., 1:])
    there = plain[..., 0] >= 0
    np.testing.assert_array_equal(exchanged[..., 0][there], 2 - plain[..., 0][there])


def test_a_float_model_of_other_classes_is_refused(tmp_path):
    from tfyolo.inference.load import create_predictor
    from tfyolo.quantization.run import load_float_network

    weights = create_predictor(MICRO, names=datasets.SHAPES).save(tmp_path / "tiny.keras")
    _, contract = load_model(weights)
    other = contract.model_copy(update={"names": contract.names[::-1]})
    with pytest.raises(TfyoloError, match="has other classes than --weights, or another class order"):
        load_float_network(str(weights), other)


def test_a_float_model_may_have_another_image_size(tmp_path):
    """A model that was trained at 320 has its configuration's 640 until it is quantized at 320."""
    from tfyolo.inference.load import create_predictor
    from tfyolo.quantization.run import load_float_network

    weights = create_predictor(MICRO, names=datasets.SHAPES).save(tmp_path / "tiny.keras")
    model, contract = load_model(weights)
    quantized = contract.resized((128, 128))
    assert quantized.config != contract.config
    nodes = Network.of(model, contract.spec).nodes
    assert load_float_network(str(weights), quantized).nodes == nodes
