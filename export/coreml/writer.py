"""CoreML: an `.mlpackage` folder with an ML program, for iPhones, iPads and Macs."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import json
import logging
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfyolo.errors import TfyoloError
from tfyolo.export.coreml.pipeline import CONTRACT_KEY, RAW_CONFIDENCE, RAW_COORDINATES, with_suppression
from tfyolo.export.graph.module import AnchorGrid, signature
from tfyolo.export.graph.nms import to_corners
from tfyolo.export.job import ExportJob
from tfyolo.export.registry import find_format
from tfyolo.files import atomic_folder
from tfyolo.libraries import keep_triton_out
from tfyolo.models.contract import Contract
from tfyolo.quiet import hidden_stderr

SPECIFICATION = Path("Data", "com.apple.CoreML", "model.mlmodel")
"""Where coremltools puts the model inside a package; its weights lie beside it."""

_EXACT = "exact_boxes"
"""Name scope of what float16 would spoil: from 1024 pixels on it counts in whole ones."""


def export(job: ExportJob, path: Path) -> None:
    """Write an `.mlpackage` folder; the image input takes pixels as they are.

    With `nms="pipeline"` Apple's suppression follows the network (coreml_pipeline.py). A classifier with
    probabilities is a CoreML classifier: `classLabel` beside `probabilities`, which are by name then.

    Raises:
        TfyoloError: coremltools lacks its native libraries, as on Windows.
    """
    coreml = _coremltools()
    if job.options.nms == "pipeline":
        job = _as_apple_suppresses(job)
    module = _module(job)
    classifier = None
    names = job.contract.names
    # Probabilities by name need names that differ.
    if job.contract.task == "classify" and job.options.nms == "none" and len(set(names)) == len(names):
        classifier = coreml.ClassifierConfig(list(names), predicted_feature_name="classLabel")
    with atomic_folder(path, find_format("coreml").owned) as temporary:
        graph = module.detect.get_concrete_function()
        with _silent():
            coreml.convert(
                [graph],
                source="tensorflow",
                inputs=[
                    coreml.ImageType(
                        name="images",
                        shape=(1, *job.image_size, 3),
                        scale=1 / 255,
                        color_layout=coreml.colorlayout.RGB,
                    )
                ],
                classifier_config=classifier,
                convert_to="mlprogram",
                minimum_deployment_target=coreml.target.iOS15,
                compute_precision=_precision(coreml, job.options.precision),
                skip_model_load=True,
                package_dir=str(temporary),
            )
        file = temporary / SPECIFICATION
        model = coreml.proto.Model_pb2.Model.FromString(file.read_bytes())
        _name_outputs(coreml, model, graph)
        if job.options.nms == "pipeline":
            metadata = model.description.metadata
            model = with_suppression(model, job.contract.names, job.options.nms_options)
            model.description.metadata.CopyFrom(metadata)
        _describe(model, job.exported_contract("coreml"))
        file.unlink()  # coremltools leaves it readable for its owner only
        file.write_bytes(model.SerializeToString())


def _as_apple_suppresses(job: ExportJob) -> ExportJob:
    """The job with what Apple's suppression does, whatever was asked for."""
    if job.options.nms_options.multi_label:
        job.log("CoreML's suppression gives each box one class: --multi-label has no effect")
    if job.options.nms_options.per_class is not None:
        job.log("CoreML's suppression knows no limit per class: --topk-per-class has no effect")
    every = len(AnchorGrid(job.contract, job.image_size).table)
    settings = replace(job.options.nms_options, multi_label=False, per_class=None, candidates=every)
    return job.with_options(nms_options=settings)


def _module(job: ExportJob) -> Any:
    """The graph, in a form for CoreML."""
    if job.contract.task == "classify" or job.options.nms == "raw":
        return job.module()
    heads = job.with_options(nms="raw").module()
    return _DecodedModule(heads, job.contract, job.image_size, job.options.nms == "pipeline")


class _DecodedModule(tf.Module):
    """Decoded heads, with the boxes apart from what may be float16.

    Args:
        heads: module with raw outputs.
        contract: of the exported model.
        image_size: fixed input size in pixels.
        pipeline: as Apple's suppression wants them, (n, classes) and (n, 4); otherwise as the contract does.
    """

    def __init__(self, heads: Any, contract: Contract, image_size: tuple[int, int], pipeline: bool) -> None:
        super().__init__()
        self._heads, self._pipeline = heads, pipeline
        self._scales, self._classes = len(contract.strides), len(contract.names)
        self._cells = AnchorGrid(contract, image_size)
        self.detect = signature(self._detect, image_size, False, 1)

    def _detect(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        heads = self._heads.detect(images)
        with tf.name_scope(_EXACT):
            box = self._rows(heads, "box", 4)
            centers = self._cells.decode(box, tf.constant(self._cells.table))
            boxes = tf.gather(centers, [1, 0, 3, 2], axis=1) if self._pipeline else to_corners(centers)
        likely = self._rows(heads, "classes", self._classes)
        scores = tf.sigmoid(likely) * tf.sigmoid(self._rows(heads, "objectness", 1))
        if not self._pipeline:
            return {"boxes": boxes[None], "scores": scores[None]}
        # Vision takes the sum over the classes for the score of a box, and wants it to be 1 at most.
        best = tf.equal(likely, tf.reduce_max(likely, 1, keepdims=True))
        return {RAW_CONFIDENCE: scores * tf.cast(best, tf.float32), RAW_COORDINATES: boxes}

    def _rows(self, heads: dict[str, tf.Tensor], part: str, size: int) -> tf.Tensor:
        """One part of the heads as (cells * anchors, size)."""
        return tf.concat([tf.reshape(heads[f"{part}_{i}"], [-1, size]) for i in range(self._scales)], 0)


def _precision(coreml: Any, precision: str) -> Any:
    """What is computed in which kind of numbers."""
    if precision == "float32":
        return coreml.precision.FLOAT32
    return coreml.transform.FP16ComputePrecision(op_selector=lambda operation: _EXACT not in operation.name)


def _name_outputs(coreml: Any, model: Any, graph: Any) -> None:
    """Give outputs the contract's names: the converter leaves TensorFlow's, `Identity`, `Identity_1`, ..."""
    if model.description.predictedProbabilitiesName:
        coreml.utils.rename_feature(model, model.description.predictedProbabilitiesName, "probabilities")
        return
    for name, tensor in zip(sorted(graph.structured_outputs), graph.outputs, strict=True):
        coreml.utils.rename_feature(model, tensor.op.name, name, rename_inputs=False)


def _describe(model: Any, contract: Contract) -> None:
    """Metadata for people, for apps and for tfyolo."""
    height, width = contract.image_size
    verb = "Tells" if contract.task == "classify" else "Finds"
    metadata = model.description.metadata
    metadata.shortDescription = f"{verb} {len(contract.names)} classes in images of {width} x {height} pixels"
    metadata.versionString = f"tfyolo {contract.version}"
    metadata.userDefined.update(
        {
            CONTRACT_KEY: contract.to_json(),
            "task": contract.task,
            "names": json.dumps(contract.names, ensure_ascii=False),
            "stride": str(max(contract.strides)),
            "imgsz": json.dumps(contract.image_size),
        }
    )
    model.description.input[0].shortDescription = f"RGB image of {width} x {height} pixels"


def _coremltools() -> Any:
    """The library; it imports TensorFlow, and torch where that is installed.

    Raises:
        TfyoloError: it has no native libraries, with which weights are written.
    """
    keep_triton_out()
    with _silent():
        module = importlib.import_module("coremltools")
    if importlib.util.find_spec("coremltools.libmilstoragepython") is None:
        raise TfyoloError(
            "this coremltools cannot write models: its native libraries exist for Linux and macOS only",
            fix="export on one of these, or another format here",
        )
    return module


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Without progress bars, and without notes of untested versions and of what only macOS has."""
    logger = logging.getLogger("coremltools")
    level = logger.level
    logger.setLevel(logging.ERROR)
    output = io.StringIO()
    with (
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(output),
        hidden_stderr(),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.setLevel(level)
