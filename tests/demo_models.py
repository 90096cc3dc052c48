"""Exports what the tests of both demos run, and writes down what Python finds with it.

    python tests/demo_models.py bccd-n.keras bccd-n-int8.keras FOLDER

FOLDER gets the models, two photographs as PNG (browsers and OpenCV decode JPEG a little differently) and
expected.json: per model and photograph the detections of `tfyolo.load`; and files of a small classifier with
their probabilities: classifiers.json those of all, classifier.json those of the float file; and files of a
small segmentation model with segmenters.json, its detections with masks.
"""

from __future__ import annotations

import base64
import io
import json
import shutil
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np

from tests.small import decided, finding
from tfyolo.data.images.center_crop import center_crop
from tfyolo.data.images.letterbox import Letterbox
from tfyolo.data.images.read import read_image
from tfyolo.export.graph.options import GraphNmsOptions
from tfyolo.export.job import ExportJob, export_model
from tfyolo.export.options import ExportOptions
from tfyolo.export.tflite.metadata import attach_files
from tfyolo.inference.load import load_predictor
from tfyolo.inference.segmentation.results import SegmentationResult
from tfyolo.models.contract import FILE_NAME, Contract
from tfyolo.quantization.calibration import CalibrationOptions
from tfyolo.quantization.model import calibrate_model
from tfyolo.quiet import hidden_stderr
from tfyolo.weights import load_model

MODELS = [
    # format, precision, suppression
    ("tflite", "float32", "postprocess"),
    ("tflite", "float32", "builtin"),
    ("tflite", "float32", "none"),
    ("tflite", "float32", "raw"),
    ("tflite", "float16", "builtin"),
    ("tflite", "int8", "postprocess"),
    ("tflite", "int8", "builtin"),
    ("tflite", "int8", "none"),
    ("tflite", "int8", "raw"),
    ("tfjs", "float32", "builtin"),
    ("tfjs", "float32", "none"),
    ("tfjs", "int8", "builtin"),
]
CLASSIFIERS = {
    "classifier": {},
    "classifier_int8": {"precision": "int8"},
    "classifier_raw": {"nms": "raw"},
}
"""Options of the export by name of the file; only names of detectors have a hyphen."""
SEGMENTERS = {
    "segmenter": {"nms": "builtin"},
    "segmenter_int8": {"nms": "builtin", "precision": "int8"},
    "segmenter_none": {"nms": "none"},
}
"""Options of the export by name of the file."""
PHOTOGRAPHS = ("BloodImage_00007", "BloodImage_00062")
OTHER_HW = (480, 251)
"""Size of a third image, whose padding is odd."""


def main(exact: str, integer: str, folder: Path) -> None:
    """Write the folder anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    images = _images(folder)
    detectors = {"int8": load_model(integer), "float32": load_model(exact)}
    detectors["float16"] = detectors["float32"]
    expected = []
    for form, precision, nms in MODELS:
        # TF.js stores weights of the float model as int8 per channel; LiteRT computes in integers.
        model, contract = detectors[precision]
        settings = GraphNmsOptions(confidence=0.1, iou_threshold=0.6)
        request = ExportJob(
            model,
            contract,
            ExportOptions(image_size=(320, 320), nms=nms, nms_options=settings, precision=precision),
        )
        with hidden_stderr():
            path = export_model(request, [form], folder / f"{precision}-{nms}")[form]
        run = load_predictor(path)
        found = {
            image.name: _described(run(image, confidence=0.25, iou_threshold=0.45)[0]) for image in images
        }
        expected.append(
            {
                "path": path.name if form == "tflite" else f"{path.name}/model.json",
                "kind": form,
                "precision": precision,
                "nms": nms,
                "score_step": _score_step(path) if form == "tflite" else 0.0,
                "found": found,
            }
        )
        print(path.name, {name: len(rows) for name, rows in found.items()})
    _add_candidates(expected, folder, images)
    _wrong(folder, detectors["float32"])
    _classifier(folder, images)
    _segmenter(folder, images)
    (folder / "expected.json").write_text(json.dumps(expected))


def _images(folder: Path) -> list[Path]:
    source = Path(__file__).parents[1] / "tfyolo" / "assets" / "bccd-mini" / "images" / "test"
    paths = []
    for name in PHOTOGRAPHS:
        image = cv2.imread(str(source / f"{name}.jpg"))
        cv2.imwrite(str(folder / f"{name}.png"), image)
        paths.append(folder / f"{name}.png")
    cv2.imwrite(str(folder / "odd.png"), np.ascontiguousarray(image[: OTHER_HW[0], : OTHER_HW[1]]))
    return [*paths, folder / "odd.png"]


def _classifier(folder: Path, images: list[Path]) -> None:
    """A small network as float and integer files, and what each says of each image."""
    hw = (64, 96)
    classifier = decided(("ant", "bee", "cat"), hw, images)
    inputs = np.stack([center_crop(read_image(image), hw) for image in images])
    exact = classifier.model, classifier.contract
    calibrated = calibrate_model(*exact, inputs, CalibrationOptions(reconstruct=False))
    all_found = {}
    for name, options in CLASSIFIERS.items():
        model, contract = calibrated if "precision" in options else exact
        request = ExportJob(model, contract, ExportOptions(image_size=hw, **options))
        with hidden_stderr():
            run = load_predictor(export_model(request, ["tflite", "tfjs"], folder / name)["tflite"])
        all_found[name] = {image.name: dict(row[1:] for row in run(image)[0].top()) for image in images}
    (folder / "classifier.json").write_text(json.dumps(all_found["classifier"]))
    (folder / "classifiers.json").write_text(json.dumps(all_found))


def _segmenter(folder: Path, images: list[Path]) -> None:
    """A small network that finds objects with masks, as float and integer files."""
    hw = (64, 96)
    segmenter = finding(("ant", "bee"), hw, images)
    inputs = np.stack([Letterbox.fit(image.shape[:2], hw).apply(image) for image in map(read_image, images)])
    exact = segmenter.model, segmenter.contract
    calibrated = calibrate_model(*exact, inputs, CalibrationOptions(reconstruct=False))
    all_found = {}
    for name, options in SEGMENTERS.items():
        model, contract = calibrated if "precision" in options else exact
        request = ExportJob(model, contract, ExportOptions(image_size=hw, **options))
        with hidden_stderr():
            run = load_predictor(export_model(request, ["tflite", "tfjs"], folder / name)["tflite"])
        all_found[name] = {image.name: _described_with_masks(run(image)[0]) for image in images}
    (folder / "segmenters.json").write_text(json.dumps(all_found))


def _described_with_masks(result: SegmentationResult) -> list[dict[str, object]]:
    """Detections with the patches of their masks; each row of bits begins with a new byte."""
    masks = zip(result.instances.corners_xy.tolist(), result.instances.patches, strict=True)
    return [
        {
            **row,
            "corner_xy": corner,
            "patch_hw": list(patch.shape),
            "bits": base64.b64encode(np.packbits(patch, axis=1)).decode(),
        }
        for row, (corner, patch) in zip(_described(result), masks, strict=True)
    ]


def _score_step(path: Path) -> float:
    """How far a score moves at most by one step of an integer output; 0 for floats."""
    if not path.name.startswith("int8"):
        return 0.0
    from ai_edge_litert.interpreter import Interpreter

    details = Interpreter(str(path)).get_output_details()
    # A sigmoid's own steps are 1/256; it is at most a quarter as steep as the logits below it.
    return max([1 / 256, *(0.25 * item["quantization"][0] for item in details)])


def _add_candidates(expected: list[dict], folder: Path, images: list[Path]) -> None:
    """Add all boxes before suppression to the integer file with top-k, where equal scores have no order."""
    (entry,) = (row for row in expected if row["path"] == "int8-builtin.tflite")
    run = load_predictor(folder / "int8-none.tflite")  # the same network, byte for byte
    options = {"confidence": 0.25, "iou_threshold": 1.0, "max_detections": 10_000}
    entry["candidates"] = {image.name: _described(run(image, **options)[0]) for image in images}


def _described(result: object) -> list[dict[str, object]]:
    rows = zip(result.boxes_xyxy_px.tolist(), result.scores.tolist(), result.class_ids.tolist(), strict=True)
    return [{"box": box, "score": score, "classId": kind} for box, score, kind in rows]


def _wrong(folder: Path, detector: tuple) -> None:
    """A model of another task, and one whose input is not what it says."""
    whole = (folder / "int8-builtin.tflite").read_bytes()
    (folder / "cut.tflite").write_bytes(whole[: len(whole) // 2])
    spoilt = bytearray(whole)
    spoilt[64:4096] = bytes(4032)
    (folder / "spoilt.tflite").write_bytes(spoilt)
    for name, change in (("task", {"task": "classify"}), ("shape", {"image_size": (352, 352)})):
        (folder / f"{name}.tflite").write_bytes(_with_contract(whole, change))
    model = json.loads((folder / "float32-builtin_web_model" / "model.json").read_text())
    bare = folder / "bare_web_model"
    bare.mkdir()
    del model["userDefinedMetadata"]["tfyolo"]
    (bare / "model.json").write_text(json.dumps(model))


def _with_contract(whole: bytes, change: dict[str, object]) -> bytes:
    """The model with other fields in its tfyolo.json."""
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        contract = Contract.from_json(archive.read(FILE_NAME).decode())
        model = whole[: min(item.header_offset for item in archive.infolist())]
    return attach_files(model, contract.model_copy(update=change))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
