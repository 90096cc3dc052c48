"""`tfyolo quantize`, `quant-debug`, `train --qat` and `export --int8` by their command lines."""

import re

import pytest

from tfyolo.cli.main import main
from tfyolo.data import synthetic as datasets


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return str(
        datasets.create_shapes_dataset(tmp_path_factory.mktemp("shapes"), train=6, val=4, image_size=64)
    )


@pytest.fixture(scope="module")
def tiny_shapes(tmp_path_factory):
    """`micro.yaml` with the three classes of the shapes."""
    from pathlib import Path

    import keras

    from tfyolo.inference.load import create_predictor

    keras.utils.set_random_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.keras"
    return create_predictor(Path(__file__).parents[1] / "micro.yaml", names=datasets.SHAPES).save(path)


@pytest.fixture(scope="module")
def quantized(shapes, tiny_shapes):
    words = ["quantize", "--weights", str(tiny_shapes), "--data", shapes, "--steps", "2", "--batch", "2"]
    assert main(words) == 0
    return tiny_shapes.with_name("tiny_int8.keras")


def test_a_quantized_model_exports_without_data(quantized, image, tmp_path, capsys):
    stem = tmp_path / "best"
    formats = ["--include", "tflite", "saved_model", "pb", "edgetpu", "--int8", "--nms"]
    assert main(["export", "--weights", str(quantized), *formats, "--output", str(stem)]) == 0
    printed = capsys.readouterr().out
    assert "edgetpu_compiler is not installed" in printed
    names = ["best.pb", "best.tflite", "best_edgetpu.tflite", "best_edgetpu_report.txt", "best_saved_model"]
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("best")) == names
    for name in names:
        if name.endswith(".txt"):
            continue
        run = ["--source", str(image), "--project", str(tmp_path / "runs"), "--nosave"]
        assert main(["detect", "--weights", str(tmp_path / name), *run]) == 0
        assert "1 images" in capsys.readouterr().out


@pytest.mark.parametrize("precision", ["--int8", "--int16x8"])
def test_precision_that_needs_images_calibrates_on_them(precision, shapes, tiny_shapes, tmp_path):
    words = ["export", "--weights", str(tiny_shapes), precision, "--data", shapes, "--calibration", "3"]
    words += ["--ranges", "minmax"] if precision == "--int8" else []
    assert main([*words, "--output", str(tmp_path / "best")]) == 0
    assert (tmp_path / "best.tflite").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--int8"], "--int8 needs --data"),
        (["--int16x8"], "--int16x8 needs --data"),
        (["--int8", "--half"], "not allowed with argument"),
        (["--include", "edgetpu"], "Edge TPU cannot be written in"),
        (["--include", "pb", "--dynamic"], "frozen GraphDef does not support --dynamic"),
        (["--include", "onnx", "--nms", "--dynamic-batch"], "--nms does not support --dynamic-batch"),
        (["--int8", "--data", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_impossible_requests_are_one_line(tiny_shapes, words, message, capsys):
    try:
        code = main(["export", "--weights", str(tiny_shapes), *words])
    except SystemExit as error:  # argparse's own
        code = error.code
    captured = capsys.readouterr()
    assert code == 2
    assert message in captured.err
    assert "Traceback" not in captured.err


def test_quant_debug_tells_where_noise_arises(shapes, tiny_shapes, tmp_path, capsys):
    words = ["quant-debug", "--weights", str(tiny_shapes), "--data", shapes, "--images", "2", "--worst", "2"]
    assert main([*words, "--project", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "layers with the most quantization noise" in printed
    assert "lost here" in printed
    assert "score error" in printed
    assert re.search(r"nothing +│ +0\.\d{5} │ +│ +\d\.\d{3} │ \d\.\d{3} to \d\.\d{3} │", printed)
    assert "paired" in printed
    chart = tmp_path / "exp" / "noise.png"
    assert chart.read_bytes()[:4] == b"\x89PNG"


def test_quant_debug_of_a_quantized_model_asks_for_the_float_one(
    shapes, quantized, tiny_shapes, tmp_path, capsys
):
    words = ["quant-debug", "--weights", str(quantized), "--data", shapes, "--project", str(tmp_path)]
    assert main(words) == 2
    assert "pass the float model as --float" in capsys.readouterr().err
    assert main([*words, "--float", str(tiny_shapes), "--images", "2", "--worst", "0"]) == 0


def test_train_qat_ends_with_an_integer_file_and_its_map(shapes, tiny_shapes, tmp_path, capsys):
    words = ["train", "--qat", "--weights", str(tiny_shapes), "--data", shapes, "--img", "64"]
    assert main([*words, "--epochs", "1", "--batch", "3", "--project", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "step 2 of 2" in printed
    assert (tmp_path / "exp" / "weights" / "best.keras").exists()
    assert (tmp_path / "exp" / "weights" / "best.tflite").exists()
    assert "mAP50" in printed


def test_train_qat_needs_weights(shapes, capsys):
    assert main(["train", "--qat", "--data", shapes, "--weights", ""]) == 2
    assert "--qat needs --data and --weights" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["quantize", "--weights", "MODEL", "--data", "DATA", "--output", "MODEL"],
        ["quantize", "--weights", "other.keras", "--float", "MODEL", "--data", "DATA", "--output", "MODEL"],
        ["benchmark", "--weights", "MODEL", "--csv", "MODEL"],
        ["autoanchor", "--data", "DATA", "--output", "DATA"],
    ],
    ids=["weights", "float model", "benchmark", "dataset"],
)
def test_what_a_command_reads_it_does_not_replace(words, shapes, tiny_shapes, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.keras").write_bytes(tiny_shapes.read_bytes())
    before = tiny_shapes.read_bytes()
    places = {"MODEL": str(tiny_shapes), "DATA": shapes}
    assert main([places.get(word, word) for word in words]) == 2
    assert "would be replaced" in capsys.readouterr().err
    assert tiny_shapes.read_bytes() == before


def test_what_cannot_be_written_is_refused_before_anything_is_measured(
    shapes, tiny_shapes, quantized, tmp_path, capsys, monkeypatch
):
    from tfyolo.quantization import calibration_images as images

    def measured(*_):
        raise AssertionError("images are read")

    monkeypatch.setattr(images, "calibration_images", measured)
    int8 = ["--int8", "--data", shapes, "--output", str(tmp_path / "best")]
    for weights, words, reason in (
        (tiny_shapes, ["--img", "100"], "100x100 pixels is not a multiple of the stride 8"),
        (tiny_shapes, ["--dynamic-batch"], "does not support dynamic batch sizes"),
        (tiny_shapes, ["--calibrator", "runtime"], "has no calibrator of its own"),
        (quantized, [], "is already quantized"),
        (quantized, ["--include", "onnx", "--calibrator", "runtime"], "pass the float model"),
        (
            tiny_shapes,
            ["--include", "onnx", "--calibrator", "runtime", "--keep-float", "model.1"],
            "leave out --keep-float",
        ),
    ):
        assert main(["export", "--weights", str(weights), *int8, *words]) == 2
        assert reason in capsys.readouterr().err
    assert (
        main(["export", "--weights", str(tiny_shapes), "--include", "onnx", "--calibrator", "runtime"]) == 2
    )
    assert "--calibrator runtime requires an integer precision" in capsys.readouterr().err
    for command in ("quantize", "quant-debug"):
        words = [command, "--weights", str(tiny_shapes), "--data", shapes, "--img", "100"]
        assert main(words) == 2
        assert "not a multiple of the stride 8" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [["--keep-float", "model.1"], ["--ranges", "mse"], ["--calibration", "200"]],
    ids=lambda words: words[0],
)
def test_calibration_of_what_is_quantized_already_is_refused(quantized, shapes, words, tmp_path, capsys):
    """No flag is dropped without a word, not even one that says the default."""
    weights = ["--weights", str(quantized)]
    commands = [
        ["export", *weights, "--int8", "--output", str(tmp_path / "best")],
        ["benchmark", *weights, "--include", "tflite:int8", "--data", shapes],
    ]
    if words[0] != "--keep-float":
        commands.append(["quant-debug", *weights, "--float", str(quantized), "--data", shapes])
    for command in commands:
        assert main([*command, *words]) == 2, command
        message = capsys.readouterr().err
        assert "already quantized, with its own ranges" in message
        assert f"leave out {words[0]}" in message
    assert not (tmp_path / "best.tflite").exists()


def test_a_quantized_model_is_not_calibrated_again(quantized, tiny_shapes, shapes, tmp_path, capsys):
    words = ["--weights", str(quantized), "--float", str(tiny_shapes), "--data", shapes]
    out = tmp_path / "a.keras"
    assert main(["quantize", *words, "--keep-float", "model.1", "--output", str(out)]) == 2
    assert "already quantized" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (["export", "--ranges", "minmax"], "only integer networks are calibrated"),
        (["export", "--int16x8", "--data", "x.yaml", "--keep-float", "model.1"], "int16x8"),
        (["train", "--data", "x.yaml", "--keep-float", "model.1"], "only --qat calibrates"),
    ],
)
def test_calibration_without_an_integer_network_is_refused(tiny_shapes, command, reason, capsys):
    assert main([*command, "--weights", str(tiny_shapes)]) == 2
    message = capsys.readouterr().err
    assert reason in message
    assert "leave out --" in message


@pytest.mark.parametrize(
    ("variants", "advice"),
    [
        ([], None),
        ([(["model.1"], 0.6, 0.95), (["model.2"], 0.4, 0.89)], None),
        ([(["model.1"], 0.4, 0.90), (["model.2"], 0.3, 0.91)], "model.2"),
        ([(["model.1"], 0.4, 0.91), (["model.1", "model.2"], 0.3, 0.80)], "model.1"),
        ([(["model.1"], 0.45, 0.95), (["model.2"], 0.48, 0.95)], "model.1"),
        ([(["model.2"], 0.48, 0.95)], None),  # within noise
    ],
)
def test_quant_debug_advises_only_what_its_table_shows_to_gain(variants, advice, capsys):
    from tfyolo.cli.quant_debug import _advise
    from tfyolo.evaluation.bootstrap import Interval
    from tfyolo.quantization.debug import DebugReport, Variant

    def with_noise(value, noise=0.03):
        return Interval(value, value - noise, value + noise)

    report = DebugReport(
        (),
        tuple(
            Variant(
                tuple(kept), *(with_noise(value) for value in (error, fidelity, error - 0.5, fidelity - 0.9))
            )
            for kept, error, fidelity in [([], 0.5, 0.9), *variants]
        ),
    )
    _advise(report, "best.keras", "fruit.yaml", False)
    said = capsys.readouterr().out
    if advice is None:
        assert "keep all layers quantized" in said
        return
    rest = f"--weights best.keras --data fruit.yaml --keep-float {advice}\n"
    assert said == f"next: tfyolo export --int8 {rest}"
    # Ranges of a quantized file are not measured anew: it is made anew from the float model.
    _advise(report, "best.keras", "fruit.yaml", True)
    assert capsys.readouterr().out == f"next: tfyolo quantize {rest}"
