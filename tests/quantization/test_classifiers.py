"""Quantization of classifiers, from the QAT model to the command line."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import tfyolo
from tests.data.classification.class_folders import class_folders
from tfyolo.cli.main import main
from tfyolo.export.graph.nodes import FakeQuantization, run_network
from tfyolo.models.keras_ops import NORMALIZE
from tfyolo.models.network import Network
from tfyolo.quantization.calibration import CalibrationOptions, calibrate
from tfyolo.quantization.calibration_images import folder_images
from tfyolo.quantization.debug import debug
from tfyolo.quantization.tasks import BatchOptions, find_task
from tfyolo.quantization.training.objectives import ClassificationObjective
from tfyolo.quantization.training.qat import QuantizedTraining
from tfyolo.quantization.training.qat_model import QatModel
from tfyolo.quantization.training.qat_options import QatOptions
from tfyolo.weights import load_model

TINY = Path(__file__).parents[1] / "tiny-cls.yaml"


@pytest.fixture(scope="module")
def colors(tmp_path_factory):
    return class_folders(tmp_path_factory.mktemp("colors"), train=8, val=4, test=2)


@pytest.fixture(scope="module")
def model(tmp_path_factory, colors):
    """A classifier that tells the colors apart."""
    folder = tmp_path_factory.mktemp("model")
    tiny = folder / "tiny-cls.yaml"
    tiny.write_text(TINY.read_text() + "normalize: imagenet\n")
    words = ["--model", str(tiny), "--img", "32", "--batch", "4", "--epochs", "15", "--lr0", "0.01"]
    words += ["--jitter", "0", "--scale", "0.5"]
    assert (
        main(["classify", "train", "--data", str(colors), *words, "--noplots", "--project", str(folder)]) == 0
    )
    return folder / "exp/weights/best.keras"


@pytest.fixture(scope="module")
def quantized(model, colors):
    """The float network, the calibrated one, its quantization, the contract and what it was calibrated on."""
    float_model, contract = load_model(model)
    exact = Network.of(float_model, contract.spec)
    images = folder_images(colors, "train", (32, 32), 24)
    network, spec = calibrate(exact, images, CalibrationOptions(reconstruct=False))
    return exact, network, spec, contract, images


def test_qat_model_rounds_as_the_exported_graph(quantized):
    _, network, spec, _, images = quantized
    batch = images / np.float32(255)
    ((expected,),) = run_network(network, batch, FakeQuantization(network, spec))
    low, high = spec.ranges[network.heads[0][0]]
    found = QatModel(network, spec, (32, 32)).model(batch, training=False)
    assert np.abs(found - expected).max() < 3 * (high - low) / 255


@pytest.mark.parametrize("loss", ["distill", "labels", "both"])
def test_training_lowers_the_loss_and_leaves_the_normalization(quantized, colors, loss):
    exact, network, spec, contract, _ = quantized
    data = find_task(colors, contract).training(BatchOptions((32, 32), 8, 0, loss, "scratch-low"))
    assert (data.side, data.steps_per_epoch) == (32, 3)
    training = QuantizedTraining(
        exact, QatModel(network, spec, (32, 32)), data.objective, QatOptions(40, 0.1, 3, loss)
    )
    losses = []
    training.run(data.batches(0), lambda step, value: losses.append(value))
    assert np.mean(losses[-8:]) < np.mean(losses[:4])
    trained, after = training.qat_model.trained()
    assert after.ranges != spec.ranges
    moved = {
        name
        for name, w in trained.weights.items()
        if np.abs(w.kernel - network.weights[name].kernel).max() > 1e-5
    }
    assert NORMALIZE in trained.weights
    assert NORMALIZE not in moved
    np.testing.assert_array_equal(trained.weights[NORMALIZE].bias, network.weights[NORMALIZE].bias)
    assert moved


def test_distillation_is_the_relative_entropy_of_probabilities():
    teacher = np.log(np.array([[0.5, 0.25, 0.25]], np.float32))[:, None, None]
    student = np.log(np.array([[0.25, 0.5, 0.25]], np.float32))[:, None, None] + 3
    found = ClassificationObjective().distillation([[tf.constant(student)]], [[tf.constant(teacher)]])
    assert float(found) == pytest.approx(0.5 * np.log(2) + 0.25 * np.log(0.5), abs=1e-6)
    assert float(
        ClassificationObjective().distillation([[tf.constant(teacher)]], [[tf.constant(teacher)]])
    ) == pytest.approx(0, abs=1e-6)


def test_labels_are_smoothed():
    logits = tf.constant(np.array([[2.0, 0.0]], np.float32)[:, None, None])
    found = ClassificationObjective(0.1).from_labels([[logits]], tf.constant([[1.0, 0.0]]))
    chance = 1 / (1 + np.exp(-2))
    assert float(found) == pytest.approx(-0.95 * np.log(chance) - 0.05 * np.log(1 - chance), rel=1e-5)


def test_debug_compares_probabilities(quantized):
    exact, network, spec, contract, images = quantized
    report = debug(exact, network, spec, contract, images[:6], worst=1)
    first, kept = report.variants
    assert 0 < first.score_error.value < 0.1
    assert first.fidelity.value >= 5 / 6
    assert kept.kept
    same = debug(
        exact,
        exact,
        spec.model_copy(update={"keep_float": ("images", "normalize", "model")}),
        contract,
        images[:6],
        0,
    )
    assert same.variants[0].score_error.value == pytest.approx(0, abs=1e-6)
    assert same.variants[0].fidelity.value == 1


def test_quantize_then_export_without_data_then_val(model, colors, tmp_path, capsys):
    small = tmp_path / "small.keras"
    words = ["quantize", "--weights", str(model), "--data", str(colors), "--steps", "6", "--batch", "8"]
    assert main([*words, "--output", str(small)]) == 0
    assert "step 6 of 6" in capsys.readouterr().out
    _, contract = load_model(small)
    assert contract.task == "classify"
    assert contract.quantization.method.endswith("6 steps of training by distill")
    assert main(["export", "--weights", str(small), "--int8", "--output", str(tmp_path / "small")]) == 0
    top1 = []
    for weights in (model, small, tmp_path / "small.tflite"):
        run = ["--project", str(tmp_path), "--name", weights.suffix[1:], "--noplots"]
        assert (
            main(["classify", "val", "--weights", str(weights), "--data", str(colors), *run, "--exist-ok"])
            == 0
        )
        top1.append(json.loads((tmp_path / weights.suffix[1:] / "metrics.json").read_text())["top1"])
    assert top1[0] == 1
    assert min(top1) >= 11 / 12


def test_train_qat_ends_with_an_integer_file_and_its_top1(model, colors, tmp_path, capsys):
    words = [
        "classify",
        "train",
        "--qat",
        "--data",
        str(colors),
        "--img",
        "32",
        "--epochs",
        "1",
        "--batch",
        "8",
    ]
    assert main([*words, "--pretrained", str(model), "--project", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "step 3 of 3" in printed
    assert "top-1" in printed
    assert (tmp_path / "exp/weights/best.tflite").exists()
    assert main([*words, "--project", str(tmp_path)]) == 2
    assert "--qat needs --data and --pretrained" in capsys.readouterr().err


def test_models_and_data_of_the_other_task_are_refused(model, colors, tmp_path, capsys):
    weights = ["--weights", str(model), "--data"]
    for words in (
        ["train", "--qat", *weights, str(colors), "--project", str(tmp_path)],
        ["quantize", *weights, str(tmp_path / "fruit.yaml")],
        ["quant-debug", *weights, str(tmp_path / "fruit.yaml"), "--project", str(tmp_path)],
    ):
        assert main(words) == 2
        assert re.search(r"is a classifier|fruit.yaml: does not exist", capsys.readouterr().err)
    other = class_folders(tmp_path / "other", train=2, val=1)
    (other / "train/blue").rename(other / "train/ape")
    assert main(["quantize", *weights, str(other)]) == 2
    assert "`ape` is not a class of the model" in capsys.readouterr().err
    assert tfyolo.load(model).contract.quantization is None


def test_qat_takes_the_models_own_size_and_no_flag_in_vain(model, colors, tmp_path, capsys):
    words = [
        "classify",
        "train",
        "--qat",
        "--data",
        str(colors),
        "--pretrained",
        str(model),
        "--epochs",
        "1",
    ]
    place = ["--project", str(tmp_path)]
    for more, flag in ((["--lr0", "0.1"], "--lr0"), (["--resume"], "--resume"), (["--noval"], "--noval")):
        assert main([*words, *more, *place]) == 2
        assert f"--qat does not support {flag}" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert main([*words, "--batch", "12", *place]) == 0
    assert load_model(tmp_path / "exp/weights/best.keras")[1].image_size == (32, 32)
