"""Writes OpenVINO folders: intermediate representation for Intel's runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tfyolo.export.graph.module import CANDIDATES
from tfyolo.export.job import ExportJob
from tfyolo.export.openvino.entry import MODEL_FILE
from tfyolo.export.registry import find_format
from tfyolo.export.saved_model import writer as saved_model
from tfyolo.files import atomic_folder, scratch
from tfyolo.models.contract import FILE_NAME
from tfyolo.models.nodes import IMAGES
from tfyolo.quiet import import_openvino, silenced


def export(job: ExportJob, path: Path) -> None:
    """Write a folder with `model.xml`, `model.bin` and `tfyolo.json`.

    Images are (1, height, width, 3), as in TensorFlow. With int8, the ranges in the contract become
    FakeQuantize operations, which OpenVINO's plugins turn into integer kernels; with `calibrator="runtime"`,
    NNCF measures the ranges on the job's images.

    Args:
        job: model and export options.
        path: the folder to write.

    Raises:
        MissingExtraError: a library of the extra `openvino` is not installed.
    """
    openvino = import_openvino()
    contract = job.exported_contract("openvino")
    with silenced():
        if job.options.precision == "int8" and job.options.calibrator == "runtime":
            model = _quantize_with_nncf(build_model(job.with_options(precision="float32")), job)
        else:
            model = build_model(job)
        if job.options.precision == "int8":
            _store_integer_kernels(model)
    model.set_rt_info(contract.to_json(), ["model_info", "tfyolo"])
    with atomic_folder(path, find_format("openvino").owned) as temporary:
        openvino.save_model(
            model, str(temporary / MODEL_FILE), compress_to_fp16=job.options.precision == "float16"
        )
        (temporary / FILE_NAME).write_text(contract.to_json(), "utf-8")


def build_model(job: ExportJob) -> Any:
    """Return the `openvino.Model`, with the contract's names of inputs and outputs."""
    openvino = import_openvino()
    module = job.module(uint8=job.options.precision == "int8")
    with scratch() as folder:
        saved_model.save(module, folder)
        model = openvino.convert_model(str(folder))
    # The frontend gives an output several names, among them the one in the SavedModel's signature.
    names = set(module.detect.get_concrete_function().structured_outputs)
    for output in model.outputs:
        (name,) = names & set(output.get_names())
        output.get_tensor().set_names({name})
    model.inputs[0].get_tensor().set_names({IMAGES})
    _sort_candidates_by_index(model)
    return model


def _sort_candidates_by_index(model: Any) -> None:
    """Return the NMS candidates in anchor order instead of score order; NMS sorts by score itself.

    A stable TopK by score, which TensorFlow's semantics ask for, is an exchange sort in OpenVINO: selecting
    1,000 of 6,300 anchors took four fifths of yolov5n's latency at 320 pixels. Other TopK operations need the
    order and are small.
    """
    from openvino import opset11

    for op in model.get_ops():
        if op.get_type_name() != "TopK" or not op.get_friendly_name().startswith(CANDIDATES):
            continue
        attributes = op.get_attributes()
        top_k = opset11.topk(
            op.input_value(0),
            op.input_value(1),
            attributes["axis"],
            attributes["mode"],
            "index",
            index_element_type=attributes["index_element_type"],
            stable=False,
        )
        for old, new in zip(op.outputs(), top_k.outputs(), strict=True):
            for target in old.get_target_inputs():
                target.replace_source_output(new)


def _store_integer_kernels(model: Any) -> None:
    """Store fake-quantized kernels as 8-bit integers with a scale."""
    from openvino._offline_transformations import compress_quantize_weights_transformation

    compress_quantize_weights_transformation(model)


def _quantize_with_nncf(model: Any, job: ExportJob) -> Any:
    """Quantize the float model with ranges that NNCF measures; decoding and NMS stay float.

    Args:
        model: float `openvino.Model`.
        job: `images` are used for calibration.
    """
    import nncf

    images = job.calibration_images
    dataset = nncf.Dataset(list(images), lambda image: image[None].astype(np.float32) / np.float32(255))
    ignored = nncf.IgnoredScope(names=_nodes_after_network(model), validate=False)
    preset = nncf.QuantizationPreset.MIXED  # asymmetric activations: the range of SiLU is not symmetric
    return nncf.quantize(model, dataset, preset=preset, subset_size=len(images), ignored_scope=ignored)


def _nodes_after_network(model: Any) -> list[str]:
    """Return the names of the operations behind the last convolutions."""
    pending = [op for op in model.get_ops() if op.get_type_name() in ("Convolution", "GroupConvolution")]
    network = set()
    while pending:
        op = pending.pop()
        if op.get_friendly_name() not in network:
            network.add(op.get_friendly_name())
            pending += [value.get_node() for value in op.input_values()]
    return [
        op.get_friendly_name()
        for op in model.get_ops()
        if op.get_friendly_name() not in network
        and op.get_type_name() not in ("Constant", "Parameter", "Result")
    ]
