"""`tfyolo quantize`, `quant-debug`, `train --qat` and `export --int8` by their command lines."""

import re

import pytest

from tfyolo.cli.main import main
from tfyolo.errors import TfyoloError


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
    assert "would be overwritten" in capsys.readouterr().err
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


CALIBRATION_FLAGS = (["--keep-float", "model.1"], ["--ranges", "mse"], ["--calibration", "200"])
OWN_RANGES = "already quantized, with its own ranges"
NOTHING_CALIBRATED = "no export of this benchmark is calibrated"
REFUSALS = {
    "export --int8": (["export", "--int8"], CALIBRATION_FLAGS, OWN_RANGES),
    "export --int8 with data": (["export", "--int8"], [["--data", "DATA"]], "leave out --data"),
    "export of a float file": (
        ["export"],
        (*CALIBRATION_FLAGS, ["--data", "DATA"]),
        "only integer networks are calibrated",
    ),
    "export --half": (["export", "--half"], [["--data", "DATA"]], "only integer networks are calibrated"),
    "export --int16x8": (
        ["export", "--int16x8", "--data", "DATA"],
        [[]],
        "new ranges would be calibrated on its rounded weights",
    ),
    "quantize": (["quantize", "--data", "DATA", "--float", "FLOAT"], CALIBRATION_FLAGS, OWN_RANGES),
    "quantize without steps": (
        ["quantize", "--data", "DATA", "--float", "FLOAT", "--steps", "0"],
        [[]],
        "is already calibrated, and --steps is 0",
    ),
    "quantize without the float model": (["quantize", "--data", "DATA"], [[]], "weights are already rounded"),
    "quant-debug": (
        ["quant-debug", "--data", "DATA", "--float", "FLOAT"],
        CALIBRATION_FLAGS[1:],
        OWN_RANGES,
    ),
    "benchmark": (["benchmark", "--include", "tflite:int8", "--data", "DATA"], CALIBRATION_FLAGS, OWN_RANGES),
    "benchmark of float exports": (
        ["benchmark", "--include", "tflite"],
        CALIBRATION_FLAGS,
        NOTHING_CALIBRATED,
    ),
    "benchmark without exports": (["benchmark"], CALIBRATION_FLAGS, NOTHING_CALIBRATED),
    "benchmark of int16x8": (
        ["benchmark", "--include", "tflite:int16x8", "--data", "DATA"],
        [[]],
        "its ranges would be calibrated on weights that are already rounded",
    ),
    "train --qat": (
        ["train", "--qat", "--data", "DATA"],
        ([], *CALIBRATION_FLAGS),
        "pass the float model, or continue from this file with `tfyolo quantize --float`",
    ),
    "train": (["train", "--data", "DATA"], CALIBRATION_FLAGS, "only --qat calibrates"),
}


@pytest.mark.parametrize(
    ("command", "flag"),
    [(name, tuple(flag)) for name, (_, flags, _) in REFUSALS.items() for flag in flags],
    ids=lambda value: value if isinstance(value, str) else "".join(value[:1]),
)
def test_no_flag_of_calibration_is_dropped_with_a_quantized_model(
    command, flag, quantized, tiny_shapes, shapes, tmp_path, monkeypatch, capsys
):
    """Not even one that repeats the default."""
    words, _, reason = REFUSALS[command]
    places = {"DATA": shapes, "FLOAT": str(tiny_shapes)}
    output = {
        "export": ["--output", str(tmp_path / "best")],
        "quantize": ["--output", str(tmp_path / "best.keras")],
    }
    monkeypatch.chdir(tmp_path)
    given = [places.get(word, word) for word in (*words, *flag, *output.get(words[0], []))]
    assert main([given[0], "--weights", str(quantized), *given[1:]]) == 2
    message = capsys.readouterr().err
    assert reason in message
    if flag and words[:2] != ["train", "--qat"]:
        assert f"leave out {flag[0]}" in message
    assert not list(tmp_path.glob("best*"))


def test_quant_debug_honours_keep_float_of_a_quantized_model(
    shapes, quantized, tiny_shapes, tmp_path, capsys
):
    """Layers in float have the float model's weights: with all of them in float, nothing differs."""
    words = ["quant-debug", "--weights", str(quantized), "--float", str(tiny_shapes), "--data", shapes]
    words += ["--images", "2", "--worst", "0", "--project", str(tmp_path)]
    everything = ["--keep-float", "model"]
    assert main([*words, *everything]) == 0
    assert re.search(r"model +│ +0\.00000 │", capsys.readouterr().out)


@pytest.mark.parametrize("flag", [["--batch", "2"], ["--seed", "0"], ["--loss", "both"], ["--lr", "0.01"]])
def test_options_of_training_are_refused_without_steps(flag, tiny_shapes, shapes, tmp_path, capsys):
    words = [
        "--weights",
        str(tiny_shapes),
        "--data",
        shapes,
        "--steps",
        "0",
        "--output",
        str(tmp_path / "a.keras"),
    ]
    assert main(["quantize", *words, *flag]) == 2
    assert "--steps 0 only calibrates" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["quantize", "quant-debug"])
def test_a_float_model_beside_float_weights_is_refused(command, tiny_shapes, shapes, tmp_path, capsys):
    other = tmp_path / "other.keras"
    other.write_bytes(tiny_shapes.read_bytes())
    words = ["--weights", str(other), "--float", str(tiny_shapes), "--data", shapes]
    assert main([command, *words]) == 2
    assert "leave out --float" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda model, data: model.export("tflite", int8=True, keep_float=["model.1"]), OWN_RANGES),
        (lambda model, data: model.export("tflite", int8=True, calibration=3), OWN_RANGES),
        (lambda model, data: model.export("tflite", int8=True, data=data), "leave out data"),
        (lambda model, data: model.export("tflite", ranges="minmax"), "only integer networks"),
        (lambda model, data: model.export("tflite", data=data), "only integer networks"),
        (lambda model, data: model.benchmark(formats="tflite:int8", ranges="minmax"), OWN_RANGES),
        (lambda model, data: model.benchmark(keep_float=["model.1"]), NOTHING_CALIBRATED),
        (lambda model, data: model.quantize(data, keep_float=["model.1"]), "weights are already rounded"),
    ],
)
def test_no_argument_of_calibration_is_dropped_with_a_quantized_model(call, reason, quantized, shapes):
    import tfyolo

    with pytest.raises(TfyoloError, match=reason) as caught:
        call(tfyolo.load(quantized), shapes)
    assert "--" not in str(caught.value)


def test_no_argument_of_calibration_is_dropped_by_a_continued_training(quantized, tiny_shapes, shapes):
    import tfyolo

    for arguments in ({"calibration": 3}, {"ranges": "minmax"}, {"keep_float": ["model.1"]}, {"steps": 0}):
        with pytest.raises(TfyoloError, match=r"is already (quantized|calibrated)"):
            tfyolo.load(quantized).quantize(shapes, float_model=tiny_shapes, **arguments)


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
    _advise(report, "best.keras", "fruit.yaml", True, ("model.9",))
    rest = rest.replace("--keep-float", "--keep-float model.9")
    assert capsys.readouterr().out == f"next: tfyolo quantize {rest}"
