"""The methods of `tfyolo.Detector` and `tfyolo.Classifier`, held to the functions that they call."""

import argparse
import inspect
import re
from dataclasses import fields, replace
from io import BytesIO
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import tfyolo
from tests.cli.test_benchmark import WorkerHere
from tests.data.classification.class_folders import class_folders
from tests.small import rescaled
from tfyolo.assets import MINI_DATA, SAMPLE_IMAGE, TEST_IMAGES
from tfyolo.cli import export as cli_export
from tfyolo.cli import quantize as cli_quantize
from tfyolo.cli import segment as cli_segment
from tfyolo.cli import train as cli_train
from tfyolo.cli import val as cli_val
from tfyolo.data import synthetic as datasets
from tfyolo.data.images.letterbox import Letterbox
from tfyolo.data.images.read import read_image
from tfyolo.errors import TfyoloError
from tfyolo.evaluation.classification import ClassifierValOptions, validate_classifier
from tfyolo.evaluation.detection_metrics import ValOptions
from tfyolo.evaluation.validator import validate
from tfyolo.export.graph.options import GraphNmsOptions
from tfyolo.export.job import ExportJob, export_model
from tfyolo.export.options import ExportOptions
from tfyolo.python_errors import ARGUMENTS, in_python
from tfyolo.quantization.calibration import CalibrationOptions
from tfyolo.quantization.run import QuantizeOptions, quantize
from tfyolo.training.detection.options import TrainOptions
from tfyolo.weights import load_model

MICRO = Path(__file__).with_name("micro.yaml")
ROOT = Path(__file__).parents[1]
QAT = {"given", "qat", "qat_loss", "qat_lr", "calibration", "ranges", "keep_float"} | {
    "float_budget",
    "budget_of",
    "budget_images",
}
IMAGES = sorted(TEST_IMAGES.glob("*.jpg"))[:4]


@pytest.fixture(scope="module")
def cells():
    return tfyolo.load("bccd-n")


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return datasets.create_shapes_dataset(tmp_path_factory.mktemp("shapes"), train=16, val=4, image_size=64)


@pytest.fixture(scope="module")
def letterboxed():
    images = [read_image(path) for path in IMAGES]
    return np.stack([Letterbox.fit(image.shape[:2], (64, 64)).apply(image) for image in images])


@pytest.fixture
def micro(letterboxed):
    """The smallest detector, which finds things here and there."""
    keras.utils.set_random_seed(0)
    return rescaled(tfyolo.create(MICRO, names=datasets.SHAPES), (64, 64), letterboxed)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("exported")
    return tfyolo.create(MICRO, names=datasets.SHAPES).export("tflite", output=folder / "micro")


@pytest.fixture(scope="module")
def colors(tmp_path_factory):
    return class_folders(tmp_path_factory.mktemp("colors"), train=8, val=4)


@pytest.fixture(scope="module")
def classifier():
    keras.utils.set_random_seed(0)
    return tfyolo.create(MICRO.with_name("tiny-cls.yaml"), names=("blue", "green", "red"), image_size=32)


def weights_of(model):
    return [np.array(value) for value in model.get_weights()]


def assert_equal_weights(model, other):
    for value, wanted in zip(weights_of(model), weights_of(other), strict=True):
        np.testing.assert_array_equal(value, wanted)


def assert_same_results(detector, other, **options):
    found, wanted = (each(IMAGES, rect=False, **options) for each in (detector, other))
    assert sum(map(len, wanted)) > 10
    for one, two in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one.boxes_xyxy_px, two.boxes_xyxy_px)
        np.testing.assert_array_equal(one.scores, two.scores)
        np.testing.assert_array_equal(one.class_ids, two.class_ids)


# What is shown


def test_a_detector_says_what_it_is(cells, exported):
    assert repr(cells) == "<Detector bccd-n.keras: 3 classes (Platelets, RBC, WBC), 320x320 pixels, Keras>"
    assert repr(tfyolo.load(exported)) == (
        "<Detector micro.tflite: 3 classes (circle, rectangle, triangle), 64x64 pixels, TensorFlow Lite, "
        "NMS inside (postprocess)>"
    )
    many = tfyolo.create(MICRO, names=[f"thing{i}" for i in range(80)])
    assert repr(many).startswith("<Detector micro: 80 classes (thing0, thing1, thing2, thing3, ...), 64x64 ")


def test_results_are_short_and_show_their_image(cells):
    found = cells([SAMPLE_IMAGE, np.zeros((48, 64, 3), np.uint8)], confidence=0.4)
    assert repr(found) == "[1 Platelets, 7 RBC, 1 WBC in 640x480, nothing in 64x48]"
    with Image.open(BytesIO(found[0]._repr_png_())) as shown:
        assert shown.format == "PNG"
        np.testing.assert_array_equal(np.asarray(shown), found[0].plot())
    assert (found[0].plot() != found[0].image).any()


def test_a_classification_is_short_and_shows_its_image(classifier, colors):
    path = sorted((colors / "val" / "red").iterdir())[0]
    found = classifier.predict(path)[0]
    first = found.top(1)[0]
    assert re.fullmatch(r"\w+ 0\.\d\d, \w+ 0\.\d\d, \w+ 0\.\d\d in 32x32", repr(found))
    assert repr(found).startswith(f"{first[1]} {first[2]:.2f}, ")
    with Image.open(BytesIO(found._repr_png_())) as shown:
        np.testing.assert_array_equal(np.asarray(shown), found.plot())
    assert shown.size == (320, 320)  # enlarged, to hold the text


def test_names_from_files_cannot_rewrite_the_terminal():
    name = "cat" + chr(27) + "[2J"
    detector = tfyolo.create(MICRO, names=[name])
    assert "cat\\x1b[2J" in repr(detector)
    result = detector(np.zeros((32, 32, 3), np.uint8))[0]
    box, score = np.zeros((1, 4), np.float32), np.ones(1, np.float32)
    one = replace(result, boxes_xyxy_px=box, scores=score, class_ids=np.zeros(1, int))
    assert repr(one) == "1 cat\\x1b[2J in 32x32"


# What the methods do


def test_export_writes_what_export_model_writes(micro, tmp_path):
    settings = {"confidence": 0.3, "iou_threshold": 0.6, "max_detections": 20}
    path = micro.export("tflite", output=tmp_path / "a", nms="builtin", **settings)
    assert path == tmp_path / "a.tflite"
    request = ExportJob(
        micro.model,
        micro.contract,
        ExportOptions(image_size=(64, 64), nms="builtin", nms_options=GraphNmsOptions(**settings)),
    )
    wanted = export_model(request, ["tflite"], tmp_path / "b")["tflite"]
    assert_same_results(tfyolo.load(path), tfyolo.load(wanted))
    assert tfyolo.load(path).contract.export == tfyolo.load(wanted).contract.export


def test_several_formats_stand_beside_the_model_in_another_size(micro, tmp_path):
    detector = tfyolo.load(micro.save(tmp_path / "best.keras"))
    written = detector.export(["saved_model", "pt"], image_size=(32, 64), half=True)
    assert written == {"saved_model": tmp_path / "best_saved_model", "pt": tmp_path / "best.pt"}
    assert tfyolo.load(written["saved_model"]).image_size == (32, 64)
    with pytest.raises(TfyoloError, match=r'best\.pt: formats="pt" would overwrite the input file'):
        tfyolo.load(written["pt"]).export("pt")


def test_files_of_what_ships_or_has_no_file_go_to_the_current_folder(cells, micro):
    assert cells._stem == Path("bccd-n")
    assert micro._stem == Path("micro")


def test_int8_calibrates_on_the_data_set(micro, shapes, tmp_path):
    how = {"data": shapes, "calibration": 4, "ranges": "minmax"}
    path = micro.export("tflite", int8=True, output=tmp_path / "a", **how)
    note = tfyolo.load(path).contract.export
    assert (note["precision"], note["nms"]) == ("int8", "postprocess")
    assert "int8" in repr(tfyolo.load(path))
    assert micro.contract.quantization is None


def test_evaluate_measures_what_validate_measures(cells, tmp_path):
    wanted = validate(
        tfyolo.Detector(cells.runtime, (160, 160)), MINI_DATA, ValOptions(split="test", iou_threshold=0.5)
    )
    found = cells.evaluate(
        "bccd-mini", "test", iou_threshold=0.5, image_size=160, folder=tmp_path, plots=False
    )
    assert found.map50 == wanted.map50 > 0.3
    assert found.map50_95 == wanted.map50_95
    assert (tmp_path / "metrics.json").exists()


def test_evaluate_in_another_size(micro, shapes):
    assert micro.evaluate(shapes, image_size=(32, 64)).settings["image_size"] == [32, 64]
    assert micro.image_size == (64, 64)


def test_fit_trains_and_holds_the_best_weights(micro, shapes, tmp_path):
    before, lines = weights_of(micro.model), []
    options = {"nominal_batch": 8, "lr0": 0.02, "warmup_epochs": 0, "freeze": 1, "autoanchor": False}
    result = micro.fit(
        shapes,
        epochs=2,
        batch_size=8,
        plots=False,
        tensorboard=False,
        project=tmp_path,
        name="run",
        log=lines.append,
        **options,
    )
    assert result.folder == tmp_path / "run"
    best, contract = load_model(result.best)
    assert_equal_weights(micro.model, best)
    assert micro.contract == contract
    assert any((a != b).any() for a, b in zip(before, weights_of(micro.model), strict=True))
    assert sum(line.startswith("epoch ") for line in lines) == 2
    assert micro._stem == tmp_path / "run/weights/best"
    hyps = (tmp_path / "run/hyp.yaml").read_text()
    assert "lr0: 0.02\n" in hyps
    assert micro.evaluate(shapes).map50 == result.metrics.map50
    assert result.epoch == [1, 2]
    assert {"train/box_loss", "metrics/mAP_0.5", "val/obj_loss"} <= set(result.history)
    assert all(len(values) == 2 for values in result.history.values())
    assert np.isfinite(result.history["train/box_loss"]).all()


def test_fit_resumes_an_unfinished_run(micro, shapes, tmp_path):
    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    options = {"epochs": 2, "batch_size": 8, "plots": False, "tensorboard": False, "autoanchor": False}
    with pytest.raises(KeyboardInterrupt):
        micro.fit(shapes, project=tmp_path, callbacks=[Interrupt()], **options)
    lines = []
    result = micro.fit(resume=True, project=tmp_path, log=lines.append)
    assert result.folder == tmp_path / "exp"
    assert result.epoch == [1, 2]
    assert "resumed after epoch 1 of 2" in lines
    assert_equal_weights(micro.model, load_model(result.best)[0])
    with pytest.raises(TfyoloError, match="no unfinished run"):
        micro.fit(resume=True, project=tmp_path)
    with pytest.raises(TfyoloError, match=r"`data` is missing\n.*resume=True"):
        micro.fit(project=tmp_path)


def test_benchmark_returns_a_row_per_file(micro, shapes, monkeypatch):
    monkeypatch.setattr("tfyolo.benchmark.files.Worker", WorkerHere)
    options = {"threads": 1, "rounds": 1, "runs": 1, "calibration": 4}
    rows = micro.benchmark(shapes, ["tflite", "tflite:int8"], **options)
    assert [(row.name, row.format, row.precision) for row in rows] == [
        ("micro.keras", "keras", "float32"),
        ("micro.tflite", "tflite", "float32"),
        ("micro_int8.tflite", "tflite", "int8"),
    ]
    assert rows[0].map50_95 == micro.evaluate(shapes, rect=False, plots=False).map50_95
    assert all(row.latency_ms > 0 and row.megabytes > 0 for row in rows)


def test_summary_prints_what_the_command_counts(cells, capsys):
    lines = []
    cells.summary(print_fn=lines.append)
    assert max(map(len, lines)) <= 80
    total = sum(int(np.prod(weight.shape)) for weight in cells.model.trainable_weights)
    assert f"{total:,}" in lines[-1]
    cells.summary(640)
    assert "320x320x16" in capsys.readouterr().out


def test_quantize_calibrates_as_the_function(micro, shapes, tmp_path):
    before = weights_of(micro.model)
    found = micro.quantize(shapes, steps=0, calibration=4, ranges="minmax")
    options = QuantizeOptions(
        shapes,
        (micro.model, micro.contract),
        tmp_path / "a.keras",
        calibration=4,
        train=None,
        calibrate=CalibrationOptions("minmax"),
    )
    model, contract = load_model(quantize(options))
    assert found.contract == contract
    assert contract.quantization is not None
    assert_equal_weights(found.model, model)
    for value, wanted in zip(weights_of(micro.model), before, strict=True):
        np.testing.assert_array_equal(value, wanted)
    path = found.export("tflite", int8=True, output=tmp_path / "int8")
    assert tfyolo.load(path).contract.export["precision"] == "int8"
    with pytest.raises(
        TfyoloError,
        match="is quantized: its weights are already rounded\n  fix: pass the float model as float_model",
    ):
        found.quantize(shapes, steps=0)


def test_quantize_trains(micro, shapes, tmp_path):
    lines = []
    options = {"epochs": 1, "batch_size": 8, "calibration": 4, "output": tmp_path / "q.keras"}
    trained = micro.quantize(shapes, log=lines.append, **options)
    assert lines[-1].startswith("step 2 of 2: loss ")
    assert trained.contract.quantization.method.endswith("2 steps of training by distill")
    assert_equal_weights(trained.model, load_model(tmp_path / "q.keras")[0])
    assert trained._stem == tmp_path / "q"
    with pytest.raises(TfyoloError, match="would be overwritten"):
        trained.quantize(shapes, float_model=micro, output=tmp_path / "q.keras")


def test_a_classifier_has_the_same_methods(classifier, colors, tmp_path):
    result = classifier.fit(
        colors, epochs=1, batch_size=8, lr0=0.01, scale=0.5, plots=False, tensorboard=False, project=tmp_path
    )
    assert_equal_weights(classifier.model, load_model(result.best)[0])
    metrics = classifier.evaluate(colors)
    wanted = validate_classifier(classifier, colors, ClassifierValOptions())
    assert (metrics.top1, metrics.loss) == (wanted.top1, wanted.loss)
    quantized = classifier.quantize(colors, steps=0, calibration=4)
    assert isinstance(quantized, tfyolo.Classifier)
    loaded = tfyolo.load(quantized.export("tflite", int8=True, output=tmp_path / "a"))
    assert isinstance(loaded, tfyolo.Classifier)
    assert loaded.contract.export["precision"] == "int8"


# What cannot be done


@pytest.mark.parametrize(
    ("verb", "participle"), [("export", "exported"), ("fit", "trained"), ("quantize", "quantized")]
)
def test_an_exported_file_can_only_be_run_and_measured(exported, verb, participle):
    detector = tfyolo.load(exported)
    reason = rf"micro\.tflite: an exported file \(TensorFlow Lite\) cannot be {participle}.*\n.*\.keras file"
    with pytest.raises(TfyoloError, match=reason):
        getattr(detector, verb)("tflite")


@pytest.mark.parametrize(
    ("formats", "options", "message"),
    [
        ("tflite", {"int8": True}, "int8=True needs data: "),
        ("tflite", {"int8": True, "half": True}, "half=True are mutually exclusive"),
        ("pb", {"dynamic": True}, "does not support dynamic=True"),
        ("edgetpu", {}, "fix: pass int8=True"),
        ("tflite", {"nms": "combined"}, 'does not support nms="combined"'),
        ("tflite", {"dynamic_batch": True}, "leave out dynamic_batch=True"),
        ("onnx", {"nms": "builtin", "dynamic_batch": True}, 'nms="none" with dynamic_batch=True'),
        ("tflite", {"image_size": 33}, "use image_size=32"),
        ("tflite", {"ranges": "minmax"}, r"ranges: only integer networks are calibrated \(int8=True\)"),
        ("onnx", {"calibrator": "runtime"}, 'calibrator="runtime" requires an integer precision'),
        ("tflite", {"confidence": 1.5}, "confidence must be between 0 and 1, not 1.5"),
        ("tflite", {"max_detections": 0}, "max_detections must be a whole number of at least 1"),
        (["tflite", "onnx9"], {}, "unknown format `onnx9`"),
    ],
)
def test_impossible_exports_are_refused_in_the_words_of_python(micro, formats, options, message, tmp_path):
    with pytest.raises(TfyoloError, match=message) as caught:
        micro.export(formats, output=tmp_path / "a", **options)
    assert "--" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch": 8}, "unknown option `batch`\n  fix: write `batch_size`"),
        ({"patiance": 8}, "write `patience`"),
        ({"cache": "rom"}, "cache cannot be 'rom'"),
        ({"lr0": -1}, "`lr0`: "),
        ({"epochs": 0}, "epochs must be"),
        ({"optimizer": "sgd"}, "unknown optimizer `sgd`|optimizer cannot be 'sgd'"),
    ],
)
def test_wrong_options_of_fit_are_refused_before_a_folder_is_made(micro, shapes, options, message, tmp_path):
    with pytest.raises(TfyoloError, match=message):
        micro.fit(shapes, project=tmp_path, **options)
    assert not list(tmp_path.iterdir())


def test_predictions_and_loading_are_refused_in_the_words_of_python(micro, exported):
    with pytest.raises(TfyoloError, match="pass class_ids from 0 to 2"):
        micro.predict(np.zeros((8, 8, 3), np.uint8), class_ids=[3])
    with pytest.raises(TfyoloError, match="unknown class id person"):
        micro.predict(np.zeros((8, 8, 3), np.uint8), class_ids=["person"])
    with pytest.raises(
        TfyoloError, match=r"leave out image_size, or export again with image_size=\(96, 64\)"
    ):
        tfyolo.load(exported, (96, 64))


def test_every_flag_in_messages_has_its_word_in_python():
    """Messages of what the methods call name flags, which `in_python` replaces."""
    layers = ("data", "evaluation", "inference", "models", "quantization", "training", "weights")
    paths = [path for name in layers for path in (ROOT / "tfyolo" / name).rglob("*.py")]
    paths += [*(ROOT / "export").glob("*.py"), ROOT / "tfyolo/files.py", ROOT / "tfyolo/anchors.py"]
    found = set()
    for path in paths:
        code = re.sub(r'"""(?:.|\n)*?"""|#.*', "", path.read_text())
        code = re.sub(r"`tfyolo [^`]*`", "", code)
        found |= set(re.findall(r"[\"' ({]--([a-z][a-z0-9-]*)", code))
    of_other_commands = {
        "copy",
        "exist-ok",
        "link",
        "margin",
        "min-size",
        "nosave",
        "out",
        "prefix",
        "resume",
        "snippet",
        "source",
        "splits",
        "threads",
        "evolve",
    }
    assert found - of_other_commands - set(ARGUMENTS) == set()
    assert in_python("pass --img 96 64 or --cache ram; `a --img 3`") == (
        'pass image_size=(96, 64) or cache="ram"; `a --img 3`'
    )


@pytest.mark.parametrize(
    ("command", "method", "not_here"),
    [
        (cli_export, tfyolo.Detector.export, {"weights", "device", "precision", "given"}),
        (cli_val, tfyolo.Detector.evaluate, {"weights", "device", "verbose", "project", "name", "exist_ok"}),
        (
            cli_segment,
            tfyolo.Segmenter.evaluate,
            {"weights", "device", "verbose", "project", "name", "exist_ok"},
        ),
        (cli_quantize, tfyolo.Detector.quantize, {"weights", "device", "given"}),
        (cli_train, tfyolo.Detector.fit, {"weights", "device", "parser", "resume", "evolve", *QAT}),
    ],
    ids=["export", "evaluate", "evaluate masks", "quantize", "fit"],
)
def test_a_method_has_the_arguments_and_defaults_of_its_command(command, method, not_here):
    same = {
        "include": "formats",
        "img": "image_size",
        "conf_thres": "confidence",
        "iou_thres": "iou_threshold",
        "max_det": "max_detections",
        "agnostic_nms": "agnostic",
        "task": "split",
        "batch": "batch_size",
        "qat_loss": "loss",
        "qat_lr": "learning_rate",
        "adam": "optimizer",
        "set": "options",
        "label_smoothing": "options",
        "noplots": "plots",
        "noval": "val",
        "nosave": "save",
        "noautoanchor": "autoanchor",
    }
    differs = {
        "formats",
        "data",
        "output",
        "nms",
        "options",
        "project",
        "keep_float",
        "optimizer",
        "freeze",
        "image_size",
        "max_detections",
    }
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    if method is tfyolo.Segmenter.evaluate:
        parser = parser._subparsers._group_actions[0].choices["val"]
    defaults = {field: value.default for field, value in inspect.signature(method).parameters.items()}
    if method is tfyolo.Detector.fit:
        defaults |= {field.name: field.default for field in fields(TrainOptions)}
    for action in parser._actions:
        if action.dest in {"help", *not_here}:
            continue
        name = same.get(action.dest, action.dest)
        assert name in defaults, action.option_strings
        wanted = action.default
        if action.option_strings[0].startswith("--no") and isinstance(defaults[name], bool):
            wanted = not wanted
        if name not in differs:
            assert defaults[name] == wanted, action.option_strings


@pytest.mark.slow
def test_a_whole_session(tmp_path, monkeypatch, capsys):
    """Train, evaluate, export, quantize, and run what was written, with the shipped model and dataset."""
    monkeypatch.chdir(tmp_path)
    detector = tfyolo.load("bccd-n")
    result = detector.fit("bccd-mini", epochs=1, lr0=0.001, image_size=320, cache="ram", log=print)
    assert result.folder == Path("runs/train/exp")
    assert result.metrics.map50 > 0.5
    metrics = detector.evaluate("bccd-mini", split="test")
    assert metrics.map50 > metrics.map50_95 > 0.3
    assert len(metrics.to_dict()["per_class"]) == 3
    assert set(detector.export(["tflite", "saved_model"], half=True)) == {"tflite", "saved_model"}
    small = detector.quantize("bccd-mini", steps=0, calibration=16)
    path = small.export("tflite", int8=True, output="cells")
    print(tfyolo.load(path)(SAMPLE_IMAGE))
    assert re.search(r"\[\d+ Platelets?, \d+ RBC, 1 WBC in 640x480\]\n$", capsys.readouterr().out)
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "cells.tflite"}
    weights = tmp_path / "runs/train/exp/weights"
    assert {path.name for path in weights.iterdir()} >= {"best.keras", "best.tflite", "best_saved_model"}
