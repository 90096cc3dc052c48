"""`--keep-float` and `--float-budget` by the command line."""

import pytest

from tfyolo.cli.main import main
from tfyolo.data import synthetic as datasets


def test_a_float_budget_is_spent_reported_and_kept(shapes, tmp_path, capsys):
    from pathlib import Path

    import keras
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    from tests.small import rescaled
    from tfyolo.inference.load import create_predictor
    from tfyolo.weights import load_model

    keras.utils.set_random_seed(0)
    config = Path(__file__).parents[1] / "micro.yaml"
    detector = rescaled(create_predictor(config, names=datasets.SHAPES, image_size=64), (64, 64))
    weights = detector.save(tmp_path / "seeing.keras")
    folder = tmp_path / "out"
    folder.mkdir()
    data = ["--data", shapes, "--calibration", "4"]
    budget = ["--float-budget", "40%", "--budget-of", "multiply-adds", "--budget-images", "2"]
    words = ["quantize", "--weights", str(weights), *data, "--steps", "0", *budget]
    assert main([*words, "--output", str(folder / "mixed.keras")]) == 0
    printed = capsys.readouterr().out
    assert "added in float" in printed
    assert "multiply-adds in float" in printed
    assert str(folder / "mixed-budget.png") in printed
    names = {"mixed.keras", "mixed-budget.png", "mixed-budget.json"}
    assert {path.name for path in folder.iterdir()} == names
    quantization = load_model(folder / "mixed.keras")[1].quantization
    assert quantization.keep_float
    assert "float parts within 40 % of multiply-adds" in quantization.method
    # The export honours the choice, without data: the network of the file is partly in float.
    exports = {"mixed": [str(folder / "mixed.keras")], "plain": [str(weights), *data]}
    types = {}
    for name, rest in exports.items():
        stem = str(tmp_path / name)
        words = ["export", "--int8", "--nms", "raw", "--output", stem, "--weights", *rest]
        assert main(words) == 0
        details = Interpreter(model_path=f"{stem}.tflite").get_tensor_details()
        types[name] = {detail["dtype"] for detail in details if detail["name"]}
    assert types["plain"] <= {np.int8, np.uint8, np.int32}
    assert np.float32 in types["mixed"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--int8", "--float-budget", "15%", "--include", "edgetpu"], "edgetpu does not support --float-"),
        (["--int8", "--budget-of", "latency"], "--budget-of needs --float-budget"),
        (["--half", "--float-budget", "15%"], "--float-budget"),
        (["--int16x8", "--float-budget", "15%"], "--float-budget"),
    ],
)
def test_a_float_budget_without_effect_is_refused(words, message, shapes, tiny_shapes, tmp_path, capsys):
    command = ["export", "--weights", str(tiny_shapes), "--data", shapes, "--output", str(tmp_path / "best")]
    assert main([*command, *words]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["export --int8 --calibration 2", "quantize --steps 0", "quant-debug"])
def test_a_layer_to_keep_in_float_must_exist(command, shapes, tiny_shapes, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = [*command.split(), "--weights", str(tiny_shapes), "--data", shapes, "--keep-float", "modle.2"]
    assert main(words) == 2
    message = capsys.readouterr().err
    assert "the network has no layer `modle.2` to keep in float" in message
    assert "did you mean model.2" in message
    assert not list(tmp_path.iterdir())


def test_a_layer_to_keep_in_float_must_exist_in_a_quantized_model(
    quantized, tiny_shapes, shapes, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    words = ["--weights", str(quantized), "--float", str(tiny_shapes), "--data", shapes]
    assert main(["quant-debug", *words, "--keep-float", "model.99"]) == 2
    assert "the network has no layer `model.99` to keep in float" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["-1%", "many", "2000%", "5", "1"])
def test_a_budget_is_a_percentage(text, shapes, tiny_shapes, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["quantize", "--weights", str(tiny_shapes), "--data", shapes, f"--float-budget={text}"])
    assert "is not a percentage such as 15%" in capsys.readouterr().err
