"""Writes Core ML packages (`.mlpackage`, ML program) for iOS and macOS."""

from __future__ import annotations

import importlib
import importlib.util
import json
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfyolo.errors import TfyoloError
from tfyolo.export.coreml.entry import CLASS_LABEL, CONTRACT_KEY, MODEL_FILE
from tfyolo.export.coreml.pipeline import RAW_CONFIDENCE, RAW_COORDINATES, with_suppression
from tfyolo.export.graph.anchor_grid import AnchorGrid
from tfyolo.export.graph.boxes import to_corners
from tfyolo.export.graph.module import signature
from tfyolo.export.job import ExportJob
from tfyolo.export.registry import find_format
from tfyolo.files import atomic_folder
from tfyolo.libraries import keep_triton_out
from tfyolo.models.contract import Contract
from tfyolo.models.nodes import IMAGES
from tfyolo.models.outputs import BOXES, PROBABILITIES, PROTOTYPES
from tfyolo.models.tasks import TASKS
from tfyolo.quiet import silenced

FLOAT32_SCOPE = "float32_boxes"
"""Name scope of operations that stay float32: above 1024 pixels, float16 has a resolution of whole pixels."""


_DESCRIPTIONS = {
    "classify": "Classifies images of {size} into {num_classes} classes",
    "detect": "Detects objects of {num_classes} classes in images of {size}",
    "segment": "Segments objects of {num_classes} classes in images of {size}",
}


def export(job: ExportJob, path: Path) -> None:
    """Write an `.mlpackage` folder whose input is an image of 8-bit RGB pixels.

    With `nms="pipeline"`, Apple's non-maximum suppression follows the network (pipeline.py). A classifier
    with probabilities becomes a Core ML classifier, with the outputs `classLabel` and `probabilities` by
    class name.

    Args:
        job: model and export options.
        path: the folder to write.

    Raises:
        TfyoloError: coremltools has no native libraries on this operating system (Windows).
    """
    coremltools = _import_coremltools()
    module = _build_module(job)
    names = job.contract.names
    classifier = None
    # A dictionary of probabilities needs unique class names.
    if job.contract.task == "classify" and job.options.nms == "none" and len(set(names)) == len(names):
        classifier = coremltools.ClassifierConfig(list(names), predicted_feature_name=CLASS_LABEL)
    with atomic_folder(path, find_format("coreml").owned) as temporary:
        graph = module.detect.get_concrete_function()
        with silenced():
            coremltools.convert(
                [graph],
                source="tensorflow",
                inputs=[
                    coremltools.ImageType(
                        name=IMAGES,
                        shape=(1, *job.image_size, 3),
                        scale=1 / 255,
                        color_layout=coremltools.colorlayout.RGB,
                    )
                ],
                classifier_config=classifier,
                convert_to="mlprogram",
                minimum_deployment_target=coremltools.target.iOS15,
                compute_precision=_compute_precision(coremltools, job.options.precision),
                skip_model_load=True,
                package_dir=str(temporary),
            )
        file = temporary / MODEL_FILE
        model = coremltools.proto.Model_pb2.Model.FromString(file.read_bytes())
        _rename_outputs(coremltools, model, graph)
        if job.options.nms == "pipeline":
            metadata = model.description.metadata
            model = with_suppression(model, names, job.options.nms_options)
            model.description.metadata.CopyFrom(metadata)
        _write_metadata(model, job.exported_contract("coreml"))
        file.unlink()  # coremltools creates it with permissions for its owner only
        file.write_bytes(model.SerializeToString())


def _build_module(job: ExportJob) -> Any:
    """Return the tf.Module to convert: raw outputs, or heads that `_DecodedModule` decodes."""
    if job.contract.task == "classify" or job.options.nms == "raw":
        return job.module()
    heads = job.with_options(nms="raw").module()
    return _DecodedModule(heads, job.contract, job.image_size, job.options.nms == "pipeline")


class _DecodedModule(tf.Module):
    """Decodes raw heads, with box coordinates in a name scope that stays float32.

    Args:
        heads: module with raw outputs.
        contract: contract of the exported model.
        image_size: (height, width) of the input in pixels.
        pipeline: return RAW_CONFIDENCE (n, classes) and RAW_COORDINATES (n, 4) for Apple's NMS; otherwise
            the contract's `boxes` (1, n, 4) and `scores` (1, n, classes), and of a segmentation model its
            `coefficients` and `prototypes`.
    """

    def __init__(self, heads: Any, contract: Contract, image_size: tuple[int, int], pipeline: bool) -> None:
        super().__init__()
        self._heads, self._pipeline = heads, pipeline
        self._num_scales, self._num_classes = len(contract.strides), len(contract.names)
        self._parts, self._num_coefficients = TASKS[contract.task].parts, contract.num_coefficients or 0
        self._cells = AnchorGrid(contract, image_size)
        self.detect = signature(self._detect, image_size, False, 1)

    def _detect(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        heads = self._heads.detect(images)
        box_part, objectness_part, class_part, *mask_parts = self._parts
        with tf.name_scope(FLOAT32_SCOPE):
            box_logits = self._join_scales(heads, box_part, 4)
            centers = self._cells.decode(box_logits, tf.constant(self._cells.table))
            boxes = tf.gather(centers, [1, 0, 3, 2], axis=1) if self._pipeline else to_corners(centers)
        class_logits = self._join_scales(heads, class_part, self._num_classes)
        objectness = tf.sigmoid(self._join_scales(heads, objectness_part, 1))
        scores = tf.sigmoid(class_logits) * objectness
        if not self._pipeline:
            outputs = dict(zip(BOXES, (boxes[None], scores[None]), strict=True))
            for part in mask_parts:  # the coefficients of a segmentation model
                outputs[part] = (self._join_scales(heads, part, self._num_coefficients) * objectness)[None]
                outputs[PROTOTYPES] = tf.identity(heads[PROTOTYPES])
            return outputs
        # Vision takes the sum over classes as the confidence of a box, which must not exceed 1.
        best = tf.equal(class_logits, tf.reduce_max(class_logits, 1, keepdims=True))
        return {RAW_CONFIDENCE: scores * tf.cast(best, tf.float32), RAW_COORDINATES: boxes}

    def _join_scales(self, heads: dict[str, tf.Tensor], part: str, size: int) -> tf.Tensor:
        """Return one part of all heads as (grid cells * anchors, size)."""
        return tf.concat([tf.reshape(heads[f"{part}_{i}"], [-1, size]) for i in range(self._num_scales)], 0)


def _compute_precision(coremltools: Any, precision: str) -> Any:
    """Return coremltools' `compute_precision`: float32, or float16 except for FLOAT32_SCOPE."""
    if precision == "float32":
        return coremltools.precision.FLOAT32
    return coremltools.transform.FP16ComputePrecision(
        op_selector=lambda operation: FLOAT32_SCOPE not in operation.name
    )


def _rename_outputs(coremltools: Any, model: Any, graph: Any) -> None:
    """Give the outputs the contract's names; the converter keeps TensorFlow's `Identity`, `Identity_1`."""
    rename = coremltools.utils.rename_feature
    if model.description.predictedProbabilitiesName:
        rename(model, model.description.predictedProbabilitiesName, PROBABILITIES)
        return
    for name, tensor in zip(sorted(graph.structured_outputs), graph.outputs, strict=True):
        rename(model, tensor.op.name, name, rename_inputs=False)


def _write_metadata(model: Any, contract: Contract) -> None:
    """Write descriptions for users, and the contract and YOLOv5's entries for programs."""
    height, width = contract.image_size
    size, num_classes = f"{width} x {height} pixels", len(contract.names)
    metadata = model.description.metadata
    metadata.shortDescription = _DESCRIPTIONS[contract.task].format(size=size, num_classes=num_classes)
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
    model.description.input[0].shortDescription = f"RGB image of {size}"


def _import_coremltools() -> Any:
    """Return the module `coremltools`, which imports TensorFlow, and PyTorch if it is installed.

    Raises:
        TfyoloError: it has no native libraries, which write the weights.
    """
    keep_triton_out()
    with silenced():
        module = importlib.import_module("coremltools")
    if importlib.util.find_spec("coremltools.libmilstoragepython") is None:
        raise TfyoloError(
            "coremltools cannot write models here: its native libraries exist only for Linux and macOS",
            fix="export on Linux or macOS, or choose another format",
        )
    return module
