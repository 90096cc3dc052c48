"""TFLite metadata, read by TensorFlow Lite Support, the library that defined it."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from pathlib import Path

import pytest
from ai_edge_litert.interpreter import Interpreter

from tests.exports import exported_once, run_folder
from tests.readers import read_with
from tfyolo.export.job import ExportJob
from tfyolo.export.options import ExportOptions
from tfyolo.export.tflite.metadata import attach_files
from tfyolo.inference.load import create_predictor
from tfyolo.version import __version__

EXPECTED = json.loads(Path(__file__).with_name("tflite_metadata.json").read_text())
"""Per kind of file what the library's own writer, with its own schema, put there."""
NEEDS_LIBRARY = pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="tflite-support has no wheels for this Python"
)
OTHERS = (("tensor", "int8"), ("postprocess", "dynamic"), ("postprocess", "int16x8"))
TASK_NAMES = {
    "detection_boxes": "location",
    "detection_classes": "category",
    "detection_scores": "score",
    "num_detections": "number of detections",
}


@pytest.fixture(scope="module")
def files(export_tiny, tmp_path_factory) -> dict[str, Path]:
    """One file of each kind."""
    import keras

    keras.utils.set_random_seed(0)
    cls = create_predictor(Path(__file__).parents[2] / "tiny-cls.yaml", names=("ant", "bee", "cat"))
    classifier = ExportJob(cls.model, cls.contract, ExportOptions(image_size=(64, 64)))
    return {
        "postprocess": export_tiny("tflite", nms="postprocess"),
        "builtin": export_tiny("tflite", "float16", "builtin"),
        "none": export_tiny("tflite", nms="none"),
        "raw": export_tiny("tflite", nms="raw"),
        "int8": export_tiny("tflite", "int8"),
        "classifier": exported_once(classifier, "tflite", run_folder(tmp_path_factory)),
    }


@pytest.fixture(scope="module")
def read(files) -> dict[str, dict]:
    """What the library reads from each."""
    return dict(zip(files, read_with("tflite_support", *files.values()), strict=True))


@NEEDS_LIBRARY
@pytest.mark.parametrize("kind", EXPECTED)
def test_library_reads_what_its_own_writer_wrote(read, kind):
    found = json.dumps(read[kind]["metadata"]).replace(f"tfyolo {__version__}", "tfyolo VERSION")
    assert json.loads(found) == EXPECTED[kind]
    names = ["ant", "bee", "cat"] if kind == "classifier" else ["ant", "bee", "cat", "dog"]
    assert read[kind]["files"]["labels.txt"].split() == names
    assert json.loads(read[kind]["files"]["tfyolo.json"])["names"] == names


def names_in_order(path: Path) -> list[str]:
    """Names of the outputs in the order of a file: apps match metadata to tensors by position."""
    interpreter = Interpreter(str(path))
    place = {d["index"]: i for i, d in enumerate(interpreter.get_output_details())}
    signature = interpreter.get_signature_runner().get_output_details()
    in_file = sorted(signature, key=lambda name: place[signature[name]["index"]])
    return [TASK_NAMES.get(name, name) for name in in_file]


def test_tensors_are_in_the_order_of_the_file(files):
    for kind, path in files.items():
        described = EXPECTED[kind]["subgraph_metadata"][0]["output_tensor_metadata"]
        assert [x["name"] for x in described] == names_in_order(path), kind


@NEEDS_LIBRARY
def test_library_reads_the_metadata_of_every_other_kind(export_uneven, export_masks):
    files = [
        *(export_uneven(nms, precision) for nms, precision in OTHERS),
        *(export_masks(nms) for nms in ("builtin", "none", "raw")),
    ]
    for path, found in zip(files, read_with("tflite_support", *files), strict=True):
        (described,) = found["metadata"]["subgraph_metadata"]
        assert [x["name"] for x in described["output_tensor_metadata"]] == names_in_order(path)
        assert all(x["description"] for x in described["output_tensor_metadata"])
        assert json.loads(found["files"]["tfyolo.json"])["names"] == found["files"]["labels.txt"].split()


def test_a_class_has_one_line_of_labels():
    micro = create_predictor(Path(__file__).parents[2] / "micro.yaml", names=("a\nb", "c  d", "e"))
    with zipfile.ZipFile(io.BytesIO(attach_files(b"model", micro.contract))) as archive:
        assert archive.read("labels.txt").decode().splitlines() == ["a b", "c  d", "e"]
