"""CoreML packages: what is in them, that the program computes what Keras computes, and what is refused.

CoreML runs on macOS only. So an evaluator of its language (mil.py) runs the program that a package holds,
with the weights in its file, and stands for macOS, with the suppression that Apple describes behind it.
"""

import json
import math
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.export.coreml.mil import constant, program_of, run_program
from tests.shared import needs_shared
from tests.small import IMAGES, confident, letterboxed
from tfyolo.errors import MissingExtraError, TfyoloError
from tfyolo.export.coreml import runtime
from tfyolo.export.coreml import writer as coreml
from tfyolo.export.coreml.pipeline import with_suppression
from tfyolo.export.graph.options import GraphNmsOptions
from tfyolo.export.job import ExportJob, export_model
from tfyolo.export.options import ExportOptions
from tfyolo.export.runtime.base import from_signature
from tfyolo.export.runtime.predictions import Candidates
from tfyolo.inference.load import create_predictor, load_predictor
from tfyolo.inference.nms import NmsOptions, non_max_suppression
from tfyolo.models.contract import Contract

HW = (128, 128)
ROWS = 3 * (16 * 16 + 8 * 8 + 4 * 4)
SETTINGS = GraphNmsOptions(confidence=0.2, iou=0.5, max_detections=60)
CLASSIFIER = """
classes: 3
image_size: 32
backbone:
  - [-1, 1, Conv, [8, 6, 2, 2]]
  - [-1, 1, Conv, [16, 3, 2]]
head:
  - [-1, 1, Classify, [24]]
"""


class Mac:
    """What coremltools' MLModel is on macOS."""

    def __init__(self, package: Path) -> None:
        self.package, (self.model, self.contract) = package, runtime.read_package(package)

    def predict(self, inputs: dict[str, Any]) -> dict[str, Any]:
        outputs = run_program(self.package, np.asarray(inputs["images"]))
        if self.model.WhichOneof("Type") != "pipeline":
            if self.model.description.predictedProbabilitiesName:
                values = outputs["probabilities"].tolist()
                return {"probabilities": dict(zip(self.contract.names, values, strict=True))}
            return outputs
        suppression = self.model.pipeline.models[1].nonMaximumSuppression
        options = NmsOptions(
            inputs.get("confidenceThreshold", suppression.confidenceThreshold),
            inputs.get("iouThreshold", suppression.iouThreshold),
            agnostic=not suppression.pickTop.perClass,
            max_detections=self.model.description.output[0]
            .type.multiArrayType.shapeRange.sizeRanges[0]
            .upperBound,
        )
        coordinates, confidence = outputs["raw_coordinates"], outputs["raw_confidence"]
        halves = coordinates[:, 2:] / 2
        corners = np.concatenate([coordinates[:, :2] - halves, coordinates[:, :2] + halves], 1)
        found = non_max_suppression(Candidates(corners, confidence), options)
        rows = [int(np.abs(corners - box).sum(1).argmin()) for box in found.boxes_xyxy_px]
        return {  # with a row of zeros, as where shapes are fixed
            "coordinates": np.concatenate([coordinates[rows], np.zeros((1, 4), np.float32)]),
            "confidence": np.concatenate([confidence[rows], np.zeros((1, confidence.shape[1]), np.float32)]),
        }


@pytest.fixture
def on_mac(monkeypatch):
    monkeypatch.setattr(runtime.platform, "system", lambda: "Darwin")
    monkeypatch.setattr(runtime, "_load", Mac)


# What is written --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def detector():
    return confident(3, HW)


@pytest.fixture(scope="module")
def written(detector, tmp_path_factory):
    """A function to the package of a kind of suppression and a precision; each is written once."""
    folder, done = tmp_path_factory.mktemp("coreml"), {}

    def write(nms: str = "pipeline", precision: str = "float32") -> Path:
        if (nms, precision) not in done:
            request = ExportJob(
                detector.model,
                detector.contract,
                ExportOptions(image_size=HW, nms=nms, nms_options=SETTINGS, precision=precision),
            )
            stem = folder / f"{nms}_{precision}"
            done[nms, precision] = export_model(request, ["coreml"], stem)["coreml"]
        return done[nms, precision]

    return write


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    import keras

    keras.utils.set_random_seed(1)
    file = tmp_path_factory.mktemp("classifier") / "cls.yaml"
    file.write_text(CLASSIFIER)
    return create_predictor(file, names=("ant", "bee", "cat"))


@pytest.fixture(scope="module")
def candidates(detector):
    """What Keras makes of the photographs."""
    return detector.runtime(letterboxed(HW), 0.0)


@pytest.fixture
def copy(written, tmp_path):
    """A package to be damaged, and a function that changes its specification."""
    folder = tmp_path / "copy.mlpackage"
    shutil.copytree(written(), folder)

    def change(edit):
        model, _ = runtime.read_package(folder)
        edit(model)
        (folder / coreml.SPECIFICATION).write_bytes(model.SerializeToString())

    return folder, change


@needs_shared
@pytest.mark.parametrize("nms", ["none", "raw"])
def test_program_computes_what_keras_computes(written, detector, candidates, nms):
    package = written(nms)
    contract = runtime.read_package(package)[1]
    for image, expected in zip(letterboxed(HW), candidates, strict=True):
        found = from_outputs(run_program(package, image), contract, 0.0)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
        np.testing.assert_allclose(found.boxes_xyxy_px, expected.boxes_xyxy_px, atol=0.01)


@needs_shared
@pytest.mark.parametrize(("precision", "score", "pixels"), [("float32", 1e-5, 0.01), ("float16", 0.02, 1.0)])
def test_pipeline_hands_on_boxes_and_the_best_class(written, candidates, precision, score, pixels):
    for image, expected in zip(letterboxed(HW), candidates, strict=True):
        outputs = run_program(written("pipeline", precision), image)
        confidence, coordinates = outputs["raw_confidence"], outputs["raw_coordinates"]
        assert confidence.dtype == coordinates.dtype == np.float32
        np.testing.assert_allclose(confidence.max(1), expected.scores.max(1), atol=score)
        clear = np.diff(np.sort(expected.scores, 1)[:, -2:], axis=1)[:, 0] > 2 * score
        np.testing.assert_array_equal(confidence.argmax(1)[clear], expected.scores.argmax(1)[clear])
        # Vision adds up a row: it must not count a box twice.
        assert ((confidence > 0).sum(1) == 1).mean() > 0.99
        corners = expected.boxes_xyxy_px
        size, center = corners[:, 2:] - corners[:, :2], (corners[:, 2:] + corners[:, :2]) / 2
        wanted = np.concatenate([center, size], 1)
        np.testing.assert_allclose(coordinates * 128, wanted, atol=pixels, rtol=pixels / 100)


@needs_shared
def test_float16_halves_weights_and_leaves_boxes_exact(written):
    kernels = {}
    for precision in ("float32", "float16"):
        program, weights = program_of(written("pipeline", precision))
        operations = list(runtime._operations(program))
        values = {x.outputs[0].name: x for x in operations if x.type == "const"}
        convs = [x for x in operations if x.type == "conv"]
        kernels[precision] = [
            constant(values[x.inputs["weight"].arguments[0].name].attributes["val"], weights) for x in convs
        ]
        boxes = [x for x in operations if "exact_boxes" in x.outputs[0].name and x.type in ("mul", "add")]
        assert len(boxes) > 3
        assert {x.outputs[0].type.tensorType.dataType for x in boxes} == {11}
    # What float16 cannot hold stays: this network has a kernel of such size.
    small = [kernel.nbytes for kernel in kernels["float32"] if np.abs(kernel).max() < 65504]
    assert sum(x.dtype == np.float16 for x in kernels["float16"]) == len(small) > 15
    assert sum(x.nbytes for x in kernels["float16"] if x.dtype == np.float16) == sum(small) / 2


@needs_shared
def test_kernels_in_the_file_are_the_networks(written, detector):
    program, weights = program_of(written())
    stored = [
        constant(x.attributes["val"], weights) for x in runtime._operations(program) if x.type == "const"
    ]
    stored = [x.transpose(2, 3, 1, 0) for x in stored if isinstance(x, np.ndarray) and x.ndim == 4]
    network = ExportJob(detector.model, detector.contract, ExportOptions(image_size=HW)).network
    for name, layer in network.weights.items():
        assert any(x.shape == layer.kernel.shape and np.allclose(x, layer.kernel) for x in stored), name


@needs_shared
def test_specification_of_a_pipeline(written):
    model, contract = runtime.read_package(written())
    network, last = model.pipeline.models
    assert (network.WhichOneof("Type"), last.WhichOneof("Type")) == ("mlProgram", "nonMaximumSuppression")
    assert {x.specificationVersion for x in (model, network, last)} == {6}
    image, *thresholds = model.description.input
    assert (image.name, image.type.imageType.width, image.type.imageType.height) == ("images", 128, 128)
    assert image.type.imageType.colorSpace == image.type.imageType.RGB
    for threshold in thresholds:
        assert threshold.type.isOptional
        assert threshold.type.WhichOneof("Type") == "doubleType"
    assert [x.name for x in thresholds] == ["confidenceThreshold", "iouThreshold"]
    suppression = last.nonMaximumSuppression
    assert (suppression.confidenceThreshold, suppression.iouThreshold) == (0.2, 0.5)
    assert suppression.pickTop.perClass
    assert tuple(suppression.stringClassLabels.vector) == contract.names == ("thing0", "thing1", "thing2")
    # By the rules of Apple's validators: a name is a feature of one kind and shape all along the pipeline.
    known = {x.name: x.type.SerializeToString() for x in model.description.input}
    for part in (network, last):
        for feature in part.description.input:
            assert known[feature.name] == feature.type.SerializeToString()
        known |= {x.name: x.type.SerializeToString() for x in part.description.output}
    for feature in model.description.output:
        assert known[feature.name] == feature.type.SerializeToString()
    shapes = {x.name: tuple(x.type.multiArrayType.shape) for x in network.description.output}
    assert shapes == {"raw_confidence": (ROWS, 3), "raw_coordinates": (ROWS, 4)}
    for output, width in zip(model.description.output, (3, 4), strict=True):
        rows, columns = output.type.multiArrayType.shapeRange.sizeRanges
        assert (rows.lowerBound, rows.upperBound) == (0, 60)
        assert (columns.lowerBound, columns.upperBound) == (width, width)


@needs_shared
def test_agnostic_suppression_looks_at_no_class(written):
    network = runtime.read_package(written())[0].pipeline.models[0]
    model = with_suppression(network, ("a", "b", "c"), replace(SETTINGS, agnostic=True))
    assert not model.pipeline.models[1].nonMaximumSuppression.pickTop.perClass


@needs_shared
@pytest.mark.parametrize("nms", ["pipeline", "none", "raw"])
def test_package_carries_the_contract(written, detector, nms):
    package = written(nms)
    model, contract = runtime.read_package(package)
    assert (contract.names, contract.config) == (detector.contract.names, detector.contract.config)
    assert contract.image_size == HW
    note = {"format": "coreml", "nms": nms, "precision": "float32"}
    if nms == "pipeline":
        note |= {"conf_thres": 0.2, "iou_thres": 0.5, "max_det": 60, "candidates": ROWS}
        note |= {"multi_label": False, "agnostic": False, "per_class": None}
    assert {key: contract.export.get(key) for key in note} == note
    entries = model.description.metadata.userDefined
    assert json.loads(entries["names"]) == list(contract.names)
    assert (entries["task"], entries["stride"], entries["imgsz"]) == ("detect", "32", "[128, 128]")
    assert not model.description.metadata.author
    assert not model.description.metadata.license
    assert (package / coreml.SPECIFICATION).stat().st_mode & 0o044


def from_outputs(outputs, contract, confidence):
    """What CoreML returns, as a prediction."""
    return from_signature(runtime.by_signature(outputs, contract), contract, confidence)


@needs_shared
@pytest.mark.parametrize("nms", ["pipeline", "none", "raw"])
def test_on_macos_the_same_boxes_as_keras(written, detector, on_mac, nms):
    loaded = load_predictor(written(nms))
    # Lower than what the pipeline was exported with: the threshold is an input.
    options = {"confidence": 0.1, "iou": 0.5, "max_detections": 60}
    assert loaded.limits(NmsOptions(0.1, 0.5)) == ""
    for found, expected in zip(
        loaded(IMAGES, **options), detector(IMAGES, rect=False, **options), strict=True
    ):
        assert len(expected) > 5
        np.testing.assert_array_equal(found.class_ids, expected.class_ids)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
        np.testing.assert_allclose(found.boxes_xyxy_px, expected.boxes_xyxy_px, atol=0.5)


@pytest.mark.parametrize("names", [("ant", "bee", "cat"), ("ant", "ant", "cat")])
def test_classifier(classifier, tmp_path, on_mac, capfd, names):
    contract = classifier.contract.model_copy(update={"names": names})
    request = ExportJob(classifier.model, contract, ExportOptions(image_size=(32, 32)))
    package = export_model(request, ["coreml"], tmp_path / "cls")["coreml"]
    assert capfd.readouterr() == ("", "")  # coremltools has much to say
    model, _ = runtime.read_package(package)
    outputs = [(x.name, x.type.WhichOneof("Type")) for x in model.description.output]
    if len(set(names)) == 3:
        assert outputs == [("classLabel", "stringType"), ("probabilities", "dictionaryType")]
        assert model.description.predictedProbabilitiesName == "probabilities"
        inspected = runtime.inspect(package)
        assert [(x.name, x.shape) for x in inspected.outputs] == [("classLabel", ()), ("probabilities", (3,))]
        assert b"bee" in model.mlProgram.SerializeToString()
    else:  # probabilities by name would be one short
        assert outputs == [("probabilities", "multiArrayType")]
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    found = runtime.CoreMlRuntime(package)(images, 0.0)
    for a, b in zip(found, classifier.runtime(images, 0.0), strict=True):
        np.testing.assert_allclose(a.values, b.values, atol=1e-5)


def test_classifiers_logits(classifier):
    contract = classifier.contract.model_copy(update={"export": {}})
    found = from_outputs({"logits": np.float32([[0, math.log(3), 0]])}, contract, 0.0)
    np.testing.assert_allclose(found.values, [0.2, 0.6, 0.2], atol=1e-6)


def test_detections_of_a_pipeline_are_pixels_best_first():
    contract = Contract.model_construct(task="detect", names=("a", "b"), strides=(8,), image_size=(100, 200))
    found = from_outputs(
        {
            "coordinates": np.float32([[0.5, 0.5, 0.2, 0.4], [0.1, 0.2, 0.1, 0.2], [0, 0, 0, 0]]),
            "confidence": np.float32([[0.3, 0], [0, 0.9], [0, 0]]),
        },
        contract,
        0.25,
    )
    np.testing.assert_allclose(found.boxes_xyxy_px, [[10, 10, 30, 30], [80, 30, 120, 70]], atol=1e-4)
    np.testing.assert_allclose(found.scores, [0.9, 0.3])
    assert found.class_ids.tolist() == [1, 0]
    empty = {"coordinates": np.zeros((0, 4), np.float32), "confidence": np.zeros((0, 2), np.float32)}
    assert len(from_outputs(empty, contract, 0.25)) == 0


@needs_shared
def test_inspect(written):
    found = runtime.inspect(written())
    assert (found.nms, found.precision) == ("pipeline", "float32")
    assert [(x.name, x.shape, x.dtype) for x in found.inputs] == [
        ("images", (128, 128, 3), "uint8"),
        ("confidenceThreshold", (), "float64"),
        ("iouThreshold", (), "float64"),
    ]
    assert [(x.name, x.shape, x.dtype) for x in found.outputs] == [
        ("confidence", (None, 3), "float32"),
        ("coordinates", (None, 4), "float32"),
    ]
    assert (found.operators["conv"], found.operators["nonMaximumSuppression"]) == (22, 1)
    assert "const" not in found.operators
    boxes = next(x for x in runtime.inspect(written("none")).outputs if x.name == "boxes")
    assert (boxes.shape, boxes.dtype) == ((1, ROWS, 4), "float32")


@needs_shared
def test_reading_imports_neither_tensorflow_nor_torch(written):
    # Afterwards the library itself can still be imported, here without those two, which take long.
    code = f"""
import sys
from pathlib import Path
from tfyolo.export.coreml.runtime import inspect
path = Path({str(written())!r})
print(inspect(path).nms, {{"tensorflow", "torch", "coremltools"}} & set(sys.modules))
sys.modules.update(tensorflow=None, torch=None, sklearn=None)
import coremltools
model = coremltools.models.MLModel(str(path), skip_model_load=True)
print(model.get_spec().WhichOneof("Type"), coremltools.proto.Model_pb2.Model.__name__, inspect(path).nms)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split("\n")[:2] == ["pipeline set()", "pipeline Model pipeline"], done.stderr


# What is refused --------------------------------------------------------------------------------------------


@needs_shared
def test_elsewhere_than_on_macos_one_sentence_says_so(written, monkeypatch):
    monkeypatch.setattr(runtime.platform, "system", lambda: "Linux")
    with pytest.raises(TfyoloError, match="run on macOS only; this one was read and is whole"):
        load_predictor(written())


def manifest(folder: Path) -> Path:
    return folder / "Manifest.json"


def specification(folder: Path) -> Path:
    return folder / coreml.SPECIFICATION


def named(path: str):
    """A manifest whose model is there."""

    def damage(folder):
        old = json.loads(manifest(folder).read_text())
        root = old["rootModelIdentifier"]
        entries = {root: {**old["itemInfoEntries"][root], "path": path}}
        manifest(folder).write_text(json.dumps({**old, "itemInfoEntries": entries}))

    return damage


def cut_weights(folder):
    file = next(folder.rglob("weight.bin"))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def link_weights(folder):
    file = next(folder.rglob("weight.bin"))
    file.rename(folder.parent / "weight.bin")
    file.symlink_to(folder.parent / "weight.bin")


OUTSIDE = "names a file outside of the folder"
DAMAGES = {
    "no manifest": (lambda f: manifest(f).unlink(), "holds no Manifest.json"),
    "noise": (lambda f: manifest(f).write_bytes(b"\xff\x00"), r"Manifest.json: is damaged"),
    "a list": (lambda f: manifest(f).write_text("[1]"), r"Manifest.json: is damaged"),
    "no root": (lambda f: manifest(f).write_text('{"itemInfoEntries": {}}'), "is damaged"),
    "long": (lambda f: manifest(f).write_bytes(b" " * (1 << 21)), "more than it can need"),
    "above": (named("../../weight.bin"), "names is missing"),
    "elsewhere": (named("/etc/passwd"), f"{OUTSIDE}: 'passwd'"),
    "no name": (named("a\0b"), "names is missing"),
    "no model": (lambda f: specification(f).unlink(), "names is missing"),
    "half a model": (lambda f: specification(f).write_bytes(specification(f).read_bytes()[:999]), "be read"),
    "empty model": (lambda f: specification(f).write_bytes(b""), "holds no tfyolo metadata"),
    "no weights": (lambda f: shutil.rmtree(specification(f).parent / "weights"), "names is missing"),
    "half the weights": (cut_weights, "its weights are missing or cut off"),
    "linked weights": (link_weights, f"{OUTSIDE}: 'weight.bin'"),
}


@needs_shared
@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES)
def test_damaged_package_is_one_sentence(copy, on_mac, damage, message):
    folder, _ = copy
    damage(folder)
    for look in (load_predictor, runtime.inspect):
        with pytest.raises(TfyoloError, match=message) as caught:
            look(folder)
        assert "copy.mlpackage" in str(caught.value)


@needs_shared
@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda m: m.description.metadata.userDefined.clear(), "holds no tfyolo metadata"),
        (lambda m: m.description.metadata.userDefined.update(tfyolo="{"), "tfyolo.json inside is wrong"),
        (lambda m: setattr(m.description.input[0].type.imageType, "width", 64), r"its input is \(128, 64\)"),
        (lambda m: setattr(m.description.input[0], "name", "image"), "its input is None"),
        (lambda m: setattr(m.description.output[0], "name", "extra"), "its outputs are extra"),
        (lambda m: m.pipeline.models[1].customModel.SetInParent(), "of another kind: mlProgram, customModel"),
        (lambda m: m.linkedModel.linkedModelFile.SetInParent(), "of another kind: linkedModel"),
    ],
)
def test_strangers_model_is_refused(copy, on_mac, edit, message):
    folder, change = copy
    change(edit)
    with pytest.raises(TfyoloError, match=message):
        load_predictor(folder)


@needs_shared
@pytest.mark.parametrize("place", ["attribute", "list", "argument"])
def test_weights_elsewhere_are_refused(copy, place):
    folder, change = copy

    def edit(model):
        (function,) = model.pipeline.models[0].mlProgram.functions.values()
        (block,) = function.block_specializations.values()
        if place == "argument":
            value = block.operations.add(type="add").inputs["x"].arguments.add().value
        else:
            value = block.operations.add(type="const").attributes["val"]
        if place == "list":
            value = value.immediateValue.list.values.add()
        value.blobFileValue.fileName = "@model_path/../../../secret"

    (folder.parent / "secret").write_bytes(b"x")
    change(edit)
    with pytest.raises(TfyoloError, match=f"{OUTSIDE}: 'secret'"):
        runtime.inspect(folder)


def test_settings_that_apple_does_not_know_are_told(tiny):
    said: list[str] = []
    settings = GraphNmsOptions(multi_label=True, per_class=3, agnostic=True)
    request = ExportJob(
        tiny.model, tiny.contract, ExportOptions(image_size=(64, 64), nms_options=settings), log=said.append
    )
    changed = coreml._as_apple_suppresses(request).options.nms_options
    assert (changed.multi_label, changed.per_class, changed.agnostic) == (False, None, True)
    assert [x.rpartition(": ")[2] for x in said] == [
        "--multi-label has no effect",
        "--topk-per-class has no effect",
    ]


@pytest.mark.parametrize("before", [True, False])
def test_interrupted_export_leaves_what_was_there(tiny, tmp_path, monkeypatch, before):
    library = coreml._coremltools()

    def interrupted(*_, package_dir, **__):
        (Path(package_dir) / "Data").mkdir(parents=True)
        raise KeyboardInterrupt

    monkeypatch.setattr(library, "convert", interrupted)
    folder = tmp_path / "best.mlpackage"
    if before:
        model = folder / "Data" / "com.apple.CoreML" / "model.mlmodel"
        model.parent.mkdir(parents=True)
        model.write_bytes(b"written by tfyolo")
        (folder / "Manifest.json").write_text("{}")
    expected = sorted(tmp_path.rglob("*"))
    with pytest.raises(KeyboardInterrupt):
        export_model(
            ExportJob(tiny.model, tiny.contract, ExportOptions(image_size=(64, 64))),
            ["coreml"],
            tmp_path / "best",
        )
    assert sorted(tmp_path.rglob("*")) == expected


def test_missing_libraries_are_named(tiny, tmp_path, monkeypatch):
    request = ExportJob(tiny.model, tiny.contract, ExportOptions(image_size=(64, 64)))
    with monkeypatch.context() as patch:
        find = coreml.importlib.util.find_spec
        patch.setattr(
            coreml.importlib.util, "find_spec", lambda name: None if "milstorage" in name else find(name)
        )
        with pytest.raises(TfyoloError, match="native libraries exist for Linux and macOS only"):
            export_model(request, ["coreml"], tmp_path / "x")
    monkeypatch.setitem(sys.modules, "coremltools", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tfyolo\[coreml\]'"):
        export_model(request, ["coreml"], tmp_path / "x")
    assert not list(tmp_path.iterdir())
