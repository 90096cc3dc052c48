"""Writer of Core ML packages: the program computes what Keras computes; specification and metadata."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.export.coreml.conftest import IMAGE_SIZE, NMS_OPTIONS
from tests.export.coreml.mil import constant, program_of, run_program
from tests.shared import needs_shared
from tests.small import letterboxed
from tfyolo.errors import MissingExtraError, TfyoloError
from tfyolo.export.coreml import writer
from tfyolo.export.coreml.entry import MODEL_FILE
from tfyolo.export.coreml.package import operations, read_package
from tfyolo.export.coreml.pipeline import with_suppression
from tfyolo.export.coreml.runtime import CoreMlRuntime, inspect, signature_outputs
from tfyolo.export.coreml.writer import FLOAT32_SCOPE
from tfyolo.export.job import ExportJob, export_model
from tfyolo.export.options import ExportOptions
from tfyolo.export.runtime.base import from_signature

NUM_BOXES = 3 * (16 * 16 + 8 * 8 + 4 * 4)
FLOAT32 = 11
"""`DataType.FLOAT32` of MIL."""


@needs_shared
@pytest.mark.parametrize("nms", ["none", "raw"])
def test_program_computes_what_keras_computes(export_package, detector, candidates, nms):
    package = export_package(nms)
    contract = read_package(package)[1]
    for image, expected in zip(letterboxed(IMAGE_SIZE), candidates, strict=True):
        outputs = signature_outputs(run_program(package, image), contract)
        found = from_signature(outputs, contract, 0.0)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
        np.testing.assert_allclose(found.boxes_xyxy_px, expected.boxes_xyxy_px, atol=0.01)


@needs_shared
@pytest.mark.parametrize(("precision", "score", "pixels"), [("float32", 1e-5, 0.01), ("float16", 0.02, 1.0)])
def test_network_of_a_pipeline_returns_boxes_and_the_best_class(
    export_package, candidates, precision, score, pixels
):
    for image, expected in zip(letterboxed(IMAGE_SIZE), candidates, strict=True):
        outputs = run_program(export_package("pipeline", precision), image)
        confidence, coordinates = outputs["raw_confidence"], outputs["raw_coordinates"]
        assert confidence.dtype == coordinates.dtype == np.float32
        np.testing.assert_allclose(confidence.max(1), expected.scores.max(1), atol=score)
        clear = np.diff(np.sort(expected.scores, 1)[:, -2:], axis=1)[:, 0] > 2 * score
        np.testing.assert_array_equal(confidence.argmax(1)[clear], expected.scores.argmax(1)[clear])
        # Vision adds up the scores of a row, so only one may be above zero.
        assert ((confidence > 0).sum(1) == 1).mean() > 0.99
        corners = expected.boxes_xyxy_px
        size, center = corners[:, 2:] - corners[:, :2], (corners[:, 2:] + corners[:, :2]) / 2
        expected_boxes = np.concatenate([center, size], 1)
        np.testing.assert_allclose(coordinates * 128, expected_boxes, atol=pixels, rtol=pixels / 100)


@needs_shared
def test_float16_stores_half_the_bytes_and_computes_boxes_in_float32(export_package):
    kernels = {}
    for precision in ("float32", "float16"):
        program, weights = program_of(export_package("pipeline", precision))
        program_operations = list(operations(program))
        values = {x.outputs[0].name: x for x in program_operations if x.type == "const"}
        convs = [x for x in program_operations if x.type == "conv"]
        kernels[precision] = [
            constant(values[x.inputs["weight"].arguments[0].name].attributes["val"], weights) for x in convs
        ]
        boxes = [
            x for x in program_operations if FLOAT32_SCOPE in x.outputs[0].name and x.type in ("mul", "add")
        ]
        assert len(boxes) > 3
        assert {x.outputs[0].type.tensorType.dataType for x in boxes} == {FLOAT32}
    # A kernel whose values exceed the range of float16 stays float32; this network has one.
    small = [kernel.nbytes for kernel in kernels["float32"] if np.abs(kernel).max() < 65504]
    assert sum(x.dtype == np.float16 for x in kernels["float16"]) == len(small) > 15
    assert sum(x.nbytes for x in kernels["float16"] if x.dtype == np.float16) == sum(small) / 2


@needs_shared
def test_file_contains_the_kernels_of_the_network(export_package, detector):
    program, weights = program_of(export_package())
    stored = [constant(x.attributes["val"], weights) for x in operations(program) if x.type == "const"]
    stored = [x.transpose(2, 3, 1, 0) for x in stored if isinstance(x, np.ndarray) and x.ndim == 4]
    network = ExportJob(detector.model, detector.contract, ExportOptions(image_size=IMAGE_SIZE)).network
    for name, layer in network.weights.items():
        assert any(x.shape == layer.kernel.shape and np.allclose(x, layer.kernel) for x in stored), name


@needs_shared
def test_specification_of_a_pipeline(export_package):
    model, contract = read_package(export_package())
    network, nms_model = model.pipeline.models
    assert (network.WhichOneof("Type"), nms_model.WhichOneof("Type")) == (
        "mlProgram",
        "nonMaximumSuppression",
    )
    assert {x.specificationVersion for x in (model, network, nms_model)} == {6}
    image, *thresholds = model.description.input
    assert (image.name, image.type.imageType.width, image.type.imageType.height) == ("images", 128, 128)
    assert image.type.imageType.colorSpace == image.type.imageType.RGB
    for threshold in thresholds:
        assert threshold.type.isOptional
        assert threshold.type.WhichOneof("Type") == "doubleType"
    assert [x.name for x in thresholds] == ["confidenceThreshold", "iouThreshold"]
    suppression = nms_model.nonMaximumSuppression
    assert (suppression.confidenceThreshold, suppression.iouThreshold) == (0.2, 0.5)
    assert suppression.pickTop.perClass
    assert tuple(suppression.stringClassLabels.vector) == contract.names == ("thing0", "thing1", "thing2")
    # Apple's validators require that a feature has one type and shape in the whole pipeline.
    known = {x.name: x.type.SerializeToString() for x in model.description.input}
    for part in (network, nms_model):
        for feature in part.description.input:
            assert known[feature.name] == feature.type.SerializeToString()
        known |= {x.name: x.type.SerializeToString() for x in part.description.output}
    for feature in model.description.output:
        assert known[feature.name] == feature.type.SerializeToString()
    shapes = {x.name: tuple(x.type.multiArrayType.shape) for x in network.description.output}
    assert shapes == {"raw_confidence": (NUM_BOXES, 3), "raw_coordinates": (NUM_BOXES, 4)}
    for output, width in zip(model.description.output, (3, 4), strict=True):
        rows, columns = output.type.multiArrayType.shapeRange.sizeRanges
        assert (rows.lowerBound, rows.upperBound) == (0, 60)
        assert (columns.lowerBound, columns.upperBound) == (width, width)


@needs_shared
def test_agnostic_suppression_ignores_classes(export_package):
    network = read_package(export_package())[0].pipeline.models[0]
    model = with_suppression(network, ("a", "b", "c"), replace(NMS_OPTIONS, agnostic=True))
    assert not model.pipeline.models[1].nonMaximumSuppression.pickTop.perClass


@needs_shared
@pytest.mark.parametrize("nms", ["pipeline", "none", "raw"])
def test_package_carries_the_contract(export_package, detector, nms):
    package = export_package(nms)
    model, contract = read_package(package)
    assert (contract.names, contract.config) == (detector.contract.names, detector.contract.config)
    assert contract.image_size == IMAGE_SIZE
    export = {"format": "coreml", "nms": nms, "precision": "float32"}
    if nms == "pipeline":
        export |= {"conf_thres": 0.2, "iou_thres": 0.5, "max_det": 60, "candidates": NUM_BOXES}
        export |= {"multi_label": False, "agnostic": False, "per_class": None}
    assert {key: contract.export.get(key) for key in export} == export
    entries = model.description.metadata.userDefined
    assert json.loads(entries["names"]) == list(contract.names)
    assert (entries["task"], entries["stride"], entries["imgsz"]) == ("detect", "32", "[128, 128]")
    assert not model.description.metadata.author
    assert not model.description.metadata.license
    assert (package / MODEL_FILE).stat().st_mode & 0o044


@pytest.mark.parametrize("names", [("ant", "bee", "cat"), ("ant", "ant", "cat")])
def test_classifier(classifier, tmp_path, on_mac, capfd, names):
    contract = classifier.contract.model_copy(update={"names": names})
    job = ExportJob(classifier.model, contract, ExportOptions(image_size=32))
    package = export_model(job, ["coreml"], tmp_path / "cls")["coreml"]
    assert capfd.readouterr() == ("", "")  # coremltools prints progress bars and warnings
    model, _ = read_package(package)
    outputs = [(x.name, x.type.WhichOneof("Type")) for x in model.description.output]
    if len(set(names)) == 3:
        assert outputs == [("classLabel", "stringType"), ("probabilities", "dictionaryType")]
        assert model.description.predictedProbabilitiesName == "probabilities"
        inspected = inspect(package)
        assert [(x.name, x.shape) for x in inspected.outputs] == [("classLabel", ()), ("probabilities", (3,))]
        assert b"bee" in model.mlProgram.SerializeToString()
    else:  # a dictionary by name would lose a class
        assert outputs == [("probabilities", "multiArrayType")]
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    predictions = CoreMlRuntime(package)(images, 0.0)
    for a, b in zip(predictions, classifier.runtime(images, 0.0), strict=True):
        np.testing.assert_allclose(a.values, b.values, atol=1e-5)


@pytest.mark.parametrize("exists", [True, False])
def test_interrupted_export_keeps_the_previous_package(tiny, tmp_path, monkeypatch, exists):
    library = writer._import_coremltools()

    def interrupted(*_, package_dir, **__):
        (Path(package_dir) / "Data").mkdir(parents=True)
        raise KeyboardInterrupt

    monkeypatch.setattr(library, "convert", interrupted)
    folder = tmp_path / "best.mlpackage"
    if exists:
        model = folder / "Data" / "com.apple.CoreML" / "model.mlmodel"
        model.parent.mkdir(parents=True)
        model.write_bytes(b"export_package by tfyolo")
        (folder / "Manifest.json").write_text("{}")
    expected = sorted(tmp_path.rglob("*"))
    with pytest.raises(KeyboardInterrupt):
        export_model(
            ExportJob(tiny.model, tiny.contract, ExportOptions(image_size=64)), ["coreml"], tmp_path / "best"
        )
    assert sorted(tmp_path.rglob("*")) == expected


def test_error_names_missing_libraries(tiny, tmp_path, monkeypatch):
    job = ExportJob(tiny.model, tiny.contract, ExportOptions(image_size=64))
    with monkeypatch.context() as patch:
        find = writer.importlib.util.find_spec
        patch.setattr(
            writer.importlib.util, "find_spec", lambda name: None if "milstorage" in name else find(name)
        )
        with pytest.raises(TfyoloError, match="native libraries exist only for Linux and macOS"):
            export_model(job, ["coreml"], tmp_path / "x")
    monkeypatch.setitem(sys.modules, "coremltools", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tfyolo\[coreml\]'"):
        export_model(job, ["coreml"], tmp_path / "x")
    assert not list(tmp_path.iterdir())
